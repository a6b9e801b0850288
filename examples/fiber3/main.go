// The fiber3 example is a small app of Fiber 3 with an adapter of its own, fiber3klime.
//
//	go run .
//
// Without KLIME_WRITE_KEY it prints what it would send.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gofiber/fiber/v3"
	recovery "github.com/gofiber/fiber/v3/middleware/recover"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/examples/fiber3/fiber3klime"
)

const (
	addr     = "127.0.0.1:8080"
	greeting = `The fiber3 example is running at http://%[1]s. Ctrl-C stops it. Try:

  curl -H 'X-User: jane' -H 'X-Org: acme' http://%[1]s/hello/world

Each such request makes two events. Without KLIME_WRITE_KEY, what would be sent to Klime is printed here, within 2 s.

`
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return fmt.Errorf("%w; stop what listens there, or change addr in main.go", err)
	}
	client, err := klime.New(klimeConfig())
	if err != nil {
		return err
	}
	app := newApp(client)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C kills
	ended := make(chan error, 1)
	go func() { ended <- app.Listener(listener, fiber.ListenConfig{DisableStartupMessage: true}) }()
	fmt.Printf(greeting, addr)
	select {
	case err = <-ended:
	case <-ctx.Done():
	}
	// The app first, so that the events of the last requests are sent too.
	// Together below your grace period: 10 s for docker stop, 30 s for Kubernetes.
	requests, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err = errors.Join(err, app.ShutdownWithContext(requests))
	events, cancel := context.WithTimeout(context.Background(), 4*time.Second)
	defer cancel()
	return errors.Join(err, client.Shutdown(events))
}

func klimeConfig() klime.Config {
	cfg := klime.FromEnv()
	cfg.Logger = slog.Default() // receives what goes wrong, such as a wrong key
	if cfg.WriteKey == "" {
		cfg.Transport = printer{}
	}
	return cfg
}

func newApp(client *klime.Client) *fiber.App {
	app := fiber.New(fiber.Config{ReadTimeout: 5 * time.Second})
	app.Use(recovery.New())
	// The headers stand in for a session that the app has checked.
	app.Use(fiber3klime.Middleware(client,
		fiber3klime.UserID(func(c fiber.Ctx) string { return c.Get("X-User") }),
		fiber3klime.GroupID(func(c fiber.Ctx) string { return c.Get("X-Org") })))
	app.Get("/hello/:name", func(c fiber.Ctx) error {
		klime.Track(c, "Greeted", nil) // or c.Context(), which may be kept
		return c.JSON(fiber.Map{"hello": c.Params("name")})
	})
	return app
}

// printer is a klime.Transport that prints batches.
type printer struct{}

func (printer) Send(_ context.Context, body []byte, events int) (klime.BatchResult, error) {
	if events > 0 {
		fmt.Printf("%s\n", body)
	}
	return klime.BatchResult{Accepted: events}, nil
}
