package adaptertest

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	klime "github.com/klimeapp/klime-go/core"
)

// routeCases: which route a request has.
func routeCases() []testCase {
	jsonOK := reply(http.StatusOK, appJSON, `{}`)
	return []testCase{
		{
			name: "route is the template",
			app: App{UserID: jane, Routes: []Route{
				{Path: "/orgs/{org}/reports/{id}", Handler: func(r Request) {
					r.Reply(http.StatusOK, appJSON, `"`+r.Param("org")+r.Param("id")+`"`)
				}},
				{Path: "/files/{rest...}", Handler: jsonOK},
				{Path: "/", Handler: jsonOK},
			}},
			requests: []call{get("/orgs/acme/reports/42?secret=1"), get("/files/a/b/c.json"), get("/")},
			want: []string{
				"API Called by jane: GET /orgs/{org}/reports/{id} 200, 0 in, 8 out",
				"API Called by jane: GET /files/* 200, 0 in, 2 out",
				"API Called by jane: GET / 200, 0 in, 2 out",
			},
		},
		{
			name: "the home page of a route for everything",
			app: App{UserID: jane, Routes: []Route{{Path: "/{rest...}", Handler: func(r Request) {
				if r.Header("X-Missing") != "" {
					r.Reply(http.StatusNotFound, appJSON, `{}`)
					return
				}
				jsonOK(r)
			}}}},
			requests: []call{get("/"), get("/app"), {path: "/", header: http.Header{"X-Missing": {"1"}}, status: http.StatusNotFound}},
			want: []string{
				"API Called by jane: GET / 200, 0 in, 2 out",
				"API Called by jane: GET /* 200, 0 in, 2 out",
			},
		},
		{
			name: "groups and mounted routers",
			app: App{UserID: jane, Routes: []Route{
				{Groups: []string{"/orgs/{org}", "/reports"}, Path: "/{id}", Handler: func(r Request) {
					r.Reply(http.StatusOK, appJSON, `"`+r.Param("org")+r.Param("id")+`"`)
				}},
				{Groups: []string{"/admin"}, Mounted: true, Path: "/users/{user}", Handler: jsonOK},
				{Groups: []string{"/admin"}, Mounted: true, Path: "/files/{rest...}", Handler: jsonOK},
			}},
			requests: []call{
				get("/orgs/acme/reports/42"), get("/admin/users/7"), get("/admin/files/a/b"),
				{path: "/orgs/acme/reports/42/none", status: http.StatusNotFound},
				{path: "/admin/none", status: http.StatusNotFound},
				{path: "/admin", status: anyStatus},
				{method: http.MethodPost, path: "/admin/users/7", status: anyStatus},
				{method: http.MethodPost, path: "/orgs/acme/reports/42", status: anyStatus},
			},
			want: []string{
				"API Called by jane: GET /orgs/{org}/reports/{id} 200, 0 in, 8 out",
				"API Called by jane: GET /admin/users/{user} 200, 0 in, 2 out",
				"API Called by jane: GET /admin/files/* 200, 0 in, 2 out",
			},
		},
		{
			name: "refused before the routes",
			app: App{
				UserID:  jane,
				GroupID: func(Request) any { return "acme" },
				Inside: []Middleware{func(r Request, next func(Request)) {
					if status, err := strconv.Atoi(r.Header("X-Refuse")); err == nil {
						r.Reply(status, appJSON, `{}`)
						return
					}
					next(r)
				}},
				Routes: []Route{
					{Path: "/orgs/{org}/reports/{id}", Handler: jsonOK},
					{Method: http.MethodPost, Groups: []string{"/admin", "/users"}, Path: "/{user}", Handler: jsonOK},
				},
			},
			requests: []call{
				{path: "/orgs/a/reports/1", header: http.Header{"X-Refuse": {"401"}}, status: http.StatusUnauthorized},
				{path: "/orgs/a/reports/1", header: http.Header{"X-Refuse": {"403"}}, status: http.StatusForbidden},
				{path: "/orgs/a/reports/1", header: http.Header{"X-Refuse": {"404"}}, status: http.StatusNotFound},
				{path: "/orgs/a/reports/1", header: http.Header{"X-Refuse": {"429"}}, status: http.StatusTooManyRequests},
				{method: http.MethodPost, path: "/admin/users/1", header: http.Header{"X-Refuse": {"403"}}, status: http.StatusForbidden},
				{method: http.MethodPost, path: "/admin/users/1"},
			},
			want: []string{
				"API Called by jane: GET /orgs/{org}/reports/{id} 401, 0 in, 2 out",
				"API Called by jane: GET /orgs/{org}/reports/{id} 403, 0 in, 2 out",
				"API Called by jane: GET /orgs/{org}/reports/{id} 404, 0 in, 2 out",
				"API Called by jane at acme: GET /orgs/{org}/reports/{id} 429, 0 in, 2 out",
				"API Called by jane: POST /admin/users/{user} 403, 0 in, 2 out",
				"API Called by jane at acme: POST /admin/users/{user} 200, 0 in, 2 out",
			},
		},
		{
			name: "whoever answers changes the path, as a proxy does", needs: netHTTP,
			app: App{
				UserID: jane,
				Inside: []Middleware{func(r Request, next func(Request)) {
					if r.Header("X-Early") == "" {
						next(r)
						return
					}
					setPath(r, "/users/7")
					jsonOK(r)
				}},
				Routes: []Route{
					{Path: "/proxy/{rest...}", Handler: func(r Request) { setPath(r, "/users/7"); jsonOK(r) }},
					{Path: "/users/{id}", Handler: jsonOK},
				},
			},
			requests: []call{get("/proxy/a"), {path: "/proxy/b", header: http.Header{"X-Early": {"1"}}}, get("/users/7")},
			want: []string{
				"API Called by jane: GET /proxy/* 200, 0 in, 2 out",
				"API Called by jane: GET /proxy/* 200, 0 in, 2 out",
				"API Called by jane: GET /users/{id} 200, 0 in, 2 out",
			},
		},
		{
			name: "unmatched requests and noise are not recorded",
			app: App{UserID: jane, Routes: []Route{
				{Path: "/", Handler: jsonOK},
				{Groups: []string{"/api"}, Path: "/things", Handler: jsonOK},
				{Path: "/healthz", Handler: jsonOK},
			}},
			requests: []call{
				{path: "/nowhere", status: http.StatusNotFound},
				{path: "/api", status: http.StatusNotFound},
				{path: "/api/nowhere", status: http.StatusNotFound},
				get("/healthz"),
				{path: "/api/things", header: http.Header{"User-Agent": {"kube-probe/1.34"}}},
			},
		},
		{
			name: "health checks that a route with a parameter takes",
			app: App{
				UserID: jane,
				Options: []klime.Option{
					klime.NameRoutes(map[string]string{"GET /{page}/about": "Company Seen"}),
					klime.HealthRoutes("/healthz", "/favicon.ico", "/x/about"),
				},
				Routes: []Route{
					{Path: "/{page}", Handler: jsonOK},
					{Method: http.MethodPost, Path: "/{page}", Handler: jsonOK},
					{Path: "/{page}/about", Handler: jsonOK},
				},
			},
			requests: []call{
				get("/favicon.ico"), get("/pricing"), get("/healthz"),
				{method: http.MethodPost, path: "/healthz"},
				get("/x/about"),
			},
			want: []string{
				"API Called by jane: GET /{page} 200, 0 in, 2 out",
				"Company Seen by jane: GET /{page}/about 200, 0 in, 2 out",
			},
		},
	}
}

// testRouterAnswers: an answer of a route is recorded under the route's template,
// whatever path has reached it. An answer of the router itself (redirects, 404, 405,
// OPTIONS) is not recorded. The body of the answer shows which of the two it is.
func testRouterAnswers(t *testing.T, a Adapter) {
	const routed = "by the route"
	var routes []Route
	template := map[string]string{} // by the body that the route answers with
	for _, route := range []Route{
		{Path: "/reports"},
		{Path: "/daily/"},
		{Path: "/orgs/{org}"},
		{Groups: []string{"/v1", "/teams"}, Path: "/{team}"},
		{Groups: []string{"/api"}, Mounted: true, Path: "/things/{id}"},
	} {
		path := route.FullPath()
		route.Handler = reply(http.StatusOK, textPlain, routed+" "+path)
		template[routed+" "+path] = strings.TrimSuffix(path, "/")
		for _, route.Method = range []string{http.MethodGet, http.MethodPost} {
			routes = append(routes, route)
		}
	}
	app := a.record(t, App{UserID: jane, Routes: routes, Inside: []Middleware{func(r Request, next func(Request)) {
		klime.SetProperty(r.Context(), "asked", r.Header("X-Asked")) // a failure should name the path
		next(r)
	}}})
	var want []string
	for _, path := range []string{
		"/reports", "/reports/", "//reports", "/reports//", "/./reports", "/x/../reports", "/REPORTS",
		"/daily", "/daily/", "//daily",
		"/orgs", "/orgs/", "/orgs/a", "/orgs/a/", "//orgs//a", "/orgs//a", "/orgs/a/b",
		"/v1", "/v1/", "/v1/teams", "/v1/teams/", "/v1/teams/7", "/v1/teams/7/", "/v1/teams/7/8",
		"/api", "/api/", "/api/nowhere", "/api/things", "/api/things/1", "/api/things/1/", "/api//things/1", "//api/things/1",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete, http.MethodOptions, http.MethodHead} {
			got := ask(t, app.url, call{method: method, path: path, header: http.Header{"X-Asked": {path}}})
			route, ok := template[got.body]
			if got.status == 0 || ok != (got.status == http.StatusOK && got.body != "") {
				t.Errorf("%s %s: answer %d %q", method, path, got.status, got.body)
			}
			if ok {
				want = append(want, fmt.Sprintf("%s, asked=%q", seen(method, route, got), path))
			}
		}
	}
	if len(want) < 2*len(template) {
		t.Errorf("%d requests have reached a route", len(want))
	}
	app.expect(want...)
}
