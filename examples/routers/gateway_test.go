package routers_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/examples/routers"
	"github.com/klimeapp/klime-go/klimetest"
	"github.com/klimeapp/klime-go/nethttp"
)

// The templates of a proto file are recorded in the dialect of all routes.
func TestGatewayTemplates(t *testing.T) {
	t.Parallel()
	server := klimetest.NewServer(t)
	client := server.Client()
	handler := gateway(client, "GET /v1/users/{id}", "GET /v1/groups/{id=*}", "POST /v1/users/{id}:archive", "POST /v1/things:batch",
		"GET /v1/{name=orgs/*/users/*}", "GET /v1/{org=orgs/*}/reports/{report.id}", "GET /v1/{path=files/**}",
		"POST /v1/{name=operations/**}:cancel")
	want(t, server, client, handler, []string{
		"GET /v1/users/7 → /v1/users/{id} 204",
		"GET /v1/users/missing → /v1/users/{id} 404",
		"GET /v1/groups/7 → /v1/groups/{id} 204",
		"POST /v1/users/7:archive → /v1/users/{id}:archive 204",
		"POST /v1/things:batch → /v1/things:batch 204",
		"GET /v1/orgs/acme/users/7 → /v1/orgs/{name}/users/{name} 204",
		"GET /v1/orgs/acme/reports/7 → /v1/orgs/{org}/reports/{report.id} 204",
		"GET /v1/files/a/b → /v1/files/* 204",
		"POST /v1/operations/a/b:cancel → /v1/operations/{name}:cancel 204",
		"DELETE /v1/users/7 → ", // a 501 of the gateway itself
		"GET /nowhere → ",
	})
}

// With a middleware around the gateway too, a wrong method is recorded.
func TestAroundGateway(t *testing.T) {
	t.Parallel()
	server := klimetest.NewServer(t)
	client := server.Client()
	jane := nethttp.UserID(func(*http.Request) string { return "jane" })
	handler := nethttp.Middleware(client, jane)(gateway(client, "GET /v1/users/{id}"))
	want(t, server, client, handler, []string{
		"GET /v1/users/7 → /v1/users/{id} 204",
		"GET /v1/users/missing → /v1/users/{id} 404",
		"DELETE /v1/users/7 → <nil> 501",
		"GET /nowhere → ",
	})
}

// gateway is a grpc-gateway with routes. IDs that end in "missing" are not found.
func gateway(client *klime.Client, routes ...string) http.Handler {
	handler, err := routers.Gateway(client, func(mux *runtime.ServeMux) error {
		for _, route := range routes {
			method, template, _ := strings.Cut(route, " ")
			err := mux.HandlePath(method, template, func(w http.ResponseWriter, r *http.Request, _ map[string]string) {
				status := http.StatusNoContent
				if strings.HasSuffix(r.URL.Path, "missing") {
					status = http.StatusNotFound // as the gateway answers for codes.NotFound
				}
				w.WriteHeader(status)
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		panic(err) // a wrong template
	}
	return handler
}

// want makes requests, and compares the events of each with what stands after the arrow.
func want(t *testing.T, server *klimetest.Server, client *klime.Client, handler http.Handler, requests []string) {
	t.Helper()
	var got []string
	for _, line := range requests {
		request, _, _ := strings.Cut(line, " → ")
		method, path, _ := strings.Cut(request, " ")
		r := httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody)
		r.Header.Set("X-User", "jane")
		before := len(server.Events())
		handler.ServeHTTP(httptest.NewRecorder(), r)
		if err := client.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		var events []string
		for _, e := range server.Events()[before:] {
			events = append(events, fmt.Sprint(e.Properties["route"], " ", e.Properties["status"]))
		}
		got = append(got, request+" → "+strings.Join(events, ", "))
	}
	if !slices.Equal(got, requests) {
		t.Errorf("\n got %q\nwant %q", got, requests)
	}
}
