// Package ginklime records the requests of Gin apps: one [Middleware] for every
// page and API call, and one [Link], inside of the authentication, that says whose
// they are.
//
//	r := gin.New()
//	r.Use(gin.Recovery(), ginklime.Middleware(client))
//	r.Use(auth, ginklime.Link(whoIs))
//
// What is recorded, and every option that is not here, is the same in all
// frameworks: see package [github.com/klimeapp/klime-go/core], whose functions
// take the *gin.Context in handlers. What only Gin does, or cannot tell, is in
// docs/frameworks.md; whose request it is, for tokens, sessions, API keys and
// several companies, in docs/who-is-the-customer.md.
//
// All functions are safe for concurrent use. Those that they are given are called
// in the goroutines that serve requests, several at a time.
package ginklime
