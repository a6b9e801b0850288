package fiberklime_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/fiberklime"
	"github.com/klimeapp/klime-go/klimetest"
	"github.com/klimeapp/klime-go/klimetest/adaptertest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	adaptertest.Run(t, adaptertest.Adapter{Name: "fiber", KeepsInPlace: true, OwnServer: true, ReturnsErrors: true, Start: start})
}

func start(tb testing.TB, app adaptertest.App) (url string, stop func()) {
	tb.Helper()
	server := fiber.New(fiber.Config{DisableStartupMessage: true, BodyLimit: 16 << 20, ReadBufferSize: 16 << 10})
	for _, m := range app.Outside {
		server.Use(wrap(m))
	}
	if !app.Bare {
		ours := fiberklime.Middleware(app.Client, options(app)...)
		server.Use(ours)
		if app.Twice {
			server.Use(ours)
		}
	}
	for _, m := range app.Inside {
		server.Use(wrap(m))
	}
	if app.UserIDInside != nil {
		server.Use(fiberklime.Middleware(app.ClientInside, fiberklime.UserID(func(c *fiber.Ctx) any { return app.UserIDInside(request{c}) })))
	}
	mounted, mounts := map[string]*fiber.App{}, []string{}
	for _, route := range app.Routes {
		var handlers []fiber.Handler
		if route.Skip {
			handlers = append(handlers, fiberklime.Skip())
		}
		if route.Event != "" {
			handlers = append(handlers, fiberklime.Event(route.Event))
		}
		if app.Link != nil {
			handlers = append(handlers, fiberklime.Link(func(c *fiber.Ctx) (klime.User, []klime.Group) { return app.Link(request{c}) }))
		}
		method := route.Method
		if method == "" {
			method = http.MethodGet
		}
		handlers = append(handlers, func(c *fiber.Ctx) error {
			route.Handler(request{c})
			return route.Err
		})
		router := fiber.Router(server)
		if prefix := strings.Join(route.Groups, ""); route.Mounted {
			if mounted[prefix] == nil {
				mounted[prefix] = fiber.New()
				mounts = append(mounts, prefix)
			}
			router = mounted[prefix]
		} else {
			for _, group := range route.Groups {
				router = router.Group(dialect(group))
			}
		}
		router.Add(method, dialect(route.Path), handlers...)
	}
	for _, prefix := range mounts { // mounted last, when they have all their routes
		server.Mount(prefix, mounted[prefix])
	}
	return listen(tb, server)
}

func listen(tb testing.TB, server *fiber.App) (url string, stop func()) {
	tb.Helper()
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Listener(listener) }()
	return "http://" + listener.Addr().String(), func() {
		if err := server.Shutdown(); err != nil {
			tb.Error(err)
		}
		if err := <-served; err != nil {
			tb.Error(err)
		}
	}
}

// dialect turns /a/{b}/{c...} into /a/:b/*.
func dialect(path string) string {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		switch name := strings.Trim(s, "{}"); {
		case strings.HasSuffix(name, "..."):
			segments[i] = "*"
		case name != s:
			segments[i] = ":" + name
		}
	}
	return strings.Join(segments, "/")
}

func options(app adaptertest.App) []klime.Option {
	opts := app.Options
	if app.UserID != nil {
		opts = append(opts, fiberklime.UserID(func(c *fiber.Ctx) any { return app.UserID(request{c}) }))
	}
	if app.GroupID != nil {
		opts = append(opts, fiberklime.GroupID(func(c *fiber.Ctx) any { return app.GroupID(request{c}) }))
	}
	return opts
}

func wrap(m adaptertest.Middleware) fiber.Handler {
	return func(c *fiber.Ctx) (err error) {
		m(request{c}, func(adaptertest.Request) { err = c.Next() })
		return err
	}
}

// request implements adaptertest.Request for Fiber.
type request struct{ c *fiber.Ctx }

func (q request) Context() context.Context                   { return q.c.UserContext() }
func (q request) Detached() context.Context                  { return q.c.UserContext() }
func (q request) Value(key string) any                       { return q.c.Locals(key) }
func (q request) Param(name string) string                   { return q.c.Params(name) }
func (q request) Header(name string) string                  { return q.c.Get(name) }
func (q request) Body() io.Reader                            { return bytes.NewReader(q.c.Body()) }
func (q request) HTTP() (http.ResponseWriter, *http.Request) { return nil, nil }

// SetPath changes the path in the way that Fiber offers.
func (q request) SetPath(path string) { q.c.Path(path) }

func (q request) SetHeader(name, value string) { q.c.Set(name, value) }

func (q request) Keep(key string, value any) adaptertest.Request {
	q.c.Locals(key, value)
	return q
}

func (q request) Replace(key, value any) adaptertest.Request {
	q.c.SetUserContext(context.WithValue(q.c.UserContext(), key, value))
	return q
}

func (q request) WithCancel() (adaptertest.Request, context.CancelFunc) {
	ctx, cancel := context.WithCancel(q.c.UserContext())
	q.c.SetUserContext(ctx)
	return q, cancel
}

func (q request) Stream(contentType string, write func(w adaptertest.StreamWriter)) {
	q.c.Set(fiber.HeaderContentType, contentType)
	q.c.Context().SetBodyStreamWriter(func(w *bufio.Writer) { write(w) })
}

func (q request) Reply(status int, contentType, body string) {
	if contentType != "" {
		q.c.Set(fiber.HeaderContentType, contentType)
	}
	if status != 0 {
		q.c.Status(status)
	}
	_ = q.c.SendString(body)
}

// The recorded address is the one that Fiber finds: a header counts only if it comes
// from a proxy that the app trusts.
func TestCaptureBehindAProxy(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		trusted []string
		want    string
	}{{[]string{"127.0.0.1"}, "203.0.113.7"}, {nil, "127.0.0.1"}} {
		server := klimetest.NewServer(t)
		app := fiber.New(fiber.Config{
			DisableStartupMessage: true, ProxyHeader: fiber.HeaderXForwardedFor, EnableTrustedProxyCheck: true, TrustedProxies: tt.trusted,
		})
		app.Use(fiberklime.Middleware(server.Client(), fiberklime.UserID(func(*fiber.Ctx) string { return "jane" }), klime.Capture(klime.IP)))
		app.Get("/", func(c *fiber.Ctx) error { return c.JSON(nil) })
		url, stop := listen(t, app)
		(&site{t: t, url: url}).do("GET /", fiber.HeaderXForwardedFor, "203.0.113.7")
		stop()
		if e := server.Wait(1)[0]; e.Context["ip"] != tt.want {
			t.Errorf("trusting %v: %v, want %s", tt.trusted, e.Context["ip"], tt.want)
		}
	}
}

// An opt-out holds however the browser spells its header, also if Fiber leaves that as it is.
func TestOptOutInAnySpelling(t *testing.T) {
	t.Parallel()
	for _, asIs := range []bool{false, true} {
		server := klimetest.NewServer(t)
		client := server.Client()
		app := fiber.New(fiber.Config{DisableHeaderNormalizing: asIs})
		app.Use(fiberklime.Middleware(client, fiberklime.UserID(func(*fiber.Ctx) string { return "jane" }), klime.HonorOptOut()))
		app.Get("/:header", func(c *fiber.Ctx) error { return c.JSON(nil) })
		for _, header := range []string{"Sec-GPC", "sec-gpc", "DNT", "X-DNT"} {
			request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/x", http.NoBody)
			request.Header[header] = []string{"1"} // without net/http's own spelling
			answer, err := app.Test(request)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
		}
		if err := client.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if n := len(server.Events()); n != 1 {
			t.Errorf("as they are %v: %d events, want that of X-DNT alone", asIs, n)
		}
	}
}
