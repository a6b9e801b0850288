// Package ginklime records the requests of Gin apps. An app needs one [Middleware],
// which records every page and API call, and one [Link] after its authentication,
// which says whose they are.
//
//	r := gin.New()
//	r.Use(gin.Recovery(), ginklime.Middleware(client))
//	r.Use(auth, ginklime.Link(whoIs))
//
// What is recorded, and every option that is not here, is the same in all
// frameworks: see package [github.com/klimeapp/klime-go/core], whose functions
// take the *gin.Context in handlers. docs/frameworks.md lists what is special in
// Gin, and what Gin cannot tell. docs/who-is-the-customer.md shows how to tell whose
// request it is, with tokens, sessions, API keys and several companies.
//
// All functions are safe for concurrent use. The functions passed to them are
// called on the goroutines that serve requests, several at a time.
package ginklime
