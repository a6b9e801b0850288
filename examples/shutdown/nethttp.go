package shutdown

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	klime "github.com/klimeapp/klime-go/core"
)

// Serve is for net/http, and so for chi and Gin too: srv.Handler is the router.
func Serve(ctx context.Context, srv *http.Server, l net.Listener, client *klime.Client) error {
	var handlers sync.RWMutex
	router := srv.Handler
	srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handlers.RLock()
		defer handlers.RUnlock()
		router.ServeHTTP(w, r)
	})
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done(): // SIGTERM
	}

	deadline := time.Now().Add(forRequests + forHandlers)
	requests, cancel := context.WithTimeout(context.Background(), forRequests)
	defer cancel()
	if srv.Shutdown(requests) != nil {
		err = errors.Join(err, srv.Close()) // cuts off streams that have not ended by themselves
	}
	ended := make(chan struct{})
	go func() { handlers.Lock(); close(ended) }()
	select { // neither Shutdown nor Close waits for WebSockets
	case <-ended:
	case <-time.After(time.Until(deadline)):
	}
	events, cancel := context.WithTimeout(context.Background(), forEvents)
	defer cancel()
	return errors.Join(err, client.Shutdown(events))
}
