// Package chiklime records the requests of chi routers: one [Middleware] for every
// page and API call, and one [Link], inside of the authentication, that says whose
// they are.
//
//	r := chi.NewRouter() // the outermost
//	r.Use(middleware.Recoverer, chiklime.Middleware(client))
//	r.Use(auth, chiklime.Link(whoIs))
//
// What is recorded, and every option that is not here, is the same in all
// frameworks: see package [github.com/klimeapp/klime-go/core], whose functions
// take r.Context() in handlers. What only chi does, or cannot tell, is in
// docs/frameworks.md; whose request it is, for tokens, sessions, API keys and
// several companies, in docs/who-is-the-customer.md.
//
// All functions are safe for concurrent use. Those that they are given are called
// in the goroutines that serve requests, several at a time.
package chiklime
