package nethttp_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/internal/alloctest"
	"github.com/klimeapp/klime-go/nethttp"
)

// writer is a minimal http.ResponseWriter.
type writer struct{ header http.Header }

func (w *writer) Header() http.Header         { return w.header }
func (w *writer) Write(p []byte) (int, error) { return len(p), nil }
func (w *writer) WriteHeader(int)             {}

// serving returns a function that serves the same request each time it is called.
func serving(tb testing.TB, wrap func(http.Handler) http.Handler) func() {
	tb.Helper()
	mux := http.NewServeMux()
	contentType, body := []string{"application/json"}, []byte(`{}`)
	mux.HandleFunc("GET /orgs/{org}/reports/{id}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = contentType
		_, _ = w.Write(body)
	})
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodGet, "/orgs/acme/reports/42", http.NoBody)
	w, handler := &writer{header: http.Header{}}, wrap(mux)
	return func() { handler.ServeHTTP(w, r) }
}

func bare(next http.Handler) http.Handler { return next }

func tracked(tb testing.TB, opts ...klime.Option) func(http.Handler) http.Handler {
	tb.Helper()
	return nethttp.Middleware(alloctest.NewSink(tb), append(opts,
		nethttp.UserID(func(*http.Request) string { return "user_123" }),
		nethttp.GroupID(func(*http.Request) string { return "org_456" }))...)
}

// A request costs two allocations: one for the scope and the response writer, one for
// the copy of the request that carries them. The event's bytes go into a block that
// many events share.
func TestAllocations(t *testing.T) {
	alloctest.Allocations(t, 2, serving(t, bare), serving(t, tracked(t)))
	alloctest.Allocations(t, 2, serving(t, bare), serving(t, tracked(t, klime.RollUp(time.Minute))))
	alloctest.Allocations(t, 0, serving(t, bare), serving(t, tracked(t, klime.IgnoreRoutes("/orgs/{org}/*"))))
}

func BenchmarkRequest(b *testing.B) {
	for name, wrap := range map[string]func(http.Handler) http.Handler{
		"bare": bare, "tracked": tracked(b), "rolled up": tracked(b, klime.RollUp(time.Minute)),
	} {
		b.Run(name, func(b *testing.B) {
			serve := serving(b, wrap)
			b.ReportAllocs()
			for b.Loop() {
				serve()
			}
		})
	}
}
