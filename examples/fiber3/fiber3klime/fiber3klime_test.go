package fiber3klime_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v3"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/examples/fiber3/fiber3klime"
	"github.com/klimeapp/klime-go/klimetest/adaptertest"
)

// Fiber has a server of its own, and outer handlers see what inner ones keep in Locals.
func TestConformance(t *testing.T) {
	t.Parallel()
	adaptertest.Run(t, adaptertest.Adapter{Name: "fiber3", KeepsInPlace: true, OwnServer: true, ReturnsErrors: true, Start: builder{}.start})
}

// The same where handlers give klime the Ctx itself, which is one of the app's own, and with
// what else an app may configure.
func TestConformanceWithCtx(t *testing.T) {
	t.Parallel()
	adaptertest.Run(t, adaptertest.Adapter{Name: "fiber3", KeepsInPlace: true, OwnServer: true, ReturnsErrors: true, Start: builder{
		ctx: true, custom: true, config: fiber.Config{Immutable: true, CaseSensitive: true, DisableHeadAutoRegister: true},
	}.start})
}

// builder builds the suite's apps.
type builder struct {
	config fiber.Config
	custom bool // with a Ctx of the app's own
	ctx    bool // handlers give klime their fiber.Ctx itself
}

func (b builder) start(tb testing.TB, app adaptertest.App) (url string, stop func()) {
	tb.Helper()
	b.config.BodyLimit, b.config.ReadBufferSize = 16<<20, 16<<10 // the suite sends a body of 10 MiB and a path of 10 KB
	server := newApp(b.config, b.custom)
	for _, m := range app.Outside {
		server.Use(b.wrap(m))
	}
	if !app.Bare {
		ours := fiber3klime.Middleware(app.Client, b.options(app)...)
		server.Use(ours)
		if app.Twice {
			server.Use(ours)
		}
	}
	for _, m := range app.Inside {
		server.Use(b.wrap(m))
	}
	if app.UserIDInside != nil {
		server.Use(fiber3klime.Middleware(app.ClientInside, fiber3klime.UserID(func(c fiber.Ctx) any { return app.UserIDInside(b.request(c)) })))
	}
	mounted, mounts := map[string]*fiber.App{}, []string{}
	for _, route := range app.Routes {
		router := fiber.Router(server)
		if prefix := dialect(strings.Join(route.Groups, "")); route.Mounted {
			if mounted[prefix] == nil {
				mounted[prefix] = fiber.New(b.config)
				mounts = append(mounts, prefix)
			}
			router = mounted[prefix]
		} else {
			for _, group := range route.Groups {
				router = router.Group(dialect(group))
			}
		}
		method := route.Method
		if method == "" {
			method = http.MethodGet
		}
		handlers := b.handlers(app, route)
		router.Add([]string{method}, dialect(route.Path), handlers[0], handlers[1:]...)
	}
	for _, prefix := range mounts { // mounted last, when they have all their routes
		server.Use(prefix, mounted[prefix])
	}
	return listen(tb, server)
}

// handlers are those of a route.
func (b builder) handlers(app adaptertest.App, route adaptertest.Route) []any {
	var handlers []any
	if route.Skip {
		handlers = append(handlers, fiber3klime.Skip())
	}
	if route.Event != "" {
		handlers = append(handlers, fiber3klime.Event(route.Event))
	}
	if app.Link != nil {
		handlers = append(handlers, fiber3klime.Link(func(c fiber.Ctx) (klime.User, []klime.Group) { return app.Link(b.request(c)) }))
	}
	return append(handlers, func(c fiber.Ctx) error {
		route.Handler(b.request(c))
		return route.Err
	})
}

func (b builder) options(app adaptertest.App) []klime.Option {
	opts := app.Options
	if app.UserID != nil {
		opts = append(opts, fiber3klime.UserID(func(c fiber.Ctx) any { return app.UserID(b.request(c)) }))
	}
	if app.GroupID != nil {
		opts = append(opts, fiber3klime.GroupID(func(c fiber.Ctx) any { return app.GroupID(b.request(c)) }))
	}
	return opts
}

func (b builder) wrap(m adaptertest.Middleware) fiber.Handler {
	return func(c fiber.Ctx) (err error) {
		m(b.request(c), func(adaptertest.Request) { err = c.Next() })
		return err
	}
}

func (b builder) request(c fiber.Ctx) request { return request{c, b.ctx} }

// ownCtx is the Ctx of an app that has one of its own.
type ownCtx struct{ fiber.DefaultCtx }

func newApp(config fiber.Config, custom bool) *fiber.App {
	if !custom {
		return fiber.New(config)
	}
	return fiber.NewWithCustomCtx(func(app *fiber.App) fiber.CustomCtx { return &ownCtx{*fiber.NewDefaultCtx(app)} }, config)
}

func listen(tb testing.TB, server *fiber.App) (url string, stop func()) {
	tb.Helper()
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Listener(listener, fiber.ListenConfig{DisableStartupMessage: true}) }()
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

// request implements adaptertest.Request for Fiber.
type request struct {
	c   fiber.Ctx
	ctx bool // c itself is the context
}

func (q request) Detached() context.Context                  { return q.c.Context() }
func (q request) Value(key string) any                       { return q.c.Locals(key) }
func (q request) Param(name string) string                   { return q.c.Params(name) }
func (q request) Header(name string) string                  { return q.c.Get(name) }
func (q request) Body() io.Reader                            { return bytes.NewReader(q.c.Body()) }
func (q request) HTTP() (http.ResponseWriter, *http.Request) { return nil, nil }

func (q request) Context() context.Context {
	if q.ctx {
		return q.c
	}
	return q.c.Context()
}

// SetPath changes the path in the way that Fiber offers.
func (q request) SetPath(path string) { q.c.Path(path) }

func (q request) SetHeader(name, value string) { q.c.Set(name, value) }

func (q request) Keep(key string, value any) adaptertest.Request {
	q.c.Locals(key, value)
	return q
}

func (q request) Replace(key, value any) adaptertest.Request {
	q.c.SetContext(context.WithValue(q.c.Context(), key, value))
	return q
}

func (q request) WithCancel() (adaptertest.Request, context.CancelFunc) {
	ctx, cancel := context.WithCancel(q.c.Context())
	q.c.SetContext(ctx)
	return q, cancel
}

func (q request) Stream(contentType string, write func(w adaptertest.StreamWriter)) {
	q.c.Set(fiber.HeaderContentType, contentType)
	_ = q.c.SendStreamWriter(func(w *bufio.Writer) { write(w) })
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
