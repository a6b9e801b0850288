package middleware

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	klime "github.com/klimeapp/klime-go/core"

	"github.com/klimeapp/klime-go/bench/internal/answer"
	"github.com/klimeapp/klime-go/bench/internal/measure"
)

// The request that all subjects serve, and who makes it.
const (
	target   = "/orgs/acme/reports/42"
	route    = "/orgs/{org}/reports/{id}"
	user     = "user_123"
	customer = "org_456"
)

// burst is how many requests are served between two drains. OpenTelemetry has the smallest
// queue, 2,048 spans, of which 512 are exported at a time.
const burst = 600

// traits are passed to Link on every request.
func traits() (user, group klime.Traits) {
	return klime.Traits{"email": "jane@acme.com", "name": "Jane"}, klime.Traits{"name": "Acme", "plan": "pro"}
}

// subject is one middleware in one framework.
type subject struct {
	name string
	make func(*testing.B) measured
}

// measured is a subject that is ready to be measured.
type measured struct {
	measure.Subject

	verify func(requests int) error // nil if there is nothing to verify
}

// compare measures the subjects one after the other.
func compare(b *testing.B, subjects []subject) {
	b.Helper()
	for _, s := range subjects {
		b.Run(s.name, func(b *testing.B) {
			m := s.make(b)
			requests := measure.Run(b, burst, m.Subject)
			if m.verify == nil {
				return
			}
			if err := m.verify(requests); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// discard is klime's transport: delivery does everything except for the network.
type discard struct{ last atomic.Pointer[[]byte] }

func (d *discard) Send(_ context.Context, body []byte, events int) (klime.BatchResult, error) {
	d.last.Store(&body)
	return klime.BatchResult{Accepted: events}, nil
}

// tracked is a client that sends to discard, and can check what it has sent.
type tracked struct {
	client *klime.Client
	sink   *discard
}

func newTracked(b *testing.B) tracked {
	b.Helper()
	sink := &discard{}
	client, err := klime.New(klime.Config{Transport: sink})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = client.Shutdown(context.Background()) })
	return tracked{client, sink}
}

// subject is a subject that makes one event of each request.
func (t tracked) subject(b *testing.B, serve func()) measured {
	b.Helper()
	return measured{measure.Subject{Op: serve, Drain: func() { t.flush(b) }}, t.oneEventEach}
}

// linked is a subject that makes one event of each request, and a Link, which is sent
// once.
func (t tracked) linked(b *testing.B, serve func()) measured {
	b.Helper()
	return measured{measure.Subject{Op: serve, Drain: func() { t.flush(b) }}, func(requests int) error {
		const identifyAndGroup = 2
		return t.sent(requests + identifyAndGroup)
	}}
}

// silent is a subject that makes no events of requests, or only counts them.
func (t tracked) silent(serve func()) measured {
	return measured{measure.Subject{Op: serve}, func(int) error { return t.sent(0) }}
}

func (t tracked) flush(b *testing.B) {
	b.Helper()
	if err := t.client.Flush(context.Background()); err != nil {
		b.Fatal(err)
	}
}

var (
	errNotSent    = errors.New("not as many events sent as there were requests")
	errIncomplete = errors.New("an event lacks user, customer or route")
)

func (t tracked) oneEventEach(requests int) error {
	if err := complete(*t.sink.last.Load()); err != nil {
		return err
	}
	return t.sent(requests)
}

// complete fails if a batch lacks something that is known about the request.
func complete(batch []byte) error {
	for _, want := range []string{`"API Called"`, `"` + user + `"`, `"` + customer + `"`, `"` + route + `"`, `"status":200`} {
		if !bytes.Contains(batch, []byte(want)) {
			return errIncomplete
		}
	}
	return nil
}

func (t tracked) sent(events int) error {
	if stats := t.client.Stats(); stats.Sent != uint64(events) || stats.Accepted != uint64(events) {
		return errNotSent
	}
	return nil
}

// serving returns a function that serves the same request each time it is called, as if
// it came from a server: without a pattern, and with no headers in the answer.
func serving(b *testing.B, handler http.Handler) func() {
	b.Helper()
	r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, target, http.NoBody)
	w := answer.Nowhere()
	return func() {
		r.Pattern = ""
		clear(w.Header())
		handler.ServeHTTP(w, r)
	}
}

// show is the app: it answers two bytes of JSON.
func show() http.HandlerFunc {
	contentType, body := []string{"application/json"}, []byte(`{}`)
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = contentType
		_, _ = w.Write(body)
	}
}

// wrapper is a minimal writer that notes the status and counts bytes.
type wrapper struct {
	http.ResponseWriter

	status int
	bytes  int64
}

func (w *wrapper) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *wrapper) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *wrapper) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.bytes += int64(len(p))
	return w.ResponseWriter.Write(p)
}

// scopeKey is the context key for the value of a middleware.
type scopeKey struct{}
