package nethttp_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
	"github.com/klimeapp/klime-go/nethttp"
)

// Of a mux behind http.StripPrefix, the outermost Middleware sees the prefix
// alone. Another around the inner mux joins it: there is one event still, with
// the whole route.
func ExampleMiddleware_stripPrefix() {
	recorder := klimetest.NewRecorder()
	client, err := klime.New(recorder.Config())
	if err != nil {
		fmt.Println("no analytics:", err)
	}
	api := http.NewServeMux()
	api.HandleFunc("GET /orgs/{org}/reports/{id}", func(http.ResponseWriter, *http.Request) {})

	mux := http.NewServeMux()
	mux.Handle("/api/", http.StripPrefix("/api", nethttp.Middleware(client)(api)))
	handler := nethttp.Middleware(client, nethttp.UserID(signedIn))(mux)

	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/api/orgs/acme/reports/42", http.NoBody))
	if err := client.Shutdown(context.Background()); err != nil {
		fmt.Println(err)
	}
	for _, e := range recorder.Events() {
		fmt.Println(e.UserID, e.Properties["method"], e.Properties["route"])
	}
	// Output: jane GET /api/orgs/{org}/reports/{id}
}

// signedIn stands for the session of an app.
func signedIn(*http.Request) string { return "jane" }
