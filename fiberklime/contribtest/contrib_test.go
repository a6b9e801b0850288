package contribtest_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	fasthttpws "github.com/fasthttp/websocket"
	"github.com/gofiber/contrib/websocket"
	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/cache"
	"github.com/gofiber/fiber/v2/middleware/csrf"
	"github.com/gofiber/fiber/v2/middleware/idempotency"
	"github.com/gofiber/fiber/v2/middleware/limiter"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/fiberklime"
	"github.com/klimeapp/klime-go/klimetest"
)

// serve serves app, whose first middleware is ours, on loopback.
func serve(t *testing.T, build func(app *fiber.App)) (address string, events func(n int) []klime.Event) {
	t.Helper()
	fake := klimetest.NewServer(t)
	client := fake.Client()
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Use(fiberklime.Middleware(client, fiberklime.UserID(func(*fiber.Ctx) string { return "jane" })))
	build(app)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- app.Listener(listener) }()
	return listener.Addr().String(), func(n int) []klime.Event {
		t.Helper()
		if err := app.Shutdown(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
		if err := client.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		events := fake.Events()
		if len(events) != n {
			t.Fatalf("%d events, want %d: %+v", len(events), n, events)
		}
		return events
	}
}

func do(t *testing.T, method, url string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
}

// A WebSocket of Fiber's own module works as it does without us. It makes one event as
// soon as it is open, without a duration, as Fiber does not tell when it ends. The
// UserContext, kept for its handler, still knows whose it is.
func TestWebSocket(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	address, events := serve(t, func(app *fiber.App) {
		app.Use("/rooms", func(c *fiber.Ctx) error {
			if !websocket.IsWebSocketUpgrade(c) {
				return fiber.ErrUpgradeRequired
			}
			c.Locals("ctx", c.UserContext())
			return c.Next()
		})
		app.Get("/rooms/:id", websocket.New(func(conn *websocket.Conn) {
			defer close(ended)
			for {
				kind, message, err := conn.ReadMessage()
				if err != nil {
					return
				}
				ctx, _ := conn.Locals("ctx").(context.Context)
				klime.Track(ctx, "Message Sent", klime.Properties{"room": conn.Params("id")})
				if err := conn.WriteMessage(kind, message); err != nil {
					t.Error(err)
				}
			}
		}))
	})
	conn, resp, err := fasthttpws.DefaultDialer.DialContext(t.Context(), "ws://"+address+"/rooms/7", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	for range 2 {
		if err := conn.WriteMessage(websocket.TextMessage, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		if _, got, err := conn.ReadMessage(); string(got) != "hello" {
			t.Errorf("echoed %q, %v", got, err)
		}
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	<-ended
	do(t, http.MethodGet, "http://"+address+"/rooms/7") // no upgrade

	all := events(4)
	opened := all[0].Properties
	for _, unknown := range []string{"openMs", "durationMs"} {
		if value, ok := opened[unknown]; ok {
			t.Errorf("%s: %v", unknown, value)
		}
	}
	if opened["status"] != 101.0 || opened["route"] != "/rooms/{id}" || opened["protocol"] != "websocket" {
		t.Errorf("event %+v", all[0])
	}
	for _, e := range all[1:3] {
		if e.Event != "Message Sent" || e.UserID != "jane" || e.Properties["room"] != "7" {
			t.Errorf("event %+v", e)
		}
	}
	if p := all[3].Properties; p["status"] != 426.0 || p["route"] != "/rooms/{id}" {
		t.Errorf("event %+v", all[3])
	}
}

// If a middleware refuses or answers a request before the routes, it is recorded with
// the route that it was meant for.
func TestAnswersBeforeTheRoutes(t *testing.T) {
	t.Parallel()
	address, events := serve(t, func(app *fiber.App) {
		app.Use("/limited", limiter.New(limiter.Config{Max: 1}))
		app.Use("/cached", cache.New())
		app.Use("/forms", csrf.New())
		fine := func(c *fiber.Ctx) error { return c.SendString("fine") }
		app.Get("/limited/:id", fine)
		app.Get("/cached/:id", fine)
		app.Post("/forms/:id", fine)
	})
	var got []string
	for _, request := range []string{
		"GET /limited/7", "GET /limited/7", "GET /cached/7", "GET /cached/7", "POST /forms/7",
	} {
		method, path, _ := strings.Cut(request, " ")
		do(t, method, "http://"+address+path)
	}
	for _, e := range events(5) {
		got = append(got, fmt.Sprint(e.Properties["status"], " ", e.Properties["route"]))
	}
	want := []string{"200 /limited/{id}", "429 /limited/{id}", "200 /cached/{id}", "200 /cached/{id}", "403 /forms/{id}"}
	if !slices.Equal(got, want) {
		t.Errorf("recorded\n got %q\nwant %q", got, want)
	}
}

// If a middleware that acts on the returned error comes after ours, it does not store a
// failure, and the failure is still recorded.
func TestErrorsAreNotKept(t *testing.T) {
	t.Parallel()
	once := map[string]bool{} // requests come one after the other
	address, events := serve(t, func(app *fiber.App) {
		app.Use(idempotency.New(idempotency.Config{
			KeyHeader:         fiber.HeaderUserAgent,
			KeyHeaderValidate: func(string) error { return nil },
		}), cache.New())
		app.All("/:what", func(c *fiber.Ctx) error {
			if method := c.Method(); !once[method] {
				once[strings.Clone(method)] = true
				return fiber.ErrBadGateway
			}
			return c.SendString("fine")
		})
	})
	for _, method := range []string{http.MethodPost, http.MethodGet} {
		for range 3 {
			do(t, method, "http://"+address+"/pay")
		}
	}
	var got []any
	for _, e := range events(6) {
		got = append(got, e.Properties["status"])
	}
	if want := []any{502.0, 200.0, 200.0, 502.0, 200.0, 200.0}; !slices.Equal(got, want) {
		t.Errorf("statuses %v, want %v", got, want)
	}
}
