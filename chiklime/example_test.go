package chiklime_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/klimeapp/klime-go/chiklime"
	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
)

// Middleware records every page and API call. Link, inside the authentication,
// says whose they are.
func ExampleMiddleware() {
	recorder := klimetest.NewRecorder() // a fake Klime; an app has klime.New(klime.FromEnv())
	client, err := klime.New(recorder.Config())
	if err != nil {
		fmt.Println("no analytics:", err)
	}
	r := chi.NewRouter()
	r.Use(middleware.Recoverer, chiklime.Middleware(client))
	r.Use(auth, chiklime.Link(func(r *http.Request) (klime.User, []klime.Group) {
		user, _ := r.Context().Value(userKey{}).(string)
		return klime.User{ID: user}, []klime.Group{{ID: "org_abc", Traits: klime.Traits{"name": "Acme Inc"}}}
	}))
	r.Post("/orgs/{org}/reports", func(w http.ResponseWriter, r *http.Request) {
		klime.Track(r.Context(), "Report Generated", klime.Properties{"reportType": "revenue"})
		w.WriteHeader(http.StatusCreated)
	})
	visit(r, http.MethodPost, "/orgs/acme/reports")
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
	done := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }
	r := chi.NewRouter()
	r.Use(chiklime.Middleware(client, chiklime.UserID(func(*http.Request) string { return "user_123" })))
	r.With(chiklime.Event("Report Generated")).Post("/reports", done)
	r.With(chiklime.Skip()).Post("/autosave", done)
	visit(r, http.MethodPost, "/reports")
	visit(r, http.MethodPost, "/autosave")
	finish(client, recorder)
	// Output: track Report Generated user_123  /reports
}

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
