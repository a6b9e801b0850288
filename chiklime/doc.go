// Package chiklime records the requests of chi routers. An app needs one
// [Middleware], which records every page and API call, and one [Link] inside its
// authentication, which says whose they are.
//
//	r := chi.NewRouter() // the outermost router
//	r.Use(middleware.Recoverer, chiklime.Middleware(client))
//	r.Use(auth, chiklime.Link(whoIs))
//
// What is recorded, and every option that is not here, is the same in all
// frameworks: see package [github.com/klimeapp/klime-go/core], whose functions
// take r.Context() in handlers. docs/frameworks.md lists what is special in chi, and
// what chi cannot tell. docs/who-is-the-customer.md shows how to tell whose request
// it is, with tokens, sessions, API keys and several companies.
//
// All functions are safe for concurrent use. The functions passed to them are
// called on the goroutines that serve requests, several at a time.
package chiklime
