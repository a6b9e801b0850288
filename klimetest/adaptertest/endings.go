package adaptertest

import (
	"cmp"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	klime "github.com/klimeapp/klime-go/core"
)

// testGracefulShutdown: a request that is being served when the server stops is
// recorded.
func testGracefulShutdown(t *testing.T, a Adapter) {
	serving, finish, stopped := make(chan struct{}), make(chan struct{}), make(chan struct{})
	app := a.record(t, App{UserID: jane, Routes: []Route{{Path: "/", Handler: func(r Request) {
		close(serving)
		hold(t, finish)
		r.Reply(http.StatusOK, textPlain, "done")
	}}}})
	answered := make(chan string, 1)
	go func() {
		transport := newTransport()
		defer transport.CloseIdleConnections()
		got, err := attempt(t, transport, app.url, get("/"))
		if err != nil {
			t.Error(err)
		}
		answered <- got.body
	}()
	await(t, serving, "the handler was not called")
	go func() {
		defer close(stopped)
		app.stop()
	}()
	ctx, cancel := limited(t)
	defer cancel()
	for { // until the server accepts no new connections
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", strings.TrimPrefix(app.url, "http://"))
		if err != nil {
			break
		}
		conn.Close()
	}
	if overdue(ctx.Err()) {
		t.Fatal("a server that stops still accepts connections")
	}
	close(finish)
	await(t, stopped, "the server does not stop after its last answer")
	if body := await(t, answered, "the request that was being served has no answer"); body != "done" {
		t.Errorf("answer %q", body)
	}
	app.expect("API Called by jane: GET / 200, 0 in, 4 out")
}

// testClientGoesAway: if the client goes away, the request is recorded as aborted, and
// a stream as ended. An answer that cannot have a body was complete before.
func testClientGoesAway(t *testing.T, a Adapter) {
	ended := make(chan struct{}, 1)
	untilEnd := func(ctx context.Context) {
		hold(t, ctx.Done())
		ended <- struct{}{}
	}
	wait := func(contentType string) func(Request) {
		return func(r Request) {
			w, req := r.HTTP()
			w.Header().Set("Content-Type", contentType)
			_, _ = io.WriteString(w, "data: 1\n\n")
			_ = http.NewResponseController(w).Flush()
			untilEnd(req.Context())
		}
	}
	relay := func(contentType string) func(Request) {
		return func(r Request) {
			wait(contentType)(r)
			panic(http.ErrAbortHandler) // as httputil.ReverseProxy
		}
	}
	answerAndWork := func(status int) func(Request) {
		return func(r Request) {
			w, req := r.HTTP()
			w.WriteHeader(status)
			_ = http.NewResponseController(w).Flush()
			untilEnd(req.Context())
		}
	}
	routes := []Route{
		{Path: "/report", Handler: wait(appJSON)}, {Path: "/stream", Handler: wait("text/event-stream")},
		{Method: http.MethodPost, Path: "/jobs", Handler: answerAndWork(http.StatusNoContent)},
		{Path: "/fresh", Handler: answerAndWork(http.StatusNotModified)},
		{Path: "/empty", Handler: answerAndWork(http.StatusOK)}, // a body might still follow
		{Path: "/relayed/report", Handler: relay(appJSON)}, {Path: "/relayed/stream", Handler: relay("text/event-stream")},
	}
	app := a.record(t, App{UserID: jane, Routes: routes})
	for i, route := range routes {
		ctx, leave := limited(t)
		req, _ := http.NewRequestWithContext(ctx, cmp.Or(route.Method, http.MethodGet), app.url+route.Path, http.NoBody)
		transport := newTransport()
		resp := open(t, transport, req, route.Path+": what was flushed did not come through")
		leave()
		resp.Body.Close()
		transport.CloseIdleConnections() // needed if the answer was complete
		await(t, ended, route.Path+": the context of the handler's request did not end when the client went away")
		app.server.Wait(i + 1)
	}
	app.expect(
		"API Called by jane: GET /report 200, 0 in, 9 out, aborted=true",
		`API Called by jane: GET /stream 200, 0 in, 9 out, protocol="sse"`,
		"API Called by jane: POST /jobs 204, 0 in, 0 out",
		"API Called by jane: GET /fresh 304, 0 in, 0 out",
		"API Called by jane: GET /empty 200, 0 in, 0 out, aborted=true",
		"API Called by jane: GET /relayed/report ?, 0 in, 9 out, aborted=true",
		`API Called by jane: GET /relayed/stream 200, 0 in, 9 out, protocol="sse"`,
	)
}

// testClientGoesAwayFirst: of an answer that only its status tells of, nobody gets
// anything, but it is what the handler came to.
func testClientGoesAwayFirst(t *testing.T, a Adapter) {
	serving, ended := make(chan struct{}, 1), make(chan struct{}, 1)
	answer := func(status int) func(Request) {
		return func(r Request) {
			w, req := r.HTTP()
			serving <- struct{}{}
			hold(t, req.Context().Done())
			if status != 0 {
				w.WriteHeader(status)
			}
			ended <- struct{}{}
		}
	}
	routes := []Route{
		{Path: "/nothing", Event: "Nothing Viewed", Handler: answer(0)},
		{Path: "/hints", Event: "Hints Viewed", Handler: answer(http.StatusEarlyHints)},
		{Path: "/fine", Event: "Fine Viewed", Handler: answer(http.StatusOK)},
		{Path: "/refused", Event: "Refused Viewed", Handler: answer(http.StatusBadRequest)},
	}
	app := a.record(t, App{UserID: jane, Routes: routes})
	for i, route := range routes {
		ctx, leave := limited(t)
		go func() {
			defer leave()
			select {
			case <-serving:
			case <-ctx.Done():
			}
		}()
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, app.url+route.Path, http.NoBody)
		transport := newTransport()
		if resp, err := transport.RoundTrip(req); err == nil {
			resp.Body.Close()
			t.Errorf("%s: answered %d", route.Path, resp.StatusCode)
		} else if overdue(err) {
			t.Fatalf("%s: the handler was not called", route.Path)
		}
		transport.CloseIdleConnections()
		await(t, ended, route.Path+": the context of the handler's request did not end when the client went away")
		app.server.Wait(i + 1)
	}
	app.expect(
		"API Called by jane: GET /nothing ?, 0 in, 0 out, aborted=true",
		"API Called by jane: GET /hints ?, 0 in, 0 out, aborted=true",
		"Fine Viewed by jane: GET /fine 200, 0 in, 0 out, aborted=true",
		"API Called by jane: GET /refused 400, 0 in, 0 out, aborted=true",
	)
}

// testTakenOverAfterTheAnswer: the answer that was sent counts, where a framework lets a
// handler take over the connection after it.
func testTakenOverAfterTheAnswer(t *testing.T, a Adapter) {
	forged := func(Request) any { return "acme" }
	app := a.record(t, App{UserID: jane, GroupID: forged, Routes: []Route{{Path: "/", Handler: func(r Request) {
		r.Reply(http.StatusForbidden, textPlain, "no")
		w, _ := r.HTTP()
		controller := http.NewResponseController(w)
		_ = controller.Flush()
		if conn, _, err := controller.Hijack(); err == nil {
			_ = conn.Close()
		}
	}}}})
	do(t, app.url, get("/"))
	app.server.Wait(1) // no server waits for a connection that was taken over
	app.expect("API Called by jane: GET / 403, 0 in, 2 out")
}

// testTakenOverWithoutUpgrade: what a handler writes to a connection that it has taken
// over is not known, unless the client has asked for another protocol. So nothing is said
// about the answer.
func testTakenOverWithoutUpgrade(t *testing.T, a Adapter) {
	answer := func(text string) func(Request) {
		return func(r Request) {
			w, _ := r.HTTP()
			w.Header().Set("Content-Type", textHTML) // which is not sent
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Errorf("hijack: %v", err)
				return
			}
			_, _ = io.WriteString(conn, text)
			_ = conn.Close()
		}
	}
	routes := []Route{
		{Path: "/refused", Handler: answer("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")},
		{Path: "/nothing", Handler: answer("")},
	}
	app := a.record(t, App{UserID: jane, Routes: routes})
	for i, want := range []int{http.StatusUnauthorized, 0} {
		if status, _ := do(t, app.url, get(routes[i].Path)); status != want {
			t.Errorf("%s: status %d, want %d", routes[i].Path, status, want)
		}
		app.server.Wait(i + 1) // no server waits for a connection that was taken over
	}
	app.expect(
		"API Called by jane: GET /refused ?, 0 in, ? out",
		"API Called by jane: GET /nothing ?, 0 in, ? out",
	)
}

// testTrackAfterUpgrade: what a handler tracks on a connection that it has taken over, as for
// WebSockets, is the user's.
func testTrackAfterUpgrade(t *testing.T, a Adapter) {
	app := a.record(t, App{UserID: jane, Routes: []Route{{Path: "/upgrade", Handler: func(r Request) {
		upgrade(t, r)
		klime.Track(r.Context(), "Message Sent", nil)
		klime.Track(r.Detached(), "Channel Left", nil)
	}}}})
	checkUpgrade(t, app.url)
	app.server.Wait(3) // the handler ends after the client has got everything
	app.expect("Message Sent by jane", "Channel Left by jane", `API Called by jane: GET /upgrade 101, 0 in, ? out, protocol="other"`)
}

// testLeftOpen: a handler that leaves a connection to goroutines returns long before that
// ends, so that how long it was open is not known.
func testLeftOpen(t *testing.T, a Adapter) {
	left := make(chan net.Conn, 1)
	takeOver := func(r Request) net.Conn {
		w, _ := r.HTTP()
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Errorf("hijack: %v", err)
			return nil
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		return conn
	}
	routes := []Route{
		{Path: "/left", Handler: func(r Request) { left <- takeOver(r) }},
		{Path: "/closed", Handler: func(r Request) { _ = takeOver(r).Close() }},
	}
	app := a.record(t, App{UserID: jane, Routes: routes})
	for i, route := range routes {
		conn := dial(t, app.url)
		_, _ = io.WriteString(conn, "GET "+route.Path+" HTTP/1.1\r\nHost: app\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		app.server.Wait(i + 1) // no server waits for a connection that was taken over
		_ = conn.Close()
	}
	_ = (<-left).Close()
	app.expect(
		`API Called by jane: GET /left 101, 0 in, ? out, protocol="websocket", untimed`,
		`API Called by jane: GET /closed 101, 0 in, ? out, protocol="websocket"`,
	)
}
