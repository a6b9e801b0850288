package growth

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/nethttp"

	"github.com/klimeapp/klime-go/bench/internal/answer"
	"github.com/klimeapp/klime-go/bench/internal/measure"
)

// largest is the environment variable that bounds the sizes. A plain `go test -bench`
// stops early: a million of everything takes minutes.
const largest = "KLIME_BENCH_LARGEST"

// burst is how many requests are served between two drains.
const burst = 500

// axis is something that grows with an app.
type axis struct {
	name string
	make func(*testing.B, *names) app
}

// app serves the same request each time serve is called.
type app struct {
	serve func()
	drain func()
}

// rounds is how many samples are taken after prime, which takes longer than a sample.
const rounds = 6

// BenchmarkGrowth measures a request to a net/http app, bare and with klime, after so many
// different users, customers, routes and so on.
func BenchmarkGrowth(b *testing.B) {
	for _, axis := range []axis{
		{"users", users}, {"customers", customers}, {"queued", queued}, {"rollup-keys", rollUpKeys}, {"routes", routes},
	} {
		for _, n := range sizes(b) {
			b.Run(fmt.Sprintf("%s/%d", axis.name, n), func(b *testing.B) {
				ids := newNames(axis.name, n)
				bare, klime := app{serving(b, touching(ids)), func() {}}, axis.make(b, ids)
				klime.prime(n)
				for range rounds {
					b.Run("bare", bare.measure)
					b.Run("klime", klime.measure)
				}
			})
		}
	}
}

func (a app) measure(b *testing.B) {
	measure.Run(b, burst, measure.Subject{Op: a.serve, Drain: a.drain})
}

// prime serves requests until all names have been used.
func (a app) prime(n int) {
	for served := range n {
		a.serve()
		if served%burst == 0 {
			a.drain()
		}
	}
	a.drain()
}

// touching is a middleware that does the work of the app's resolver.
func touching(ids *names) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ids.next()
			next.ServeHTTP(w, r)
		})
	}
}

func sizes(b *testing.B) []int {
	b.Helper()
	most := 10_000
	if text := os.Getenv(largest); text != "" {
		var err error
		if most, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	var of []int
	for _, n := range []int{1, 1000, 9000, 100_000, 1_000_000} {
		if n <= most {
			of = append(of, n)
		}
	}
	return of
}

// names are n IDs, which are used in a mixed order, each equally often.
type names struct {
	all  []string
	at   uint64
	read byte
}

func newNames(prefix string, n int) *names {
	all := make([]string, n)
	for i := range all {
		all[i] = "/" + prefix + "/" + strconv.Itoa(i)
	}
	return &names{all: all}
}

// next is the next name. It is read here, so that the cache miss counts for the app and
// not for the library.
func (s *names) next() string {
	const step = 1_000_003 // a prime, so that every name is used
	s.at = (s.at + step) % uint64(len(s.all))
	name := s.all[s.at]
	s.read += name[len(name)-1]
	return name
}

func users(b *testing.B, ids *names) app {
	b.Helper()
	return flushed(b,
		nethttp.UserID(func(*http.Request) string { return ids.next() }),
		nethttp.GroupID(func(*http.Request) string { return "org_456" }))
}

func customers(b *testing.B, ids *names) app {
	b.Helper()
	return flushed(b,
		nethttp.UserID(func(*http.Request) string { return "user_123" }),
		nethttp.GroupID(func(*http.Request) string { return ids.next() }))
}

func rollUpKeys(b *testing.B, ids *names) app {
	b.Helper()
	// There is room for all events of windows that are full and sent early.
	client := newClient(b, klime.Config{Transport: nowhere{}, QueueSize: 10_000_000, QueueBytes: 1 << 36})
	return app{serving(b, nethttp.Middleware(client, klime.RollUp(time.Hour),
		nethttp.UserID(func(*http.Request) string { return ids.next() }),
		nethttp.GroupID(func(*http.Request) string { return "org_456" }))), func() {}} // a flush would end the window
}

func routes(b *testing.B, ids *names) app {
	b.Helper()
	return flushed(b,
		nethttp.Route(func(*http.Request) string { return ids.next() }),
		nethttp.UserID(func(*http.Request) string { return "user_123" }),
		nethttp.GroupID(func(*http.Request) string { return "org_456" }))
}

// flushed is an app whose events go nowhere. All are delivered by the end of each burst.
func flushed(b *testing.B, opts ...klime.Option) app {
	b.Helper()
	client := newClient(b, klime.Config{Transport: nowhere{}})
	return app{serving(b, nethttp.Middleware(client, opts...)), func() {
		if err := client.Flush(context.Background()); err != nil {
			b.Error(err)
		}
	}}
}

// queued is an app whose queue has at least this length: nothing is delivered during a
// burst. A short queue is brought back to its length after each burst. To a long one the
// bursts add little.
func queued(b *testing.B, ids *names) app {
	b.Helper()
	const short = 20 * burst
	held := &gate{}
	held.closed.Lock()
	b.Cleanup(held.closed.Unlock)
	client := newClient(b, klime.Config{Transport: held, QueueSize: 10_000_000, QueueBytes: 1 << 36, FlushInterval: time.Hour})
	serve := serving(b, nethttp.Middleware(client,
		nethttp.UserID(func(*http.Request) string { ids.next(); return "user_123" }),
		nethttp.GroupID(func(*http.Request) string { return "org_456" })))
	return app{serve, func() {
		length := len(ids.all)
		if length > short {
			return
		}
		held.closed.Unlock()
		if err := client.Flush(context.Background()); err != nil {
			b.Error(err)
		}
		held.closed.Lock()
		for range length {
			serve()
		}
	}}
}

func newClient(b *testing.B, config klime.Config) *klime.Client {
	b.Helper()
	client, err := klime.New(config)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if dropped := client.Stats().Dropped[klime.DropQueueFull]; dropped > 0 {
			b.Errorf("%d events dropped", dropped)
		}
		ended, cancel := context.WithCancel(context.Background())
		cancel() // queued events need not be delivered
		_ = client.Shutdown(ended)
	})
	return client
}

// nowhere accepts every batch.
type nowhere struct{}

func (nowhere) Send(_ context.Context, _ []byte, events int) (klime.BatchResult, error) {
	return klime.BatchResult{Accepted: events}, nil
}

// gate is a transport that holds batches back while it is closed.
type gate struct{ closed sync.RWMutex }

func (g *gate) Send(_ context.Context, _ []byte, events int) (klime.BatchResult, error) {
	g.closed.RLock()
	defer g.closed.RUnlock()
	return klime.BatchResult{Accepted: events}, nil
}

func serving(b *testing.B, middleware func(http.Handler) http.Handler) func() {
	b.Helper()
	mux := http.NewServeMux()
	contentType, body := []string{"application/json"}, []byte(`{}`)
	mux.HandleFunc("GET /orgs/{org}/reports/{id}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = contentType
		_, _ = w.Write(body)
	})
	handler := middleware(mux)
	r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/orgs/acme/reports/42", http.NoBody)
	w := answer.Nowhere()
	return func() {
		r.Pattern = ""
		clear(w.Header())
		handler.ServeHTTP(w, r)
	}
}
