// Package shutdown shows how to end an app without losing events, for each kind of app
// in docs/shutdown.md. When ctx ends, as on SIGTERM, first the server is shut down,
// which finishes the requests in progress, then the client, which delivers their
// events. All that takes less than the 10 s that docker stop allows.
//
//	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
//
// Klime itself handles no signals: that is left to the app.
package shutdown

import "time"

// Parts of the 10 s. The server has its own part, as a stream that does not end would
// otherwise use up the client's. Without a spool the server could have 5 s. With one, the
// client's Shutdown takes up to 2 s more than its part if the disk hangs, and in any case
// up to 0.5 s more if OnError or a Transport does.
const (
	forRequests = 3 * time.Second
	forHandlers = 250 * time.Millisecond // that the server has cut off
	forEvents   = 4 * time.Second
)
