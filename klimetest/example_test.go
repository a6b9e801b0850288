package klimetest_test //nolint:testableexamples // what the example shows runs as a test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
	"github.com/klimeapp/klime-go/nethttp"
)

// newApp stands for the app under test.
func newApp(client *klime.Client) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /reports", func(w http.ResponseWriter, r *http.Request) {
		klime.SetUser(r.Context(), r.Header.Get("X-User"))
		klime.Track(r.Context(), "Report Generated", klime.Properties{"reportType": "revenue"})
		w.WriteHeader(http.StatusCreated)
	})
	return nethttp.Middleware(client)(mux)
}

// testReportIsTracked is what a test of the app looks like.
func testReportIsTracked(t *testing.T) {
	t.Helper()
	server := klimetest.NewServer(t)
	app := newApp(server.Client())

	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/reports", http.NoBody)
	request.Header.Set("X-User", "user_1")
	app.ServeHTTP(httptest.NewRecorder(), request)

	events := server.Wait(2) // the app's own event, and that of the request
	if e := events[0]; e.Event != "Report Generated" || e.UserID != "user_1" {
		t.Errorf("got %+v", e)
	}
	if e := events[1]; e.Event != "API Called" || e.Properties["status"] != 201.0 {
		t.Errorf("got %+v", e)
	}
}

// In an app's own test file this is TestReportIsTracked.
func Example() {
	_ = testReportIsTracked
}
