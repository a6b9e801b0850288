package nethttp_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/nethttp"
)

// blackHole takes batches and drops them.
type blackHole struct{}

func (blackHole) Send(_ context.Context, _ []byte, events int) (klime.BatchResult, error) {
	return klime.BatchResult{Accepted: events}, nil
}

// writer is the least that an answer can be written to.
type writer struct{ header http.Header }

func (w *writer) Header() http.Header         { return w.header }
func (w *writer) Write(p []byte) (int, error) { return len(p), nil }
func (w *writer) WriteHeader(int)             {}

func newBench(b *testing.B, opts ...klime.Option) http.Handler {
	b.Helper()
	client, err := klime.New(klime.Config{Transport: blackHole{}, QueueSize: 1_000_000, NoHints: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = client.Shutdown(context.Background()) })
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orgs/{org}/reports/{id}", func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = []string{"application/json"}
		_, _ = w.Write([]byte(`{}`))
	})
	return nethttp.Middleware(client, opts...)(mux)
}

func serve(b *testing.B, h http.Handler) {
	b.Helper()
	r := httptest.NewRequest(http.MethodGet, "/orgs/acme/reports/42", http.NoBody)
	w := &writer{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}

func BenchmarkBare(b *testing.B) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orgs/{org}/reports/{id}", func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = []string{"application/json"}
		_, _ = w.Write([]byte(`{}`))
	})
	serve(b, mux)
}

func BenchmarkMiddleware(b *testing.B) {
	serve(b, newBench(b, nethttp.UserID(func(*http.Request) string { return "user_123" }), nethttp.GroupID(func(*http.Request) string { return "org_456" })))
}

func BenchmarkMiddlewareRollUp(b *testing.B) {
	serve(b, newBench(b, nethttp.UserID(func(*http.Request) string { return "user_123" }), nethttp.GroupID(func(*http.Request) string { return "org_456" }), klime.RollUp(60e9)))
}
