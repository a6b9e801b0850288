package conformance

import (
	"context"
	"net/http"
	"time"

	klime "github.com/klimeapp/klime-go/core"
)

// scopeless fails the request, with status 500, if our middleware has put a Scope into
// its context.
func scopeless(handler func(Request)) func(Request) {
	return func(r Request) {
		if klime.ScopeFrom(r.Context()) != nil {
			r.Reply(http.StatusInternalServerError, appJSON, `"a Scope"`)
			return
		}
		handler(r)
	}
}

// setPath changes the path in place, as a proxy does. A framework that is not built on
// net/http may have a way of its own.
func setPath(r Request, path string) {
	if own, ok := r.(interface{ SetPath(path string) }); ok {
		own.SetPath(path)
	} else if _, req := r.HTTP(); req != nil {
		req.URL.Path = path
	}
}

// expired is a middleware whose deadline has passed before the handlers are done. It
// answers in their place if the request has the header Late.
func expired(r Request, next func(Request)) {
	_, req := r.HTTP()
	late, cancel := context.WithDeadline(req.Context(), time.Unix(1, 0))
	defer cancel()
	*req = *req.WithContext(late)
	next(r)
	if r.Header("Late") != "" {
		r.Reply(http.StatusGatewayTimeout, textPlain, "late")
	}
}

// probe is the header that a health check sends.
func probe() http.Header { return http.Header{"User-Agent": {"kube-probe/1.31"}} }

// tuningCases: what the app says about a request's event.
func tuningCases() []testCase {
	jsonOK := reply(http.StatusOK, appJSON, `{}`)
	const called = `{"type":"track","event":"API Called","userId":"jane","properties":{"method":"GET","route":"/","status":200,"requestBytes":0,"responseBytes":2}}`
	return []testCase{
		{
			name: "named",
			app: App{UserID: jane, Routes: []Route{
				{Method: http.MethodPost, Path: "/reports", Event: "Report Generated", Handler: func(r Request) {
					klime.SetProperty(r.Context(), "format", "pdf")
					jsonOK(r)
				}},
				{Method: http.MethodPut, Path: "/reports", Event: "Report Changed", Handler: reply(http.StatusConflict, appJSON, `{}`)},
				{Path: "/", Handler: func(r Request) { klime.SetEvent(r.Context(), "Home Seen"); jsonOK(r) }},
			}},
			requests: []call{
				{method: http.MethodPost, path: "/reports"},
				{method: http.MethodPut, path: "/reports", status: http.StatusConflict},
				get("/"),
			},
			want: []string{
				`{"type":"track","event":"Report Generated","userId":"jane","properties":{"method":"POST","route":"/reports","status":200,"requestBytes":0,"responseBytes":2,"format":"pdf"}}`,
				`{"type":"track","event":"API Called","userId":"jane","properties":{"method":"PUT","route":"/reports","status":409,"requestBytes":0,"responseBytes":2}}`,
				`{"type":"track","event":"Home Seen","userId":"jane","properties":{"method":"GET","route":"/","status":200,"requestBytes":0,"responseBytes":2}}`,
			},
		},
		{
			name: "named by method", // some frameworks keep the method in memory that the next request overwrites
			app: App{
				UserID: jane,
				Options: []klime.Option{
					klime.NameRoutes(map[string]string{"GET /reports/{id}": "Report Viewed", "PUT /reports/{id}": "Report Changed"}),
					klime.SkipRoutes("PUT /drafts/{id}"),
				},
				Routes: []Route{
					{Path: "/reports/{id}", Handler: jsonOK},
					{Method: http.MethodPut, Path: "/reports/{id}", Handler: jsonOK},
					{Path: "/drafts/{id}", Handler: jsonOK},
					{Method: http.MethodPut, Path: "/drafts/{id}", Handler: jsonOK},
				},
			},
			requests: []call{
				get("/reports/1"), {method: http.MethodPut, path: "/reports/1"}, get("/reports/1"),
				get("/drafts/1"), {method: http.MethodPut, path: "/drafts/1"}, get("/drafts/1"),
			},
			want: []string{
				`{"type":"track","event":"Report Viewed","userId":"jane","properties":{"method":"GET","route":"/reports/{id}","status":200,"requestBytes":0,"responseBytes":2}}`,
				`{"type":"track","event":"Report Changed","userId":"jane","properties":{"method":"PUT","route":"/reports/{id}","status":200,"requestBytes":0,"responseBytes":2}}`,
				`{"type":"track","event":"Report Viewed","userId":"jane","properties":{"method":"GET","route":"/reports/{id}","status":200,"requestBytes":0,"responseBytes":2}}`,
				`{"type":"track","event":"API Called","userId":"jane","properties":{"method":"GET","route":"/drafts/{id}","status":200,"requestBytes":0,"responseBytes":2}}`,
				`{"type":"track","event":"API Called","userId":"jane","properties":{"method":"GET","route":"/drafts/{id}","status":200,"requestBytes":0,"responseBytes":2}}`,
			},
		},
		{
			name: "named and skipped by patterns with a slash at their end",
			app: App{
				UserID: jane,
				Options: []klime.Option{
					klime.NameRoutes(map[string]string{"/docs/": "Docs Read", "/docs": "Docs Opened"}),
					klime.SkipRoutes("/internal/"),
				},
				Routes: []Route{
					{Path: "/docs", Handler: jsonOK},
					{Path: "/docs/{rest...}", Handler: jsonOK},
					{Path: "/internal/{rest...}", Handler: jsonOK},
				},
			},
			requests: []call{get("/docs"), get("/docs/a/b"), get("/internal/a"), get("/internal/")},
			want: []string{
				`{"type":"track","event":"Docs Opened","userId":"jane","properties":{"method":"GET","route":"/docs","status":200,"requestBytes":0,"responseBytes":2}}`,
				`{"type":"track","event":"Docs Read","userId":"jane","properties":{"method":"GET","route":"/docs/*","status":200,"requestBytes":0,"responseBytes":2}}`,
			},
		},
		{
			name: "skipped",
			app: App{UserID: jane, Routes: []Route{
				{Path: "/quiet", Skip: true, Handler: func(r Request) { klime.Track(r.Context(), "Done", nil); jsonOK(r) }},
				{Path: "/staff", Handler: func(r Request) {
					klime.Silence(r.Context())
					klime.Track(r.Context(), "Done", nil)
					klime.Link(r.Context(), klime.User{ID: "mary"}, klime.Group{ID: "acme"})
					jsonOK(r)
				}},
			}},
			requests: []call{get("/quiet"), get("/staff")},
			want:     []string{`{"type":"track","event":"Done","userId":"jane"}`},
		},
		{
			name: "ignored",
			app: App{
				UserID:  jane,
				Options: []klime.Option{klime.IgnoreRoutes("/internal/*"), klime.NameRoutes(map[string]string{"GET /ping": "Pinged"})},
				Routes: []Route{
					{Path: "/internal/{job}", Handler: scopeless(jsonOK)},
					{Path: "/healthz", Handler: scopeless(jsonOK)},
					{Method: http.MethodOptions, Path: "/reports", Handler: scopeless(jsonOK)},
					{Path: "/ping", Handler: jsonOK}, // recorded even for a probe, as it has a name
					{Path: "/reports", Handler: func(r Request) { klime.Track(r.Context(), "Done", nil); jsonOK(r) }},
				},
			},
			requests: []call{
				get("/internal/cleanup"),
				{path: "/healthz", header: probe()},
				{method: http.MethodOptions, path: "/reports", header: http.Header{"Access-Control-Request-Method": {"POST"}}},
				{path: "/ping", header: probe()},
				{path: "/reports", header: probe()}, // the User-Agent alone does not make it a health check
			},
			want: []string{
				`{"type":"track","event":"Pinged","userId":"jane","properties":{"method":"GET","route":"/ping","status":200,"requestBytes":0,"responseBytes":2}}`,
				`{"type":"track","event":"Done","userId":"jane"}`,
			},
		},
		{
			name: "paths are decoded",
			app: App{
				UserID:  jane,
				Options: []klime.Option{klime.IgnoreRoutes("/files/größe/*", "/files/100%", "/files/my{any}report", "/files/{any}/x"), klime.Capture(klime.Path)},
				Routes: []Route{
					{Path: "/files/{rest...}", Handler: func(r Request) { klime.Track(r.Context(), "Done", nil); jsonOK(r) }},
				},
			},
			requests: []call{
				get("/files/gr%C3%B6%C3%9Fe/1"), get("/files/gr%c3%b6%C3%9Fe"), get("/files/100%25"), get("/files/my%20report"),
				get("/files/*/x"), get("/files/%2A/x"), get("/files/a%20b/+1"), get("/files/100%2525"),
			},
			want: []string{
				`{"type":"track","event":"Done","userId":"jane"}`,
				`{"type":"track","event":"API Called","userId":"jane","properties":{"method":"GET","route":"/files/*","path":"/files/a b/+1","status":200,"requestBytes":0,"responseBytes":2}}`,
				`{"type":"track","event":"Done","userId":"jane"}`,
				`{"type":"track","event":"API Called","userId":"jane","properties":{"method":"GET","route":"/files/*","path":"/files/100%25","status":200,"requestBytes":0,"responseBytes":2}}`,
			},
		},
		{
			name: "a path that the handler changes was not asked for", // as in a proxy
			app: App{
				UserID: jane,
				Options: []klime.Option{
					klime.SkipRoutes("/api/internal/*"), klime.NameRoutes(map[string]string{"GET /api/orders": "Orders Viewed"}), klime.Capture(klime.Path),
				},
				Routes: []Route{{Path: "/api/{rest...}", Handler: func(r Request) {
					setPath(r, "/health")
					jsonOK(r)
				}}},
			},
			requests: []call{get("/api/health"), get("/api/internal/jobs"), get("/api/orders")},
			want: []string{
				`{"type":"track","event":"API Called","userId":"jane","properties":{"method":"GET","route":"/api/*","path":"/api/health","status":200,"requestBytes":0,"responseBytes":2}}`,
				`{"type":"track","event":"Orders Viewed","userId":"jane","properties":{"method":"GET","route":"/api/*","path":"/api/orders","status":200,"requestBytes":0,"responseBytes":2}}`,
			},
		},
		{
			name: "classified by a header", // which the app spells in its own way
			app: App{
				UserID: jane,
				Options: []klime.Option{klime.ClassifyWith(func(x klime.Exchange, k klime.Kind) klime.Kind {
					if x.Header("x-internal") != "" {
						return klime.KindNoise
					}
					return k
				})},
				Routes: []Route{{Path: "/", Handler: jsonOK}},
			},
			requests: []call{{path: "/", header: http.Header{"X-Internal": {"1"}}}, get("/")},
			want:     []string{called},
		},
		{
			name: "the middleware twice is one event",
			app:  App{UserID: jane, Twice: true, Routes: []Route{{Path: "/", Handler: jsonOK}}}, requests: []call{get("/")},
			want: []string{called},
		},
		{
			name: "named, and fails",
			app: App{
				UserID: jane, Options: []klime.Option{klime.NameRoutes(map[string]string{"GET /table": "Table Viewed"})},
				Routes: []Route{
					{Path: "/named", Event: "Report Viewed", Handler: reply(http.StatusInternalServerError, appJSON, `{}`)},
					{Path: "/table", Handler: reply(http.StatusInternalServerError, appJSON, `{}`)},
					{Path: "/unnamed", Handler: reply(http.StatusInternalServerError, appJSON, `{}`)},
				},
			},
			requests: []call{
				{path: "/named", header: http.Header{"Sec-Purpose": {"prefetch"}}, status: http.StatusInternalServerError},
				{path: "/table", header: probe(), status: http.StatusInternalServerError},
				{path: "/unnamed", header: probe(), status: http.StatusInternalServerError},
			},
			want: []string{
				`{"type":"track","event":"API Called","userId":"jane","properties":{"method":"GET","route":"/named","status":500,"requestBytes":0,"responseBytes":2}}`,
				`{"type":"track","event":"API Called","userId":"jane","properties":{"method":"GET","route":"/table","status":500,"requestBytes":0,"responseBytes":2}}`,
			},
		},
	}
}
