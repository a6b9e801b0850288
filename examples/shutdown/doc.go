// Package shutdown has the ways to end an app with nothing lost, one for each
// kind of app, as docs/durability.md has them: when ctx ends, as on SIGTERM,
// first the server, which finishes the requests under way, then the client,
// which delivers their events. All take less than the 10 s that an orchestrator
// such as Kubernetes is often told to allow.
//
//	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
//
// Klime itself handles no signals: that is the app's.
package shutdown

import "time"

// Of the 10 s. The server has its own, as a stream that does not end would
// otherwise use up the client's. Shutdown may take 2.5 s beyond its own for a disk,
// or an OnError, that hangs.
const (
	forRequests = 3 * time.Second
	forEvents   = 4 * time.Second
)
