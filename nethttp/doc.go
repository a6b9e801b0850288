// Package nethttp records the requests of net/http servers, and of any router that
// takes middleware of the form func(http.Handler) http.Handler: one [Middleware]
// for every page and API call, and one [Link], inside of the authentication, that
// says whose they are.
//
//	handler := auth(nethttp.Link(whoIs)(mux))
//	handler = nethttp.Middleware(client, nethttp.Mux(mux))(handler)
//
// The route of a request is the pattern of an http.ServeMux; where something in
// between replaces the request, name the mux with [Mux], and of another router tell
// it with [Route]: examples/routers has it for gorilla/mux and httprouter. For chi
// there is package chiklime.
//
// What is recorded, and every option that is not here, is the same in all
// frameworks: see package [github.com/klimeapp/klime-go/core], whose functions
// take r.Context() in handlers. What net/http cannot tell is in docs/frameworks.md;
// whose request it is, for tokens, sessions, API keys and several companies, in
// docs/who-is-the-customer.md.
//
// All functions are safe for concurrent use. Those that they are given are called
// in the goroutines that serve requests, several at a time.
package nethttp
