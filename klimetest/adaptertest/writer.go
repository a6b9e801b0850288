package adaptertest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/klimeapp/klime-go/klimetest"
)

const copied = 100_000 // bytes that a handler copies from a reader to the answer

// testWriter: with our middleware, the ResponseWriter can do exactly what it can do
// without, also if http.ResponseController finds that only by Unwrap.
func testWriter(t *testing.T, a Adapter) {
	if a.nested && !looksThrough(t, a) {
		t.Skip("the framework's own writer does not look behind Unwrap")
	}
	server := klimetest.NewServer(t)
	client := server.Client()
	type findings struct {
		interfaces []string
		flush      string
	}
	var without, with findings
	exercise := func(app App, found *findings) {
		received, flushed := make(chan struct{}), make(chan string, 1)
		app.Routes = []Route{
			{Path: "/interfaces", Handler: func(r Request) {
				w, _ := r.HTTP()
				found.interfaces = interfacesOf(w)
				r.Reply(http.StatusOK, appJSON, `{}`)
			}},
			{Path: "/stream", Handler: func(r Request) { stream(t, r, received) }},
			{Path: "/upgrade", Handler: func(r Request) { upgrade(t, r) }},
			{Path: "/copy", Handler: func(r Request) {
				w, _ := r.HTTP()
				_, _ = io.Copy(w, io.LimitReader(zeros{}, copied))
			}},
			{Path: "/late", Handler: func(r Request) { flushed <- flushTooLate(t, r) }},
		}
		url, stop := a.start(t, app)
		do(t, url, get("/interfaces"))
		checkStream(t, url, received)
		if !a.http2 { // HTTP/2 has no upgrades
			checkUpgrade(t, url)
			if !app.Bare {
				server.Wait(3) // the handler ends after the client has got everything
			}
		}
		if status, body := do(t, url, get("/copy")); status != http.StatusOK || len(body) != copied {
			t.Errorf("copied: status %d, %d bytes", status, len(body))
		}
		if status, _ := do(t, url, get("/late")); status != 0 {
			t.Errorf("flushed too late: status %d", status)
		}
		found.flush = await(t, flushed, "/late: the context of the handler's request did not end with its connection")
		stop()
	}
	exercise(App{Bare: true}, &without)
	exercise(App{Client: client, UserID: jane}, &with)
	if !reflect.DeepEqual(without, with) {
		t.Errorf("writer\nwithout us %v\n   with us %v", without, with)
	}
	want := []string{
		"API Called by jane: GET /interfaces 200, 0 in, 2 out",
		`API Called by jane: GET /stream 200, 0 in, 27 out, protocol="sse"`,
		`API Called by jane: GET /upgrade 101, 0 in, ? out, protocol="other"`,
		"API Called by jane: GET /copy 200, 0 in, 100000 out",
		"API Called by jane: GET /late 200, 0 in, 0 out, aborted=true",
	}
	if a.http2 {
		want = slices.Delete(want, 2, 3)
	}
	server.Wait(len(want)) // the server does not wait for a hijacked connection
	compare(t, server, client, want)
}

// looksThrough reports whether, without us, a handler of the framework reaches what the
// server's writer has only by Unwrap. It tries to take over the connection, as a flush
// that does nothing would look like success.
func looksThrough(t *testing.T, a Adapter) bool {
	t.Helper()
	a.http2 = false               // over HTTP/2, no connection can be taken over
	reached := make(chan bool, 1) // the server does not wait for a hijacked connection
	url, stop := a.start(t, App{Bare: true, Routes: []Route{{Path: "/", Handler: func(r Request) {
		can := false
		defer func() { reached <- recover() == nil && can }()
		w, _ := r.HTTP()
		conn, _, err := http.NewResponseController(w).Hijack()
		if can = err == nil; can {
			_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
			_ = conn.Close()
		}
	}}}})
	do(t, url, get("/"))
	stop()
	return await(t, reached, "the handler was not called")
}

// interfacesOf lists the optional interfaces of a ResponseWriter, and what
// http.ResponseController finds in it.
func interfacesOf(w http.ResponseWriter) []string {
	var names []string
	note := func(name string, has bool) {
		if has {
			names = append(names, name)
		}
	}
	_, flusher := w.(http.Flusher)
	_, flushError := w.(interface{ FlushError() error })
	_, stringWriter := w.(io.StringWriter)
	_, closeNotifier := w.(http.CloseNotifier) //nolint:staticcheck // old handlers still ask for it
	_, hijacker := w.(http.Hijacker)
	_, readerFrom := w.(io.ReaderFrom)
	_, pusher := w.(http.Pusher)
	note("Flusher", flusher)
	note("FlushError", flushError)
	note("StringWriter", stringWriter)
	note("CloseNotifier", closeNotifier)
	note("Hijacker", hijacker)
	note("ReaderFrom", readerFrom)
	note("Pusher", pusher)
	controller := http.NewResponseController(w)
	note("SetReadDeadline", controller.SetReadDeadline(time.Time{}) == nil)
	note("SetWriteDeadline", controller.SetWriteDeadline(time.Time{}) == nil)
	note("EnableFullDuplex", controller.EnableFullDuplex() == nil)
	return names
}

// flushTooLate tells how a flush fails after the connection's write deadline.
func flushTooLate(t *testing.T, r Request) string {
	t.Helper()
	w, req := r.HTTP()
	controller := http.NewResponseController(w)
	_ = controller.SetWriteDeadline(time.Unix(1, 0))
	if req.ProtoMajor > 1 { // in HTTP/2 the deadline ends the whole request, with one of several errors
		hold(t, req.Context().Done())
		return fmt.Sprintf("fails: %v", controller.Flush() != nil)
	}
	err := controller.Flush()
	return fmt.Sprintf("%T, past its deadline: %v", err, errors.Is(err, os.ErrDeadlineExceeded))
}

// stream sends an event, and another once the client has received the first.
func stream(t *testing.T, r Request, received <-chan struct{}) {
	t.Helper()
	w, _ := r.HTTP()
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = io.WriteString(w, "data: first\n\n")
	if err := http.NewResponseController(w).Flush(); err != nil {
		t.Errorf("flush: %v", err)
	}
	hold(t, received)
	_, _ = io.WriteString(w, "data: second\n\n")
}

func checkStream(t *testing.T, url string, received chan<- struct{}) {
	t.Helper()
	ctx, cancel := limited(t)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/stream", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	transport := newTransport()
	defer transport.CloseIdleConnections()
	resp := open(t, transport, req, "the first event was flushed and did not come through")
	defer resp.Body.Close()
	first := make([]byte, len("data: first\n\n"))
	if _, err := io.ReadFull(resp.Body, first); err != nil {
		overdue(err)
		t.Fatalf("the first event did not come through: %v", err)
	}
	close(received)
	if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != "data: second\n\n" {
		t.Errorf("then %q, %v", rest, err)
	}
}

// upgrade takes over the connection and sends back one line.
func upgrade(t *testing.T, r Request) {
	t.Helper()
	w, _ := r.HTTP()
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Errorf("hijack: %v", err)
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	line, _ := rw.ReadString('\n')
	_, _ = io.WriteString(conn, line)
}

func checkUpgrade(t *testing.T, url string) {
	t.Helper()
	conn := dial(t, url)
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET /upgrade HTTP/1.1\r\nHost: app\r\nConnection: Upgrade\r\nUpgrade: Echo\r\n\r\nhello\n")
	reader := bufio.NewReader(conn)
	resp, err := http.ReadResponse(reader, nil)
	if err != nil {
		overdue(err)
		t.Fatalf("upgrade: %v", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("upgrade: status %d", resp.StatusCode)
	}
	if line, err := reader.ReadString('\n'); line != "hello\n" {
		overdue(err)
		t.Fatalf("upgraded, echoed %q, %v", line, err)
	}
}

// zeros reads as endless zero bytes.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
