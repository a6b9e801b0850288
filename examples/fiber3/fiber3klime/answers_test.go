package fiber3klime_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofiber/fiber/v3"
	recovery "github.com/gofiber/fiber/v3/middleware/recover"
	"github.com/gofiber/fiber/v3/middleware/timeout"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/examples/fiber3/fiber3klime"
)

// The middleware calls the ErrorHandler that Fiber would pick, once, and treats its result
// as Fiber would: the client sees the same with and without the middleware. Of errors, the
// middlewares before it see only the one with which Fiber says that no route matches.
func TestErrorHandlers(t *testing.T) {
	t.Parallel()
	for _, custom := range []bool{false, true} {
		for _, bare := range []bool{true, false} {
			ran, outside := "", error(nil)
			handles := func(name string) fiber.ErrorHandler {
				return func(c fiber.Ctx, err error) error {
					ran += name
					if _, ok := c.(*ownCtx); ok != custom {
						t.Errorf("a Ctx of type %T", c)
					}
					if err.Error() == "fails" {
						return errors.New("the handler fails too")
					}
					return c.Status(http.StatusBadGateway).SendString(name)
				}
			}
			s := serve(t, newApp(fiber.Config{ErrorHandler: handles("app")}, custom), func(app *fiber.App, ours fiber.Handler) {
				app.Use(func(c fiber.Ctx) error {
					outside = c.Next()
					return outside
				})
				if !bare {
					app.Use(ours)
				}
				fails := func(c fiber.Ctx) error {
					_ = c.SendString("half of an answer")
					return errors.New(c.Params("how"))
				}
				nested := fiber.New(fiber.Config{ErrorHandler: handles("nested")})
				nested.Get("/:how", fails)
				silent := fiber.New()
				silent.Get("/:how", fails)
				mounted := fiber.New(fiber.Config{ErrorHandler: handles("mounted")})
				mounted.Get("/:how", fails)
				mounted.Use("/nested", nested)
				app.Use("/mounted", mounted)
				app.Use("/silent", silent)
				app.Get("/:how", fails)
			})
			var want []string
			for _, test := range []struct{ request, handler, want string }{
				{"GET /x", "app", "502 /{how}"},
				{"GET /mounted/x", "mounted", "502 /mounted/{how}"},
				{"GET /mounted/nested/x", "nested", "502 /mounted/nested/{how}"},
				{"GET /silent/x", "app", "502 /silent/{how}"},
				{"GET /fails", "app", "500 /{how}"},
				{"GET /mounted/fails", "mounted", "500 /mounted/{how}"},
				{"POST /x", "app", ""},
				{"GET /mounted/nowhere/at/all", "mounted", ""},
			} {
				ran = ""
				got := s.do(test.request)
				if expected := strings.Fields(test.want + " 502")[0]; fmt.Sprint(got.status) != expected || ran != test.handler {
					t.Errorf("%s, bare %v: status %d by %q, want %s by %s", test.request, bare, got.status, ran, expected, test.handler)
				}
				if unrouted := test.want == ""; (outside != nil) != (bare || unrouted) {
					t.Errorf("%s, bare %v: the middleware outside sees %v", test.request, bare, outside)
				}
				if !bare && test.want != "" {
					want = append(want, test.want)
				}
			}
			s.want(want...)
		}
	}
}

// A middleware between two of ours, such as a transaction, sees the error that the handler
// has returned, and may answer it. The outer one of ours does so otherwise.
func TestReturnedErrorsBetween(t *testing.T) {
	t.Parallel()
	handled := 0
	app := fiber.New(fiber.Config{ErrorHandler: func(c fiber.Ctx, err error) error {
		handled++
		return fiber.DefaultErrorHandler(c, err)
	}})
	s := serve(t, app, func(app *fiber.App, ours fiber.Handler) {
		app.Use(ours, func(c fiber.Ctx) error {
			err := c.Next()
			if errors.Is(err, fiber.ErrConflict) {
				return c.Status(http.StatusAccepted).SendString("instead")
			}
			return err
		}, ours)
		app.Get("/fine", sends(http.StatusOK))
		app.Get("/unavailable", func(fiber.Ctx) error { return fiber.ErrServiceUnavailable })
		app.Get("/any", func(fiber.Ctx) error { return errors.New("any") })
		app.Get("/answered", func(fiber.Ctx) error { return fiber.ErrConflict })
	})
	for _, path := range []string{"/fine", "/unavailable", "/any", "/answered"} {
		s.do("GET " + path)
	}
	s.want("200 /fine", "503 /unavailable", "500 /any", "202 /answered")
	if handled != 2 {
		t.Errorf("the ErrorHandler ran %d times, want 2", handled)
	}
}

// A request that the server refuses passes the middlewares, but no routes. Fiber answers it
// as without us, even if a middleware inside has answered, and as its answer is not known,
// it is not recorded.
func TestRefusedByTheServer(t *testing.T) {
	t.Parallel()
	var handled []string
	app := fiber.New(fiber.Config{BodyLimit: 10, ErrorHandler: func(c fiber.Ctx, err error) error {
		handled = append(handled, err.Error())
		return fiber.DefaultErrorHandler(c, err)
	}})
	s := serve(t, app, func(app *fiber.App, ours fiber.Handler) {
		app.Use(recovery.New(), ours)
		app.Use("/private", func(fiber.Ctx) error { return fiber.NewError(http.StatusForbidden, "private") })
		app.Use("/answered", sends(http.StatusNotFound))
		app.Use("/empty", func(fiber.Ctx) error { return nil })
		app.Use("/panics", func(fiber.Ctx) error { panic("broken") })
		app.Post("/uploads/:id", sends(http.StatusOK))
		app.Post("/panics/:id", sends(http.StatusOK))
	})
	const tooLarge = "more than 10 bytes"
	for _, test := range []struct {
		body   string
		path   string
		status int
	}{
		{"small", "/uploads/7", http.StatusOK},
		{"10 bytes !", "/private", http.StatusForbidden},
		{"small", "/empty", http.StatusOK}, // which looks like a refused one
		{"small", "/panics/7", http.StatusInternalServerError},
		{tooLarge, "/uploads/7", http.StatusRequestEntityTooLarge},
		{tooLarge, "/private", http.StatusRequestEntityTooLarge},
		{tooLarge, "/answered", http.StatusRequestEntityTooLarge},
		{"", "/" + strings.Repeat("x", 8<<10), http.StatusRequestHeaderFieldsTooLarge},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+test.path, strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		if got := s.send(req); got.status != test.status {
			t.Errorf("%q: status %d, want %d", test.body, got.status, test.status)
		}
	}
	s.want("200 /uploads/{id}", "403 -", "500 /panics/{id}")
	const refused = "Request Entity Too Large"
	if want := []string{"private", "broken", refused, refused, refused, "Request Header Fields Too Large"}; !slices.Equal(handled, want) {
		t.Errorf("handled %q, want %q", handled, want)
	}
}

// An app that streams bodies takes those that are larger than its limit.
func TestStreamedBody(t *testing.T) {
	t.Parallel()
	s := serve(t, fiber.New(fiber.Config{BodyLimit: 10, StreamRequestBody: true}), func(app *fiber.App, ours fiber.Handler) {
		app.Use(ours)
		app.Post("/uploads/:id", sends(http.StatusOK))
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/uploads/7", strings.NewReader("more than 10 bytes"))
	if err != nil {
		t.Fatal(err)
	}
	s.send(req)
	s.want("200 /uploads/{id}")
}

// The Scope is found by every context of the request. What may be kept is found there, and
// still belongs to the request when Fiber has reused all else for another customer's.
func TestContexts(t *testing.T) {
	t.Parallel()
	const requests = 50
	kept := map[string][]context.Context{} // by user
	keep := func(user string, ctx context.Context) {
		kept[strings.Clone(user)] = append(kept[strings.Clone(user)], ctx)
	}
	s := serve(t, fiber.New(), func(app *fiber.App, ours fiber.Handler) {
		app.Use(ours)
		type key struct{}
		app.Get("/fiber", func(c fiber.Ctx) error {
			fiber.Locals(c, key{}, "any key")
			c.SetContext(context.WithValue(c.Context(), key{}, "mine"))
			scope := klime.ScopeFrom(c.Context())
			for name, ctx := range map[string]context.Context{
				"c": c, "c.RequestCtx()": c.RequestCtx(), "made from c": context.WithValue(c, key{}, 1), "made from c.Context()": context.WithoutCancel(c.Context()),
			} {
				if klime.ScopeFrom(ctx) != scope || scope == nil {
					t.Errorf("%s: another Scope, or none", name)
				}
			}
			if c.Value(key{}) != "any key" || c.Context().Value(key{}) != "mine" {
				t.Error("the app's own values are lost")
			}
			klime.Track(c, "Tracked", nil)
			keep(c.Get("X-User"), c.Context())
			c.SetContext(context.Background())
			klime.Track(c, "Tracked", nil)
			return c.SendStatus(http.StatusNoContent)
		})
		app.Get("/nethttp", func(w http.ResponseWriter, r *http.Request) {
			klime.Track(r.Context(), "Tracked", nil)
			ctx, cancel := context.WithCancel(klime.ScopeFrom(r.Context()))
			t.Cleanup(cancel)
			keep(r.Header.Get("X-User"), ctx)
			w.WriteHeader(http.StatusNoContent)
		})
	}, fiber3klime.UserID(func(c fiber.Ctx) string { return c.Get("X-User") }))
	client := http.Client{} // keeps its connection, so that the server reuses what it has
	defer client.CloseIdleConnections()
	for i := range requests {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+[]string{"/fiber", "/nethttp"}[i%2], http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-User", fmt.Sprintf("user-%02d", i))
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	for user, contexts := range kept {
		for _, ctx := range contexts {
			klime.Track(ctx, "Kept", klime.Properties{"of": user})
		}
	}
	client.CloseIdleConnections()
	names := map[string]int{}
	for _, e := range s.events() {
		names[e.Event]++
		if of, ok := e.Properties["of"]; ok && of != e.UserID {
			t.Errorf("an event of %v went to %s", of, e.UserID)
		}
	}
	if names["API Called"] != requests || names["Kept"] != requests || names["Tracked"] != requests*3/2 {
		t.Errorf("recorded %v", names)
	}
}

// Behind Fiber's timeout, a late handler goes on with the Ctx of a request that has been
// answered. What the client has seen is recorded, and nothing is read that the handler may
// use.
func TestTimeout(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var late sync.WaitGroup
	late.Add(5)
	lateHandler := func(c fiber.Ctx) error {
		<-c.Context().Done()
		defer late.Done()
		ctx := c.Context()
		c.Locals("userId", "late") // while the request is recorded
		_ = c.Get("X-User")
		<-release
		klime.Track(ctx, "Tracked", nil)
		_ = c.Status(http.StatusTeapot).SendString("too late for that")
		return errors.New("late")
	}
	app := fiber.New(fiber.Config{ErrorHandler: func(c fiber.Ctx, err error) error {
		if err.Error() == "late" {
			t.Error("what a late handler returns is handled")
		}
		return fiber.DefaultErrorHandler(c, err)
	}})
	s := serve(t, app, func(app *fiber.App, ours fiber.Handler) {
		app.Use("/outside", timeout.New(passes, timeout.Config{Timeout: time.Millisecond}))
		app.Use(ours)
		app.Use("/linked", fiber3klime.Link(func(fiber.Ctx) (klime.User, []klime.Group) { return klime.User{ID: "linked"}, nil }))
		app.Use("/linked/all", timeout.New(passes, timeout.Config{Timeout: time.Millisecond}))
		app.Get("/linked/all/:id", lateHandler)
		app.Get("/linked/one/:id", timeout.New(lateHandler, timeout.Config{Timeout: time.Millisecond}))
		app.Get("/linked/own/:id", timeout.New(lateHandler, timeout.Config{Timeout: time.Millisecond, OnTimeout: func(c fiber.Ctx) error {
			return c.Status(http.StatusGatewayTimeout).SendString("own")
		}}))
		app.Get("/unknown/:id", timeout.New(lateHandler, timeout.Config{Timeout: time.Millisecond})) // jane by UserID only
		app.Get("/in-time/:id", timeout.New(sends(http.StatusOK), timeout.Config{Timeout: time.Hour}))
		app.Get("/outside/:id", fiber3klime.Link(func(fiber.Ctx) (klime.User, []klime.Group) { return klime.User{ID: "linked"}, nil }), lateHandler)
	})
	for _, test := range []struct {
		path   string
		status int
	}{
		{"/linked/all/7", http.StatusRequestTimeout},
		{"/linked/one/7", http.StatusRequestTimeout},
		{"/linked/own/7", http.StatusGatewayTimeout},
		{"/unknown/7", http.StatusRequestTimeout},
		{"/in-time/7", http.StatusOK},
		{"/outside/7", http.StatusRequestTimeout},
	} {
		if got := s.do("GET " + test.path); got.status != test.status {
			t.Errorf("%s: status %d, want %d", test.path, got.status, test.status)
		}
	}
	close(release)
	late.Wait()
	s.fake.Wait(5 + 4) // requests, and events of the handlers of a known user
	var got []string
	for _, e := range s.events() {
		if e.Event == "Tracked" {
			if e.UserID != "linked" {
				t.Errorf("a late handler's event went to %q", e.UserID)
			}
			continue
		}
		got = append(got, fmt.Sprint(brief(&e), " ", e.UserID, " ", e.Properties["aborted"]))
	}
	want := []string{
		"408 /linked/all/{id} linked <nil>", "408 /linked/one/{id} linked <nil>", "504 /linked/own/{id} linked <nil>",
		"200 /in-time/{id} jane <nil>", "<nil> /outside/{id} linked true",
	}
	if !slices.Equal(got, want) {
		t.Errorf("recorded\n got %q\nwant %q", got, want)
	}
}

// Handlers of net/http work as they do without us, also those that stream, take over the
// connection or panic.
func TestNetHTTPHandlers(t *testing.T) {
	t.Parallel()
	received := make(chan struct{})
	s := serve(t, fiber.New(), func(app *fiber.App, ours fiber.Handler) {
		app.Use(recovery.New(), ours)
		app.Get("/page/:id", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<!doctype html>") })
		app.Get("/events", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx := klime.ScopeFrom(r.Context()) // which is not to be asked once this handler has flushed
			klime.SetUser(ctx, "streaming")
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: 1\n\n")
			_ = http.NewResponseController(w).Flush()
			<-received
			klime.Track(ctx, "Chunk Sent", nil)
			_, _ = io.WriteString(w, "data: 2\n\n")
		}))
		app.Get("/upgrade", func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
			conn.Close()
		})
		app.Get("/panic", func(http.ResponseWriter, *http.Request) { panic("out of order") })
	})
	s.do("GET /page/7")
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/events", http.NoBody)
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(resp.Body)
	if !lines.Scan() || lines.Text() != "data: 1" {
		t.Errorf("first line %q", lines.Text())
	}
	s.fake.Wait(2)
	close(received)
	for lines.Scan() {
	}
	resp.Body.Close()
	s.fake.Wait(3)
	if got := s.do("GET /upgrade", "Upgrade", "websocket", "Connection", "Upgrade"); got.status != http.StatusSwitchingProtocols {
		t.Errorf("upgrade: status %d", got.status)
	}
	s.fake.Wait(4)
	s.do("GET /panic")
	events := s.events()
	var got []string
	for _, e := range events {
		_, timed := e.Properties["durationMs"]
		got = append(got, fmt.Sprint(e.Event, " ", brief(&e), " ", e.Properties["responseBytes"], " ", e.Properties["protocol"], " ", timed))
	}
	want := []string{
		"Page Viewed 200 /page/{id} 15 <nil> true",
		"API Called 200 /events <nil> sse false",
		"Chunk Sent Chunk Sent by streaming <nil> <nil> false",
		"API Called 101 /upgrade <nil> websocket false",
		"API Called 500 /panic 0 <nil> true",
	}
	if !slices.Equal(got, want) {
		t.Errorf("recorded\n got %q\nwant %q", got, want)
	}
}

// A stream's first bytes arrive at once. Its writer keeps c.Context(): c is another
// request's by then.
func TestStream(t *testing.T) {
	t.Parallel()
	received := make(chan struct{})
	s := serve(t, fiber.New(), func(app *fiber.App, ours fiber.Handler) {
		app.Use(ours)
		app.Get("/events", func(c fiber.Ctx) error {
			ctx := c.Context()
			c.Set(fiber.HeaderContentType, "text/event-stream")
			return c.SendStreamWriter(func(w *bufio.Writer) {
				_, _ = w.WriteString("data: 1\n\n")
				_ = w.Flush()
				<-received
				klime.Track(ctx, "Streamed", nil)
			})
		})
		app.Get("/upgrade", func(c fiber.Ctx) error { // as a WebSocket's handler does
			ctx := c.Context()
			c.Set(fiber.HeaderConnection, "Upgrade")
			c.Set(fiber.HeaderUpgrade, "websocket")
			c.RequestCtx().Hijack(func(net.Conn) { klime.Track(ctx, "Message Sent", nil) })
			return c.SendStatus(http.StatusSwitchingProtocols)
		})
	})
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/events", http.NoBody)
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if first, _ := bufio.NewReader(resp.Body).ReadString('\n'); first != "data: 1\n" {
		t.Errorf("first line %q", first)
	}
	s.fake.Wait(1)
	close(received)
	s.fake.Wait(2)
	resp.Body.Close()
	s.do("GET /upgrade", "Upgrade", "websocket", "Connection", "Upgrade")
	s.fake.Wait(4)
	s.want("200 /events", "Streamed by jane", "101 /upgrade", "Message Sent by jane")
}

// Fiber does not tell that a connection was dropped, so only Skip keeps the request from
// being recorded as answered.
func TestDrop(t *testing.T) {
	t.Parallel()
	s := serve(t, fiber.New(), func(app *fiber.App, ours fiber.Handler) {
		app.Use(ours)
		drop := func(c fiber.Ctx) error { return c.Drop() }
		app.Get("/dropped/:id", drop)
		app.Get("/skipped/:id", fiber3klime.Skip(), drop)
	})
	for _, path := range []string{"/dropped/7", "/skipped/7"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req); err == nil {
			resp.Body.Close()
			t.Errorf("%s: status %d, want a closed connection", path, resp.StatusCode)
		}
	}
	s.want("200 /dropped/{id}")
}

// Routes that are added or removed while the app runs are known as well.
func TestRoutesAddedLater(t *testing.T) {
	t.Parallel()
	app := fiber.New()
	s := serve(t, app, func(app *fiber.App, ours fiber.Handler) {
		app.Use(ours)
		app.Get("/first/:id", sends(http.StatusOK))
	})
	s.do("GET /first/1")
	app.Get("/second/:id", sends(http.StatusOK))
	app.RebuildTree()
	s.do("GET /second/2")
	app.RemoveRoute("/first/:id")
	app.Use("/first", sends(http.StatusForbidden))
	app.RebuildTree()
	s.do("GET /first/1")
	s.want("200 /first/{id}", "200 /second/{id}", "403 -")
}

// The same if a route or a middleware takes the place of a route, so that the number of
// handlers stays.
func TestRoutesReplacedLater(t *testing.T) {
	t.Parallel()
	app := fiber.New()
	s := serve(t, app, func(app *fiber.App, ours fiber.Handler) {
		app.Use(ours)
		app.Post("/first/:id", sends(http.StatusOK))
	})
	s.do("POST /first/1")
	handlers := app.HandlersCount()
	replace := func(path string, add func()) {
		app.RemoveRoute(path, http.MethodPost)
		add()
		app.RebuildTree()
		if app.HandlersCount() != handlers {
			t.Errorf("%d handlers, want %d", app.HandlersCount(), handlers)
		}
	}
	want, last := []string{"200 /first/{id}"}, "/first/:id"
	for i := range 300 { // more than there is room for
		next := fmt.Sprintf("/n%d/:id", i)
		replace(last, func() { app.Post(next, sends(http.StatusOK)) })
		s.do(fmt.Sprintf("POST /n%d/1", i))
		want, last = append(want, fmt.Sprintf("200 /n%d/{id}", i)), next
	}
	replace(last, func() { app.Post("/user_:name", sends(http.StatusOK)) })
	s.do("POST /user_jane")
	replace("/user_:name", func() { app.Use("/user_jane", sends(http.StatusForbidden)) })
	s.do("POST /user_jane")
	s.want(append(want, "200 /user_{name}", "403 -")...)
}

// The recorded address is the one that Fiber finds: a header counts only if it comes from
// a proxy that the app trusts.
func TestCaptureBehindAProxy(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		trusted []string
		want    string
	}{{[]string{"127.0.0.1"}, "203.0.113.7"}, {nil, "127.0.0.1"}} {
		app := fiber.New(fiber.Config{
			ProxyHeader: fiber.HeaderXForwardedFor, TrustProxy: true, TrustProxyConfig: fiber.TrustProxyConfig{Proxies: tt.trusted},
		})
		s := serve(t, app, func(app *fiber.App, ours fiber.Handler) {
			app.Use(ours)
			app.Get("/", func(c fiber.Ctx) error { return c.JSON(nil) })
		}, klime.Capture(klime.IP))
		s.do("GET /", fiber.HeaderXForwardedFor, "203.0.113.7")
		if e := s.events()[0]; e.Context["ip"] != tt.want {
			t.Errorf("trusting %v: %v, want %s", tt.trusted, e.Context["ip"], tt.want)
		}
	}
}

// An opt-out holds however the browser spells its header, also if Fiber leaves that as it is.
func TestOptOutInAnySpelling(t *testing.T) {
	t.Parallel()
	s := serve(t, fiber.New(fiber.Config{DisableHeaderNormalizing: true}), func(app *fiber.App, ours fiber.Handler) {
		app.Use(ours)
		app.Get("/", func(c fiber.Ctx) error { return c.JSON(nil) })
	}, klime.HonorOptOut())
	for _, header := range []string{"Sec-GPC", "sec-gpc", "DNT", "X-DNT"} {
		s.do("GET /", header, "1")
	}
	s.want("200 /")
}
