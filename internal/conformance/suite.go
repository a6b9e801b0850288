package conformance

import (
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/klimeapp/klime-go/klimetest"
)

// Run runs the suite on an adapter.
func Run(t *testing.T, a Adapter) {
	t.Helper()
	a = a.endsInTime()
	runCases(t, a, false)
	t.Run("what the router answers", func(t *testing.T) { testRouterAnswers(t, a) })
	t.Run("what the client sees", func(t *testing.T) { testAnswers(t, a) })
	t.Run("response time", func(t *testing.T) { testResponseTime(t, a) })
	t.Run("panic", func(t *testing.T) { testPanics(t, a) })
	t.Run("without a client", func(t *testing.T) { testTransparency(t, a) })
	t.Run("customers", func(t *testing.T) { testCustomers(t, a) })
	t.Run("forged groups", func(t *testing.T) { testForgery(t, a) })
	t.Run("nothing leaks", func(t *testing.T) { testNothingLeaks(t, a) })
	t.Run("printed context", func(t *testing.T) { testPrintedContext(t, a) })
	t.Run("capture", func(t *testing.T) { testCapture(t, a) })
	t.Run("opt-out", func(t *testing.T) { testOptOut(t, a) })
	t.Run("opt-out of two clients", func(t *testing.T) { testOptOutOfTwoClients(t, a) })
	t.Run("traceparent", func(t *testing.T) { testTraceparent(t, a) })
	t.Run("two clients", func(t *testing.T) { testTwoClients(t, a) })
	t.Run("nobody known", func(t *testing.T) { testNobodyHint(t, a) })
	t.Run("kept context", func(t *testing.T) { testKeptContext(t, a) })
	t.Run("context held during later requests", func(t *testing.T) { testHeldContext(t, a) })
	t.Run("late sign-in", func(t *testing.T) { testLateSignIn(t, a) })
	t.Run("concurrent requests", func(t *testing.T) { testConcurrentRequests(t, a) })
	t.Run("stream", func(t *testing.T) { testStream(t, a) })
	t.Run("bodies", func(t *testing.T) { testBodies(t, a) })
	t.Run("bodies of forms", func(t *testing.T) { testFormBodies(t, a) })
	t.Run("goroutines", func(t *testing.T) { testGoroutines(t, a) })
	t.Run("hostile requests", func(t *testing.T) { testHostileRequests(t, a) })
	t.Run("huge IDs", func(t *testing.T) { testHugeIDs(t, a) })
	t.Run("graceful shutdown", func(t *testing.T) { testGracefulShutdown(t, a) })
	t.Run("option of another framework", func(t *testing.T) { testForeignOption(t, a) })
	if a.OwnServer {
		return
	}
	t.Run("writer", func(t *testing.T) { testWriter(t, a, false, false) })
	t.Run("writer behind Unwrap", func(t *testing.T) { testWriter(t, a, false, true) })
	t.Run("copies", func(t *testing.T) { testCopies(t, a) })
	t.Run("slow copy", func(t *testing.T) { testSlowCopy(t, a) })
	t.Run("panic after an upgrade", func(t *testing.T) { testPanicAfterUpgrade(t, a) })
	t.Run("taken over after the answer", func(t *testing.T) { testTakenOverAfterTheAnswer(t, a) })
	t.Run("taken over without an upgrade", func(t *testing.T) { testTakenOverWithoutUpgrade(t, a) })
	t.Run("a connection left open", func(t *testing.T) { testLeftOpen(t, a) })
	t.Run("requests of its own", func(t *testing.T) { testSubrequests(t, a) })
	t.Run("what is left outside", func(t *testing.T) { testOutside(t, a) })
	t.Run("body in lock-step", func(t *testing.T) { testBodyInLockStep(t, a) })
	t.Run("client goes away", func(t *testing.T) { testClientGoesAway(t, a) })
	t.Run("client goes away first", func(t *testing.T) { testClientGoesAwayFirst(t, a) })
	t.Run("over HTTP2", func(t *testing.T) {
		t.Parallel()
		runCases(t, a, true)
		t.Run("writer", func(t *testing.T) { testWriter(t, a, true, false) })
		t.Run("writer behind Unwrap", func(t *testing.T) { testWriter(t, a, true, true) })
		over := a.overHTTP2()
		t.Run("panic", func(t *testing.T) { testPanics(t, over) })
		t.Run("kept context", func(t *testing.T) { testKeptContext(t, over) })
		t.Run("concurrent requests", func(t *testing.T) { testConcurrentRequests(t, over) })
		t.Run("stream", func(t *testing.T) { testStream(t, over) })
		t.Run("bodies", func(t *testing.T) { testBodies(t, over) })
		t.Run("bodies of forms", func(t *testing.T) { testFormBodies(t, over) })
		t.Run("body in lock-step", func(t *testing.T) { testBodyInLockStep(t, over) })
		t.Run("client goes away", func(t *testing.T) { testClientGoesAway(t, over) })
		t.Run("client goes away first", func(t *testing.T) { testClientGoesAwayFirst(t, over) })
	})
}

// overHTTP2 is the same adapter, which serves every app over HTTP/2.
func (a Adapter) overHTTP2() Adapter {
	start := a.Start
	a.Start = func(tb testing.TB, app App) (url string, stop func()) {
		tb.Helper()
		app.HTTP2 = true
		return start(tb, app)
	}
	return a
}

func runCases(t *testing.T, a Adapter, http2 bool) {
	t.Helper()
	for _, group := range [][]testCase{routeCases(), answerCases(), identityCases(), tuningCases()} {
		for _, c := range group {
			if !a.has(c.needs) {
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

// testCase is an app, requests to it one after the other, and the events that these
// make.
type testCase struct {
	name     string
	app      App
	requests []call
	want     []string // events as JSON, without what varies: see simplify
	needs    need
}

// need is what a test case needs and not every framework has.
type need int

const (
	nothing         need = iota
	keepsInPlace         // Adapter.KeepsInPlace
	passesOn             // the opposite: a middleware passes on a new request
	replacesInPlace      // keepsInPlace, and contexts too
	netHTTP
)

func (a Adapter) has(n need) bool {
	switch n {
	case keepsInPlace:
		return a.KeepsInPlace
	case passesOn:
		return !a.KeepsInPlace
	case replacesInPlace:
		return a.KeepsInPlace && !a.PassesContext
	case netHTTP:
		return !a.OwnServer
	default:
		return true
	}
}

// call is a request of a test. The method is GET if empty.
type call struct {
	method, path, body string
	header             http.Header
	status             int // wanted; 200 if 0, any if anyStatus
}

// anyStatus is for requests that frameworks answer differently, such as those with a
// wrong method.
const anyStatus = -1

func get(path string) call { return call{path: path} }

func (c testCase) run(t *testing.T, a Adapter) {
	t.Helper()
	server := klimetest.NewServer(t)
	app := c.app
	app.Client = server.Client()
	app.ClientInside = app.Client
	url, stop := a.Start(t, app)
	transport := newTransport() // one connection, as some frameworks reuse memory within one
	defer transport.CloseIdleConnections()
	for _, r := range c.requests {
		want := r.status
		if want == 0 {
			want = http.StatusOK
		}
		switch got := askOver(t, transport, url, r).status; {
		case got == want || want == anyStatus:
		case got == cannotSetHeaders:
			transport.CloseIdleConnections()
			stop()
			t.Skip("the adapter's Request is no HeaderSetter")
		default:
			t.Errorf("%s %s: status %d, want %d", r.method, r.path, got, want)
		}
	}
	transport.CloseIdleConnections()
	stop()
	compare(t, server, app.Client, c.want)
	if n := app.Client.Stats().Invalid; n != 0 {
		t.Errorf("%d events were not valid", n)
	}
}

// answer is what a client sees. The status is 0 if the answer is incomplete.
type answer struct {
	status int
	header http.Header
	body   string
}

// do makes a request and returns the answer's status and body.
func do(tb testing.TB, url string, c call) (status int, body string) {
	tb.Helper()
	got := ask(tb, url, c)
	return got.status, got.body
}

// ask makes a request on a connection of its own.
func ask(tb testing.TB, url string, c call) answer {
	tb.Helper()
	transport := newTransport()
	defer transport.CloseIdleConnections()
	return askOver(tb, transport, url, c)
}

// askOver makes a request. Redirects are not followed. If the answer does not end, the
// test does.
func askOver(tb testing.TB, transport http.RoundTripper, url string, c call) answer {
	tb.Helper()
	got, err := attempt(tb, transport, url, c)
	if err != nil {
		tb.Fatal(err)
	}
	return got
}

// attempt is askOver for any goroutine: it returns an error in place of ending the test.
func attempt(tb testing.TB, transport http.RoundTripper, url string, c call) (answer, error) {
	tb.Helper()
	ctx, cancel := limited(tb)
	defer cancel()
	method := c.method
	if method == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(ctx, method, url+c.path, strings.NewReader(c.body))
	if err != nil {
		return answer{}, err
	}
	maps.Copy(req.Header, c.header)
	req.Host = req.Header.Get("Host")
	resp, err := transport.RoundTrip(req)
	if overdue(err) {
		return answer{}, fmt.Errorf("%s %s: no answer: %w", method, c.path, err)
	}
	if err != nil {
		return answer{}, nil // what a client without an answer sees
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if overdue(err) {
		return answer{}, fmt.Errorf("%s %s: the answer does not end after %d bytes: %w", method, c.path, len(text), err)
	}
	if err != nil {
		return answer{header: resp.Header, body: string(text)}, nil
	}
	return answer{resp.StatusCode, resp.Header, string(text)}, nil
}

// dial opens a connection to a server, for requests that no client library can send. It
// lasts as long as the test's patience.
func dial(tb testing.TB, url string) net.Conn {
	tb.Helper()
	_, addr, _ := strings.Cut(url, "://")
	ctx, cancel := limited(tb)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(patience())); err != nil {
		tb.Fatal(err)
	}
	return conn
}

// newTransport speaks HTTP/1, and HTTP/2 to a server with TLS. It does not decompress
// answers.
func newTransport() *http.Transport {
	return &http.Transport{
		DisableCompression: true,
		ForceAttemptHTTP2:  true,
		TLSClientConfig:    &tls.Config{InsecureSkipVerify: true}, // the test server's certificate is self-signed
	}
}
