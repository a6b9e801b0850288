package klimetest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
)

const (
	// waitTimeout is when a test that waits in vain fails. It bounds a failure,
	// not a success, so it may be long.
	waitTimeout = 10 * time.Second

	// flushInterval lets events arrive soon without a flush, retryDelay after
	// faults.
	flushInterval = 10 * time.Millisecond
	retryDelay    = 10 * time.Millisecond

	// requestTimeout lets several Hangs pass within waitTimeout. No shorter: a busy
	// machine must not look like one.
	requestTimeout = 2 * time.Second
)

// Server is a fake Klime on loopback, not for testing/synctest. It is safe for concurrent use.
type Server struct {
	*backend

	tb       testing.TB
	http     *httptest.Server
	keep     int // events
	patience time.Duration

	clientsMu sync.Mutex
	clients   []*klime.Client

	warnings warnings
}

// NewServer starts a Server that ends with the test. It is for this test, and not
// for its subtests, which it cannot fail by themselves: they have one each. In a
// testing/synctest bubble it fails the test: there, time stands still while anything
// waits for the network. A [Recorder] needs none.
func NewServer(tb testing.TB) *Server {
	tb.Helper()
	return newServer(tb, maxEvents, waitTimeout)
}

func newServer(tb testing.TB, keep int, patience time.Duration) *Server {
	tb.Helper()
	refuseBubble(tb)
	s := &Server{backend: newBackend(keep), tb: tb, keep: keep, patience: patience}
	s.ended = make(chan struct{})
	s.http = httptest.NewServer(http.HandlerFunc(s.serve))
	tb.Cleanup(func() {
		close(s.ended) // what hangs would hold up Close
		s.http.Close()
	})
	return s
}

// started is of the real clock: no package is initialised in a bubble.
var started = time.Now() //nolint:gochecknoglobals // a constant

// refuseBubble fails a test that is in a synctest bubble, where a Server would
// hang, or end the program: nothing outside may wake what waits inside. A bubble's
// clock starts in 2000, which no real one goes back to while the program runs.
func refuseBubble(tb testing.TB) {
	tb.Helper()
	const year = 365 * 24 * time.Hour
	if time.Since(started).Abs() > year {
		tb.Fatalf("klimetest: a Server cannot be used in a synctest bubble: use NewRecorder")
	}
}

// Config returns a configuration that sends to the Server, soon, and with one
// sender, so that events arrive in the order in which they were made. FlushInterval
// and RetryDelay are 10 ms, and Timeout is 2 s, so that a test of faults is soon
// done. What Logger is told, a Wait in vain reports. Change what the test is about.
func (s *Server) Config() klime.Config {
	return klime.Config{
		WriteKey: writeKey, Endpoint: s.http.URL,
		FlushInterval: flushInterval, RetryDelay: retryDelay, Timeout: requestTimeout,
		Senders: 1,
		Logger:  s.warnings.logger(),
	}
}

// Client returns a client of the Server, shut down when the test ends. It fails the
// test when events are left by then (a Shutdown takes 10 s at most): Heal first, or,
// if the test is about that, make a client of Config.
func (s *Server) Client() *klime.Client {
	s.tb.Helper()
	refuseBubble(s.tb)
	client, err := klime.New(s.Config())
	if err != nil {
		s.tb.Fatalf("klimetest: %v", err)
	}
	s.clientsMu.Lock()
	s.clients = append(s.clients, client)
	s.clientsMu.Unlock()
	s.tb.Cleanup(func() {
		if err := client.Shutdown(context.Background()); err != nil {
			s.tb.Errorf("klimetest: %v", err)
		}
	})
	return client
}

// Wait returns the events when n have been accepted. When they do not come within
// 10 s, it fails the Server's test at once, and says what has come and what may have
// kept the rest; call it from the test's own goroutine, or from a Cleanup. A client
// that is told to wait longer (RetryAfter), or halts (401: a probe a minute), is one
// for a [Recorder]. What [klime.RollUp] counts comes at the end of its window, or
// when the client's Flush is called before. When more than 100,000 events or 256 MiB
// came, Wait fails, as the first are no longer known.
func (s *Server) Wait(n int) []klime.Event {
	s.tb.Helper()
	refuseBubble(s.tb)
	if n > s.keep {
		s.tb.Fatalf("klimetest: Wait(%d): a Server keeps %d events", n, s.keep)
	}
	// In a Cleanup, the test's own context has ended.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.tb.Context()), s.patience)
	defer cancel()
	if err := s.ingest.Wait(ctx, n); err != nil {
		s.tb.Fatalf("klimetest: %s", s.report(n))
	}
	events := s.Events()
	if forgotten := s.ingest.Counts().Forgotten; forgotten > 0 {
		s.tb.Fatalf("klimetest: the first %d events are forgotten: a Server keeps %d, and %d MiB", forgotten, s.keep, maxBytes>>20)
	}
	return events
}
