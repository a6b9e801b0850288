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

// Middleware records every page and API call. Link, inside the authentication,
// says whose they are.
func ExampleMiddleware() {
	recorder := klimetest.NewRecorder() // a fake Klime; an app has klime.New(klime.FromEnv())
	client, err := klime.New(recorder.Config())
	if err != nil {
		fmt.Println("no analytics:", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orgs/{org}/reports", func(w http.ResponseWriter, r *http.Request) {
		klime.Track(r.Context(), "Report Generated", klime.Properties{"reportType": "revenue"})
		w.WriteHeader(http.StatusCreated)
	})
	handler := auth(nethttp.Link(func(r *http.Request) (klime.User, []klime.Group) {
		user, _ := r.Context().Value(userKey{}).(string)
		return klime.User{ID: user}, []klime.Group{{ID: "org_abc", Traits: klime.Traits{"name": "Acme Inc"}}}
	})(mux))
	handler = nethttp.Middleware(client, nethttp.Mux(mux))(handler) // auth replaces the request, so the mux is named
	visit(handler, http.MethodPost, "/orgs/acme/reports")
	finish(client, recorder)
	// Output:
	// group  user_123 org_abc <nil>
	// track Report Generated user_123 org_abc <nil>
	// track API Called user_123 org_abc /orgs/{org}/reports
}

// An event can be named where its route is registered.
func ExampleEvent() {
	recorder := klimetest.NewRecorder() // a fake Klime; an app has klime.New(klime.FromEnv())
	client, err := klime.New(recorder.Config())
	if err != nil {
		fmt.Println("no analytics:", err)
	}
	done := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux := http.NewServeMux()
	mux.Handle("POST /reports", nethttp.Event("Report Generated")(done))
	mux.Handle("POST /autosave", nethttp.Skip()(done))
	handler := nethttp.Middleware(client, nethttp.UserID(signedIn))(mux)
	visit(handler, http.MethodPost, "/reports")
	visit(handler, http.MethodPost, "/autosave")
	finish(client, recorder)
	// Output: track Report Generated jane  /reports
}

// For a router of another kind, the app says how to find the pattern.
func ExampleRoute() {
	recorder := klimetest.NewRecorder() // a fake Klime; an app has klime.New(klime.FromEnv())
	client, err := klime.New(recorder.Config())
	if err != nil {
		fmt.Println("no analytics:", err)
	}
	type patternKey struct{}
	router := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		pattern, _ := r.Context().Value(patternKey{}).(*string)
		*pattern = "/reports/:id" // by its own way of matching
	})
	handler := nethttp.Middleware(client, nethttp.UserID(signedIn), nethttp.Route(func(r *http.Request) string {
		pattern, _ := r.Context().Value(patternKey{}).(*string)
		return *pattern
	}))(router)

	request := httptest.NewRequest(http.MethodGet, "/reports/7", http.NoBody)
	request = request.WithContext(context.WithValue(request.Context(), patternKey{}, new(string)))
	handler.ServeHTTP(httptest.NewRecorder(), request)
	finish(client, recorder)
	// Output: track API Called jane  /reports/{id}
}

// If a mux stands behind http.StripPrefix, the outermost Middleware sees only the
// prefix. Another around the inner mux joins it: there is still one event, with the
// whole route.
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

// signedIn stands in for an app's session.
func signedIn(*http.Request) string { return "jane" }

// userKey finds the signed-in user in a request's context.
type userKey struct{}

// auth stands in for an app's authentication.
func auth(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, "user_123")))
	})
}

func visit(handler http.Handler, method, path string) {
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, path, http.NoBody))
}

// finish shuts the client down and prints what Klime has received.
func finish(client *klime.Client, recorder *klimetest.Recorder) {
	if err := client.Shutdown(context.Background()); err != nil {
		fmt.Println(err)
	}
	for _, e := range recorder.Events() {
		fmt.Println(e.Type, e.Event, e.UserID, e.GroupID, e.Properties["route"])
	}
}
