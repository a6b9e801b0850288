package conformance

import (
	"errors"
	"net/http"
	"testing"

	"github.com/klimeapp/klime-go/klimetest"
)

// testPanics: a panic is recorded and goes up as it is.
func testPanics(t *testing.T, a Adapter) {
	t.Helper()
	const broken = "API Called by jane: GET / 500, 0 in, 0 out"
	const aborted = "API Called by jane: GET / ?, 0 in, 0 out, aborted=true"
	for _, test := range []struct {
		name  string
		value any
		want  string
	}{
		{"string", "a panic", broken},
		{"error", errors.New("a panic"), broken},
		{"custom value", &struct{ reason string }{"custom"}, broken},
		{"http.ErrAbortHandler", http.ErrAbortHandler, aborted},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var seen any
			catch := func(r Request, next func(Request)) {
				defer func() {
					if seen = recover(); seen != nil {
						r.Reply(http.StatusTeapot, textPlain, "caught")
					}
				}()
				next(r)
			}
			server := klimetest.NewServer(t)
			client := server.Client()
			url, stop := a.Start(t, App{
				Client:  client,
				UserID:  jane,
				Outside: []Middleware{catch},
				// A named event says that something was done. A panic is not recorded as one.
				Routes: []Route{{Path: "/", Event: "Report Generated", Handler: func(Request) { panic(test.value) }}},
			})
			if status, body := do(t, url, get("/")); status != http.StatusTeapot || body != "caught" {
				t.Errorf("answer %d %q, not that of the app's own recovery", status, body)
			}
			stop()
			if seen != test.value {
				t.Errorf("went up as %v, want %v", seen, test.value)
			}
			compare(t, server, client, []string{test.want})
		})
	}
	t.Run("after a part of the body", func(t *testing.T) {
		t.Parallel()
		server := klimetest.NewServer(t)
		client := server.Client()
		url, stop := a.Start(t, App{
			Client: client,
			UserID: jane,
			Outside: []Middleware{func(r Request, next func(Request)) {
				defer func() { _ = recover() }()
				next(r)
			}},
			Routes: []Route{{Path: "/", Handler: func(r Request) {
				r.Reply(http.StatusOK, textHTML, "half")
				panic("a panic")
			}}},
		})
		if status, body := do(t, url, get("/")); status != http.StatusOK || body != "half" {
			t.Errorf("answer %d %q", status, body)
		}
		stop()
		compare(t, server, client, []string{"API Called by jane: GET / 500, 0 in, 4 out"})
	})
	if !a.OwnServer { // net/http's server survives the panic
		t.Run("not recovered by the app", func(t *testing.T) {
			t.Parallel()
			server := klimetest.NewServer(t)
			client := server.Client()
			url, stop := a.Start(t, App{Client: client, UserID: jane, Routes: []Route{{Path: "/", Handler: func(Request) {
				panic(http.ErrAbortHandler) // which net/http does not log
			}}}})
			if got := ask(t, url, get("/")); got.status != 0 || got.header != nil {
				t.Errorf("answer %d", got.status)
			}
			stop()
			compare(t, server, client, []string{aborted})
		})
	}
	t.Run("recovered inside", func(t *testing.T) {
		t.Parallel()
		server := klimetest.NewServer(t)
		client := server.Client()
		url, stop := a.Start(t, App{
			Client: client,
			UserID: jane,
			Inside: []Middleware{func(r Request, next func(Request)) {
				defer func() {
					if recover() != nil {
						r.Reply(http.StatusBadGateway, textPlain, "")
					}
				}()
				next(r)
			}},
			Routes: []Route{{Path: "/", Handler: func(Request) { panic("a panic") }}},
		})
		do(t, url, get("/"))
		stop()
		compare(t, server, client, []string{"API Called by jane: GET / 502, 0 in, 0 out"})
	})
}

// testPanicAfterUpgrade: the event of a connection that was taken over says for how
// long it was open, and has no response time, even if its handler panics in the end.
func testPanicAfterUpgrade(t *testing.T, a Adapter) {
	t.Helper()
	t.Parallel()
	server := klimetest.NewServer(t)
	client := server.Client()
	url, stop := a.Start(t, App{Client: client, UserID: jane, Routes: []Route{{Path: "/upgrade", Handler: func(r Request) {
		upgrade(t, r)
		panic(http.ErrAbortHandler) // which net/http does not log
	}}}})
	checkUpgrade(t, url)
	server.Wait(1) // the handler ends after the client has got everything
	stop()
	compare(t, server, client, []string{`API Called by jane: GET /upgrade ?, 0 in, ? out, aborted=true, protocol="other"`})
}
