// Package klimetest tests what an app tells Klime, and how it fares when Klime
// fails. [Server] is a fake Klime on loopback, [Recorder] one without a network,
// for testing/synctest. Both check and answer as the real one does, show what Klime
// would show ([Server.Customers], [Server.Users]), and fail as scripted
// ([Server.Fail]).
//
//	server := klimetest.NewServer(t)
//	app := newApp(server.Client()) // yours, with a *klime.Client of package core
//	// … requests to app …
//	events := server.Wait(2)       // klime.Event values, in order
//
// The guide is docs/testing.md. For tests of an adapter, there is package
// [github.com/klimeapp/klime-go/klimetest/adaptertest].
package klimetest
