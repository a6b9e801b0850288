package conformance

import (
	"net/http"
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
				`{"type":"track","event":"API Called","userId":"jane","properties":{"method":"GET","route":"/orgs/{org}/reports/{id}","status":200,"requestBytes":0,"responseBytes":8}}`,
				`{"type":"track","event":"API Called","userId":"jane","properties":{"method":"GET","route":"/files/*","status":200,"requestBytes":0,"responseBytes":2}}`,
				`{"type":"track","event":"API Called","userId":"jane","properties":{"method":"GET","route":"/","status":200,"requestBytes":0,"responseBytes":2}}`,
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
				`{"type":"track","event":"API Called","userId":"jane","properties":{"method":"GET","route":"/orgs/{org}/reports/{id}","status":200,"requestBytes":0,"responseBytes":8}}`,
				`{"type":"track","event":"API Called","userId":"jane","properties":{"method":"GET","route":"/admin/users/{user}","status":200,"requestBytes":0,"responseBytes":2}}`,
				`{"type":"track","event":"API Called","userId":"jane","properties":{"method":"GET","route":"/admin/files/*","status":200,"requestBytes":0,"responseBytes":2}}`,
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
	}
}
