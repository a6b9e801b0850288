// Package nethttp records the requests of net/http servers, and of any router that
// takes middleware of the form func(http.Handler) http.Handler. An app needs one
// [Middleware], which records every page and API call, and one [Link] inside its
// authentication, which says whose they are.
//
//	handler := auth(nethttp.Link(whoIs)(mux))
//	handler = nethttp.Middleware(client, nethttp.Mux(mux))(handler)
//
// The route of a request is the pattern that an http.ServeMux has matched. If a
// middleware in between replaces the request, name the mux with [Mux]. For another
// router, say with [Route] how to find the pattern: examples/routers does so for
// gorilla/mux and httprouter. For chi there is package chiklime.
//
// What is recorded, and every option that is not here, is the same in all
// frameworks: see package [github.com/klimeapp/klime-go/core], whose functions
// take r.Context() in handlers. docs/frameworks.md lists what net/http cannot tell.
// docs/who-is-the-customer.md shows how to tell whose request it is, with tokens,
// sessions, API keys and several companies.
//
// All functions are safe for concurrent use. The functions passed to them are
// called on the goroutines that serve requests, several at a time.
package nethttp
