package spool_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/core/spool"
)

// server is a local Klime that counts events by message ID.
type server struct {
	*httptest.Server

	mu    sync.Mutex
	code  int            // the status of its answers
	seen  map[string]int // accepted events by message ID
	names map[string]int // accepted events by name, each message ID counted once
}

func newServer(tb testing.TB, code int) *server {
	tb.Helper()
	s := &server{code: code, seen: map[string]int{}, names: map[string]int{}}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	tb.Cleanup(s.Close)
	return s
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Batch []struct{ MessageID, Event string } `json:"batch"`
	}
	err := json.NewDecoder(r.Body).Decode(&body)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil || s.code != http.StatusOK {
		w.WriteHeader(max(s.code, http.StatusBadRequest))
		return
	}
	for _, e := range body.Batch {
		if s.seen[e.MessageID]++; s.seen[e.MessageID] == 1 {
			s.names[e.Event]++
		}
	}
	_, _ = fmt.Fprintf(w, `{"status":"ok","accepted":%d,"failed":0}`, len(body.Batch))
}

func (s *server) be(code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.code = code
}

// arrived returns how many events have arrived, and how many of them more than once.
func (s *server) arrived() (events, twice int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.seen {
		if n > 1 {
			twice++
		}
	}
	return len(s.seen), twice
}

func (s *server) has(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[id] > 0
}

// config returns a Config that sends to url, with a spool in dir.
func config(tb testing.TB, url, dir string, opts spool.Options) (klime.Config, *syncBuffer) {
	tb.Helper()
	s, err := spool.Open(dir, opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	log := &syncBuffer{}
	return klime.Config{
		WriteKey: "key", Endpoint: url, Spool: s, RetryDelay: 10 * time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(log, nil)),
	}, log
}

func newClient(tb testing.TB, cfg klime.Config) *klime.Client {
	tb.Helper()
	client, err := klime.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { shutdown(tb, client, 0) })
	return client
}

// shutdown shuts a client down, and fails unless its Stats add up.
func shutdown(tb testing.TB, client *klime.Client, patience time.Duration) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := client.Shutdown(ctx); err != nil {
		tb.Errorf("Shutdown: %v", err)
	}
	checkSum(tb, client)
}

func flush(tb testing.TB, client *klime.Client) {
	tb.Helper()
	if err := client.Flush(tb.Context()); err != nil {
		tb.Error(err)
	}
}

func checkSum(tb testing.TB, client *klime.Client) {
	tb.Helper()
	s := client.Stats()
	sum := s.Sent + s.Failed + uint64(s.Queued) + uint64(s.Spooled)
	for _, n := range s.Dropped {
		sum += n
	}
	if sum != s.Accepted {
		tb.Errorf("accepted %d, but %d accounted for: %+v", s.Accepted, sum, s)
	}
}

func track(tb testing.TB, client *klime.Client, ids ...string) {
	tb.Helper()
	for _, id := range ids {
		if err := client.Track(tb.Context(), "Done", nil, klime.ForUser("u1"), klime.WithMessageID(id)); err != nil {
			tb.Fatalf("%s: %v", id, err)
		}
	}
}

func ids(prefix string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%s-%d", prefix, i)
	}
	return all
}

// eventually waits until a condition is true.
func eventually(tb testing.TB, what string, is func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			tb.Fatalf("not in 30 s: %s", what)
		}
	}
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
