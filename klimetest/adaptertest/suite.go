package adaptertest

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Run runs the suite on an adapter, each case as a subtest. Cases that need something that
// the framework lacks, according to the fields of the Adapter, are left out.
func Run(t *testing.T, a Adapter) {
	t.Helper()
	a.runCases(t)
	a.test(t, "what the router answers", testRouterAnswers)
	a.test(t, "what the client sees", testAnswers)
	a.test(t, "response time", testResponseTime)
	a.test(t, "panic", testPanics)
	a.test(t, "returned errors", testReturnedErrors)
	a.test(t, "without a client", testTransparency)
	a.test(t, "customers", testCustomers)
	a.test(t, "forged groups", testForgery)
	a.test(t, "nothing leaks", testNothingLeaks)
	a.test(t, "printed context", testPrintedContext)
	a.test(t, "capture", testCapture)
	a.test(t, "opt-out", testOptOut)
	a.test(t, "opt-out of two clients", testOptOutOfTwoClients)
	a.test(t, "traceparent", testTraceparent)
	a.test(t, "two clients", testTwoClients)
	a.test(t, "nobody known", testNobodyHint)
	a.test(t, "kept context", testKeptContext)
	a.test(t, "context held during later requests", testHeldContext)
	a.test(t, "late sign-in", testLateSignIn)
	a.test(t, "concurrent requests", testConcurrentRequests)
	a.test(t, "stream", testStream)
	a.test(t, "bodies", testBodies)
	a.test(t, "bodies of forms", testFormBodies)
	a.test(t, "goroutines", testGoroutines)
	a.test(t, "hostile requests", testHostileRequests)
	a.test(t, "huge IDs", testHugeIDs)
	a.test(t, "graceful shutdown", testGracefulShutdown)
	a.test(t, "option of another framework", testForeignOption)
	if a.OwnServer {
		return
	}
	a.test(t, "writer", testWriter)
	a.behindUnwrap().test(t, "writer behind Unwrap", testWriter)
	a.test(t, "copies", testCopies)
	a.test(t, "copies behind Unwrap", testCopiesBehindUnwrap)
	a.test(t, "slow copy", testSlowCopy)
	a.test(t, "panic after an upgrade", testPanicAfterUpgrade)
	a.test(t, "tracked after an upgrade", testTrackAfterUpgrade)
	a.test(t, "taken over after the answer", testTakenOverAfterTheAnswer)
	a.test(t, "taken over without an upgrade", testTakenOverWithoutUpgrade)
	a.test(t, "a connection left open", testLeftOpen)
	a.test(t, "requests of its own", testSubrequests)
	a.test(t, "what is left outside", testOutside)
	a.test(t, "body in lock-step", testBodyInLockStep)
	a.test(t, "client goes away", testClientGoesAway)
	a.test(t, "client goes away first", testClientGoesAwayFirst)
	t.Run("over HTTP2", func(t *testing.T) {
		t.Parallel()
		over := a.overHTTP2()
		over.runCases(t)
		over.test(t, "writer", testWriter)
		over.behindUnwrap().test(t, "writer behind Unwrap", testWriter)
		over.test(t, "copies behind Unwrap", testCopiesBehindUnwrap)
		over.test(t, "panic", testPanics)
		over.test(t, "kept context", testKeptContext)
		over.test(t, "concurrent requests", testConcurrentRequests)
		over.test(t, "stream", testStream)
		over.test(t, "bodies", testBodies)
		over.test(t, "bodies of forms", testFormBodies)
		over.test(t, "body in lock-step", testBodyInLockStep)
		over.test(t, "client goes away", testClientGoesAway)
		over.test(t, "client goes away first", testClientGoesAwayFirst)
	})
}

// test runs a test of the suite under its name.
func (a Adapter) test(t *testing.T, name string, run func(*testing.T, Adapter)) {
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		run(t, a)
	})
}

// overHTTP2 is the same adapter, which serves every app over HTTP/2.
func (a Adapter) overHTTP2() Adapter {
	a.http2 = true
	return a
}

// behindUnwrap is the same adapter, which serves every app with a ResponseWriter that has
// optional interfaces only by its Unwrap.
func (a Adapter) behindUnwrap() Adapter {
	a.nested = true
	return a
}

func (a Adapter) runCases(t *testing.T) {
	for _, group := range [][]testCase{routeCases(), answerCases(), identityCases(), tuningCases()} {
		for _, c := range group {
			if a.has(c.needs) {
				a.test(t, c.name, c.run)
			}
		}
	}
}

// testCase is an app, requests to it one after the other, and the events that these
// make.
type testCase struct {
	name     string
	app      App
	requests []call
	want     []string // in order: see describe
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
	app := a.record(t, c.app)
	transport := newTransport() // one connection, as some frameworks reuse memory within one
	defer transport.CloseIdleConnections()
	for _, r := range c.requests {
		want := cmp.Or(r.status, http.StatusOK)
		switch got := askOver(t, transport, app.url, r).status; {
		case got == want || want == anyStatus:
		case got == cannotSetHeaders:
			t.Skip("the adapter's Request is no HeaderSetter")
		default:
			t.Errorf("%s %s: status %d, want %d", r.method, r.path, got, want)
		}
	}
	transport.CloseIdleConnections()
	app.expect(c.want...)
	if n := app.client.Stats().Invalid; n != 0 {
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
	method := cmp.Or(c.method, http.MethodGet)
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

// open makes a request and leaves the answer's body to the caller. If there is no answer,
// it ends the test: with late if none has come in time.
func open(tb testing.TB, transport http.RoundTripper, req *http.Request, late string) *http.Response {
	tb.Helper()
	resp, err := transport.RoundTrip(req)
	if overdue(err) {
		tb.Fatal(late)
	}
	if err != nil {
		tb.Fatal(req.Method, req.URL.Path, err)
	}
	return resp
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
