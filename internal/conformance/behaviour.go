package conformance

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
)

// testPanics: a panic is recorded and goes up as it is.
func testPanics(t *testing.T, a Adapter) {
	t.Helper()
	const broken = `{"type":"track","event":"API Called","userId":"jane","properties":` +
		`{"method":"GET","route":"/","status":500,"requestBytes":0,"responseBytes":0}}`
	const aborted = `{"type":"track","event":"API Called","userId":"jane","properties":` +
		`{"method":"GET","route":"/","aborted":true,"requestBytes":0,"responseBytes":0}}`
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
				// A named event tells of something done: not of this.
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
		compare(t, server, client, []string{`{"type":"track","event":"API Called","userId":"jane","properties":` +
			`{"method":"GET","route":"/","status":502,"requestBytes":0,"responseBytes":0}}`})
	})
}

// testNilClient: without a client the app is as it was.
func testNilClient(t *testing.T, a Adapter) {
	t.Helper()
	t.Parallel()
	url, stop := a.Start(t, App{
		UserID: jane,
		Link:   func(Request) (klime.User, []klime.Group) { return klime.User{ID: "jane"}, []klime.Group{{ID: "acme"}} },
		Routes: []Route{{Path: "/orgs/{org}", Event: "Seen", Handler: func(r Request) {
			ctx := r.Context()
			klime.SetUser(ctx, "mary")
			klime.SetGroup(ctx, "acme")
			klime.SetEvent(ctx, "Named")
			klime.SetProperty(ctx, "a", 1)
			klime.Track(ctx, "Done", nil)
			klime.Link(ctx, klime.User{ID: "mary"})
			klime.Skip(ctx)
			klime.Silence(ctx)
			r.Reply(http.StatusOK, textPlain, r.Param("org"))
		}}},
	})
	defer stop()
	if status, body := do(t, url, get("/orgs/acme")); status != http.StatusOK || body != "acme" {
		t.Errorf("answer %d %q", status, body)
	}
}

// testKeptContext: what a handler keeps of its context belongs to the right
// user, also while later requests are served.
func testKeptContext(t *testing.T, a Adapter) {
	t.Helper()
	t.Parallel()
	const requests = 50
	server := klimetest.NewServer(t)
	client := server.Client()
	kept := make(chan context.Context, requests)
	url, stop := a.Start(t, App{
		Client: client,
		UserID: func(r Request) any { return r.Header("X-User") },
		Routes: []Route{{Path: "/{user}", Skip: true, Handler: func(r Request) {
			ctx := r.Detached()
			kept <- context.WithValue(ctx, keptUser{}, string([]byte(r.Param("user"))))
			r.Reply(http.StatusOK, textPlain, "")
		}}},
	})
	for i := range requests {
		user := fmt.Sprintf("user-%02d", i)
		do(t, url, call{path: "/" + user, header: http.Header{"X-User": {user}}})
	}
	stop()
	close(kept)
	for ctx := range kept {
		klime.Track(ctx, "Job Done", klime.Properties{"owner": ctx.Value(keptUser{})})
	}
	if err := client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	events := server.Events()
	if len(events) != requests {
		t.Errorf("%d events, want %d", len(events), requests)
	}
	for _, e := range events {
		if e.UserID != e.Properties["owner"] {
			t.Errorf("event of %v went to %s", e.Properties["owner"], e.UserID)
		}
	}
}

// keptUser is a context key of an app.
type keptUser struct{}

// testConcurrentRequests: every event carries its own request's strings.
func testConcurrentRequests(t *testing.T, a Adapter) {
	t.Helper()
	t.Parallel()
	const clients, each = 16, 50
	server := klimetest.NewServer(t)
	client := server.Client()
	url, stop := a.Start(t, App{
		Client:  client,
		UserID:  func(r Request) any { return r.Header("X-User") },
		GroupID: func(r Request) any { return r.Param("org") },
		Routes: []Route{{Path: "/orgs/{org}/items/{item}", Handler: func(r Request) {
			klime.SetProperty(r.Context(), "item", r.Param("item"))
			r.Reply(http.StatusOK, textPlain, r.Param("org"))
		}}},
	})
	var running sync.WaitGroup
	for c := range clients {
		running.Go(func() {
			for i := range each {
				do(t, url, call{
					path:   fmt.Sprintf("/orgs/org-%d/items/%d-%d", c, c, i),
					header: http.Header{"X-User": {fmt.Sprintf("user-%d", c)}},
				})
			}
		})
	}
	running.Wait()
	stop()
	if err := client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	seen := map[any]bool{}
	for _, e := range server.Events() {
		var c, i int
		if _, err := fmt.Sscanf(fmt.Sprint(e.Properties["item"]), "%d-%d", &c, &i); err != nil {
			t.Fatal(err)
		}
		if e.UserID != fmt.Sprintf("user-%d", c) || e.GroupID != fmt.Sprintf("org-%d", c) {
			t.Errorf("item %v of user %s in %s", e.Properties["item"], e.UserID, e.GroupID)
		}
		seen[e.Properties["item"]] = true
	}
	if len(seen) != clients*each {
		t.Errorf("%d events, want %d", len(seen), clients*each)
	}
}
