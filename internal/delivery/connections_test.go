package delivery_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

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
			_, _ = transport.Send(t.Context(), nil)
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
			if _, err := transport.Send(ctx, nil); err != nil {
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
						if _, err := transport.Send(t.Context(), nil); err != nil {
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
			_, _ = transport.Send(t.Context(), nil)
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
	server := &http.Server{Protocols: speaks(overHTTP2), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
	inner.Proxy, inner.IdleConnTimeout, inner.Protocols = nil, time.Hour, speaks(overHTTP2)
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
				server := &http.Server{Protocols: speaks(tt.http2), IdleTimeout: time.Minute, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					if body, _ := io.ReadAll(r.Body); string(body) == `{"batch":[]}` && r.Header["Idempotency-Key"] == nil {
						arrived.Add(1)
					}
					all.wait(r.Context())
				})}
				client := delivery.DefaultClient(tt.senders)
				inner, _ := client.Transport.(*http.Transport)
				inner.Protocols = speaks(tt.http2)
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
				if _, err := transport.Send(ctx, nil); err != nil {
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
	mustShutdown(t, d)
	if n := most.Load(); n > 3 { // serve has two senders
		t.Errorf("%d requests at the same time", n)
	}
}
