package shutdown

import (
	"context"
	"errors"
	"net"
	"net/http"

	klime "github.com/klimeapp/klime-go/core"
)

// Serve is for net/http, and so for chi and Gin too: srv.Handler is the router.
func Serve(ctx context.Context, srv *http.Server, l net.Listener, client *klime.Client) error {
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done(): // SIGTERM
	}

	requests, cancel := context.WithTimeout(context.Background(), forRequests)
	defer cancel()
	if srv.Shutdown(requests) != nil {
		err = errors.Join(err, srv.Close()) // cuts off streams that have not ended by themselves
	}
	events, cancel := context.WithTimeout(context.Background(), forEvents)
	defer cancel()
	return errors.Join(err, client.Shutdown(events))
}
