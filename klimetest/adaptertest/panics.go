package adaptertest

import (
	"errors"
	"net/http"
	"testing"
)

// testPanics: a panic is recorded and goes up as it is.
func testPanics(t *testing.T, a Adapter) {
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
			app := a.record(t, App{
				UserID:  jane,
				Outside: []Middleware{catch},
				// A named event says that something was done. A panic is not recorded as one.
				Routes: []Route{{Path: "/", Event: "Report Generated", Handler: func(Request) { panic(test.value) }}},
			})
			if status, body := do(t, app.url, get("/")); status != http.StatusTeapot || body != "caught" {
				t.Errorf("answer %d %q, not that of the app's own recovery", status, body)
			}
			app.stop()
			if seen != test.value {
				t.Errorf("went up as %v, want %v", seen, test.value)
			}
			app.expect(test.want)
		})
	}
	t.Run("after a part of the body", func(t *testing.T) {
		t.Parallel()
		app := a.record(t, App{
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
		if status, body := do(t, app.url, get("/")); status != http.StatusOK || body != "half" {
			t.Errorf("answer %d %q", status, body)
		}
		app.expect("API Called by jane: GET / 500, 0 in, 4 out")
	})
	if !a.OwnServer { // net/http's server survives the panic
		t.Run("not recovered by the app", func(t *testing.T) {
			t.Parallel()
			app := a.record(t, App{UserID: jane, Routes: []Route{{Path: "/", Handler: func(Request) {
				panic(http.ErrAbortHandler) // which net/http does not log
			}}}})
			if got := ask(t, app.url, get("/")); got.status != 0 || got.header != nil {
				t.Errorf("answer %d", got.status)
			}
			app.expect(aborted)
		})
	}
	t.Run("recovered inside", func(t *testing.T) {
		t.Parallel()
		app := a.record(t, App{
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
		do(t, app.url, get("/"))
		app.expect("API Called by jane: GET / 502, 0 in, 0 out")
	})
}

// testPanicAfterUpgrade: the event of a connection that was taken over says for how
// long it was open, and has no response time, even if its handler panics in the end.
func testPanicAfterUpgrade(t *testing.T, a Adapter) {
	app := a.record(t, App{UserID: jane, Routes: []Route{{Path: "/upgrade", Handler: func(r Request) {
		upgrade(t, r)
		panic(http.ErrAbortHandler) // which net/http does not log
	}}}})
	checkUpgrade(t, app.url)
	app.server.Wait(1) // the handler ends after the client has got everything
	app.expect(`API Called by jane: GET /upgrade ?, 0 in, ? out, aborted=true, protocol="other"`)
}
