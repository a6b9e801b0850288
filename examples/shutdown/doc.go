// Package shutdown shows how to end an app without losing events, for each kind of app
// in docs/shutdown.md. When ctx ends, as on SIGTERM, first the server is shut down,
// which finishes the requests in progress, then the client, which delivers their
// events. All that takes less than the 10 s that an orchestrator such as Kubernetes is
// often told to allow.
//
//	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
//
// Klime itself handles no signals: that is left to the app.
package shutdown

import "time"

// Parts of the 10 s. The server has its own part, as a stream that does not end would
// otherwise use up the client's. The client's Shutdown may take 2.5 s more than its part
// if a disk or OnError hangs.
const (
	forRequests = 3 * time.Second
	forEvents   = 4 * time.Second
)
