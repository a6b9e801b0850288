// The echo example is a small Echo app with an adapter of its own, echoklime.
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
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/labstack/echo/v4"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/examples/echo/echoklime"
)

const (
	addr     = "127.0.0.1:8080"
	greeting = `The echo example is running at http://%[1]s. Ctrl-C stops it. Try:

  curl -H 'X-User: jane' -H 'X-Org: acme' http://%[1]s/hello/world

Each such request is an event. Without KLIME_WRITE_KEY, what would be sent to Klime is printed here, within 2 s.

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
	server := &http.Server{Handler: newApp(client), ReadHeaderTimeout: 5 * time.Second}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C kills
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	fmt.Printf(greeting, addr)
	select {
	case err = <-ended:
	case <-ctx.Done():
	}
	// The app first, so that the events of the last requests are sent too.
	// Together below your grace period: 10 s for docker stop, 30 s for Kubernetes.
	requests, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if server.Shutdown(requests) != nil {
		err = errors.Join(err, server.Close()) // cuts off what has not ended by itself
	}
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

func newApp(client *klime.Client) *echo.Echo {
	e := echo.New()
	// The headers stand in for a session that the app has checked.
	e.Use(echoklime.Middleware(client,
		echoklime.UserID(func(c echo.Context) string { return c.Request().Header.Get("X-User") }),
		echoklime.GroupID(func(c echo.Context) string { return c.Request().Header.Get("X-Org") })))
	e.GET("/hello/:name", func(c echo.Context) error {
		return c.JSON(http.StatusOK, map[string]string{"hello": c.Param("name")})
	})
	return e
}

// printer is a klime.Transport that prints batches.
type printer struct{}

func (printer) Send(_ context.Context, body []byte, events int) (klime.BatchResult, error) {
	if events > 0 {
		fmt.Printf("%s\n", body)
	}
	return klime.BatchResult{Accepted: events}, nil
}
