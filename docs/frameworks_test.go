package docs_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"

	"github.com/klimeapp/klime-go/chiklime"
	klime "github.com/klimeapp/klime-go/core"
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
