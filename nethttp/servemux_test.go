package nethttp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
	"github.com/klimeapp/klime-go/nethttp"
)

// record serves requests such as "POST /things" and returns their events as
// "POST /things 201", with "-" for no route.
func record(t *testing.T, build func(*klime.Client) http.Handler, requests ...string) string {
	t.Helper()
	server := klimetest.NewServer(t)
	client := server.Client()
	handler := build(client)
	for _, request := range requests {
		method, path, _ := strings.Cut(request, " ")
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody))
	}
	if err := client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range server.Events() {
		route, known := e.Properties["route"].(string)
		if !known {
			route = "-"
		}
		got = append(got, fmt.Sprint(e.Properties["method"], " ", route, " ", e.Properties["status"]))
	}
	return strings.Join(got, ", ")
}

// jane says that Jane makes every request.
func jane() klime.Option { return nethttp.UserID(func(*http.Request) string { return "jane" }) }

// status is a handler that answers with this status code.
func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// replace is a middleware that replaces the request, to put a value into its context.
func replace(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, 1)))
	})
}

type key struct{}

// inner is a mux to be mounted behind a prefix.
func inner() *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("GET /things/{id}", status(http.StatusOK))
	mux.Handle("POST /things/{id}/", status(http.StatusCreated))
	mux.Handle("GET /gone", status(http.StatusNotFound)) // its own 404
	mux.Handle("POST /moved", http.RedirectHandler("/", http.StatusSeeOther))
	return mux
}

var toInner = []string{ //nolint:gochecknoglobals // a table
	"GET /api/things/1", "GET /api/things/1?q=/things/1", "POST /api/things/1/x", "GET /api/gone", "POST /api/moved",
	"GET /api/nowhere", "DELETE /api/things/1", "POST /api/things/1", "POST /api//things/1/x", "GET /api",
}

const ofInner = "GET /api/things/{id} 200, GET /api/things/{id} 200, POST /api/things/{id}/* 201, GET /api/gone 404, POST /api/moved 303"

// Middleware around a mux behind http.StripPrefix knows the whole route.
func TestStripPrefix(t *testing.T) {
	t.Parallel()
	plain := func(next http.Handler) http.Handler { return next }
	for _, test := range []struct {
		name    string
		outside func(*klime.Client, *http.ServeMux) func(http.Handler) http.Handler
		inside  func(*klime.Client, *http.ServeMux) func(http.Handler) http.Handler
		between func(http.Handler) http.Handler
	}{
		{"joined", outermost, joined, plain},
		{"alone", nobody, alone, plain},
		{"request replaced on the way to the outer mux", replacing, joined, plain},
		{"request replaced on the way to the inner mux", outermost, askingMux, replace},
		{"mux asked for nothing", outermost, askingMux, plain},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := record(t, func(client *klime.Client) http.Handler {
				in, out := inner(), http.NewServeMux()
				out.Handle("/api/", http.StripPrefix("/api", test.inside(client, in)(test.between(in))))
				return test.outside(client, out)(out)
			}, toInner...)
			if got != ofInner {
				t.Errorf("\n got %s\nwant %s", got, ofInner)
			}
		})
	}
}

func outermost(c *klime.Client, _ *http.ServeMux) func(http.Handler) http.Handler {
	return nethttp.Middleware(c, jane())
}

func replacing(c *klime.Client, mux *http.ServeMux) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return nethttp.Middleware(c, jane(), nethttp.Mux(mux))(replace(next))
	}
}

func nobody(*klime.Client, *http.ServeMux) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler { return next }
}

func joined(c *klime.Client, _ *http.ServeMux) func(http.Handler) http.Handler {
	return nethttp.Middleware(c)
}

func alone(c *klime.Client, _ *http.ServeMux) func(http.Handler) http.Handler {
	return nethttp.Middleware(c, jane())
}

func askingMux(c *klime.Client, mux *http.ServeMux) func(http.Handler) http.Handler {
	return nethttp.Middleware(c, nethttp.Mux(mux))
}

// StripPrefix may take more or less than the outer pattern names, and it may take an ID.
func TestStripPrefixIsNotThePattern(t *testing.T) {
	t.Parallel()
	got := record(t, func(client *klime.Client) http.Handler {
		in := http.NewServeMux()
		in.Handle("GET /things/{id}", status(http.StatusOK))
		in.Handle("GET /v1/things/{id}", status(http.StatusOK))
		around := nethttp.Middleware(client)
		tenant := func(w http.ResponseWriter, r *http.Request) {
			prefix, _, _ := strings.Cut(r.URL.Path, "/things/")
			http.StripPrefix(prefix, around(in)).ServeHTTP(w, r)
		}
		mux := http.NewServeMux()
		mux.HandleFunc("/tenants/{tenant}/", tenant)
		mux.HandleFunc("/customers/", tenant) // more than the pattern
		mux.Handle("/api/v1/", http.StripPrefix("/api", around(in)))
		mux.Handle("example.com/whole/{rest...}", http.StripPrefix("/whole", around(in)))
		mux.Handle("/forms/{kind}/", http.StripPrefix("/forms", around(status(http.StatusSeeOther)))) // no mux
		between := http.NewServeMux()
		between.Handle("/v1/{kind}/", http.StripPrefix("/v1", around(in)))
		mux.Handle("/two/", http.StripPrefix("/two", between))
		return nethttp.Middleware(client, jane())(mux)
	}, "GET /tenants/acme/things/1", "GET /tenants/acme/things/a%2Fb", "GET /customers/acme/things/1", "GET /api/v1/things/1", "GET /whole/things/1",
		"GET http://example.com/whole/things/1", "POST /forms/x/", "POST /forms/x/y", "GET /two/v1/things/1")
	const want = "GET /tenants/{tenant}/things/{id} 200, GET /tenants/{tenant}/things/{id} 200, GET /customers/* 200, " +
		"GET /api/v1/things/{id} 200, GET /whole/things/{id} 200, GET /whole/things/{id} 200, POST /forms/{kind}/* 303, POST /forms/{kind}/* 303, GET /two/* 200"
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// Behind several muxes and stripped prefixes, the route is still the whole one.
func TestNestedMuxes(t *testing.T) {
	t.Parallel()
	// The middle mux leads to a mux, one with its own pattern, a handler, another router, and a mux behind one more
	// prefix, whose pattern only a Middleware around the middle mux tells.
	const requests = "GET /rss/v1/feeds/7, GET /rss/v1/gone, GET /rss/v1/none, POST /rss/login, GET /rss/leaf/7, GET /rss/v1/r/7, " +
		"POST /rss/more/things/7, GET /rss/none"
	const want = "GET /rss/v1/feeds/{id} 200, GET /rss/v1/gone 404, POST /rss/login 200, GET /rss/leaf/{id} 200, GET /rss/v1/r/{id} 200, "
	const told, notTold = want + "POST /rss/more/things/{id} 200", want + "POST /rss/* 200"
	same := func(next http.Handler) http.Handler { return next }
	for name, test := range map[string]struct {
		base            string                          // what is stripped outside everything
		mid             bool                            // there is a Middleware around the middle mux
		outside, inside func(http.Handler) http.Handler // in front of the outermost mux and of the inner ones
		want            string
	}{
		"Middleware around two":            {"", false, same, same, notTold},
		"Middleware around three":          {"", true, same, same, told},
		"two, the request replaced":        {"", false, same, replace, notTold},
		"three, the request replaced":      {"", true, replace, replace, told},
		"two, all behind another prefix":   {"/base", false, same, replace, notTold},
		"three, all behind another prefix": {"/base", true, replace, same, told},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := record(t, func(client *klime.Client) http.Handler {
				around := func(mux *http.ServeMux) http.Handler {
					return nethttp.Middleware(client, nethttp.Mux(mux))(test.inside(mux))
				}
				api, login, more := http.NewServeMux(), http.NewServeMux(), http.NewServeMux()
				api.Handle("GET /v1/feeds/{id}", status(http.StatusOK))
				api.Handle("GET /v1/gone", status(http.StatusNotFound))
				login.Handle("POST /login", status(http.StatusOK))
				more.Handle("/things/{id}", status(http.StatusOK))
				router := nethttp.Route(func(*http.Request) string { return "/v1/r/{id}" })

				mid := http.NewServeMux()
				mid.Handle("/v1/", around(api))
				mid.Handle("POST /login", around(login))
				mid.Handle("/leaf/{id}", nethttp.Middleware(client)(status(http.StatusOK)))
				mid.Handle("/v1/r/", nethttp.Middleware(client, router)(status(http.StatusOK)))
				mid.Handle("/more/", http.StripPrefix("/more", around(more)))
				var app http.Handler = mid
				if test.mid {
					app = around(mid)
				}
				root := http.NewServeMux()
				root.Handle("/rss/", http.StripPrefix("/rss", app))
				return http.StripPrefix(test.base, nethttp.Middleware(client, jane(), nethttp.Mux(root))(test.outside(root)))
			}, strings.Split(strings.ReplaceAll(requests, " /", " "+test.base+"/"), ", ")...)
			if got != test.want {
				t.Errorf("\n got %s\nwant %s", got, test.want)
			}
		})
	}
}

// A Middleware further in, which sees only the pattern of a mux further out, does not hide
// the route that the one around it knows, whether that has joined another or not.
func TestMiddlewareFurtherIn(t *testing.T) {
	t.Parallel()
	for _, outermost := range []bool{false, true} {
		got := record(t, func(client *klime.Client) http.Handler {
			api := http.NewServeMux()
			api.Handle("GET /api/things/{id}", status(http.StatusOK))
			api.Handle("GET /api/files/{path...}", status(http.StatusOK))
			furtherIn := nethttp.Middleware(client, jane())(replace(api))
			root := http.NewServeMux()
			root.Handle("/api/", nethttp.Middleware(client, nethttp.Mux(api))(replace(furtherIn)))
			if !outermost {
				return root
			}
			return nethttp.Middleware(client, nethttp.Mux(root))(root)
		}, "GET /api/things/1", "POST /api/things/1", "GET /api/nowhere", "GET /api/files/a/b")
		if want := "GET /api/things/{id} 200, GET /api/files/* 200"; got != want {
			t.Errorf("with one around all: %v\n got %s\nwant %s", outermost, got, want)
		}
	}
}

// Further out, a Route may know no more than a prefix.
func TestRouteIsAPrefix(t *testing.T) {
	t.Parallel()
	got := record(t, func(client *klime.Client) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("GET /api/files/{path...}", status(http.StatusOK))
		mux.Handle("GET /api/things/{id}", status(http.StatusOK))
		prefix := nethttp.Route(func(*http.Request) string { return "/api" })
		return nethttp.Middleware(client, prefix)(nethttp.Middleware(client, jane(), nethttp.Mux(mux))(mux))
	}, "GET /api/things/1", "GET /api/files/a/b")
	if want := "GET /api/things/{id} 200, GET /api/files/* 200"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A mux inside http.StripPrefix, and a Middleware in it, know nothing of the prefix:
// it is missing from both path and route. A Middleware outside StripPrefix goes by the
// whole path.
func TestMuxInsideStripPrefix(t *testing.T) {
	t.Parallel()
	byPattern := nethttp.Route(func(r *http.Request) string { return r.Pattern })
	for _, test := range []struct {
		name          string
		outside       []klime.Option // nil for none
		inside        []klime.Option
		around        bool // the inner Middleware stands around the mux
		paths, wanted string
	}{
		{
			name: "alone", inside: []klime.Option{jane(), klime.IgnoreRoutes("/static/*")},
			paths: "/api/static/1 /api/reports/7", wanted: "API Called /reports/7 /reports/{id}",
		},
		{
			name: "around the mux, by its pattern", inside: []klime.Option{jane(), byPattern}, around: true,
			paths: "/api/acme/1/things", wanted: "API Called /acme/1/things /{org}/{id}/things",
		},
		{
			name: "joined", inside: []klime.Option{jane()},
			outside: []klime.Option{klime.SkipRoutes("/api/static/*"), klime.NameRoutes(map[string]string{"/api/reports/{id}": "Report Viewed"})},
			paths:   "/api/static/1 /api/reports/7 /api/health",
			wanted:  "Report Viewed /api/reports/7 <nil>, API Called /api/health <nil>",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := klimetest.NewServer(t)
			client := server.Client()
			inside := nethttp.Middleware(client, append(test.inside, klime.Capture(klime.Path))...)
			mux := http.NewServeMux()
			for _, pattern := range []string{"/static/{file}", "/reports/{id}", "/health", "/{org}/{id}/things"} {
				var handler http.Handler = status(http.StatusOK)
				if !test.around {
					handler = inside(handler)
				}
				mux.Handle(pattern, handler)
			}
			var app http.Handler = mux
			if test.around {
				app = inside(mux)
			}
			app = http.StripPrefix("/api", app)
			if test.outside != nil {
				app = nethttp.Middleware(client, append(test.outside, klime.Capture(klime.Path))...)(app)
			}
			for path := range strings.FieldsSeq(test.paths) {
				app.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody))
			}
			if err := client.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range server.Events() {
				got = append(got, fmt.Sprint(e.Event, " ", e.Properties["path"], " ", e.Properties["route"]))
			}
			if got := strings.Join(got, ", "); got != test.wanted {
				t.Errorf("\n got %s\nwant %s", got, test.wanted)
			}
		})
	}
}

// A Middleware inside http.StripPrefix records the whole path, just as it records the
// whole route.
func TestStripPrefixAndThePath(t *testing.T) {
	t.Parallel()
	server := klimetest.NewServer(t)
	client := server.Client()
	in := inner()
	in.Handle("GET /static/{file}", status(http.StatusOK))
	in.Handle("GET /files/", status(http.StatusOK))
	around := nethttp.Middleware(client, jane(), klime.Capture(klime.Path), klime.IgnoreRoutes("/api/static/*", "/static/*"),
		klime.SkipRoutes("/api/files/secret"))
	api := http.StripPrefix("/api", around(in))
	out := http.NewServeMux()
	out.Handle("/api/", api)
	out.Handle("/{version}/", http.StripPrefix("/v1", around(in)))
	for _, target := range []string{"/api/things/1", "/api/things/a%2Fb?q=1", "/api/static/x", "/api/files/secret", "/api/files/open", "/v1/static/x"} {
		out.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, http.NoBody))
	}
	for _, target := range []string{"/api/things/1", "/api/static/x"} { // without a mux outside, the prefix is unknown
		api.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, http.NoBody))
	}
	if err := client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range server.Events() {
		got = append(got, fmt.Sprint(e.Properties["route"], " ", e.Properties["path"]))
	}
	want := []string{
		"/api/things/{id} /api/things/1", "/api/things/{id} /api/things/a/b", "/api/files/* /api/files/open",
		"/{version}/static/{file} /v1/static/x", "/things/{id} /things/1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}

// The route is also the whole one if an app's own router has matched it.
func TestStripPrefixAndAnotherRouter(t *testing.T) {
	t.Parallel()
	got := record(t, func(client *klime.Client) http.Handler {
		tell := func(route string) http.Handler {
			return nethttp.Middleware(client, jane(), nethttp.Route(func(*http.Request) string { return route }))(status(http.StatusOK))
		}
		mux := http.NewServeMux()
		mux.Handle("/api/", http.StripPrefix("/api", tell("/r/{id}")))
		mux.Handle("/whole/", http.StripPrefix("/whole", tell("GET /whole/r/{id}")))
		mux.Handle("/orgs/", http.StripPrefix("/orgs/acme", tell("/r/{id}"))) // more than the pattern
		mux.Handle("/same/", tell("/same/r/{id}"))
		mux.Handle("/none/", http.StripPrefix("/none", tell("")))
		respell := http.RedirectHandler("/moved/x/", http.StatusTemporaryRedirect) // the app knows the prefix
		mux.Handle("/moved/", http.StripPrefix("/moved", nethttp.Middleware(client, jane())(respell)))
		return mux
	}, "POST /moved/x", "GET /api/r/1", "GET /whole/r/1", "GET /orgs/acme/r/1", "GET /same/r/1", "GET /none/r/1")
	if want := "GET /api/r/{id} 200, GET /whole/r/{id} 200, GET /orgs/* 200, GET /same/r/{id} 200, GET /none/* 200"; got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// A redirect that the mux itself answers with is no event. A redirect by a handler is.
func TestRedirectsOfTheMux(t *testing.T) {
	t.Parallel()
	requests := []string{
		"POST /dir", "POST /exact", "POST /rest", "POST /orgs/acme", "POST //leaf", "POST /x/../leaf", "POST //nowhere", "POST /dir//x",
		"POST /dir/", "POST /exact/", "POST /rest/", "POST /orgs/acme/x", "POST /leaf", "POST /wild/a%2Fb", "POST /dir/x", "POST /made/", "POST /same", "POST /UPPER",
	}
	const want = "POST /dir/* 307, POST /exact 307, POST /rest/* 307, POST /orgs/{org}/* 307, POST /leaf 307, POST /wild/{id} 307, POST /dir/* 307, " +
		"POST /made/* 303, POST /same 307"
	for _, test := range []struct {
		name    string
		outside func(*klime.Client, *http.ServeMux) func(http.Handler) http.Handler
	}{{"seen", outermost}, {"asked", replacing}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := record(t, func(client *klime.Client) http.Handler {
				mux := http.NewServeMux()
				for _, pattern := range []string{"/dir/", "/exact/{$}", "/rest/{rest...}", "/orgs/{org}/", "/leaf", "/wild/{id}"} {
					mux.Handle("POST "+pattern, http.RedirectHandler("/", http.StatusTemporaryRedirect))
				}
				mux.Handle("POST /made/", http.RedirectHandler("/made", http.StatusSeeOther))
				mux.Handle("POST /UPPER", http.RedirectHandler("/upper", http.StatusPermanentRedirect)) // as some routers do
				mux.Handle("POST /same", http.RedirectHandler("/same?again", http.StatusTemporaryRedirect))
				return test.outside(client, mux)(mux)
			}, requests...)
			if got != want {
				t.Errorf("\n got %s\nwant %s", got, want)
			}
		})
	}
}

// Behind a stripped prefix too, a redirect to the same path without its slash is no event:
// the client asks again.
func TestRedirectToTheStrippedPrefix(t *testing.T) {
	t.Parallel()
	got := record(t, func(client *klime.Client) http.Handler {
		outer := http.NewServeMux()
		for prefix, to := range map[string]string{"/rss": "/rss", "/feed": "/feed?page=2", "/atom": "/atom#new", "/other": "/others"} {
			inner := http.NewServeMux()
			inner.Handle("POST /", http.RedirectHandler(to, http.StatusPermanentRedirect))
			outer.Handle(prefix+"/", http.StripPrefix(prefix, outermost(client, nil)(inner)))
		}
		return outer
	}, "POST /rss/", "POST /feed/", "POST /atom/", "POST /other/")
	if want := "POST /other/* 308"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Without a mux, an unclean path does not mean that the mux has redirected.
func TestNoMux(t *testing.T) {
	t.Parallel()
	got := record(t, func(client *klime.Client) http.Handler {
		return nethttp.Middleware(client, jane())(status(http.StatusCreated))
	}, "POST //x", "POST /x")
	if want := "POST - 201, POST - 201"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A request that a middleware refuses before the mux still has its route, if the mux
// can be asked. So does a request that a nested mux serves.
func TestMuxIsAsked(t *testing.T) {
	t.Parallel()
	admin := http.NewServeMux()
	admin.Handle("GET /admin/users/{user}", status(http.StatusOK))
	mux := http.NewServeMux()
	mux.Handle("/admin/", admin)
	mux.Handle("GET /orgs/{org}", status(http.StatusOK))
	mux.Handle("/files/", status(http.StatusNotFound))
	requests := []string{
		"GET /orgs/acme", "GET /admin/users/1", "GET /orgs/acme?refused", "GET /admin/users/1?refused", "GET /nowhere?refused",
		"GET /admin/nowhere", "GET /files/none", "POST /orgs/acme", "GET /nowhere",
	}
	refuse := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.RawQuery == "refused" {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			replace(next).ServeHTTP(w, r)
		})
	}
	got := record(t, func(client *klime.Client) http.Handler {
		return nethttp.Middleware(client, jane(), nethttp.Mux(mux))(refuse(mux))
	}, requests...)
	const want = "GET /orgs/{org} 200, GET /admin/users/{user} 200, GET /orgs/{org} 403, GET /admin/users/{user} 403, GET - 403"
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// If the mux that is asked leads to another one, the route is that of the inner one where
// it is seen. If it is the inner one itself, it knows the route where that is not seen.
func TestMuxIsAskedAndAnotherIsSeen(t *testing.T) {
	t.Parallel()
	same := func(next http.Handler) http.Handler { return http.HandlerFunc(next.ServeHTTP) }
	for name, test := range map[string]struct {
		inner   bool // the inner mux is asked
		between func(http.Handler) http.Handler
		want    string
	}{
		"outer, seen":     {false, same, "GET /admin/users/{user} 200, GET /admin/gone 404"},
		"outer, not seen": {false, replace, "GET /{area}/* 200"},
		"inner, seen":     {true, same, "GET /admin/users/{user} 200, GET /admin/gone 404"},
		"inner, not seen": {true, replace, "GET /admin/users/{user} 200, GET /admin/gone 404"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := record(t, func(client *klime.Client) http.Handler {
				admin, mux := http.NewServeMux(), http.NewServeMux()
				admin.Handle("GET /admin/users/{user}", status(http.StatusOK))
				admin.Handle("GET /admin/gone", status(http.StatusNotFound))
				mux.Handle("/{area}/", test.between(admin))
				asked := mux
				if test.inner {
					asked = admin
				}
				return nethttp.Middleware(client, jane(), nethttp.Mux(asked))(mux)
			}, "GET /admin/users/1", "GET /admin/gone", "GET /admin/none")
			if got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// A mux outside says nothing of the one that is asked, even if its pattern would fit.
func TestMuxIsAskedInsideAnother(t *testing.T) {
	t.Parallel()
	got := record(t, func(client *klime.Client) http.Handler {
		inner, outer := http.NewServeMux(), http.NewServeMux()
		inner.Handle("GET /{area}/{page}", status(http.StatusOK))
		outer.Handle("/admin/", nethttp.Middleware(client, jane(), nethttp.Mux(inner))(status(http.StatusForbidden)))
		return outer
	}, "GET /admin/users")
	if want := "GET /{area}/{page} 403"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The route is that of the request as it came, even if the handler changes its path
// or host, as a proxy does.
func TestRequestChangedByTheHandler(t *testing.T) {
	t.Parallel()
	same := func(next http.Handler) http.Handler { return next }
	for _, test := range []struct {
		name    string
		mux     bool // with the option Mux
		between func(http.Handler) http.Handler
	}{
		{"seen", false, same},
		{"asked too", true, same},
		{"asked, as the request is replaced", true, replace},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := record(t, func(client *klime.Client) http.Handler {
				upstream := func(_ http.ResponseWriter, r *http.Request) {
					r.Host, r.URL.Path, r.URL.RawPath = "upstream", strings.TrimPrefix(r.URL.Path, "/proxy"), ""
				}
				mux := http.NewServeMux()
				mux.HandleFunc("DELETE /users/{id}", upstream)
				mux.HandleFunc("/proxy/", upstream)
				mux.HandleFunc("acme.com/reports/{id}", upstream)
				mux.HandleFunc("/files/{name}", upstream)
				mux.HandleFunc("/api/", upstream)
				mux.HandleFunc("/", upstream)
				opts := []klime.Option{jane()}
				if test.mux {
					opts = append(opts, nethttp.Mux(mux))
				}
				return nethttp.Middleware(client, opts...)(test.between(mux))
			}, "DELETE /proxy/users/5", "DELETE /users/5", "GET http://acme.com/reports/7", "GET /reports/7", "GET /files/a%2Fb")
			const want = "DELETE /proxy/* 200, DELETE /users/{id} 200, GET /reports/{id} 200, GET /* 200, GET /files/{name} 200"
			if got != want {
				t.Errorf("\n got %s\nwant %s", got, want)
			}
		})
	}
}

// So it is if a middleware in between has changed the request, and then answers itself.
func TestRequestChangedAndRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(r *http.Request){
		"host":     func(r *http.Request) { r.Host = "upstream" },
		"path":     func(r *http.Request) { r.URL.Path = "/elsewhere" },
		"raw path": func(r *http.Request) { r.URL.RawPath = "/reports/a/b" },
		"URL":      func(r *http.Request) { r.URL = &url.URL{Path: "/elsewhere"} },
		"no URL":   func(r *http.Request) { r.URL = nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := record(t, func(client *klime.Client) http.Handler {
				mux := http.NewServeMux()
				mux.Handle("acme.com/reports/{id}", status(http.StatusOK))
				mux.Handle("/", status(http.StatusOK))
				return nethttp.Middleware(client, jane(), nethttp.Mux(mux))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					change(r)
					w.WriteHeader(http.StatusForbidden)
				}))
			}, "GET http://acme.com/reports/a%2Fb")
			if want := "GET /reports/{id} 403"; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// The option Mux does its work with an adapter of one's own, which does not tell it how the
// request came.
func TestMuxWithAnotherAdapter(t *testing.T) {
	t.Parallel()
	got := record(t, func(client *klime.Client) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("/reports/{id}", status(http.StatusOK))
		tracker := klime.NewTracker(client, jane(), nethttp.Mux(mux))
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			scope := tracker.Begin(r.Context())
			scope.Bind(r, nil)
			replace(mux).ServeHTTP(w, r)
			tracker.Observe(scope, klime.Exchange{Method: r.Method, Path: r.URL.Path, Status: http.StatusOK, Start: time.Now()})
		})
	}, "GET /reports/7")
	if want := "GET /reports/{id} 200"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A path that the handler changes does not look as if StripPrefix had changed it.
func TestPathChangedByTheHandlerInsideOfAMux(t *testing.T) {
	t.Parallel()
	upstream := func(prefix string) http.HandlerFunc {
		return func(_ http.ResponseWriter, r *http.Request) { r.URL.Path = strings.TrimPrefix(r.URL.Path, prefix) }
	}
	got := record(t, func(client *klime.Client) http.Handler {
		in := http.NewServeMux()
		in.Handle("/api/proxy/", upstream("/api/proxy"))
		out := http.NewServeMux()
		out.Handle("/api/", nethttp.Middleware(client, jane())(in))
		router := nethttp.Route(func(*http.Request) string { return "/{org}/proxy/{id}" })
		out.Handle("/{org}/", nethttp.Middleware(client, jane(), router)(upstream("/acme")))
		return out
	}, "GET /api/proxy/users/5", "GET /acme/proxy/7")
	if want := "GET /api/proxy/* 200, GET /{org}/proxy/{id} 200"; got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// If the path is changed on the way to the mux, the route is the pattern that the
// changed path matches.
func TestPathChangedInFrontOfTheMux(t *testing.T) {
	t.Parallel()
	got := record(t, func(client *klime.Client) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("/things/{id}", status(http.StatusOK))
		mux.Handle("/", status(http.StatusOK))
		return nethttp.Middleware(client, jane(), nethttp.Mux(mux))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.URL.Path = strings.TrimPrefix(r.URL.Path, "/v1")
			mux.ServeHTTP(w, r)
		}))
	}, "GET /v1/things/7")
	if want := "GET /things/{id} 200"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Answers of net/http's own handlers inside are seen. A content type that net/http
// does not guess is not guessed by us either.
func TestHandlersInside(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /slow", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("POST /large", func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		}
	})
	server := klimetest.NewServer(t)
	client := server.Client()
	record := nethttp.Middleware(client, jane(), nethttp.Mux(mux))
	get := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/slow", http.NoBody)
	record(http.TimeoutHandler(mux, time.Nanosecond, "late")).ServeHTTP(httptest.NewRecorder(), get)
	post := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/large", strings.NewReader("too much"))
	record(http.MaxBytesHandler(mux, 3)).ServeHTTP(httptest.NewRecorder(), post)
	// Compressed, and without a type: net/http guesses none, but what compresses may.
	compressed := record(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "br")
		_, _ = w.Write([]byte("<!doctype html>"))
	}))
	for _, handler := range []http.Handler{compressed, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		compressed.ServeHTTP(guesser{w}, r)
	})} {
		srv := httptest.NewServer(handler)
		if resp, err := http.Get(srv.URL + "/page"); err == nil {
			resp.Body.Close()
		}
		srv.Close()
	}
	var got []string
	for _, e := range server.Wait(4) {
		got = append(got, fmt.Sprint(e.Event, " ", e.Properties["route"], " ", e.Properties["status"], " ", e.Properties["responseBytes"]))
	}
	want := []string{"API Called /slow 503 4", "API Called /large 413 0", "API Called <nil> 200 15", "Page Viewed <nil> 200 15"}
	if !slices.Equal(got, want) {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}

// guesser declares the type at a Write, as writers that compress do.
type guesser struct{ http.ResponseWriter }

func (g guesser) Write(p []byte) (int, error) {
	if g.Header().Get("Content-Type") == "" {
		g.Header().Set("Content-Type", http.DetectContentType(p))
	}
	return g.ResponseWriter.Write(p)
}

// A mux may stand in front of what was taken off, between two prefixes, or behind; and an
// outer pattern may match by chance what a mux further in has matched.
func TestWhereTheMuxStands(t *testing.T) {
	t.Parallel()
	stripOne := func(next http.Handler) http.Handler { // a segment, as of a tenant
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			tenant, _, _ := strings.Cut(r.URL.Path[1:], "/")
			http.StripPrefix("/"+tenant, next).ServeHTTP(w, r)
		})
	}
	on := func(pattern string, next http.Handler) http.Handler {
		mux := http.NewServeMux()
		mux.Handle(pattern, next)
		return mux
	}
	leaf := status(http.StatusOK)
	for name, test := range map[string]struct {
		build      func(m func(http.Handler) http.Handler) http.Handler
		path, want string
	}{
		"tenant, Middleware around the middle mux, request replaced": {func(m func(http.Handler) http.Handler) http.Handler {
			return m(on("/{org}/", stripOne(m(replace(on("/projects/", http.StripPrefix("/projects", m(on("/{id}", leaf)))))))))
		}, "/acme/projects/7", "GET /{org}/projects/{id} 200"},
		"tenant and kind, of one pattern, taken off one by one": {func(m func(http.Handler) http.Handler) http.Handler {
			return m(on("/{org}/{kind}/", stripOne(m(stripOne(m(on("/{id}", leaf)))))))
		}, "/acme/projects/7", "GET /{org}/{kind}/{id} 200"},
		"mux between two prefixes, around a handler": {func(m func(http.Handler) http.Handler) http.Handler {
			return m(on("/app/static/", http.StripPrefix("/app", on("/static/", http.StripPrefix("/static", m(leaf))))))
		}, "/app/static/x.json", "GET /app/static/* 200"},
		"muxes in front of the prefix, request replaced": {func(m func(http.Handler) http.Handler) http.Handler {
			return m(on("/api/", replace(on("/api/v1/", http.StripPrefix("/api", m(leaf))))))
		}, "/api/v1/7", "GET /api/v1/* 200"},
		"muxes in front of the prefix, Middleware, request replaced": {func(m func(http.Handler) http.Handler) http.Handler {
			return m(on("/api/", m(replace(on("/api/v1/", http.StripPrefix("/api", m(leaf)))))))
		}, "/api/v1/7", "GET /api/v1/* 200"},
		"exact": {func(m func(http.Handler) http.Handler) http.Handler {
			return m(on("/api/", replace(on("/api/v1/{id}", http.StripPrefix("/api", m(leaf))))))
		}, "/api/v1/7", "GET /api/v1/{id} 200"},
		"a pattern longer than what is left of the path": {func(m func(http.Handler) http.Handler) http.Handler {
			return m(on("/api/", replace(on("/{a}/{b}/7", http.StripPrefix("/api", m(leaf))))))
		}, "/api/v1/7", "GET /api/{b}/7 200"},
		"a pattern that fits in front of the prefix, and behind": {func(m func(http.Handler) http.Handler) http.Handler {
			return m(on("/api/", replace(on("/{a}/{rest...}", http.StripPrefix("/api", m(leaf))))))
		}, "/api/v1/7", "GET /api/* 200"},
		"percent-encoded pattern": {func(m func(http.Handler) http.Handler) http.Handler {
			return m(on("/my%20api/", http.StripPrefix("/my api", m(on("/{id}", leaf)))))
		}, "/my%20api/7", "GET /my%20api/{id} 200"},
		"pattern with a bad escape": {func(m func(http.Handler) http.Handler) http.Handler {
			return m(on("/100%/", http.StripPrefix("/100%", m(on("/{id}", leaf)))))
		}, "/100%25/7", "GET /100%/{id} 200"},
		"Unicode": {func(m func(http.Handler) http.Handler) http.Handler {
			return m(on("/café/", http.StripPrefix("/café", m(on("/{id}", leaf)))))
		}, "/caf%C3%A9/7", "GET /café/{id} 200"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := record(t, func(client *klime.Client) http.Handler {
				return test.build(nethttp.Middleware(client, jane()))
			}, "GET "+test.path)
			if got != test.want {
				t.Errorf("\n got %s\nwant %s", got, test.want)
			}
		})
	}
}

// A request that the app makes to itself is not on the way of the other one, even if
// neither was read by a server.
func TestWayOfARequestWithin(t *testing.T) {
	t.Parallel()
	got := record(t, func(client *klime.Client) http.Handler {
		m := nethttp.Middleware(client, jane())
		things, other, api, app := http.NewServeMux(), http.NewServeMux(), http.NewServeMux(), http.NewServeMux()
		things.Handle("/x", status(http.StatusOK))
		other.Handle("/other/", http.StripPrefix("/other", m(things)))
		api.HandleFunc("POST /x", func(_ http.ResponseWriter, r *http.Request) {
			within, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "/other/x", http.NoBody)
			if err != nil {
				t.Error(err)
				return
			}
			other.ServeHTTP(httptest.NewRecorder(), within)
		})
		app.Handle("/api/", http.StripPrefix("/api", m(api)))
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			outer, err := http.NewRequestWithContext(t.Context(), r.Method, r.URL.String(), http.NoBody)
			if err != nil {
				t.Error(err)
				return
			}
			m(app).ServeHTTP(w, outer)
		})
	}, "POST /api/x")
	if strings.Contains(got, "GET /api/x") {
		t.Errorf("the route of another request: %s", got)
	}
}

// A request that is made within another one, as if a server had read it, is on a way of its
// own.
func TestWayOfAServedRequestWithin(t *testing.T) {
	t.Parallel()
	got := record(t, func(client *klime.Client) http.Handler {
		m := nethttp.Middleware(client, jane())
		things, api, app := http.NewServeMux(), http.NewServeMux(), http.NewServeMux()
		things.Handle("/x", status(http.StatusOK))
		other := http.NewServeMux()
		other.Handle("/other/", http.StripPrefix("/other", m(things)))
		api.HandleFunc("POST /x", func(_ http.ResponseWriter, r *http.Request) {
			other.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(r.Context(), http.MethodGet, "/other/x", http.NoBody))
		})
		app.Handle("/api/", http.StripPrefix("/api", m(api)))
		return m(app)
	}, "POST /api/x")
	if want := "GET /other/x 200, POST /api/x 200"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
