// Package klimetest helps to test what an app tells Klime, and what happens to the
// app when Klime fails. [Server] is a fake Klime on loopback; [Recorder] is one
// without a network, for testing/synctest. Both check requests and answer as Klime
// does, tell what Klime would show ([Server.Customers], [Server.Users]), and fail on
// demand ([Server.Fail]).
//
//	server := klimetest.NewServer(t)
//	app := newApp(server.Client()) // yours, with a *klime.Client of package core
//	// … requests to app …
//	events := server.Wait(2)       // klime.Event values, in order
//
// The guide is docs/testing.md. To test an adapter, use package
// [github.com/klimeapp/klime-go/klimetest/adaptertest].
package klimetest
