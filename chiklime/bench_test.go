package chiklime_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/klimeapp/klime-go/chiklime"
	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/internal/alloctest"
)

// writer is a minimal http.ResponseWriter.
type writer struct{ header http.Header }

func (w *writer) Header() http.Header         { return w.header }
func (w *writer) Write(p []byte) (int, error) { return len(p), nil }
func (w *writer) WriteHeader(int)             {}

// serving returns a function that serves the same request each time it is called.
func serving(tb testing.TB, middlewares ...func(http.Handler) http.Handler) func() {
	tb.Helper()
	router := chi.NewRouter()
	router.Use(middlewares...)
	contentType, body := []string{"application/json"}, []byte(`{}`)
	router.Get("/orgs/{org}/reports/{id}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = contentType
		_, _ = w.Write(body)
	})
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodGet, "/orgs/acme/reports/42", http.NoBody)
	w := &writer{header: http.Header{}}
	return func() { router.ServeHTTP(w, r) }
}

func tracked(tb testing.TB, opts ...klime.Option) func(http.Handler) http.Handler {
	tb.Helper()
	return chiklime.Middleware(alloctest.NewSink(tb), append(opts,
		chiklime.UserID(func(*http.Request) string { return "user_123" }),
		chiklime.GroupID(func(*http.Request) string { return "org_456" }))...)
}

func TestAllocations(t *testing.T) {
	alloctest.Allocations(t, 2, serving(t), serving(t, tracked(t)))
	alloctest.Allocations(t, 2, serving(t), serving(t, tracked(t, klime.RollUp(time.Minute))))
	alloctest.Allocations(t, 0, serving(t), serving(t, tracked(t, klime.IgnoreRoutes("/orgs/{org}/*"))))
}
