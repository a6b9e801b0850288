package conformance

import (
	"net/http"
	"time"

	klime "github.com/klimeapp/klime-go/core"
)

const (
	textPlain = "text/plain; charset=utf-8"
	textHTML  = "text/html; charset=utf-8"
	appJSON   = "application/json"
)

func reply(status int, contentType, body string) func(Request) {
	return func(r Request) { r.Reply(status, contentType, body) }
}

// jane is a resolver that always knows who it is.
func jane(Request) any { return "jane" }

// requestCases: what is recorded of a request.
func requestCases() []testCase {
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
			name: "methods and answers without a body",
			app: App{UserID: jane, Routes: []Route{
				{Method: http.MethodHead, Path: "/thing", Handler: reply(http.StatusOK, appJSON, "")},
				{Method: http.MethodOptions, Path: "/thing", Handler: reply(http.StatusNoContent, "", "")},
				{Path: "/fresh", Handler: reply(http.StatusNotModified, "", "")},
			}},
			requests: []call{
				{method: http.MethodHead, path: "/thing"},
				{method: http.MethodOptions, path: "/thing", status: http.StatusNoContent},
				{path: "/fresh", status: http.StatusNotModified, header: http.Header{"Sec-Fetch-Dest": {"document"}}},
				{path: "/fresh", status: http.StatusNotModified, header: http.Header{"Sec-Fetch-Dest": {"image"}}},
				{path: "/fresh", status: http.StatusNotModified, header: http.Header{"Sec-Fetch-Dest": {"empty"}}},
			},
			want: []string{
				`{"type":"track","event":"Page Viewed","userId":"jane","properties":{"method":"GET","route":"/fresh","status":304,"requestBytes":0,"responseBytes":0}}`,
				`{"type":"track","event":"API Called","userId":"jane","properties":{"method":"GET","route":"/fresh","status":304,"requestBytes":0,"responseBytes":0}}`,
			},
		},
		{
			name: "answers that net/http completes",
			app: App{UserID: jane, Routes: []Route{
				{Path: "/untyped", Handler: reply(http.StatusOK, "", "<!doctype html><p>")},
				{Path: "/bare", Handler: reply(0, "", "just text")},
				{Path: "/hinted", Handler: func(r Request) {
					w, _ := r.HTTP()
					w.Header().Set("Link", "</style.css>; rel=preload")
					w.WriteHeader(http.StatusEarlyHints)
					r.Reply(http.StatusAccepted, appJSON, `{}`)
				}},
			}},
			requests: []call{
				get("/untyped"), get("/bare"), {path: "/hinted", status: http.StatusAccepted},
			},
			want: []string{
				`{"type":"track","event":"Page Viewed","userId":"jane","properties":{"method":"GET","route":"/untyped","status":200,"requestBytes":0,"responseBytes":18}}`,
				`{"type":"track","event":"API Called","userId":"jane","properties":{"method":"GET","route":"/bare","status":200,"requestBytes":0,"responseBytes":9}}`,
				`{"type":"track","event":"API Called","userId":"jane","properties":{"method":"GET","route":"/hinted","status":202,"requestBytes":0,"responseBytes":2}}`,
			},
			needs: netHTTP,
		},
		{
			name: "status and sizes",
			app: App{UserID: jane, Routes: []Route{
				{Method: http.MethodPost, Path: "/made", Handler: reply(http.StatusCreated, appJSON, `{"id":1}`)},
				{Path: "/gone", Handler: reply(http.StatusNotFound, appJSON, `{}`)},
				{Path: "/broken", Handler: reply(http.StatusInternalServerError, appJSON, `{}`)},
				{Method: http.MethodDelete, Path: "/nothing", Handler: reply(http.StatusNoContent, "", "")},
				{Method: http.MethodPut, Path: "/silent", Handler: func(Request) {}},
			}},
			requests: []call{
				{method: http.MethodPost, path: "/made", body: "hello", status: http.StatusCreated},
				{path: "/gone", status: http.StatusNotFound},
				{path: "/broken", status: http.StatusInternalServerError},
				{method: http.MethodDelete, path: "/nothing", status: http.StatusNoContent},
				{method: http.MethodPut, path: "/silent"},
			},
			want: []string{
				`{"type":"track","event":"API Called","userId":"jane","properties":{"method":"POST","route":"/made","status":201,"requestBytes":5,"responseBytes":8}}`,
				`{"type":"track","event":"API Called","userId":"jane","properties":{"method":"GET","route":"/gone","status":404,"requestBytes":0,"responseBytes":2}}`,
				`{"type":"track","event":"API Called","userId":"jane","properties":{"method":"GET","route":"/broken","status":500,"requestBytes":0,"responseBytes":2}}`,
				`{"type":"track","event":"API Called","userId":"jane","properties":{"method":"DELETE","route":"/nothing","status":204,"requestBytes":0,"responseBytes":0}}`,
				`{"type":"track","event":"API Called","userId":"jane","properties":{"method":"PUT","route":"/silent","status":200,"requestBytes":0,"responseBytes":0}}`,
			},
		},
		{
			name: "page against API",
			app: App{UserID: jane, Routes: []Route{
				{Path: "/page", Handler: reply(http.StatusOK, textHTML, "<p>")},
				{Path: "/text", Handler: reply(http.StatusOK, textPlain, "hi")},
				{Path: "/style.css", Handler: reply(http.StatusOK, "text/css", "p{}")},
				{Path: "/moved", Handler: func(r Request) { r.Reply(http.StatusFound, "", "") }},
				{Method: http.MethodPost, Path: "/page", Handler: reply(http.StatusOK, textHTML, "<p>")},
			}},
			requests: []call{
				get("/page"),
				{path: "/page", header: http.Header{"Hx-Request": {"true"}}},
				{path: "/page", header: http.Header{"Sec-Purpose": {"prefetch"}}},
				get("/text"),
				get("/style.css"),
				{path: "/moved", status: http.StatusFound},
				{method: http.MethodPost, path: "/page"},
			},
			want: []string{
				`{"type":"track","event":"Page Viewed","userId":"jane","properties":{"method":"GET","route":"/page","status":200,"requestBytes":0,"responseBytes":3}}`,
				`{"type":"track","event":"API Called","userId":"jane","properties":{"method":"GET","route":"/page","status":200,"requestBytes":0,"responseBytes":3}}`,
				`{"type":"track","event":"API Called","userId":"jane","properties":{"method":"GET","route":"/text","status":200,"requestBytes":0,"responseBytes":2}}`,
				`{"type":"track","event":"API Called","userId":"jane","properties":{"method":"POST","route":"/page","status":200,"requestBytes":0,"responseBytes":3}}`,
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

// identityCases: whose request it is.
func identityCases() []testCase {
	jsonOK := reply(http.StatusOK, appJSON, `{}`)
	said := Route{Path: "/", Handler: func(r Request) {
		klime.SetUser(r.Context(), "mary")
		klime.SetGroup(r.Context(), "acme")
		jsonOK(r)
	}}
	keep := func(pairs ...any) Middleware {
		return func(r Request, next func(Request)) {
			for i := 0; i < len(pairs); i += 2 {
				key, _ := pairs[i].(string)
				r = r.Keep(key, pairs[i+1])
			}
			next(r)
		}
	}
	replace := func(r Request, next func(Request)) { next(r.Replace(replaced{}, "x")) }
	timeout := func(r Request, next func(Request)) {
		inner, cancel := r.WithCancel()
		defer cancel()
		next(inner)
	}
	const maryAtAcme = `{"type":"track","event":"API Called","userId":"mary","groupId":"acme",` +
		`"properties":{"method":"GET","route":"/","status":200,"requestBytes":0,"responseBytes":2}}`
	return []testCase{
		{
			name: "nobody",
			app:  App{Routes: []Route{{Path: "/", Handler: jsonOK}}}, requests: []call{get("/")},
		},
		{
			name: "set in the handler",
			app:  App{Routes: []Route{said}}, requests: []call{get("/")}, want: []string{maryAtAcme},
		},
		{
			name: "set behind a middleware that replaced the request",
			app:  App{Inside: []Middleware{replace, replace}, Routes: []Route{said}}, requests: []call{get("/")},
			want: []string{maryAtAcme},
		},
		{
			name: "set in a goroutine that ends before the handler",
			app: App{Routes: []Route{{Path: "/", Handler: func(r Request) {
				ctx, done := r.Context(), make(chan struct{})
				go func() {
					defer close(done)
					klime.SetUser(ctx, "mary")
					klime.SetGroup(ctx, "acme")
				}()
				<-done
				jsonOK(r)
			}}}},
			requests: []call{get("/")}, want: []string{maryAtAcme},
		},
		{
			name: "found by our middleware once more, behind the auth middleware",
			app: App{
				UserID:       func(r Request) any { return r.Value("account") },
				GroupID:      func(Request) any { return "acme" },
				Inside:       []Middleware{keep("account", "mary")},
				UserIDInside: func(r Request) any { return r.Value("account") },
				Routes:       []Route{{Path: "/", Handler: jsonOK}},
			},
			requests: []call{get("/")}, want: []string{maryAtAcme},
		},
		{
			name: "set behind a middleware that ends its own context",
			app:  App{Inside: []Middleware{timeout}, Routes: []Route{said}}, requests: []call{get("/")},
			want: []string{maryAtAcme},
		},
		{
			name: "kept by an auth middleware inside",
			app: App{
				UserID:  func(r Request) any { return r.Value("account") },
				GroupID: func(r Request) any { return r.Value("tenant") },
				Inside:  []Middleware{keep("account", "mary", "tenant", "acme")},
				Routes:  []Route{{Path: "/", Handler: jsonOK}},
			},
			requests: []call{get("/")}, want: []string{maryAtAcme}, needs: keepsInPlace,
		},
		{
			name: "set over what the resolvers say",
			app:  App{UserID: jane, GroupID: jane, Routes: []Route{said}}, requests: []call{get("/")},
			want: []string{maryAtAcme},
		},
		{
			name: "kept by an auth middleware outside",
			app: App{
				Outside: []Middleware{keep("userId", "mary", "groupId", "acme")},
				Routes:  []Route{{Path: "/", Handler: jsonOK}},
			},
			requests: []call{get("/")}, want: []string{maryAtAcme},
		},
		{
			name: "found by resolvers in what an auth middleware kept",
			app: App{
				UserID:  func(r Request) any { return r.Value("account") },
				GroupID: func(r Request) any { return r.Value("tenant") },
				Outside: []Middleware{keep("account", int64(7), "tenant", time.Month(3))}, // an integer, a Stringer
				Routes:  []Route{{Path: "/", Handler: jsonOK}},
			},
			requests: []call{get("/")},
			want: []string{`{"type":"track","event":"API Called","userId":"7","groupId":"March",` +
				`"properties":{"method":"GET","route":"/","status":200,"requestBytes":0,"responseBytes":2}}`},
		},
		{
			name: "a resolver's group is only a claim",
			app: App{
				UserID:  func(r Request) any { return r.Header("X-User") },
				GroupID: func(r Request) any { return r.Header("X-Group") },
				Routes: []Route{
					{Path: "/ok", Handler: jsonOK},
					{Path: "/forbidden", Handler: reply(http.StatusForbidden, appJSON, `{}`)},
				},
			},
			requests: []call{
				{path: "/ok", header: http.Header{"X-Group": {"acme"}}},
				{path: "/forbidden", header: http.Header{"X-Group": {"acme"}, "X-User": {"eve"}}, status: http.StatusForbidden},
				{path: "/ok", header: http.Header{"X-Group": {"acme"}, "X-User": {"mary"}}},
			},
			want: []string{
				`{"type":"track","event":"API Called","userId":"eve","properties":{"method":"GET","route":"/forbidden","status":403,"requestBytes":0,"responseBytes":2}}`,
				`{"type":"track","event":"API Called","userId":"mary","groupId":"acme","properties":{"method":"GET","route":"/ok","status":200,"requestBytes":0,"responseBytes":2}}`,
			},
		},
		{
			name:     "a resolver that panics knows nobody",
			app:      App{UserID: func(Request) any { panic("no session") }, Routes: []Route{{Path: "/", Handler: jsonOK}}},
			requests: []call{get("/")},
		},
		{
			name: "tracked in the handler",
			app: App{
				UserID: jane,
				Routes: []Route{{Path: "/", Handler: func(r Request) {
					klime.Track(r.Context(), "Report Generated", klime.Properties{"pages": 3})
					klime.SetGroup(r.Context(), "acme")
					klime.Track(r.Context(), "Report Sent", nil, klime.ForUser("john"))
					klime.Track(r.Context(), "Quota Reached", nil, klime.ForGroup("globex"))
					jsonOK(r)
				}}},
			},
			requests: []call{get("/")},
			want: []string{
				`{"type":"track","event":"Report Generated","userId":"jane","properties":{"pages":3}}`,
				`{"type":"track","event":"Report Sent","userId":"john"}`,
				`{"type":"track","event":"Quota Reached","groupId":"globex"}`,
				`{"type":"track","event":"API Called","userId":"jane","groupId":"acme","properties":{"method":"GET","route":"/","status":200,"requestBytes":0,"responseBytes":2}}`,
			},
		},
		{
			name: "linked on every request, sent once",
			app: App{
				Link: func(r Request) (klime.User, []klime.Group) {
					if r.Header("X-User") == "" {
						return klime.User{}, nil
					}
					return klime.User{ID: "mary", Traits: klime.Traits{"email": "mary@acme.test"}},
						[]klime.Group{{ID: "acme", Traits: klime.Traits{"plan": "pro"}}}
				},
				Routes: []Route{{Path: "/", Handler: jsonOK}},
			},
			requests: []call{
				get("/"),
				{path: "/", header: http.Header{"X-User": {"mary"}}},
				{path: "/", header: http.Header{"X-User": {"mary"}}},
			},
			want: []string{
				`{"type":"identify","userId":"mary","traits":{"email":"mary@acme.test"}}`,
				`{"type":"group","userId":"mary","groupId":"acme","traits":{"plan":"pro"}}`,
				maryAtAcme, maryAtAcme,
			},
		},
	}
}

// replaced is a context key of an app.
type replaced struct{}

// tuningCases: what the app says of a request's event.
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
			name: "the middleware twice is one event",
			app:  App{UserID: jane, Twice: true, Routes: []Route{{Path: "/", Handler: jsonOK}}}, requests: []call{get("/")},
			want: []string{called},
		},
	}
}
