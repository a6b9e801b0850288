package docs_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"

	"github.com/klimeapp/klime-go/chiklime"
	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/fiberklime"
	"github.com/klimeapp/klime-go/ginklime"
	"github.com/klimeapp/klime-go/klimetest"
	"github.com/klimeapp/klime-go/nethttp"
)

// routers returns, by framework, a function that builds an app with a middleware of
// its own. All apps have the same paths.
func routers() map[string]func(*klime.Client, ...klime.Option) http.Handler {
	routes := map[string]int{"/r/{id}": 200, "/health": 200, "/internal/jobs": 200, "/gone": 404}
	return map[string]func(*klime.Client, ...klime.Option) http.Handler{
		"Gin": func(client *klime.Client, opts ...klime.Option) http.Handler {
			engine := gin.New()
			engine.Use(ginklime.Middleware(client, opts...))
			for route, status := range routes {
				engine.GET(strings.ReplaceAll(route, "{id}", ":id"), func(c *gin.Context) { c.Status(status) })
			}
			return engine
		},
		"chi": func(client *klime.Client, opts ...klime.Option) http.Handler {
			router := chi.NewRouter()
			router.Use(chiklime.Middleware(client, opts...))
			for route, status := range routes {
				router.Get(route, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
			}
			return router
		},
		"net/http": func(client *klime.Client, opts ...klime.Option) http.Handler {
			mux := http.NewServeMux()
			for route, status := range routes {
				mux.HandleFunc("GET "+route, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
			}
			return nethttp.Middleware(client, opts...)(mux)
		},
	}
}

// outsides returns, by framework, a function that puts a handler behind the prefix
// /api, with a middleware outside.
func outsides() map[string]func(*klime.Client, http.Handler, ...klime.Option) http.Handler {
	return map[string]func(*klime.Client, http.Handler, ...klime.Option) http.Handler{
		"Gin": func(client *klime.Client, inside http.Handler, opts ...klime.Option) http.Handler {
			engine := gin.New()
			engine.Use(ginklime.Middleware(client, opts...))
			engine.Any("/api/*rest", gin.WrapH(inside))
			return engine
		},
		"chi": func(client *klime.Client, inside http.Handler, opts ...klime.Option) http.Handler {
			router := chi.NewRouter()
			router.Use(chiklime.Middleware(client, opts...))
			router.Mount("/api", inside)
			return router
		},
		"net/http": func(client *klime.Client, inside http.Handler, opts ...klime.Option) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("/api/", inside)
			return nethttp.Middleware(client, opts...)(mux)
		},
	}
}

// With a middleware on both sides of a stripped prefix, the inner route is recorded
// only if it is the whole one, and the outer rules are compared with the whole path.
func TestTwoMiddlewaresAndAPrefix(t *testing.T) { //nolint:paralleltest // it sets Gin's mode
	gin.SetMode(gin.TestMode)
	const prefixOnly = "R Viewed /api/* 200, API Called /api/* 200, API Called /api/* 404"
	const whole = "R Viewed /api/r/{id} 200, API Called /api/health 200, API Called /api/gone 404"
	for outer, outside := range outsides() {
		for inner, router := range routers() {
			t.Run(inner+" in "+outer, func(t *testing.T) {
				want := prefixOnly
				switch inner + " in " + outer {
				case "net/http in net/http", "net/http in chi", "chi in chi": // here the inner one knows the outer route, and extends it
					want = whole
				}
				server := klimetest.NewServer(t)
				client := server.Client()
				inside := http.StripPrefix("/api", router(client, klime.NameRoutes(map[string]string{"/api/r/{id}": "R Viewed"})))
				handler := outside(client, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if outer == "chi" {
						r.Pattern = "/api/*" // newer versions of chi set it
					}
					inside.ServeHTTP(w, r)
				}), klime.ResolveUser(func(any) any { return "jane" }), klime.SkipRoutes("/api/internal/*"),
					klime.NameRoutes(map[string]string{"/api/r/{id}": "R Viewed", "/r/{id}": "Wrong"}))
				for _, path := range []string{"/api/r/1", "/api/health", "/api/internal/jobs", "/api/gone", "/api/nowhere"} {
					r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
					handler.ServeHTTP(httptest.NewRecorder(), r)
				}
				if err := client.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, e := range server.Events() {
					got = append(got, fmt.Sprint(e.Event, " ", e.Properties["route"], " ", e.Properties["status"]))
				}
				if got := strings.Join(got, ", "); got != want {
					t.Errorf("\n got %s\nwant %s", got, want)
				}
			})
		}
	}
}

// Of what a middleware answers to a path without a route, Gin and chi do not tell it from
// what no route matches.
func TestRefusedWithoutARoute(t *testing.T) { //nolint:paralleltest // it sets Gin's mode
	gin.SetMode(gin.TestMode)
	refuse := func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) })
	}
	jane := klime.ResolveUser(func(any) any { return "jane" })
	for name, test := range map[string]struct {
		build func(*klime.Client) http.Handler
		want  []any
	}{
		"Gin": {func(client *klime.Client) http.Handler {
			engine := gin.New()
			engine.Use(ginklime.Middleware(client, jane), func(c *gin.Context) { c.AbortWithStatus(http.StatusBadRequest) })
			engine.GET("/page", func(*gin.Context) {})
			return engine
		}, []any{"/page"}},
		"chi": {func(client *klime.Client) http.Handler {
			router := chi.NewRouter()
			router.Use(chiklime.Middleware(client, jane), refuse)
			router.Get("/page", func(http.ResponseWriter, *http.Request) {})
			return router
		}, []any{"/page"}},
		"net/http": {func(client *klime.Client) http.Handler {
			mux := http.NewServeMux()
			mux.HandleFunc("GET /page", func(http.ResponseWriter, *http.Request) {})
			return nethttp.Middleware(client, nethttp.Mux(mux), jane)(refuse(mux))
		}, []any{"/page", nil}},
		"Fiber": {func(client *klime.Client) http.Handler {
			app := fiber.New()
			app.Use(fiberklime.Middleware(client, jane), func(*fiber.Ctx) error { return fiber.ErrBadRequest })
			app.Get("/page", func(*fiber.Ctx) error { return nil })
			return adaptor.FiberApp(app)
		}, []any{"/page", nil}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := recordedRoutes(t, test.build, "/page", "/nowhere"); !slices.Equal(got, test.want) {
				t.Errorf("recorded %v, want %v", got, test.want)
			}
		})
	}
}

// A net/http handler behind Fiber joins Fiber's middleware if it gets its context.
func TestBehindFibersAdaptor(t *testing.T) {
	t.Parallel()
	for _, passOn := range []bool{false, true} {
		jane := klime.ResolveUser(func(any) any { return "jane" })
		behindFiber := func(client *klime.Client) http.Handler {
			router := chi.NewRouter()
			router.Use(chiklime.Middleware(client, jane))
			router.Get("/reports/{id}", func(http.ResponseWriter, *http.Request) {})
			app := fiber.New()
			app.Use(fiberklime.Middleware(client, jane))
			app.All("/*", func(c *fiber.Ctx) error {
				ctx := c.UserContext()
				return adaptor.HTTPHandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if passOn {
						r = r.WithContext(ctx)
					}
					router.ServeHTTP(w, r)
				})(c)
			})
			return adaptor.FiberApp(app)
		}
		want := []any{"/reports/{id}", "/*"}
		if passOn {
			want = want[:1]
		}
		if got := recordedRoutes(t, behindFiber, "/reports/7"); !slices.Equal(got, want) {
			t.Errorf("context passed on %t: recorded %v, want %v", passOn, got, want)
		}
	}
}

// recordedRoutes returns the routes of the events that an app has for GET requests.
func recordedRoutes(t *testing.T, build func(*klime.Client) http.Handler, paths ...string) []any {
	t.Helper()
	server := klimetest.NewServer(t)
	client := server.Client()
	app := build(client)
	for _, path := range paths {
		app.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody))
	}
	if err := client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	var routes []any
	for _, e := range server.Events() {
		routes = append(routes, e.Properties["route"])
	}
	return routes
}
