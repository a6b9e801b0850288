package adaptertest

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
)

// testKeptContext: a context that a goroutine keeps still belongs to the user of its
// request, even after the answer, when the framework reuses the memory of that request
// for others.
func testKeptContext(t *testing.T, a Adapter) {
	const clients, each, late = 4, 25, 5
	var jobs sync.WaitGroup
	answered := map[string]chan struct{}{} // by user
	for i := range clients * each {
		answered["user-"+strconv.Itoa(i)] = make(chan struct{})
	}
	startsJobs := func(r Request) {
		klime.SetProperty(r.Context(), "skipped", true)
		ctx, user, org := r.Detached(), strings.Clone(r.Header("X-User")), strings.Clone(r.Param("org"))
		jobs.Go(func() {
			<-answered[user]
			for range late {
				klime.Track(ctx, "Job Done", klime.Properties{"user": user, "org": org})
			}
		})
		r.Reply(http.StatusOK, "image/png", "")
	}
	app := a.record(t, App{
		UserID:  func(r Request) any { return r.Header("X-User") },
		GroupID: func(r Request) any { return r.Param("org") },
		Routes: []Route{
			{Path: "/0/{org}", Skip: true, Handler: startsJobs},
			{Path: "/1/{org}", Handler: startsJobs}, // an image makes no event either
		},
	})
	var running sync.WaitGroup
	for c := range clients {
		running.Go(func() {
			transport := newTransport()
			for i := range each {
				user := "user-" + strconv.Itoa(c*each+i)
				_, err := attempt(t, transport, app.url, call{path: fmt.Sprintf("/%d/org-%s", i%2, user), header: http.Header{"X-User": {user}}})
				transport.CloseIdleConnections()
				close(answered[user])
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
	jobs.Wait()
	events := app.events()
	if want := clients * each * late; len(events) != want {
		t.Errorf("%d events, want %d", len(events), want)
	}
	for _, e := range events {
		if e.UserID != e.Properties["user"] || e.GroupID != e.Properties["org"] {
			t.Errorf("event of %v in %v went to %q in %q", e.Properties["user"], e.Properties["org"], e.UserID, e.GroupID)
		}
	}
}

// testHeldContext: a context that is kept shows nothing of later requests, to the app
// neither, although the framework may have given their memory to them.
func testHeldContext(t *testing.T, a Adapter) {
	const requests = 8 // sync.Pool may give each of them other memory under the race detector
	var held []context.Context
	app := a.record(t, App{
		UserID: func(r Request) any { return strings.Clone(r.Header("X-User")) },
		Routes: []Route{{Path: "/", Handler: func(r Request) {
			user := strings.Clone(r.Header("X-User"))
			r = r.Keep("tenant", user).Replace(replaced{}, user)
			held = append(held, r.Detached())
			for i, ctx := range held {
				mine := "user-" + strconv.Itoa(i)
				for _, key := range []any{"tenant", replaced{}} {
					if got := ctx.Value(key); got != nil && got != mine {
						t.Errorf("the context kept by %s shows the value of %v during the request of %s: "+
							"put nothing pooled beneath the Scope", mine, got, user)
					}
				}
				if got := klime.ScopeFrom(ctx).UserID(); got != mine {
					t.Errorf("the context kept by %s is that of %q during the request of %s", mine, got, user)
				}
			}
			r.Reply(http.StatusOK, textPlain, user)
		}}},
	})
	transport := newTransport() // one connection, as some frameworks reuse memory within one
	defer transport.CloseIdleConnections()
	for i := range requests {
		askOver(t, transport, app.url, call{path: "/", header: http.Header{"X-User": {"user-" + strconv.Itoa(i)}}})
	}
}

// testLateSignIn: who signs in with a context that was kept, such as by the first message
// over a WebSocket, has nothing of who made the request.
func testLateSignIn(t *testing.T, a Adapter) {
	var kept []context.Context
	keeps := func(r Request) {
		kept = append(kept, r.Detached())
		r.Reply(http.StatusOK, "image/png", "")
	}
	app := a.record(t, App{
		UserID:  func(r Request) any { return r.Header("X-User") },
		GroupID: func(r Request) any { return r.Header("X-Org") },
		Routes:  []Route{{Path: "/0", Handler: keeps}, {Path: "/01", Handler: keeps}}, // see the adapters' Detached
	})
	for _, path := range []string{"/0", "/01"} {
		do(t, app.url, get(path))
		do(t, app.url, call{path: path, header: http.Header{"X-User": {"jane"}, "X-Org": {"acme"}}})
	}
	app.stop()
	for _, ctx := range kept {
		klime.Link(ctx, klime.User{ID: "mary"}, klime.Group{ID: "globex"})
		klime.Track(ctx, "Joined", nil)
		klime.SetUser(ctx, "john")
		klime.Track(ctx, "Left", nil)
	}
	want := []string{"group by mary at globex"}
	for range kept {
		want = append(want, "Joined by mary at globex", "Left by john")
	}
	app.expect(want...)
}

// testConcurrentRequests: every event carries the strings of its own request, also an
// event that the app has kept in BeforeSend.
func testConcurrentRequests(t *testing.T, a Adapter) {
	clients, each := 64, 200
	if !a.OwnServer {
		each = 20 // net/http does not reuse the memory of strings
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
	url, stop := a.start(t, App{
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
				got, err := attempt(t, transport, url, call{
					path: fmt.Sprintf("/orgs/org-%d/items/%d-%d", c, c, i), header: http.Header{"X-User": {fmt.Sprintf("user-%d", c)}},
				})
				if err != nil || got.status != http.StatusOK {
					t.Errorf("status %d, %v", got.status, err)
					return
				}
			}
		})
	}
	running.Wait()
	stop()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // so many events take long on a busy machine
	defer cancel()
	if err := client.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	seen := map[any]bool{}
	var wrong []string
	check := func(e *klime.Event) {
		var c, i int
		if _, err := fmt.Sscanf(fmt.Sprint(e.Properties["item"]), "%d-%d", &c, &i); err != nil {
			t.Fatal(err)
		}
		if e.UserID != fmt.Sprintf("user-%d", c) || e.GroupID != fmt.Sprintf("org-%d", c) ||
			e.Properties["route"] != "/orgs/{org}/items/{item}" {
			wrong = append(wrong, fmt.Sprintf("item %d-%d by %s at %s, route %v", c, i, e.UserID, e.GroupID, e.Properties["route"]))
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
	if len(wrong) > 0 {
		t.Errorf("%d of %d events do not carry their own request's strings, such as %s", len(wrong), len(server.Events())+len(kept), wrong[0])
	}
}
