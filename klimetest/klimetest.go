package klimetest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/internal/ingest"
)

const (
	// waitTimeout is how long Wait waits. It delays only tests that fail, so it may be
	// long.
	waitTimeout = 10 * time.Second

	// With these, events arrive soon, without a call of Flush and after faults.
	flushInterval = 10 * time.Millisecond
	retryDelay    = 10 * time.Millisecond

	// requestTimeout is short enough for several Hangs within waitTimeout, and long
	// enough that a busy machine does not look like a Hang.
	requestTimeout = 2 * time.Second
)

// Server is a fake Klime on loopback, not for testing/synctest. It is made by [NewServer], and
// safe for concurrent use.
type Server struct {
	backend

	tb       testing.TB
	http     *httptest.Server
	keep     int           // how many events are kept
	patience time.Duration // how long Wait waits

	clientsMu sync.Mutex
	clients   []*klime.Client

	log clientLog
}

// NewServer starts a Server that ends with the test. Each subtest needs a Server of
// its own: this one fails the test that it was made for. In a testing/synctest bubble it
// fails the test, as a bubble's time stands still while anything waits for the network: use
// a [Recorder] there.
func NewServer(tb testing.TB) *Server {
	tb.Helper()
	return newServer(tb, ingest.DefaultMaxEvents, waitTimeout)
}

func newServer(tb testing.TB, keep int, patience time.Duration) *Server {
	tb.Helper()
	refuseBubble(tb)
	s := &Server{backend: newBackend(keep), tb: tb, keep: keep, patience: patience}
	s.ended = make(chan struct{})
	s.http = httptest.NewServer(http.HandlerFunc(s.serve))
	tb.Cleanup(func() {
		close(s.ended) // ends hanging requests, for which Close would wait
		s.http.Close()
	})
	return s
}

// started is by the real clock: no package is initialised in a bubble.
var started = time.Now() //nolint:gochecknoglobals // a constant

// refuseBubble fails a test that is in a synctest bubble. A Server would hang there, or
// end the program: nothing outside may wake what waits inside. A bubble's clock starts
// in 2000, to which no real clock goes back while the program runs.
func refuseBubble(tb testing.TB) {
	tb.Helper()
	const year = 365 * 24 * time.Hour
	if time.Since(started).Abs() > year {
		tb.Fatalf("klimetest: a Server cannot be used in a synctest bubble: use NewRecorder")
	}
}

// Config returns a configuration that sends to the Server. It has one sender, so that
// events arrive in the order in which they were made. FlushInterval and RetryDelay
// are 10 ms and Timeout is 2 s, so that events arrive soon, after faults too. A Wait
// that fails prints what its Logger was given: warnings, and why requests and events
// were not sent. A test may change what it is about.
func (s *Server) Config() klime.Config {
	return klime.Config{
		WriteKey: writeKey, Endpoint: s.http.URL,
		FlushInterval: flushInterval, RetryDelay: retryDelay, Timeout: requestTimeout,
		Senders: 1,
		Logger:  s.log.logger(),
	}
}

// Client returns a client of the Server that is shut down when the test ends. If that
// leaves events undelivered (a Shutdown takes 10 s at most), the test fails: call Heal
// before or, if the test is about that, make a client from Config.
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
			s.tb.Errorf("klimetest: %v (if the faults are meant, call Heal before the test ends, or make a client from Config)", err)
		}
	})
	return client
}

// Wait returns all events when n have been accepted. If that takes more than 10 s, it
// ends the Server's test with a failure that says what has come and what may have
// kept the rest. Call it from the test's own goroutine or from a Cleanup.
//
// To test a client that is told to wait longer (RetryAfter), or that halts (401: one
// probe a minute), use a [Recorder]. Counts of [klime.RollUp] come at the end of their
// window, or when the client's Flush is called. After more than 100,000 events or
// 256 MiB Wait fails, as the first events are no longer kept.
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
		s.tb.Fatalf("klimetest: the first %d events are forgotten: a Server keeps %d, and %d MiB", forgotten, s.keep, ingest.DefaultMaxBytes>>20)
	}
	return events
}
