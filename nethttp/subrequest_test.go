package nethttp_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
	"github.com/klimeapp/klime-go/nethttp"
)

// A request that the app makes while it serves another, with the context of that one,
// is a request of its own, at any depth. A request that is passed on remains the same
// one, even if it is copied and its path changed.
func TestRequestsWithinRequests(t *testing.T) {
	t.Parallel()
	var app http.Handler
	within := func(ctx context.Context, path string) {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, path, http.NoBody)
		if err != nil {
			t.Error(err)
			return
		}
		app.ServeHTTP(httptest.NewRecorder(), r)
	}
	server := klimetest.NewServer(t)
	client := server.Client()
	mux := http.NewServeMux()
	mux.HandleFunc("/batch", func(_ http.ResponseWriter, r *http.Request) {
		klime.SetUser(r.Context(), "u")
		within(r.Context(), "/a")
	})
	mux.HandleFunc("/a", func(_ http.ResponseWriter, r *http.Request) {
		within(r.Context(), "/b")
		within(r.Context(), "/skipped")
	})
	mux.HandleFunc("/b", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/skipped", func(_ http.ResponseWriter, r *http.Request) {
		klime.SetUser(r.Context(), "other")
		klime.Skip(r.Context())
	})
	inner := nethttp.Middleware(client)(mux)
	mux.HandleFunc("/proxy/", func(w http.ResponseWriter, r *http.Request) { // some strip a prefix this way
		passed, url := *r, *r.URL
		url.Path = "/skipped"
		passed.URL, passed.RequestURI = &url, url.RequestURI()
		inner.ServeHTTP(w, &passed)
	})
	app = nethttp.Middleware(client)(mux)
	for _, path := range []string{"/batch", "/proxy/skipped"} {
		app.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, path, http.NoBody))
	}
	if err := client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range server.Events() {
		route, _ := e.Properties["route"].(string)
		got = append(got, e.UserID+" "+route)
	}
	if want := []string{"u /b", "u /a", "u /batch"}; !slices.Equal(got, want) {
		t.Errorf("events %q, want %q", got, want)
	}
}

// A request that is ignored, and is made within another one, still tells which pattern a mux
// has matched.
func TestIgnoredRequestWithinARequest(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("/ignored", func(http.ResponseWriter, *http.Request) {})
	handler := nethttp.Middleware(klimetest.NewServer(t).Client(), klime.IgnoreRoutes("/ignored"))(mux)
	mux.HandleFunc("/", func(_ http.ResponseWriter, r *http.Request) {
		within, err := http.NewRequestWithContext(r.Context(), http.MethodPost, "/ignored", http.NoBody)
		if err != nil {
			t.Error(err)
			return
		}
		if handler.ServeHTTP(httptest.NewRecorder(), within); within.Pattern != "/ignored" {
			t.Errorf("pattern %q", within.Pattern)
		}
	})
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", http.NoBody))
}

// A request that comes over a connection is not made in the work in whose context the server
// runs, and is not silent as that is. What its handler makes is its own.
func TestServerInAWorksContext(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		set  func(s *http.Server, work context.Context)
	}{
		{"BaseContext", func(s *http.Server, work context.Context) {
			s.BaseContext = func(net.Listener) context.Context { return work }
		}},
		{"ConnContext", func(s *http.Server, work context.Context) {
			s.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
				return context.WithValue(work, http.ServerContextKey, ctx.Value(http.ServerContextKey))
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			recorder := klimetest.NewServer(t)
			client := recorder.Client()
			mux := http.NewServeMux()
			app := nethttp.Middleware(client, klime.IgnoreRoutes("/ignored"))(mux)
			within := func(ctx context.Context) {
				app.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodPost, "/nobody", http.NoBody))
			}
			mux.HandleFunc("/ignored", func(_ http.ResponseWriter, r *http.Request) {
				klime.Track(r.Context(), "Nobody's", nil)
				if err := client.Track(r.Context(), "Seen", nil, klime.ForUser("jane")); err != nil {
					t.Error(err)
				}
			})
			mux.HandleFunc("/named", func(_ http.ResponseWriter, r *http.Request) {
				klime.SetUser(r.Context(), "u")
				within(r.Context())
			})
			mux.HandleFunc("/work", func(_ http.ResponseWriter, r *http.Request) { within(client.NewContext(r.Context(), "job", "")) })
			mux.HandleFunc("/nobody", func(_ http.ResponseWriter, r *http.Request) { klime.Track(r.Context(), "Done", nil) })
			work := client.NewContext(t.Context(), "system", "org_system")
			klime.Silence(work)
			server := httptest.NewUnstartedServer(app)
			tt.set(server.Config, work)
			server.Start()
			for _, path := range []string{"/nobody", "/named", "/work", "/ignored"} {
				resp, err := server.Client().Post(server.URL+path, "", http.NoBody)
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
			}
			server.Close()
			if err := client.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range recorder.Events() {
				route, _ := e.Properties["route"].(string)
				got = append(got, e.UserID+"/"+e.GroupID+" "+e.Event+" "+route)
			}
			if want := []string{
				"u/ Done ", "u/ API Called /nobody", "u/ API Called /named", "job/ Done ", "job/ API Called /nobody", "jane/ Seen ",
			}; !slices.Equal(got, want) {
				t.Errorf("events %q, want %q", got, want)
			}
		})
	}
}
