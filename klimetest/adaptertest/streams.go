package adaptertest

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	klime "github.com/klimeapp/klime-go/core"
)

// streamTo streams an answer. It reports false if r cannot stream.
func streamTo(r Request, contentType string, write func(w StreamWriter)) bool {
	if s, ok := r.(Streamer); ok {
		s.Stream(contentType, write)
		return true
	}
	w, _ := r.HTTP()
	if w == nil {
		return false
	}
	w.Header().Set("Content-Type", contentType)
	write(flusher{w})
	return true
}

// flusher is the StreamWriter for net/http.
type flusher struct{ http.ResponseWriter }

func (f flusher) Flush() error {
	return http.NewResponseController(f.ResponseWriter).Flush()
}

// testStream: a stream of any type is sent as it is written. Its size is unknown in a
// framework that streams after the handler, and so is how long it was open. A framework
// with a server of its own that streams within the handler may know them.
func testStream(t *testing.T, a Adapter) {
	const part = "1;2;3\n"
	types := []string{"text/csv", textHTML, "text/event-stream"}
	var routes []Route
	received := make(chan struct{}) // the client has received what was sent so far
	var can, returned atomic.Bool
	goesOn := make(chan bool, len(types)) // after the handler
	for i, contentType := range types {
		routes = append(routes, Route{Path: fmt.Sprintf("/%d", i), Handler: func(r Request) {
			returned.Store(false)
			can.Store(streamTo(r, contentType, func(w StreamWriter) {
				for range 3 {
					_, _ = io.WriteString(w, part)
					if err := w.Flush(); err != nil {
						t.Errorf("flush: %v", err)
					}
					if hold(t, received); t.Context().Err() != nil {
						return
					}
				}
				goesOn <- returned.Load()
			}))
			returned.Store(true)
		}})
	}
	app := a.record(t, App{UserID: jane, Routes: routes})
	var want []string
	var later []bool
	for _, route := range routes {
		got := follow(t, app.url+route.Path, len(part), received)
		if !can.Load() {
			t.Skip("the adapter's Request is no Streamer")
		}
		if got.body != strings.Repeat(part, 3) {
			t.Errorf("%s: body %q", route.Path, got.body)
		}
		later = append(later, await(t, goesOn, "the stream does not end"))
		event := seen(http.MethodGet, route.Path, got)
		if got.header.Get("Content-Type") == "text/event-stream" {
			event += `, protocol="sse"`
		}
		want = append(want, event)
	}
	for i, e := range app.events() {
		if a.OwnServer && i < len(want) {
			want[i] = withUnknown(want[i], e, later[i])
		}
	}
	app.expect(want...)
}

// withUnknown is the event of a stream without what e says to be unknown, or what must
// be, because the stream went on after the handler.
func withUnknown(event string, e klime.Event, later bool) string {
	_, size := e.Properties["responseBytes"]
	if later || !size {
		event = strings.Replace(event, "18 out", "? out", 1)
	}
	_, duration := e.Properties["durationMs"]
	_, open := e.Properties["openMs"]
	if later || !duration && !open {
		event += ", untimed"
	}
	return event
}

// follow reads an answer part by part, and confirms each part.
func follow(t *testing.T, url string, size int, received chan<- struct{}) answer {
	t.Helper()
	ctx, cancel := limited(t)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	transport := newTransport()
	defer transport.CloseIdleConnections()
	resp := open(t, transport, req, "what was flushed did not come through")
	defer resp.Body.Close()
	var body strings.Builder
	for part := make([]byte, size); ; {
		n, err := io.ReadFull(resp.Body, part)
		body.Write(part[:n])
		if overdue(err) {
			t.Fatalf("after %q: what was flushed did not come through", body.String())
		}
		if err != nil {
			return answer{resp.StatusCode, resp.Header, body.String()}
		}
		select {
		case received <- struct{}{}:
		case <-ctx.Done():
			missed.Store(true)
			t.Fatalf("after %q: the handler does not go on", body.String())
		}
	}
}
