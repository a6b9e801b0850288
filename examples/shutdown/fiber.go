package shutdown

import (
	"context"
	"errors"

	"github.com/gofiber/fiber/v2"

	klime "github.com/klimeapp/klime-go/core"
)

// ServeFiber is for Fiber. app.Listen returns as soon as its shutdown begins:
// the program is to end when ServeFiber returns, not then.
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
