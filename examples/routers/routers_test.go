package routers_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/examples/routers"
	"github.com/klimeapp/klime-go/klimetest"
)

// With each router the route is the template, and requests without a route are not
// recorded.
func TestRouters(t *testing.T) {
	t.Parallel()
	refuse := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.RawQuery == "refused" {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			next.ServeHTTP(w, r.WithContext(r.Context())) // another request, as of most authentications
		})
	}
	onError := func(w http.ResponseWriter, _ error) { w.WriteHeader(http.StatusNotFound) }
	requests := []string{
		"GET /orgs/acme/reports/42", "GET /orgs/acme/reports/7?refused",
		"GET /nowhere", "GET /orgs/acme/reports", "POST /nowhere", // no route
		"POST /orgs/acme/reports/42", "DELETE /orgs/acme/reports/42", // another method
		"GET /orgs/acme/reports/42/", "GET //orgs/acme/reports/42", "POST //orgs/acme/reports/42", "POST /orgs/acme/reports/42/", // redirects
		"GET /", "POST /", "DELETE /", "GET /orgs/acme/reports/0",
	}
	const report, refused, absent, home = "/orgs/{org}/reports/{id} 204", "/orgs/{org}/reports/{id} 403", "/orgs/{org}/reports/{id} 404", "/ 204"
	for _, test := range []struct {
		name  string
		build func(*klime.Client) http.Handler
		want  []string
	}{
		{"gorilla/mux", routers.Gorilla, []string{report, report, report}},
		{
			"around gorilla/mux",
			func(client *klime.Client) http.Handler { return routers.GorillaOutside(client, refuse) },
			[]string{report, refused, report},
		},
		{
			"around httprouter",
			func(client *klime.Client) http.Handler { return routers.HTTPRouter(client, refuse) },
			[]string{report, "<nil> 403", home, report},
		},
		{"in httprouter", routers.HTTPRouterInside, []string{report, report, home, report}},
		{
			"bunrouter",
			func(client *klime.Client) http.Handler { return routers.BunRouter(client, onError) },
			[]string{report, report, home, absent},
		},
		{
			"grpc-gateway",
			func(client *klime.Client) http.Handler { return gateway(client, "GET /orgs/{org}/reports/{id=*}") },
			[]string{report, report, report},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := klimetest.NewServer(t)
			client := server.Client()
			handler := test.build(client)
			for _, request := range requests {
				method, target, _ := strings.Cut(request, " ")
				r := httptest.NewRequestWithContext(t.Context(), method, target, http.NoBody)
				r.Header.Set("X-User", "jane")
				handler.ServeHTTP(httptest.NewRecorder(), r)
			}
			if err := client.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range server.Events() {
				got = append(got, fmt.Sprint(e.Properties["route"], " ", e.Properties["status"]))
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("events\n got %q\nwant %q", got, test.want)
			}
		})
	}
}
