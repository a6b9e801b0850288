package ginklime_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/ginklime"
	"github.com/klimeapp/klime-go/internal/alloctest"
)

// sink is a minimal http.ResponseWriter.
type sink struct{ header http.Header }

func (w *sink) Header() http.Header         { return w.header }
func (w *sink) Write(p []byte) (int, error) { return len(p), nil }
func (w *sink) WriteHeader(int)             {}

// serving returns a function that serves the same request each time it is called.
func serving(tb testing.TB, middlewares ...gin.HandlerFunc) func() {
	tb.Helper()
	engine := gin.New()
	engine.Use(middlewares...)
	body := []byte(`{}`)
	engine.GET("/orgs/:org/reports/:id", func(c *gin.Context) { c.Data(http.StatusOK, "application/json", body) })
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodGet, "/orgs/acme/reports/42", http.NoBody)
	w := &sink{header: http.Header{}}
	return func() { engine.ServeHTTP(w, r) }
}

func tracked(tb testing.TB, opts ...klime.Option) gin.HandlerFunc {
	tb.Helper()
	return ginklime.Middleware(alloctest.NewSink(tb), append(opts,
		ginklime.UserID(func(*gin.Context) string { return "user_123" }),
		ginklime.GroupID(func(*gin.Context) string { return "org_456" }))...)
}

// Beyond what net/http needs, Gin makes a map for c.Set.
func TestAllocations(t *testing.T) {
	alloctest.Allocations(t, 4, serving(t), serving(t, tracked(t)))
	alloctest.Allocations(t, 4, serving(t), serving(t, tracked(t, klime.RollUp(time.Minute))))
	alloctest.Allocations(t, 0, serving(t), serving(t, tracked(t, klime.IgnoreRoutes("/orgs/{org}/*"))))
}
