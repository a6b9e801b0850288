package klimetest

import (
	"context"
	"net/http"
	"net/http/httptest"
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

// Server is a fake Klime on loopback. It is safe for concurrent use.
type Server struct {
	*backend

	tb   testing.TB
	http *httptest.Server
}

// NewServer starts a Server that ends with the test.
func NewServer(tb testing.TB) *Server {
	tb.Helper()
	s := &Server{backend: newBackend(), tb: tb}
	s.http = httptest.NewServer(http.HandlerFunc(s.serve))
	tb.Cleanup(s.http.Close)
	return s
}

// Config returns a configuration that sends to the Server, soon, and with one
// sender, so that events arrive in the order in which they were made. FlushInterval
// and RetryDelay are 10 ms, and Timeout is 2 s, so that a test of faults is soon
// done. Change what the test is about.
func (s *Server) Config() klime.Config {
	return klime.Config{
		WriteKey: writeKey, Endpoint: s.http.URL,
		FlushInterval: flushInterval, RetryDelay: retryDelay, Timeout: requestTimeout,
		Senders: 1,
	}
}

// Client returns a client of the Server, shut down when the test ends. It fails the
// test when events are left by then (a Shutdown takes 10 s at most): Heal first, or,
// if the test is about that, make a client of Config.
func (s *Server) Client() *klime.Client {
	s.tb.Helper()
	client, err := klime.New(s.Config())
	if err != nil {
		s.tb.Fatalf("klimetest: %v", err)
	}
	s.tb.Cleanup(func() {
		if err := client.Shutdown(context.Background()); err != nil {
			s.tb.Errorf("klimetest: %v", err)
		}
	})
	return client
}

// Wait returns the events when n have been accepted. When they do not come within
// 10 s, it fails the test at once; call it from the test's own goroutine. A client
// that is told to wait longer (RetryAfter), or halts (401: a probe a minute), is one
// for a [Recorder].
func (s *Server) Wait(n int) []klime.Event {
	s.tb.Helper()
	ctx, cancel := context.WithTimeout(s.tb.Context(), waitTimeout)
	defer cancel()
	if err := s.ingest.Wait(ctx, n); err != nil {
		counts := s.ingest.Counts()
		s.tb.Fatalf("klimetest: waited for %d events: %d accepted, %d rejected, %d batches refused",
			n, counts.Accepted, counts.Rejected, counts.Refused+counts.Unauthorized)
	}
	return s.Events()
}
