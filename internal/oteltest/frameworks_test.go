package oteltest_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/gofiber/contrib/otelfiber/v2"
	"github.com/gofiber/fiber/v2"
	"github.com/riandyrn/otelchi"
	"go.opentelemetry.io/contrib/instrumentation/github.com/gin-gonic/gin/otelgin"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/klimeapp/klime-go/chiklime"
	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/fiberklime"
	"github.com/klimeapp/klime-go/ginklime"
	"github.com/klimeapp/klime-go/nethttp"
)

// order is where the instrumentation stands.
type order string

const (
	nowhere order = "no instrumentation"
	before  order = "before" // klime's middleware, so outside of it
	after   order = "after"
)

// app is what a framework serves: POST /reports/{id}.
type app struct {
	client     *klime.Client
	options    []klime.Option
	provider   trace.TracerProvider
	propagator propagation.TextMapPropagator
	order      order

	// handle is given the context that it gives klime, and the one under which it
	// makes spans.
	handle func(klime, spans context.Context)
}

// in puts klime's middleware and the instrumentation in their order.
func in[M any](o order, ours, theirs M) []M {
	switch o {
	case before:
		return []M{theirs, ours}
	case after:
		return []M{ours, theirs}
	default:
		return []M{ours}
	}
}

// framework is one with its own instrumentation.
type framework struct {
	name  string
	blind bool // what handlers give klime does not show what instrumentation further in has put into the request's context
	serve func(*testing.T, app) (url string, stop func())
}

func frameworks() []framework {
	return []framework{
		{"gin, c", true, serveGin(false, func(c *gin.Context) context.Context { return c })},
		{"gin, c with ContextWithFallback", false, serveGin(true, func(c *gin.Context) context.Context { return c })},
		{"gin, c.Request.Context()", false, serveGin(false, func(c *gin.Context) context.Context { return c.Request.Context() })},
		{"net/http", false, serveNetHTTP},
		{"chi", false, serveChi},
		{"fiber", false, serveFiber},
	}
}

func serveGin(fallback bool, of func(*gin.Context) context.Context) func(*testing.T, app) (string, func()) {
	return func(_ *testing.T, a app) (string, func()) {
		r := gin.New()
		r.ContextWithFallback = fallback
		r.Use(in(a.order, ginklime.Middleware(a.client, a.options...),
			otelgin.Middleware("test", otelgin.WithTracerProvider(a.provider), otelgin.WithPropagators(a.propagator)))...)
		r.POST("/reports/:id", func(c *gin.Context) { a.handle(of(c), c.Request.Context()) })
		return serveHandler(r)
	}
}

func serveNetHTTP(_ *testing.T, a app) (url string, stop func()) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /reports/{id}", func(_ http.ResponseWriter, r *http.Request) { a.handle(r.Context(), r.Context()) })
	// The mux is named, as instrumentation further in replaces the request.
	around := in(a.order, nethttp.Middleware(a.client, append(a.options, nethttp.Mux(mux))...),
		otelhttp.NewMiddleware("test", otelhttp.WithTracerProvider(a.provider), otelhttp.WithPropagators(a.propagator)))
	var h http.Handler = mux
	for i := range around {
		h = around[len(around)-1-i](h)
	}
	return serveHandler(h)
}

func serveChi(_ *testing.T, a app) (url string, stop func()) {
	r := chi.NewRouter()
	r.Use(in(a.order, chiklime.Middleware(a.client, a.options...),
		otelchi.Middleware("test", otelchi.WithTracerProvider(a.provider), otelchi.WithPropagators(a.propagator)))...)
	r.Post("/reports/{id}", func(_ http.ResponseWriter, r *http.Request) { a.handle(r.Context(), r.Context()) })
	return serveHandler(r)
}

func serveHandler(h http.Handler) (url string, stop func()) {
	server := httptest.NewServer(h)
	return server.URL, server.Close
}

func serveFiber(t *testing.T, a app) (url string, stop func()) {
	t.Helper()
	f := fiber.New(fiber.Config{DisableStartupMessage: true})
	for _, m := range in(a.order, fiberklime.Middleware(a.client, a.options...),
		otelfiber.Middleware(otelfiber.WithTracerProvider(a.provider), otelfiber.WithPropagators(a.propagator))) {
		f.Use(m)
	}
	f.Post("/reports/:id", func(c *fiber.Ctx) error {
		a.handle(c.UserContext(), c.UserContext())
		return nil
	})
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- f.Listener(listener) }()
	return "http://" + listener.Addr().String(), func() {
		t.Helper()
		if err := f.Shutdown(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	}
}
