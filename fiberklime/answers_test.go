package fiberklime_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/compress"
	"github.com/gofiber/fiber/v2/middleware/etag"
	"github.com/gofiber/fiber/v2/middleware/timeout"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/fiberklime"
	"github.com/klimeapp/klime-go/klimetest"
)

// Fiber turns errors into answers after all middlewares. What the client sees is
// recorded, and the ErrorHandler runs only once.
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

// Who is refused by a handler is refused, whatever a middleware between two of ours makes of
// the answer: the group that the inner one finds does not count.
func TestRefusedBetween(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]fiber.Handler{
		"answered": func(c *fiber.Ctx) error { return c.SendStatus(http.StatusForbidden) },
		"returned": func(*fiber.Ctx) error { return fiber.ErrForbidden },
	} {
		server := klimetest.NewServer(t)
		client := server.Client()
		app := fiber.New(fiber.Config{DisableStartupMessage: true})
		app.Use(fiberklime.Middleware(client, fiberklime.UserID(func(*fiber.Ctx) string { return "jane" })))
		app.Use(func(c *fiber.Ctx) error {
			_ = c.Next()
			return c.Status(http.StatusOK).SendString("page")
		})
		app.Use(fiberklime.Middleware(client, fiberklime.GroupID(func(*fiber.Ctx) string { return "victim" })))
		app.Get("/", refuse)
		url, stop := listen(t, app)
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
		resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if e := server.Wait(1)[0]; e.UserID != "jane" || e.GroupID != "" || e.Properties["status"] != 200.0 {
			t.Errorf("%s: %s/%s, status %v", name, e.UserID, e.GroupID, e.Properties["status"])
		}
		stop()
	}
}

// A middleware between two of ours, such as a transaction, sees the error that the
// handler has returned, and may answer it. The outer one of ours does so otherwise.
func TestReturnedErrorsBetween(t *testing.T) {
	t.Parallel()
	server := klimetest.NewServer(t)
	client := server.Client()
	handled := 0
	app := fiber.New(fiber.Config{DisableStartupMessage: true, ErrorHandler: func(c *fiber.Ctx, err error) error {
		handled++
		return fiber.DefaultErrorHandler(c, err)
	}})
	conflict := errors.New("conflict")
	var seen []error
	app.Use(fiberklime.Middleware(client), func(c *fiber.Ctx) error {
		err := c.Next()
		seen = append(seen, err)
		if errors.Is(err, conflict) || errors.Is(err, fiber.ErrForbidden) {
			return c.Status(http.StatusConflict).SendString("instead")
		}
		return err
	})
	app.Use(fiberklime.Middleware(client,
		fiberklime.UserID(func(*fiber.Ctx) string { return "jane" }), fiberklime.GroupID(func(*fiber.Ctx) string { return "acme" })))
	tests := []struct {
		path string
		err  error
		want string
	}{
		{"/fine", nil, "200 /fine acme"},
		{"/known", fiber.ErrServiceUnavailable, "503 /known acme"},
		{"/any", errors.New("any"), "500 /any acme"},
		{"/answered", conflict, "409 /answered acme"},
		{"/denied", fmt.Errorf("wrapped: %w", fiber.ErrForbidden), "409 /denied "}, // the group was only a claim, and the handler has turned it away
	}
	for _, test := range tests {
		app.Get(test.path, func(c *fiber.Ctx) error {
			_ = c.SendString("half of an answer")
			return test.err
		})
	}
	for i, test := range tests {
		resp, err := app.Test(httptest.NewRequestWithContext(t.Context(), http.MethodGet, test.path, http.NoBody), -1)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		e := server.Wait(i + 1)[i]
		if got := brief(&e) + " " + e.GroupID; got != test.want || e.Properties["status"] != float64(resp.StatusCode) {
			t.Errorf("%s: recorded %s, want %s; the client saw %d", test.path, got, test.want, resp.StatusCode)
		}
		if len(seen) != i+1 || !errors.Is(seen[i], test.err) {
			t.Fatalf("%s: the middleware between saw %v", test.path, seen)
		}
	}
	if handled != 2 {
		t.Errorf("the ErrorHandler ran %d times, want 2", handled)
	}
}

// What an error means is up to the app's ErrorHandler. An inner Middleware does not know it
// yet, and drops no name of an event over it.
func TestReturnedErrorsThatAreNone(t *testing.T) {
	t.Parallel()
	server := klimetest.NewServer(t)
	client := server.Client()
	app := fiber.New(fiber.Config{DisableStartupMessage: true, ErrorHandler: func(c *fiber.Ctx, _ error) error { return c.Redirect("/login") }})
	app.Use(fiberklime.Middleware(client), fiberklime.Middleware(client, klime.NameRoutes(map[string]string{"POST /reports": "Report Generated"}),
		fiberklime.UserID(func(*fiber.Ctx) string { return "jane" })))
	app.Post("/reports", func(*fiber.Ctx) error { return errors.New("nobody is signed in") })
	resp, err := app.Test(httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/reports", http.NoBody), -1)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if e := server.Wait(1)[0]; e.Event != "Report Generated" || e.Properties["status"] != float64(http.StatusFound) {
		t.Errorf("%+v", e)
	}
}

// The middleware calls the ErrorHandler that Fiber would pick, and treats its result as
// Fiber would: the client sees the same with and without the middleware.
func TestErrorHandlers(t *testing.T) {
	t.Parallel()
	ran := map[string]*atomic.Int64{"app": {}, "mounted": {}, "nested": {}}
	handles := func(name string) fiber.ErrorHandler {
		return func(c *fiber.Ctx, err error) error {
			ran[name].Add(1)
			switch err.Error() {
			case "fails":
				return errors.New("the handler fails too")
			case "panics":
				panic("in the handler")
			default:
				return c.Status(http.StatusBadGateway).SendString(name)
			}
		}
	}
	for _, bare := range []bool{true, false} {
		var panicked any
		build := func(app *fiber.App, ours fiber.Handler) {
			app.Use(func(c *fiber.Ctx) error {
				defer func() {
					if panicked = recover(); panicked != nil {
						_ = c.SendStatus(http.StatusTeapot)
					}
				}()
				return c.Next()
			})
			if !bare {
				app.Use(ours)
			}
			fails := func(c *fiber.Ctx) error { return errors.New(c.Params("how")) }
			nested := fiber.New(fiber.Config{ErrorHandler: handles("nested")})
			nested.Get("/:how", fails)
			silent := fiber.New()
			silent.Get("/:how", fails)
			mounted := fiber.New(fiber.Config{ErrorHandler: handles("mounted")})
			mounted.Get("/:how", fails)
			mounted.Mount("/nested", nested)
			app.Mount("/mounted", mounted)
			app.Mount("/silent", silent)
			app.Get("/:how", fails)
		}
		s := serve(t, fiber.Config{ErrorHandler: handles("app")}, build)
		tests := []struct {
			path, handler string
			status        int
			want          string
		}{
			{"/x", "app", http.StatusBadGateway, "502 /{how}"},
			{"/mounted/x", "mounted", http.StatusBadGateway, "502 /mounted/{how}"},
			{"/mounted/nested/x", "nested", http.StatusBadGateway, "502 /mounted/nested/{how}"},
			{"/silent/x", "app", http.StatusBadGateway, "502 /silent/{how}"},
			{"/fails", "app", http.StatusInternalServerError, "500 /{how}"},
			{"/mounted/fails", "mounted", http.StatusInternalServerError, "500 /mounted/{how}"},
			{"/mounted/panics", "mounted", http.StatusTeapot, "500 /mounted/{how}"},
		}
		var want []string
		for _, test := range tests {
			before := ran[test.handler].Load()
			if bare && test.status == http.StatusTeapot {
				continue // Fiber calls it outside all middlewares: the server would die
			}
			if got := s.do("GET " + test.path); got.status != test.status {
				t.Errorf("%s, bare %v: status %d, want %d", test.path, bare, got.status, test.status)
			}
			if n := ran[test.handler].Load() - before; n != 1 {
				t.Errorf("%s, bare %v: the ErrorHandler ran %d times", test.path, bare, n)
			}
			want = append(want, test.want)
		}
		if bare {
			want = nil
		}
		var got []string
		for _, e := range s.events(len(want)) {
			got = append(got, brief(&e))
		}
		if !slices.Equal(got, want) {
			t.Errorf("recorded\n got %q\nwant %q", got, want)
		}
		if !bare && panicked != "in the handler" { // set by the last request
			t.Errorf("went up as %v", panicked)
		}
	}
}

// For files and streams, also compressed or revalidated, what is recorded is what the
// client sees, or it is left out.
func TestAnswers(t *testing.T) {
	t.Parallel()
	const page, data = "/file/page.html", "/file/data.json"
	folder, err := os.MkdirTemp("", "klime") //nolint:usetesting // Fiber keeps files open for seconds, and Windows removes no open file
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	text := strings.Repeat("<p>hello</p>", 200)
	then := time.Now().Add(-time.Hour) // the same for both files, whose Last-Modified has seconds
	for _, name := range []string{"page.html", "data.json"} {
		name = filepath.Join(folder, name)
		if err := errors.Join(os.WriteFile(name, []byte(text), 0o600), os.Chtimes(name, then, then)); err != nil {
			t.Fatal(err)
		}
	}
	s := serve(t, fiber.Config{}, func(app *fiber.App, ours fiber.Handler) {
		app.Use(ours)
		app.Static("/static", folder, fiber.Static{ByteRange: true})
		app.Get("/file/:name", func(c *fiber.Ctx) error { return c.SendFile(filepath.Join(folder, c.Params("name"))) })
		app.Get("/sized", func(c *fiber.Ctx) error { return c.SendStream(strings.NewReader(text), len(text)) })
		app.Get("/unsized", func(c *fiber.Ctx) error { return c.SendStream(strings.NewReader(text)) })
		sendText := func(c *fiber.Ctx) error { return c.Type("json").SendString(text) }
		app.Get("/etag", etag.New(), sendText)
		app.Get("/compressed", compress.New(), sendText)
		app.Get("/compressed-stream", compress.New(), func(c *fiber.Ctx) error {
			return c.Type("json").SendStream(strings.NewReader(text), len(text))
		})
		app.Get("/in-time", timeout.NewWithContext(sendText, time.Hour))
		app.Get("/too-late", timeout.NewWithContext(func(c *fiber.Ctx) error {
			<-c.UserContext().Done()
			klime.SetProperty(c.UserContext(), "noticed", true)
			return c.UserContext().Err()
		}, time.Nanosecond))
	})
	tag, modified := s.do("GET /etag").header.Get("ETag"), s.do("GET "+page).header.Get("Last-Modified")
	type headers = []string
	tests := []struct {
		path    string
		headers headers
		event   string // "" for none
		status  int
		bytes   bool // whether the size is known
	}{
		{page, nil, "Page Viewed", 200, true},
		{page, headers{"Range", "bytes=0-99"}, "Page Viewed", 206, true},
		{page, headers{"If-Modified-Since", modified, "Accept", "text/html"}, "Page Viewed", 304, true},
		{data, headers{"If-Modified-Since", modified, "Accept", "application/json"}, "API Called", 304, true},
		{data, headers{"Range", "bytes=9999-"}, "API Called", 416, true},
		{"/file/missing", nil, "API Called", 404, true},
		{"/static/page.html", nil, "Page Viewed", 200, true},
		{"/static/page.html", headers{"Range", "bytes=0-99"}, "Page Viewed", 206, true},
		{"/static/page.html", headers{"If-Modified-Since", modified, "Accept", "text/html"}, "Page Viewed", 304, true},
		{"/static/data.json", nil, "API Called", 200, true},
		{"/static/missing", nil, "", 404, true},
		{"/sized", nil, "API Called", 200, true},
		{"/unsized", nil, "API Called", 200, false},
		{"/etag", nil, "API Called", 200, true},
		{"/etag", headers{"If-None-Match", tag}, "API Called", 304, true},
		{"/compressed", headers{"Accept-Encoding", "gzip"}, "API Called", 200, true},
		{"/compressed-stream", headers{"Accept-Encoding", "gzip"}, "API Called", 200, false},
		{"/in-time", nil, "API Called", 200, true},
		{"/too-late", nil, "API Called", 408, true},
	}
	want := []string{"API Called 200 2400", "Page Viewed 200 2400"} // of the two requests above
	for _, test := range tests {
		got := s.do("GET "+test.path, test.headers...)
		if got.status != test.status {
			t.Errorf("%s %q: status %d, want %d", test.path, test.headers, got.status, test.status)
		}
		if test.event == "" {
			continue
		}
		var size any = float64(len(got.body))
		if !test.bytes {
			size = nil
		}
		want = append(want, fmt.Sprint(test.event, " ", test.status, " ", size))
	}
	for i, e := range s.events(len(want)) {
		if got := fmt.Sprint(e.Event, " ", e.Properties["status"], " ", e.Properties["responseBytes"]); got != want[i] {
			t.Errorf("%v: recorded %s, want %s", e.Properties["route"], got, want[i])
		}
		_, timed := e.Properties["durationMs"]
		if path := fmt.Sprint(e.Properties["route"]); path == "/sized" && timed || path == "/etag" && !timed {
			t.Errorf("%s: durationMs %v", path, timed)
		}
		if e.Properties["route"] == "/too-late" && e.Properties["noticed"] != true {
			t.Errorf("behind the timeout, the scope is lost: %v", e.Properties)
		}
	}
}

// A connection that a handler takes over is left alone. Fiber does not tell when it
// ends.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	s := serve(t, fiber.Config{}, func(app *fiber.App, ours fiber.Handler) {
		app.Use(ours)
		app.Get("/upgrade/:id", func(c *fiber.Ctx) error {
			c.Set(fiber.HeaderConnection, "Upgrade")
			c.Set(fiber.HeaderUpgrade, "echo")
			c.Context().Hijack(func(conn net.Conn) {
				line, _ := bufio.NewReader(conn).ReadString('\n')
				_, _ = io.WriteString(conn, line)
			})
			c.Status(http.StatusSwitchingProtocols)
			return nil
		})
	})
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET /upgrade/7 HTTP/1.1\r\nHost: app\r\nConnection: Upgrade\r\nUpgrade: Echo\r\n\r\n")
	reader := bufio.NewReader(conn)
	resp, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	s.fake.Wait(1) // while the connection is open
	_, _ = io.WriteString(conn, "hello\n")
	if line, err := reader.ReadString('\n'); line != "hello\n" {
		t.Errorf("echoed %q, %v", line, err)
	}
	e := s.events(1)[0]
	for _, unknown := range []string{"openMs", "durationMs"} {
		if value, ok := e.Properties[unknown]; ok {
			t.Errorf("%s: %v", unknown, value)
		}
	}
	if e.Event != "API Called" || brief(&e) != "101 /upgrade/{id}" || e.Properties["protocol"] != "other" {
		t.Errorf("event %+v", e)
	}
}

// The status with which Fiber answers before it hands over the connection is known only if
// the handler has set one: 200 may not have been sent.
func TestTakenOver(t *testing.T) {
	t.Parallel()
	const refusal = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
	const upgrade = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
	s := serve(t, fiber.Config{}, func(app *fiber.App, ours fiber.Handler) {
		app.Use(ours)
		app.Get("/past", func(c *fiber.Ctx) error {
			c.Context().HijackSetNoResponse(true)
			c.Context().Hijack(func(conn net.Conn) { _, _ = io.WriteString(conn, refusal) })
			return c.SendString("held back")
		})
		app.Get("/refused", func(c *fiber.Ctx) error {
			c.Context().Hijack(func(net.Conn) {})
			return c.SendStatus(http.StatusForbidden)
		})
		app.Get("/ws", func(c *fiber.Ctx) error {
			c.Context().HijackSetNoResponse(true)
			c.Context().Hijack(func(conn net.Conn) { _, _ = io.WriteString(conn, upgrade) })
			return nil
		})
	})
	want := []string{"101 /ws <nil>", "403 /refused 9", "<nil> /past <nil>"}
	for path, status := range map[string]int{
		"/past": http.StatusServiceUnavailable, "/refused": http.StatusForbidden, "/ws": http.StatusSwitchingProtocols,
	} {
		var header []string
		if path == "/ws" {
			header = []string{"Upgrade", "websocket", "Connection", "Upgrade"}
		}
		if got := s.do("GET "+path, header...); got.status != status {
			t.Errorf("%s: status %d, want %d", path, got.status, status)
		}
	}
	var got []string
	for _, e := range s.events(len(want)) {
		got = append(got, fmt.Sprint(brief(&e), " ", e.Properties["responseBytes"]))
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("recorded %q, want %q", got, want)
	}
}

// A deadline that is set outside, and that ends a handler without an answer, cuts its
// request off.
func TestCutOffByADeadline(t *testing.T) {
	t.Parallel()
	s := serve(t, fiber.Config{}, func(app *fiber.App, ours fiber.Handler) {
		app.Use(func(c *fiber.Ctx) error {
			late, cancel := context.WithDeadline(c.UserContext(), time.Unix(1, 0))
			defer cancel()
			c.SetUserContext(late)
			err := c.Next()
			if c.Path() == "/silent" {
				return fiber.ErrGatewayTimeout
			}
			return err
		}, ours)
		app.Get("/silent", fiberklime.Event("Report Viewed"), func(*fiber.Ctx) error { return nil })
		app.Get("/refused", func(c *fiber.Ctx) error { return c.UserContext().Err() })
		app.Get("/answered", sends(http.StatusOK))
		app.Get("/streamed", func(c *fiber.Ctx) error { return c.SendStream(strings.NewReader("text")) })
	})
	want := []string{"API Called <nil> /silent true", "API Called 500 /refused <nil>", "API Called 200 /answered <nil>", "API Called 200 /streamed <nil>"}
	for _, path := range []string{"/silent", "/refused", "/answered", "/streamed"} {
		s.do("GET " + path)
	}
	var got []string
	for _, e := range s.events(len(want)) {
		got = append(got, fmt.Sprint(e.Event, " ", brief(&e), " ", e.Properties["aborted"]))
	}
	if !slices.Equal(got, want) {
		t.Errorf("events\n got %q\nwant %q", got, want)
	}
}

// Fasthttp has answers of its own for handlers that take too long: the client gets them
// in place of Fiber's.
func TestTimeoutErrors(t *testing.T) {
	t.Parallel()
	s := serve(t, fiber.Config{}, func(app *fiber.App, ours fiber.Handler) {
		app.Use(ours)
		app.Get("/text", func(c *fiber.Ctx) error {
			c.Context().TimeoutErrorWithCode("late", http.StatusGatewayTimeout)
			return c.SendString("too late for that")
		})
		app.Get("/page", func(c *fiber.Ctx) error {
			c.Set(fiber.HeaderContentType, "text/html")
			_ = c.SendString("<p>")
			c.Context().TimeoutErrorWithResponse(c.Response()) // of which it keeps a copy
			c.Set(fiber.HeaderContentType, "application/json")
			return c.Status(http.StatusTeapot).SendString("too late for that")
		})
	})
	var want []string
	for _, path := range []string{"/text", "/page"} {
		name, got := "API Called", s.do("GET "+path)
		if got.header.Get("Content-Type") == "text/html" {
			name = "Page Viewed"
		}
		want = append(want, fmt.Sprint(name, " ", got.status, " ", path, " ", len(got.body)))
	}
	var got []string
	for _, e := range s.events(len(want)) {
		got = append(got, fmt.Sprint(e.Event, " ", brief(&e), " ", e.Properties["responseBytes"]))
	}
	if !slices.Equal(got, want) {
		t.Errorf("events\n got %q\nwant %q", got, want)
	}
}

// Fiber does not tell that a client has gone away: there is one event, as if the client
// were still there, and nothing waits for it.
func TestClientGoesAway(t *testing.T) {
	t.Parallel()
	serving, left, ended := make(chan struct{}, 2), make(chan struct{}), make(chan struct{})
	s := serve(t, fiber.Config{}, func(app *fiber.App, ours fiber.Handler) {
		app.Use(ours)
		app.Get("/report", func(c *fiber.Ctx) error {
			serving <- struct{}{}
			<-left
			return c.SendString("for nobody")
		})
		app.Get("/stream", func(c *fiber.Ctx) error {
			c.Set(fiber.HeaderContentType, "text/event-stream")
			c.Context().SetBodyStreamWriter(func(w *bufio.Writer) {
				defer close(ended)
				serving <- struct{}{}
				for w.Flush() == nil {
					_, _ = w.WriteString("data: 1\n\n")
				}
			})
			return nil
		})
	})
	for _, path := range []string{"/stream", "/report"} {
		conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: app\r\n\r\n")
		<-serving
		conn.Close()
	}
	<-ended
	close(left)
	events := s.events(2)
	if brief(&events[0]) != "200 /stream" || brief(&events[1]) != "200 /report" {
		t.Errorf("events %+v", events)
	}
	for _, e := range events {
		if aborted, ok := e.Properties["aborted"]; ok {
			t.Errorf("aborted %v: does Fiber tell now?", aborted)
		}
	}
}
