package conformance

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

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

// testBodies: a request's body is the handler's alone; its size is recorded
// where it is known beforehand.
func testBodies(t *testing.T, a Adapter) {
	t.Helper()
	t.Parallel()
	const size = 3 << 20 // more than any buffer on the way, and less than frameworks' own limits
	server := klimetest.NewServer(t)
	client := server.Client()
	read := func(n int64) func(Request) {
		return func(r Request) {
			got, err := io.Copy(io.Discard, io.LimitReader(r.Body(), n))
			if err != nil {
				t.Errorf("body: %v", err)
			}
			r.Reply(http.StatusOK, textPlain, strconv.FormatInt(got, 10))
		}
	}
	url, stop := a.Start(t, App{Client: client, UserID: jane, Routes: []Route{
		{Method: http.MethodPost, Path: "/all", Handler: read(1 << 40)},
		{Method: http.MethodPost, Path: "/some", Handler: read(1000)},
		{Method: http.MethodPost, Path: "/none", Handler: read(0)},
	}})
	for _, test := range []struct {
		path    string
		chunked bool
		want    string
	}{
		{"/all", false, strconv.Itoa(size)},
		{"/all", true, strconv.Itoa(size)},
		{"/some", false, "1000"},
		{"/none", false, "0"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+test.path, io.LimitReader(zeros{}, size))
		if err != nil {
			t.Fatal(err)
		}
		if !test.chunked {
			req.ContentLength = size
		}
		transport := newTransport()
		resp, err := transport.RoundTrip(req)
		if err != nil {
			if test.path == "/all" { // an answer to a body that is not read may be cut off
				t.Errorf("%s: %v", test.path, err)
			}
			continue
		}
		got, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		transport.CloseIdleConnections()
		if string(got) != test.want {
			t.Errorf("%s, chunked %v: the handler read %s bytes, want %s", test.path, test.chunked, got, test.want)
		}
	}
	stop()
	if err := client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	events := server.Events()
	if len(events) != 4 {
		t.Fatalf("%d events", len(events))
	}
	for i, e := range events {
		if bytes, known := e.Properties["requestBytes"]; known == (i == 1) || known && bytes != float64(size) {
			t.Errorf("%v: requestBytes %v", e.Properties["route"], bytes)
		}
	}
}

// testHostileRequests: whatever is asked, nothing panics, and what is sent to
// Klime is valid.
func testHostileRequests(t *testing.T, a Adapter) {
	t.Helper()
	t.Parallel()
	server := klimetest.NewServer(t)
	client := server.Client()
	url, stop := a.Start(t, App{
		Client:  client,
		UserID:  func(r Request) any { return r.Header("X-User") },
		GroupID: func(r Request) any { return r.Param("org") },
		Routes: []Route{{Path: "/orgs/{org}", Handler: func(r Request) {
			klime.SetProperty(r.Context(), r.Param("org"), r.Param("org"))
			r.Reply(http.StatusOK, textPlain, "")
		}}},
	})
	addr := strings.TrimPrefix(url, "http://")
	for _, request := range []string{
		"GET /%zz HTTP/1.1\r\nHost: app\r\nX-User: jane\r\n\r\n",
		"GET /orgs/%00 HTTP/1.1\r\nHost: app\r\nX-User: jane\r\n\r\n",
		"GET /orgs/%ff%fe HTTP/1.1\r\nHost: app\r\nX-User: ja\xff\xfene\r\n\r\n",
		"GET /orgs/\xff HTTP/1.1\r\nHost: app\r\nX-User: jane\r\n\r\n",
		"GET /orgs/" + strings.Repeat("x", 3000) + " HTTP/1.1\r\nHost: app\r\nX-User: jane\r\n\r\n",
		"GET /orgs/" + strings.Repeat("x", 100_000) + " HTTP/1.1\r\nHost: app\r\nX-User: jane\r\n\r\n",
		"GET /orgs/a HTTP/1.1\r\nHost: app\r\nX-User: " + strings.Repeat("u", 1<<20) + "\r\n\r\n",
		"BREW /orgs/a HTTP/1.1\r\nHost: app\r\nX-User: jane\r\n\r\n",
		"GET //orgs//a HTTP/1.1\r\nHost: app\r\nX-User: jane\r\n\r\n",
		"GET /orgs/%F0%9F%92%A9?%zz=%zz HTTP/1.1\r\nHost: app\r\nX-User: \"}],\r\n\r\n",
	} {
		conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = io.WriteString(conn, request) }() // the answer may come before all is read
		if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
			if resp.StatusCode >= 500 && resp.StatusCode != http.StatusNotImplemented {
				t.Errorf("%.40q: status %d", request, resp.StatusCode)
			}
			resp.Body.Close()
		}
		conn.Close()
	}
	if status, _ := do(t, url, call{path: "/orgs/a", header: http.Header{"X-User": {"jane"}}}); status != http.StatusOK {
		t.Errorf("afterwards: status %d", status)
	}
	stop()
	if err := client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	events := server.Events()
	if n := server.Rejected(); n != 0 || len(events) < 3 {
		t.Errorf("%d events, %d rejected", len(events), n)
	}
	for _, e := range events {
		if route := e.Properties["route"]; route != "/orgs/{org}" {
			t.Errorf("route %v", route)
		}
		if !utf8.ValidString(e.UserID + e.GroupID) {
			t.Errorf("user %q, group %q", e.UserID, e.GroupID)
		}
	}
}

// testGracefulShutdown: a request that is being served when the server stops is
// recorded.
func testGracefulShutdown(t *testing.T, a Adapter) {
	t.Helper()
	t.Parallel()
	server := klimetest.NewServer(t)
	client := server.Client()
	serving, finish, stopped := make(chan struct{}), make(chan struct{}), make(chan struct{})
	url, stop := a.Start(t, App{Client: client, UserID: jane, Routes: []Route{{Path: "/", Handler: func(r Request) {
		close(serving)
		<-finish
		r.Reply(http.StatusOK, textPlain, "done")
	}}}})
	answered := make(chan string, 1)
	go func() {
		_, body := do(t, url, get("/"))
		answered <- body
	}()
	<-serving
	go func() {
		defer close(stopped)
		stop()
	}()
	close(finish)
	<-stopped
	if body := <-answered; body != "done" {
		t.Errorf("answer %q", body)
	}
	compare(t, server, client, []string{`{"type":"track","event":"API Called","userId":"jane","properties":` +
		`{"method":"GET","route":"/","status":200,"requestBytes":0,"responseBytes":4}}`})
}

// testClientGoesAway: the request is recorded as aborted, and a stream as ended.
func testClientGoesAway(t *testing.T, a Adapter) {
	t.Helper()
	t.Parallel()
	server := klimetest.NewServer(t)
	client := server.Client()
	wait := func(contentType string) func(Request) {
		return func(r Request) {
			w, req := r.HTTP()
			w.Header().Set("Content-Type", contentType)
			_, _ = io.WriteString(w, "data: 1\n\n")
			_ = http.NewResponseController(w).Flush()
			<-req.Context().Done()
		}
	}
	url, stop := a.Start(t, App{Client: client, UserID: jane, Routes: []Route{
		{Path: "/report", Handler: wait(appJSON)}, {Path: "/stream", Handler: wait("text/event-stream")},
	}})
	for i, path := range []string{"/report", "/stream"} {
		ctx, leave := context.WithCancel(t.Context())
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, url+path, http.NoBody)
		resp, err := newTransport().RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadFull(resp.Body, make([]byte, 4))
		leave()
		resp.Body.Close()
		server.Wait(i + 1) // the handler ends when it notices
	}
	stop()
	compare(t, server, client, []string{
		`{"type":"track","event":"API Called","userId":"jane","properties":{"method":"GET","route":"/report","aborted":true,"requestBytes":0,"responseBytes":9}}`,
		`{"type":"track","event":"API Called","userId":"jane","properties":{"method":"GET","route":"/stream","status":200,"protocol":"sse","requestBytes":0,"responseBytes":9}}`,
	})
}

// testStatusTwice: of two statuses, the one that the client sees is recorded.
func testStatusTwice(t *testing.T, a Adapter) {
	t.Helper()
	t.Parallel()
	server := klimetest.NewServer(t)
	client := server.Client()
	url, stop := a.Start(t, App{Client: client, UserID: jane, Routes: []Route{
		{Path: "/written", Handler: func(r Request) {
			w, _ := r.HTTP()
			w.WriteHeader(http.StatusTeapot)
			w.WriteHeader(http.StatusAccepted)
		}},
		{Path: "/flushed", Handler: func(r Request) {
			w, _ := r.HTTP()
			_ = http.NewResponseController(w).Flush()
			w.WriteHeader(http.StatusInternalServerError)
		}},
	}})
	var want []string
	for _, path := range []string{"/written", "/flushed"} {
		status, _ := do(t, url, get(path))
		want = append(want, fmt.Sprintf(`{"type":"track","event":"API Called","userId":"jane","properties":`+
			`{"method":"GET","route":%q,"status":%d,"requestBytes":0,"responseBytes":0}}`, path, status))
	}
	stop()
	compare(t, server, client, want)
}

// alien is the request of a framework that no adapter knows.
type alien struct{}

// testForeignOption: an option of another framework's package finds nothing,
// breaks nothing, and is named in the log once.
func testForeignOption(t *testing.T, a Adapter) {
	t.Helper()
	t.Parallel()
	server := klimetest.NewServer(t)
	config := server.Config()
	var log bytes.Buffer
	config.Logger = slog.New(slog.NewTextHandler(&log, nil))
	client, err := klime.New(config)
	if err != nil {
		t.Fatal(err)
	}
	url, stop := a.Start(t, App{
		Client:  client,
		Options: []klime.Option{klime.ResolveUser(klime.Native(func(alien) string { return "eve" }))},
		Routes:  []Route{{Path: "/", Handler: reply(http.StatusOK, textPlain, "fine")}},
	})
	for range 3 {
		if status, body := do(t, url, get("/")); status != http.StatusOK || body != "fine" {
			t.Errorf("answer %d %q", status, body)
		}
	}
	stop()
	if err := client.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if n := len(server.Events()); n != 0 {
		t.Errorf("%d events", n)
	}
	if n := strings.Count(log.String(), "of another framework"); n != 1 {
		t.Errorf("%d hints: %s", n, log.String())
	}
}
