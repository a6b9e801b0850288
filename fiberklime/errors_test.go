package fiberklime_test

import (
	"bufio"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/fiberklime"
	"github.com/klimeapp/klime-go/klimetest"
)

// Fiber makes answers of errors after all middlewares: what the client sees is
// recorded, and the ErrorHandler runs once.
func TestReturnedErrors(t *testing.T) {
	t.Parallel()
	server := klimetest.NewServer(t)
	var handled, seenOutside atomic.Int64
	app := fiber.New(fiber.Config{
		DisableStartupMessage: true,
		ErrorHandler: func(c *fiber.Ctx, err error) error {
			handled.Add(1)
			if known := (*fiber.Error)(nil); errors.As(err, &known) {
				return c.Status(known.Code).SendString("known")
			}
			if err.Error() == "unmanageable" {
				return err
			}
			return c.Status(http.StatusTeapot).SendString("custom")
		},
	})
	app.Use(func(c *fiber.Ctx) error {
		err := c.Next()
		if err != nil {
			seenOutside.Add(1)
		}
		return err
	})
	app.Use(fiberklime.Middleware(server.Client(), fiberklime.UserID(func(*fiber.Ctx) string { return "jane" })))
	app.Get("/known", func(*fiber.Ctx) error { return fiber.NewError(http.StatusServiceUnavailable) })
	app.Get("/custom", func(*fiber.Ctx) error { return errors.New("anything") })
	app.Get("/partial", func(c *fiber.Ctx) error {
		_ = c.Status(http.StatusOK).SendString("half of")
		return errors.New("the answer")
	})
	app.Get("/unmanageable", func(*fiber.Ctx) error { return errors.New("unmanageable") })
	url, stop := listen(t, app)
	paths := []string{"/known", "/custom", "/partial", "/unmanageable"}
	for i, path := range paths {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, url+path, http.NoBody)
		resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		e := server.Wait(i + 1)[i]
		if e.Properties["route"] != path || e.Properties["status"] != float64(resp.StatusCode) || resp.StatusCode < 400 {
			t.Errorf("%s: client saw %d, recorded %v", path, resp.StatusCode, e.Properties)
		}
	}
	stop()
	if handled.Load() != int64(len(paths)) || seenOutside.Load() != 0 {
		t.Errorf("ErrorHandler ran %d times, outer middleware saw %d errors", handled.Load(), seenOutside.Load())
	}
}

// A stream is not buffered to measure it: its first bytes come at once, and what
// Fiber cannot tell of it is left out.
func TestStream(t *testing.T) {
	t.Parallel()
	server := klimetest.NewServer(t)
	received := make(chan struct{})
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Use(fiberklime.Middleware(server.Client(), fiberklime.UserID(func(*fiber.Ctx) string { return "jane" })))
	app.Get("/stream", func(c *fiber.Ctx) error {
		c.Set(fiber.HeaderContentType, "text/event-stream")
		c.Context().SetBodyStreamWriter(func(w *bufio.Writer) {
			_, _ = w.WriteString("data: first\n\n")
			_ = w.Flush()
			select {
			case <-received:
			case <-time.After(10 * time.Second):
				t.Error("the first event did not come through")
			}
			_, _ = w.WriteString("data: second\n\n")
		})
		return nil
	})
	url, stop := listen(t, app)
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/stream", http.NoBody)
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(resp.Body)
	if !lines.Scan() || lines.Text() != "data: first" {
		t.Errorf("first line %q", lines.Text())
	}
	close(received)
	for lines.Scan() {
	}
	resp.Body.Close()
	stop()
	e := server.Wait(1)[0]
	for _, unknown := range []string{"openMs", "durationMs", "responseBytes"} {
		if value, ok := e.Properties[unknown]; ok {
			t.Errorf("%s: %v", unknown, value)
		}
	}
	if e.Properties["protocol"] != "sse" || e.Event != "API Called" {
		t.Errorf("event %+v", e)
	}
}

// A middleware is no route, though it has the path of one.
func TestUnmatchedBesideARoot(t *testing.T) {
	t.Parallel()
	server := klimetest.NewServer(t)
	client := server.Client()
	app := fiber.New()
	app.Use(fiberklime.Middleware(client, fiberklime.UserID(func(*fiber.Ctx) string { return "jane" })))
	app.Get("/", func(c *fiber.Ctx) error { return c.SendStatus(http.StatusNoContent) })
	group := app.Group("/api", func(c *fiber.Ctx) error { return c.Next() })
	group.Get("", func(c *fiber.Ctx) error { return c.SendStatus(http.StatusNoContent) })
	for _, path := range []string{"/nowhere", "/api/nowhere", "/", "/api"} {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://app"+path, http.NoBody)
		resp, err := app.Test(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if err := client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	events := server.Events()
	if len(events) != 2 || events[0].Properties["route"] != "/" || events[1].Properties["route"] != "/api" {
		t.Fatalf("events %+v", events)
	}
	if n := events[0].Properties["responseBytes"]; n != 0.0 {
		t.Errorf("%v bytes in a 204", n)
	}
}

// Routes that are added while the app runs are known as well.
func TestRoutesAddedLater(t *testing.T) {
	t.Parallel()
	server := klimetest.NewServer(t)
	app := fiber.New()
	app.Use(fiberklime.Middleware(server.Client(), fiberklime.UserID(func(*fiber.Ctx) string { return "jane" })))
	for i, path := range []string{"/first", "/second/:id"} {
		app.Get(path, func(c *fiber.Ctx) error {
			klime.SetProperty(c.UserContext(), "kept", c.Params("id")) // Fiber's own memory
			return c.SendStatus(http.StatusOK)
		})
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://app"+path, http.NoBody)
		resp, err := app.Test(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		want := []string{"/first", "/second/{id}"}[i]
		if e := server.Wait(i + 1)[i]; e.Properties["route"] != want {
			t.Errorf("route %v, want %s", e.Properties["route"], want)
		}
	}
}
