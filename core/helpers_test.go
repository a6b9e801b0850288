package klime_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	klime "github.com/klimeapp/klime-go/core"
)

// wire stands in for the network and for Klime behind it: it keeps every
// accepted event as it came. It needs no socket, so that it works in a
// synctest bubble.
type wire struct {
	mu       sync.Mutex
	accepted []map[string]any
	requests []*http.Request
	answer   func(events int) (status int, body string) // nil: all accepted
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var batch struct {
		Batch []map[string]any `json:"batch"`
	}
	if err := json.Unmarshal(body, &batch); err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.requests = append(w.requests, r)
	answer := w.answer
	w.mu.Unlock()

	status, text := http.StatusOK, ""
	if answer != nil {
		status, text = answer(len(batch.Batch)) // may block, as a network does
	}
	if status == http.StatusOK && text == "" {
		w.mu.Lock()
		w.accepted = append(w.accepted, batch.Batch...)
		w.mu.Unlock()
	}
	return &http.Response{
		StatusCode: status,
		Header:     http.Header{},
		Body:       io.NopCloser(strings.NewReader(text)),
		Request:    r,
	}, nil
}

// answers sets what further requests are answered with.
func (w *wire) answers(answer func(events int) (status int, body string)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer = answer
}

func always(status int, body string) func(int) (int, string) {
	return func(int) (int, string) { return status, body }
}

// events flushes c and returns what has arrived so far.
func (w *wire) events(t *testing.T, c *klime.Client) []map[string]any {
	t.Helper()
	if err := c.Flush(t.Context()); err != nil {
		t.Fatalf("Flush: %v", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]map[string]any(nil), w.accepted...)
}

// one flushes c and returns the only event that has arrived.
func (w *wire) one(t *testing.T, c *klime.Client) map[string]any {
	t.Helper()
	events := w.events(t, c)
	if len(events) != 1 {
		t.Fatalf("%d events arrived, want 1: %.300v", len(events), summary(events))
	}
	return events[0]
}

func (w *wire) lastRequest() *http.Request {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.requests) == 0 {
		return nil
	}
	return w.requests[len(w.requests)-1]
}

// newClient returns a client on a wire of its own, shut down at the test's end.
func newClient(tb testing.TB, change ...func(*klime.Config)) (*klime.Client, *wire) {
	tb.Helper()
	w := &wire{}
	cfg := klime.Config{WriteKey: "key", HTTPClient: &http.Client{Transport: w}}
	for _, f := range change {
		f(&cfg)
	}
	client, err := klime.New(cfg)
	if err != nil {
		tb.Fatalf("New: %v", err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // what a test wanted to arrive it has flushed
		_ = client.Shutdown(ctx)
	})
	return client, w
}

func trackDone(t *testing.T, c *klime.Client, user string) {
	t.Helper()
	if err := c.Track(t.Context(), "Done", nil, klime.ForUser(user)); err != nil {
		t.Fatal(err)
	}
}

func shutDown(t *testing.T, c *klime.Client) {
	t.Helper()
	if err := c.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func userMode(cfg *klime.Config) { cfg.Mode = klime.UserMode }

// logTo makes the client log to the returned buffer.
func logTo(cfg *klime.Config) *syncBuffer { return logFrom(cfg, slog.LevelInfo) }

// logFrom is logTo from that level on.
func logFrom(cfg *klime.Config, level slog.Level) *syncBuffer {
	var b syncBuffer
	cfg.Logger = slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: level}))
	return &b
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// who is the identity of an event as "user/group".
func who(event map[string]any) string {
	user, _ := event["userId"].(string)
	group, _ := event["groupId"].(string)
	return user + "/" + group
}

// traffic is a request as the tests of scopes and trackers see it.
type traffic struct {
	tracker  *klime.Tracker
	ctx      context.Context //nolint:containedctx // of the request before the middleware; nil for an empty one
	target   string          // of the request, "" if the adapter does not tell
	native   any             // what resolvers are given; nil for something
	exchange klime.Exchange  // what is observed; a plain JSON answer where it says nothing
}

// serve lets handler handle a request behind the middleware.
func (r traffic) serve(handler func(ctx context.Context)) {
	ctx, native, x := r.ctx, r.native, r.exchange
	if ctx == nil {
		ctx = context.Background()
	}
	if native == nil {
		native = struct{}{}
	}
	if x.Method == "" {
		x.Method = http.MethodPost
	}
	if x.Route == "" && !x.Unmatched {
		x.Route = "/reports"
	}
	if x.Status == 0 && !x.Panicked && !x.Aborted {
		x.Status = http.StatusOK
	}
	if x.ContentType == "" {
		x.ContentType = "application/json"
	}
	var incoming *http.Request
	if r.target != "" {
		incoming = &http.Request{RequestURI: r.target}
	}
	scope := r.tracker.BeginIn(ctx, new(klime.Scope), incoming)
	scope.Bind(native, nil)
	if handler != nil {
		handler(scope)
	}
	r.tracker.Observe(scope, x)
}

// answerWith is a resolver that always finds id.
func answerWith(id any) func(any) any { return func(any) any { return id } }

// asUser makes every request that of one user.
func asUser(id any) klime.Option { return klime.ResolveUser(answerWith(id)) }
