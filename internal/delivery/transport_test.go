package delivery_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// serve returns a Transport to a server with this handler.
func serve(tb testing.TB, handler http.HandlerFunc) *delivery.HTTP {
	tb.Helper()
	server := httptest.NewServer(handler)
	tb.Cleanup(server.Close)
	return ours(tb, 2, server.URL+"/v1/batch")
}

func TestRequest(t *testing.T) {
	t.Parallel()
	const body = `{"batch":[{"id":1}]}`
	transport := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		got, _ := io.ReadAll(r.Body)
		if r.Method != http.MethodPost || r.URL.Path != "/v1/batch" || string(got) != body ||
			r.Header.Get("Authorization") != "Bearer key" || r.ContentLength != int64(len(body)) {
			t.Errorf("%s %s %v %s", r.Method, r.URL, r.Header, got)
		}
	})
	if _, err := transport.Send(t.Context(), []byte(body), 1); err != nil {
		t.Error(err)
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	rejected := func(r ...delivery.Rejection) delivery.Result { return delivery.Result{Failed: len(r), Rejected: r} }
	tests := []struct {
		name    string
		code    int
		body    string
		events  int // 0 stands for 3
		want    delivery.Result
		message string // of the error
	}{
		{name: "all accepted", code: 200, body: `{"status":"ok","accepted":3,"failed":0}`, want: delivery.Result{Accepted: 3}},
		{
			name: "one failed", code: 200, body: `{"status":"ok","accepted":2,"failed":1,"errors":[{"index":1,"message":"m","code":"c"}]}`,
			want: delivery.Result{Accepted: 2, Failed: 1, Rejected: []delivery.Rejection{{Index: 1, Code: "c", Message: "m"}}},
		},
		{
			name: "indexes out of range and twice", code: 200,
			body: `{"accepted":0,"errors":[{"index":-1},{"index":3},{"index":2},{"index":2}]}`,
			want: delivery.Result{Accepted: 2, Failed: 1, Rejected: []delivery.Rejection{{Index: 2}}},
		},
		{
			name: "the only one failed", code: 200, events: 1, body: `{"status":"ok","accepted":0,"failed":1}`,
			want: rejected(delivery.Rejection{}),
		},
		{
			name: "the only one failed, and is not named", code: 200, events: 1,
			body: `{"accepted":0,"failed":1,"errors":[{"messageId":"x","message":"m","code":"c"}]}`,
			want: rejected(delivery.Rejection{Code: "c", Message: "m"}),
		},
		{
			name: "the only one failed, and a message says why", code: 200, events: 1, body: `{"failed":1,"message":"no such: key","errors":[]}`,
			want: rejected(delivery.Rejection{Message: "no such: [write key]"}),
		},
		{
			name: "an index that is no integer", code: 200, events: 1, body: `{"accepted":0,"failed":1,"errors":[{"index":0.5,"message":"m"}]}`,
			want: rejected(delivery.Rejection{Message: "m"}),
		},
		{
			name: "integers that are written as fractions", code: 200, body: `{"accepted":2.0,"failed":1e0,"errors":[{"index":1.0,"message":"m"}]}`,
			want: delivery.Result{Accepted: 2, Failed: 1, Rejected: []delivery.Rejection{{Index: 1, Message: "m"}}},
		},
		{
			name: "all failed", code: 200, body: `{"accepted":0,"failed":3}`,
			want: rejected(delivery.Rejection{}, delivery.Rejection{Index: 1}, delivery.Rejection{Index: 2}),
		},
		{
			name: "all failed, and one is named", code: 200, body: `{"accepted":0,"failed":3,"errors":[{"index":1,"message":"m"}]}`,
			want: rejected(delivery.Rejection{Index: 1, Message: "m"}, delivery.Rejection{}, delivery.Rejection{Index: 2}),
		},
		{name: "some failed, and none is named", code: 200, body: `{"accepted":1,"failed":2}`, want: delivery.Result{Accepted: 3, Unnamed: 2}},
		{
			name: "two failed, and one is named", code: 200, body: `{"accepted":1,"failed":2,"errors":[{"index":1},{"index":3}]}`,
			want: delivery.Result{Accepted: 2, Failed: 1, Unnamed: 1, Rejected: []delivery.Rejection{{Index: 1}}},
		},
		{name: "fewer failed than are named", code: 200, body: `{"accepted":3,"failed":0,"errors":[{"index":1}]}`,
			want: delivery.Result{Accepted: 2, Failed: 1, Rejected: []delivery.Rejection{{Index: 1}}}},
		{name: "more than there are", code: 200, events: 1, body: `{"accepted":1,"failed":7}`, want: delivery.Result{Accepted: 1, Unnamed: 1}},
		{name: "counts that are none", code: 200, events: 1, body: `{"accepted":"0","failed":"1"}`, want: delivery.Result{Accepted: 1}},
		{name: "of an empty batch", code: 200, events: -1, body: `{"accepted":0,"failed":0}`},
		{name: "no content", code: 204, want: delivery.Result{Accepted: 3}},
		{name: "not JSON", code: 200, body: `ok <3`, want: delivery.Result{Accepted: 3}},
		{name: "other JSON", code: 202, body: `["ok"]`, want: delivery.Result{Accepted: 3}},
		{name: "failure with message", code: 400, body: `{"message":"bad batch"}`, message: "status 400: bad batch"},
		{name: "failure that quotes the write key", code: 401, body: `{"error":"no such: key"}`, message: "status 401: the write key was not accepted: no such: [write key]"},
		{name: "failure without JSON", code: 502, body: `<html>`, message: "status 502 Bad Gateway"},
		{name: "long message", code: 400, body: `{"message":"` + strings.Repeat("é", 1000) + `"}`, message: "status 400: " + strings.Repeat("é", 300) + "…"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			transport := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.code)
				_, _ = io.WriteString(w, test.body)
			})
			got, err := transport.Send(t.Context(), nil, max(0, cmp.Or(test.events, 3)))
			if fmt.Sprint(got) != fmt.Sprint(test.want) {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
			if (err == nil) != (test.message == "") || err != nil && err.Error() != test.message {
				t.Errorf("error %q, want %q", err, test.message)
			}
		})
	}
}

// What is most likely not Klime is named, also in the log, without what it says there.
func TestMisdirected(t *testing.T) {
	t.Parallel()
	for _, code := range []int{301, 307, 404, 405} {
		var url string
		transport := serve(t, func(w http.ResponseWriter, r *http.Request) {
			url = "http://" + r.Host + r.URL.Path
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(code)
			_, _ = io.WriteString(w, `{"message":"not here"}`)
		})
		_, err := transport.Send(t.Context(), nil, 1)
		want := fmt.Sprintf("status %d: no Klime at %s", code, url)
		if err == nil || err.Error() != want+": not here" {
			t.Errorf("error %v, want %s", err, want)
		}
		var failure *delivery.SendError
		if !errors.As(err, &failure) || failure.LogValue().String() != want {
			t.Errorf("logged as %v, want %s", failure.LogValue(), want)
		}
	}
}

// A web page is no answer of Klime, even if its status is that of a success. Events are kept.
func TestWebPage(t *testing.T) {
	t.Parallel()
	for _, page := range []string{"<html>", "\ufeff\r\n\t <!DOCTYPE html>", `<?xml version="1.0"?>`} {
		var url string
		var good atomic.Bool
		transport := serve(t, func(w http.ResponseWriter, r *http.Request) {
			url = "http://" + r.Host + r.URL.Path
			if !good.Load() {
				_, _ = io.WriteString(w, page)
			}
		})
		d := start(t, config(transport))
		err := d.Ping(t.Context())
		want := "status 200: answered with a web page: no Klime at " + url + ", or a proxy or captive portal in between"
		var failure *delivery.SendError
		if !errors.As(err, &failure) || err.Error() != want || failure.LogValue().String() != want || failure.Temporary() || failure.Verdict() != "halted" {
			t.Errorf("%q: %v, want %s", page, err, want)
		}
		if _, err := d.SendNow(t.Context(), item(1, false, 0)); err == nil || err.Error() != want {
			t.Errorf("%q: one-shot send: %v", page, err)
		}
		enqueue(t, d, 2, 30)
		if err := d.Flush(t.Context()); err == nil || err.Error() != want || !d.Halted() {
			t.Errorf("%q: Flush: %v, halted %v", page, err, d.Halted())
		}
		if c := d.Counts(); c.Sent != 0 || c.Held != 29 {
			t.Errorf("%q: counts %+v", page, c)
		}
		good.Store(true)
		if err := shutdown(t, d); err != nil || d.Counts().Sent != 29 {
			t.Errorf("%q: Shutdown: %v, counts %+v", page, err, d.Counts())
		}
	}
}

// So is a wrong key, and only that: a firewall forbids (403) for other reasons.
func TestWriteKeyNotAccepted(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]string{401: "status 401: the write key was not accepted", 403: "status 403 Forbidden"} {
		transport := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
		_, err := transport.Send(t.Context(), nil, 1)
		var failure *delivery.SendError
		if !errors.As(err, &failure) || failure.Error() != want || failure.LogValue().String() != want {
			t.Errorf("error %v, want %s, also in the log", err, want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	tests := []struct {
		header   string
		from, to time.Duration
	}{
		{"7", 7 * time.Second, 7 * time.Second},
		{time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat), 80 * time.Second, 90 * time.Second},
		{"31536000", 5 * time.Minute, 5 * time.Minute},
		{time.Now().AddDate(1, 0, 0).UTC().Format(http.TimeFormat), 5 * time.Minute, 5 * time.Minute},
		{time.Now().AddDate(-1, 0, 0).UTC().Format(http.TimeFormat), 0, 0},
		{"-5", 0, 0},
		{"0", 0, 0},
		{"99999999999999999999", 0, 0},
		{"-99999999999999999999", 0, 0},
		{"soon", 0, 0},
		{"", 0, 0},
	}
	for _, test := range tests {
		transport := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", test.header)
			w.WriteHeader(http.StatusTooManyRequests)
		})
		_, err := transport.Send(t.Context(), nil, 1)
		var failure *delivery.SendError
		if !errors.As(err, &failure) || failure.RetryAfter < test.from || failure.RetryAfter > test.to {
			t.Errorf("Retry-After %q: %+v", test.header, failure)
		}
	}
}

// A date is that of the server's clock, which may differ from ours.
func TestRetryAfterByTheServersClock(t *testing.T) {
	t.Parallel()
	for _, off := range []time.Duration{-3 * time.Hour, 0, 3 * time.Hour} {
		transport := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			now := time.Now().Add(off).UTC()
			w.Header().Set("Date", now.Format(http.TimeFormat))
			w.Header().Set("Retry-After", now.Add(90*time.Second).Format(http.TimeFormat))
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		_, err := transport.Send(t.Context(), nil, 1)
		var failure *delivery.SendError
		if !errors.As(err, &failure) || failure.RetryAfter != 90*time.Second {
			t.Errorf("a clock that is off by %v: %+v", off, failure)
		}
	}
}

// An answer may be compressed although nobody asked for that. What it says counts.
func TestCompressedAnswers(t *testing.T) {
	t.Parallel()
	packed := func(text string) []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = io.WriteString(w, text)
		_ = w.Close()
		return b.Bytes()
	}
	refusal := packed(`{"accepted":2,"failed":1,"errors":[{"index":1,"code":"c"}]}`)
	tests := []struct {
		name string
		code int
		body []byte
		want string
	}{
		{"refused", 200, refusal, "2 [{1 c }] <nil>"},
		{"refused, cut short", 200, refusal[:len(refusal)-4], "2 [{1 c }] <nil>"},
		{"empty", 200, nil, "3 [] <nil>"},
		{"not compressed", 200, []byte(`{"accepted":2,"failed":1,"errors":[{"index":1,"code":"c"}]}`), "2 [{1 c }] <nil>"},
		{"a message", 400, packed(`{"message":"bad batch"}`), "0 [] status 400: bad batch"},
	}
	for _, test := range tests {
		transport := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(test.code)
			_, _ = w.Write(test.body)
		})
		result, err := transport.Send(t.Context(), nil, 3)
		if got := fmt.Sprint(result.Accepted, " ", result.Rejected, " ", err); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

// If the proxy does not let us through, the error says that it is the proxy, without what
// it says.
func TestProxyRefuses(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]string{302: "302 Found", 407: "407 Proxy Authentication Required", 502: "502 Bad Gateway"} {
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }))
		t.Cleanup(proxy.Close)
		at, err := url.Parse(strings.Replace(proxy.URL, "http://", "http://user:password@", 1))
		if err != nil {
			t.Fatal(err)
		}
		client := delivery.DefaultClient(1)
		client.Transport.(*http.Transport).Proxy = http.ProxyURL(at)
		_, err = delivery.NewHTTP(client, "https://klime.test/v1/batch", "key", "test").Send(t.Context(), nil, 1)
		want := "no answer: the proxy " + at.Host + " answers " + want
		var failure *delivery.SendError
		if !errors.As(err, &failure) || failure.LogValue().String() != want || !failure.Temporary() {
			t.Errorf("%d: %v, want %s", code, err, want)
		}
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	var followed atomic.Bool
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Store(true) }))
	defer other.Close()
	for _, code := range []int{301, 302, 303, 307, 308} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, code) }))
		t.Cleanup(server.Close)
		for _, client := range []*http.Client{delivery.DefaultClient(1), {Transport: &http.Transport{}}} { // ours and an app's
			t.Cleanup(client.CloseIdleConnections)
			_, err := delivery.NewHTTP(client, server.URL, "key", "test").Send(t.Context(), nil, 1)
			var failure *delivery.SendError
			if !errors.As(err, &failure) || failure.StatusCode != code || failure.Temporary() {
				t.Errorf("%d: %v", code, err)
			}
		}
	}
	if followed.Load() {
		t.Error("the key was carried elsewhere")
	}
}

// What a hostile or broken server can do is bounded.
func TestHostileAnswers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		handler   http.HandlerFunc
		transient bool
	}{
		{"cut short", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"accepted":1`)
		}, true},
		{"no answer", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, true},
		{"10 MB of error", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			_, _ = w.Write(make([]byte, 10<<20))
		}, true},
		{"endless header", func(w http.ResponseWriter, _ *http.Request) {
			for i := range 2000 {
				w.Header().Set(fmt.Sprintf("X-%d", i), strings.Repeat("x", 1000))
			}
		}, true},
		{"gzip bomb", func(w http.ResponseWriter, _ *http.Request) {
			var bomb bytes.Buffer
			zip := gzip.NewWriter(&bomb)
			_, _ = zip.Write(make([]byte, 16<<20))
			_ = zip.Close()
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb.Bytes())
		}, false},
		{"endless body", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := serve(t, test.handler).Send(t.Context(), nil, 1)
			var failure *delivery.SendError
			if errors.As(err, &failure) != test.transient || err != nil && !failure.Temporary() {
				t.Errorf("error: %v", err)
			}
		})
	}
}

func TestSendEndsWithItsContext(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	transport := serve(t, func(http.ResponseWriter, *http.Request) { <-hang })
	t.Cleanup(func() { close(hang) }) // before the server waits for its handlers
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := transport.Send(ctx, nil, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("error: %v", err)
	}
}

// Answers are read to their end, also failures that are due to the events alone: 200
// requests take few connections.
func TestConnectionsAreReused(t *testing.T) {
	t.Parallel()
	for _, code := range []int{200, 400, 413, 422, 429} {
		var connections atomic.Int64
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(code)
			_, _ = w.Write(make([]byte, 10_000))
		}))
		server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				connections.Add(1)
			}
		}
		server.Start()
		t.Cleanup(server.Close)
		transport := ours(t, 2, server.URL)
		for range 200 {
			_, _ = transport.Send(t.Context(), []byte(`{"batch":[]}`), 0)
		}
		if n := connections.Load(); n > 2 {
			t.Errorf("%d: %d connections", code, n)
		}
	}
}

// ours returns a Transport with a client of its own.
func ours(tb testing.TB, senders int, url string) *delivery.HTTP {
	tb.Helper()
	client := delivery.DefaultClient(senders)
	tb.Cleanup(client.CloseIdleConnections)
	transport := delivery.NewHTTP(client, url, "key", "test")
	transport.HangUp = client.CloseIdleConnections
	return transport
}

// atOnce makes n requests at the same time. If the server has each wait for all, each
// needs a connection of its own.
func atOnce(t *testing.T, n int, transport *delivery.HTTP) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			if _, err := transport.Send(ctx, []byte(`{"batch":[]}`), 0); err != nil {
				t.Errorf("one of %d at once: %v", n, err)
			}
		})
	}
	all.Wait()
}

// barrier lets n callers go on when all of them wait.
type barrier struct {
	mu   sync.Mutex
	left int
	open chan struct{}
}

func newBarrier(n int) *barrier { return &barrier{left: n, open: make(chan struct{})} }

func (b *barrier) wait(ctx context.Context) {
	b.mu.Lock()
	if b.left--; b.left == 0 {
		close(b.open)
	}
	b.mu.Unlock()
	select {
	case <-b.open:
	case <-ctx.Done():
	}
}

// One-shot sends do not wait for a free connection, and batches do not wait for one-shot
// sends.
func TestRequestsDoNotWaitForConnections(t *testing.T) {
	t.Parallel()
	const n = 50
	all := newBarrier(n)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { all.wait(r.Context()) }))
	t.Cleanup(server.Close)
	atOnce(t, n, ours(t, 2, server.URL))
}

// Behind a load balancer that distributes connections, open ones may stay with a server
// that has become sick, while a new one would be served.
func TestSickConnectionsAreLeft(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		app   bool // the client is the app's
		http2 bool
		open  int // connections
		most  int // requests that fail
	}{
		{"ours", false, false, 3, 1},
		{"ours, HTTP/2", false, true, 1, 2},
		{"an app's", true, false, 3, 4}, // one, and one for each connection
		{"an app's, HTTP/2", true, true, 1, 2},
	} {
		for _, code := range []int{302, 401, 403, 404, 408, 500, 502, 503, 504} {
			t.Run(fmt.Sprintf("%s, %d", tt.name, code), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					b := newBalancer(t, tt.http2, code)
					defer b.close()
					transport := delivery.NewHTTP(b.client, "http://klime/v1/batch", "key", "test")
					if !tt.app {
						transport.HangUp = b.client.CloseIdleConnections
					}
					b.all = newBarrier(tt.open)
					atOnce(t, tt.open, transport)
					b.sicken()
					failures, made := 0, int64(0)
					for i := range 40 {
						if i == 20 {
							made = b.made.Load()
						}
						if _, err := transport.Send(t.Context(), []byte(`{"batch":[]}`), 0); err != nil {
							failures++
						}
						time.Sleep(time.Second)
					}
					if failures > tt.most {
						t.Errorf("%d requests failed, want %d at most", failures, tt.most)
					}
					if n := b.made.Load() - made; n > 0 {
						t.Errorf("%d connections for 20 requests that were served", n)
					}
				})
			})
		}
	}
}

// If all servers are sick, not every failure costs a connection.
func TestFailuresCostFewConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBalancer(t, false, http.StatusServiceUnavailable)
		defer b.close()
		transport := delivery.NewHTTP(b.client, "http://klime/v1/batch", "key", "test")
		transport.HangUp = b.client.CloseIdleConnections
		const seconds = 10
		for range seconds * 100 {
			b.sicken()
			_, _ = transport.Send(t.Context(), []byte(`{"batch":[]}`), 0)
			time.Sleep(time.Second / 100)
		}
		if n := b.made.Load(); n > 2*seconds+2 {
			t.Errorf("%d connections in %d s", n, seconds)
		}
	})
}

// balancer gives each connection a server of its own, which may become sick.
type balancer struct {
	client *http.Client
	made   atomic.Int64 // connections
	sick   atomic.Int64 // this many connections, the oldest, have sick servers
	all    *barrier     // for requests to healthy servers
	close  func()
}

type connNumber struct{}

// newBalancer returns a balancer whose sick servers answer with code.
func newBalancer(t *testing.T, overHTTP2 bool, code int) *balancer {
	t.Helper()
	p := newPipes()
	b := &balancer{client: delivery.DefaultClient(2), all: newBarrier(1)}
	server := &http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if n, _ := r.Context().Value(connNumber{}).(int64); n <= b.sick.Load() {
			w.WriteHeader(code)
			return
		}
		b.all.wait(r.Context())
	})}
	server.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, connNumber{}, b.made.Add(1))
	}
	inner, _ := b.client.Transport.(*http.Transport)
	inner.Proxy, inner.IdleConnTimeout, inner.Protocols = nil, time.Hour, new(http.Protocols)
	for _, p := range []*http.Protocols{server.Protocols, inner.Protocols} {
		p.SetHTTP1(!overHTTP2)
		p.SetUnencryptedHTTP2(overHTTP2)
	}
	inner.DialContext = func(context.Context, string, string) (net.Conn, error) { return p.dial() }
	go func() { _ = server.Serve(p) }()
	b.close = func() {
		b.client.CloseIdleConnections()
		_ = server.Close()
	}
	return b
}

// sicken makes the servers of all present connections sick.
func (b *balancer) sicken() { b.sick.Store(b.made.Load()) }

// dozing is a connection of a process that is frozen, as a cloud function is between
// invocations. What came meanwhile, even its end, shows only after the next write.
type dozing struct {
	net.Conn

	frozen atomic.Bool
	awake  chan struct{}
	wake   func()
}

func (d *dozing) Read(p []byte) (int, error) {
	n, err := d.Conn.Read(p)
	if d.frozen.Load() {
		<-d.awake
	}
	return n, err
}

func (d *dozing) Write(p []byte) (int, error) {
	if d.frozen.Load() {
		d.wake()
		return len(p), nil
	}
	return d.Conn.Write(p)
}

func (d *dozing) Close() error {
	d.wake()
	return d.Conn.Close()
}

// A request that meets connections that the server closed while we were frozen is
// repeated over a new one.
func TestClosedConnectionsAreNoticedLate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		http2    bool
		requests int // at the same time, before the freeze
		senders  int
	}{
		{"a few", false, 3, 2},
		{"more than a request is repeated", false, 10, 9},
		{"HTTP/2", true, 1, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newPipes()
				all := newBarrier(tt.requests)
				var arrived atomic.Int64
				server := &http.Server{Protocols: new(http.Protocols), IdleTimeout: time.Minute, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					if body, _ := io.ReadAll(r.Body); string(body) == `{"batch":[]}` && r.Header["Idempotency-Key"] == nil {
						arrived.Add(1)
					}
					all.wait(r.Context())
				})}
				client := delivery.DefaultClient(tt.senders)
				inner, _ := client.Transport.(*http.Transport)
				inner.Protocols = new(http.Protocols)
				for _, p := range []*http.Protocols{server.Protocols, inner.Protocols} {
					p.SetHTTP1(!tt.http2)
					p.SetUnencryptedHTTP2(tt.http2)
				}
				go func() { _ = server.Serve(p) }()
				var mu sync.Mutex
				var conns []*dozing
				inner.Proxy, inner.IdleConnTimeout, inner.HTTP2 = nil, time.Hour, nil
				inner.DialContext = func(context.Context, string, string) (net.Conn, error) {
					l, err := p.dial()
					if err != nil {
						return nil, err
					}
					awake := make(chan struct{})
					conn := &dozing{Conn: l, awake: awake, wake: sync.OnceFunc(func() { close(awake) })}
					mu.Lock()
					defer mu.Unlock()
					conns = append(conns, conn)
					return conn, nil
				}
				transport := delivery.NewHTTP(client, "http://klime/v1/batch", "key", "test")
				transport.HangUp = client.CloseIdleConnections
				atOnce(t, tt.requests, transport)
				synctest.Wait()
				for _, conn := range conns {
					conn.frozen.Store(true)
				}
				time.Sleep(2 * time.Minute)
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				if _, err := transport.Send(ctx, []byte(`{"batch":[]}`), 0); err != nil {
					t.Error(err)
				}
				if n := arrived.Load(); n != int64(tt.requests)+1 {
					t.Errorf("%d requests arrived", n)
				}
				for _, conn := range conns {
					_ = conn.Close()
				}
				_ = server.Close()
			})
		})
	}
}

// An entry of errors that names no event rejects none.
func TestNamelessErrors(t *testing.T) {
	t.Parallel()
	for _, entry := range []string{`{"message":"m"}`, `{"index":"0"}`, `{"index":null}`, `{"index":1.5}`, `{"index":-1}`, `7`} {
		for _, code := range []int{200, 400} {
			transport := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(code)
				_, _ = io.WriteString(w, `{"accepted":0,"failed":1,"errors":[`+entry+`,{"index":2,"code":123,"message":["?"]}]}`)
			})
			result, err := transport.Send(t.Context(), nil, 5)
			rejected := result.Rejected
			var failure *delivery.SendError
			if errors.As(err, &failure) {
				rejected = failure.Rejected
			}
			if len(rejected) != 1 || rejected[0] != (delivery.Rejection{Index: 2}) {
				t.Errorf("%d, %s: rejected %+v", code, entry, rejected)
			}
		}
	}
}

// A server may quote the key anywhere, and its messages may have any length.
func TestAnswersAreCleaned(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 295)
	transport := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"message":"`+long+` key `+long+`","errors":[{"index":0,"code":"key","message":"key `+
			strings.Repeat("x", 100_000)+`"},{"index":1,"code":"jane@acme.test"},{"index":2,"code":"invalid_event"}]}`)
	})
	_, err := transport.Send(t.Context(), nil, 5)
	var failure *delivery.SendError
	if !errors.As(err, &failure) {
		t.Fatal(err)
	}
	for _, text := range []string{failure.Message, failure.Rejected[0].Message, failure.Rejected[0].Code} {
		if strings.Contains(text, "key") && !strings.Contains(text, "[write key]") && !strings.HasSuffix(text, "[write…") || len(text) > 400 {
			t.Errorf("kept %q", text)
		}
	}
	if codes := []string{failure.Rejected[1].Code, failure.Rejected[2].Code}; codes[0] != "" || codes[1] != "invalid_event" {
		t.Errorf("codes %q", codes)
	}
}

func TestAFailureOfA2xxIsNotTemporary(t *testing.T) {
	t.Parallel()
	if (&delivery.SendError{StatusCode: http.StatusOK}).Temporary() {
		t.Error("an event that Klime has refused would be sent again for ever")
	}
	if text := (&delivery.SendError{Message: "broker full"}).Error(); text != "broker full" {
		t.Errorf("text %q", text)
	}
}

// The app's own HTTP client may decompress answers. How much of them is read is bounded
// all the same.
func TestGzipBombInTheAppsClient(t *testing.T) {
	t.Parallel()
	const unpacked = 64 << 20
	var bomb bytes.Buffer
	packer := gzip.NewWriter(&bomb)
	_, _ = io.CopyN(packer, spaces{}, unpacked)
	_ = packer.Close()
	var read atomic.Int64
	client := &http.Client{Transport: answering(func(*http.Request) *http.Response {
		unpacker, err := gzip.NewReader(&bomb)
		if err != nil {
			t.Error(err)
		}
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(counting{unpacker, &read})}
	})}
	if _, err := delivery.NewHTTP(client, "http://localhost", "key", "test").Send(t.Context(), nil, 1); err != nil {
		t.Error(err)
	}
	if n := read.Load(); n > 2<<20 {
		t.Errorf("%d bytes read", n)
	}
}

// However many batches are sent, there are no more connections than senders of the
// client, and one more.
func TestConnectionsOfManyBatches(t *testing.T) {
	t.Parallel()
	var busy, most atomic.Int64
	transport := serve(t, func(http.ResponseWriter, *http.Request) {
		n := busy.Add(1)
		for {
			m := most.Load()
			if n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		busy.Add(-1)
	})
	cfg := config(transport)
	cfg.BatchSize, cfg.Senders, cfg.QueueSize = 1, 8, 100 // more senders than connections
	d := start(t, cfg)
	for id := range 2000 {
		_ = d.Enqueue(t.Context(), item(id, false, 0))
	}
	if err := shutdown(t, d); err != nil {
		t.Error(err)
	}
	if n := most.Load(); n > 3 { // serve has two senders
		t.Errorf("%d requests at the same time", n)
	}
}

type answering func(*http.Request) *http.Response

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) { return a(r), nil }

type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// counting counts the bytes that are read.
type counting struct {
	io.Reader

	n *atomic.Int64
}

func (c counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}
