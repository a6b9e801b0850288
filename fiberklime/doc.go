// Package fiberklime records the requests of Fiber apps (version 2; for version 3, copy
// the adapter in examples/fiber3). An app needs one [Middleware], which records every page
// and API call, and one [Link] after its authentication, which says whose they are.
//
//	app := fiber.New()
//	app.Use(recover.New(), fiberklime.Middleware(client))
//	app.Use(auth, fiberklime.Link(whoIs))
//
// What is recorded, and every option that is not here, is the same in all
// frameworks: see package [github.com/klimeapp/klime-go/core], whose functions
// take c.UserContext() in handlers, and neither c nor c.Context(). docs/frameworks.md
// lists what is special in Fiber, and what Fiber cannot tell.
// docs/who-is-the-customer.md shows how to tell whose request it is, with tokens,
// sessions, API keys and several companies.
//
// All functions are safe for concurrent use. The functions passed to them are
// called on the goroutines that serve requests, several at a time.
package fiberklime
