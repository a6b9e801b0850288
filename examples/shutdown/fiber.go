package shutdown

import (
	"context"
	"errors"

	"github.com/gofiber/fiber/v2"

	klime "github.com/klimeapp/klime-go/core"
)

// ServeFiber is for Fiber. As app.Listen returns when its shutdown begins, the program
// must not end before ServeFiber returns.
func ServeFiber(ctx context.Context, app *fiber.App, addr string, client *klime.Client) error {
	failed := make(chan error, 1)
	go func() { failed <- app.Listen(addr) }()
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done(): // SIGTERM
	}

	requests, cancel := context.WithTimeout(context.Background(), forRequests)
	defer cancel()
	_ = app.ShutdownWithContext(requests) // what takes longer is given up
	events, cancel := context.WithTimeout(context.Background(), forEvents)
	defer cancel()
	return errors.Join(err, client.Shutdown(events))
}
