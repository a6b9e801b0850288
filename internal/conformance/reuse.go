package conformance

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
)

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

// testConcurrentRequests: every event carries its own request's strings, also
// those that the app has kept.
func testConcurrentRequests(t *testing.T, a Adapter) {
	t.Helper()
	t.Parallel()
	clients, each := 64, 200
	if !a.OwnServer {
		each = 20 // net/http's strings are nobody else's
	}
	server := klimetest.NewServer(t)
	config := server.Config()
	var mu sync.Mutex
	var kept []*klime.Event
	config.QueueSize = 100_000
	config.BeforeSend = func(e *klime.Event) bool {
		mu.Lock()
		defer mu.Unlock()
		kept = append(kept, e)
		return true
	}
	client, err := klime.New(config)
	if err != nil {
		t.Fatal(err)
	}
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
			transport := newTransport()
			defer transport.CloseIdleConnections()
			for i := range each {
				req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet,
					fmt.Sprintf("%s/orgs/org-%d/items/%d-%d", url, c, c, i), http.NoBody)
				req.Header.Set("X-User", fmt.Sprintf("user-%d", c))
				resp, err := transport.RoundTrip(req)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
	running.Wait()
	stop()
	if err := client.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	seen := map[any]bool{}
	check := func(e *klime.Event) {
		var c, i int
		if _, err := fmt.Sscanf(fmt.Sprint(e.Properties["item"]), "%d-%d", &c, &i); err != nil {
			t.Fatal(err)
		}
		if e.UserID != fmt.Sprintf("user-%d", c) || e.GroupID != fmt.Sprintf("org-%d", c) ||
			e.Properties["route"] != "/orgs/{org}/items/{item}" {
			t.Errorf("item %v of user %s in %s", e.Properties["item"], e.UserID, e.GroupID)
		}
		seen[e.Properties["item"]] = true
	}
	for _, e := range server.Events() {
		check(&e)
	}
	if len(seen) != clients*each {
		t.Errorf("%d events, want %d", len(seen), clients*each)
	}
	for _, e := range kept {
		check(e)
	}
}
