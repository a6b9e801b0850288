package conformance

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
)

// Run runs the suite on an adapter.
func Run(t *testing.T, a Adapter) {
	t.Helper()
	runCases(t, a, false)
	t.Run("panic", func(t *testing.T) { testPanics(t, a) })
	t.Run("nil client", func(t *testing.T) { testNilClient(t, a) })
	t.Run("kept context", func(t *testing.T) { testKeptContext(t, a) })
	t.Run("concurrent requests", func(t *testing.T) { testConcurrentRequests(t, a) })
	t.Run("bodies", func(t *testing.T) { testBodies(t, a) })
	t.Run("hostile requests", func(t *testing.T) { testHostileRequests(t, a) })
	t.Run("graceful shutdown", func(t *testing.T) { testGracefulShutdown(t, a) })
	t.Run("option of another framework", func(t *testing.T) { testForeignOption(t, a) })
	if a.OwnServer {
		return
	}
	t.Run("writer", func(t *testing.T) { testWriter(t, a, false) })
	t.Run("status twice", func(t *testing.T) { testStatusTwice(t, a) })
	t.Run("client goes away", func(t *testing.T) { testClientGoesAway(t, a) })
	t.Run("over HTTP2", func(t *testing.T) {
		t.Parallel()
		runCases(t, a, true)
		t.Run("writer", func(t *testing.T) { testWriter(t, a, true) })
	})
}

func runCases(t *testing.T, a Adapter, http2 bool) {
	t.Helper()
	for _, group := range [][]testCase{requestCases(), identityCases(), tuningCases()} {
		for _, c := range group {
			if c.needs == keepsInPlace && !a.KeepsInPlace || c.needs == netHTTP && a.OwnServer {
				continue
			}
			c.app.HTTP2 = http2
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				c.run(t, a)
			})
		}
	}
}

// testCase is an app, requests to it one after the other, and the events that
// follow.
type testCase struct {
	name     string
	app      App
	requests []call
	want     []string // events as JSON, without what varies
	needs    need
}

// need is what not every framework has.
type need int

const (
	nothing need = iota
	keepsInPlace
	netHTTP
)

// call is a request of a test. The method is GET if empty.
type call struct {
	method, path, body string
	header             http.Header
	status             int // wanted; 200 if 0, any if anyStatus
}

// anyStatus is for what frameworks answer differently, such as a wrong method.
const anyStatus = -1

func get(path string) call { return call{path: path} }

func (c testCase) run(t *testing.T, a Adapter) {
	t.Helper()
	server := klimetest.NewServer(t)
	app := c.app
	app.Client = server.Client()
	url, stop := a.Start(t, app)
	for _, r := range c.requests {
		want := r.status
		if want == 0 {
			want = http.StatusOK
		}
		if got, _ := do(t, url, r); got != want && want != anyStatus {
			t.Errorf("%s %s: status %d, want %d", r.method, r.path, got, want)
		}
	}
	stop()
	compare(t, server, app.Client, c.want)
}

// do makes a request and returns the answer's status and body, 0 if there is
// no whole answer. Redirects are not followed.
func do(tb testing.TB, url string, c call) (status int, body string) {
	tb.Helper()
	method := c.method
	if method == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(tb.Context(), method, url+c.path, strings.NewReader(c.body))
	if err != nil {
		tb.Fatal(err)
	}
	maps.Copy(req.Header, c.header)
	transport := newTransport()
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, string(text)
	}
	return resp.StatusCode, string(text)
}

// newTransport speaks HTTP/1, and HTTP/2 to a server with TLS.
func newTransport() *http.Transport {
	return &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // a test server's own certificate
	}
}

// compare fails unless just these events have arrived.
func compare(tb testing.TB, server *klimetest.Server, client *klime.Client, want []string) {
	tb.Helper()
	if err := client.Flush(context.WithoutCancel(tb.Context())); err != nil {
		tb.Fatal(err)
	}
	var got []any
	for _, e := range server.Events() {
		got = append(got, simplify(tb, e))
	}
	var wanted []any
	for _, text := range want {
		var e any
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			tb.Fatalf("%v in %s", err, text)
		}
		wanted = append(wanted, e)
	}
	if !reflect.DeepEqual(got, wanted) {
		tb.Errorf("events\n got %s\nwant %s", pretty(got), pretty(wanted))
	}
	if n := server.Rejected(); n != 0 {
		tb.Errorf("%d events rejected", n)
	}
}

// simplify returns an event as plain JSON without what varies from run to run:
// messageId, timestamp, durationMs, openMs and the library's name.
func simplify(tb testing.TB, e klime.Event) any {
	tb.Helper()
	if e.MessageID == "" || time.Since(e.Timestamp) > time.Hour {
		tb.Errorf("message ID %q, timestamp %v", e.MessageID, e.Timestamp)
	}
	out := map[string]any{"type": e.Type.String()}
	for key, value := range map[string]string{"event": e.Event, "userId": e.UserID, "groupId": e.GroupID} {
		if value != "" {
			out[key] = value
		}
	}
	for _, key := range []string{"durationMs", "openMs"} {
		if ms, ok := e.Properties[key]; ok {
			if ms, ok := ms.(float64); !ok || ms < 0 || ms > 60_000 {
				tb.Errorf("%s: %v", key, ms)
			}
			delete(e.Properties, key)
		}
	}
	if len(e.Properties) > 0 {
		out["properties"] = map[string]any(e.Properties)
	}
	if len(e.Traits) > 0 {
		out["traits"] = map[string]any(e.Traits)
	}
	delete(e.Context, "library")
	if len(e.Context) > 0 {
		out["context"] = e.Context
	}
	return out
}

func pretty(events []any) string {
	var b strings.Builder
	for _, e := range events {
		text, _ := json.Marshal(e)
		fmt.Fprintf(&b, "\n  %s", text)
	}
	return b.String()
}
