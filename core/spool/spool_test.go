package spool_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/core/spool"
)

// Klime is down for the whole life of a process. The next process delivers its events,
// with their original message IDs.
func TestNextProcessDelivers(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]spool.Options{"overflow": {}, "write-ahead": {WriteAhead: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, dir := newServer(t, http.StatusServiceUnavailable), t.TempDir()
			cfg, _ := config(t, srv.URL, dir, opts)
			client := newClient(t, cfg)
			all := ids("a", 300)
			track(t, client, all...)
			shutdown(t, client, 100*time.Millisecond)
			if s := client.Stats(); s.Spooled != 300 || s.Queued != 0 || s.SpooledBytes == 0 || s.Dropped[klime.DropShutdown] != 0 {
				t.Errorf("stats %+v", s)
			}

			srv.be(http.StatusOK)
			cfg, _ = config(t, srv.URL, dir, opts)
			client = newClient(t, cfg)
			if s := client.Stats(); s.Recovered != 300 || s.Spooled+int(s.Sent) != 300 {
				t.Errorf("stats of the next: %+v", s)
			}
			flush(t, client)
			for _, id := range all {
				if !srv.has(id) {
					t.Errorf("%s has not arrived", id)
				}
			}
			if n, _ := srv.arrived(); n != 300 {
				t.Errorf("%d arrived", n)
			}
			shutdown(t, client, 10*time.Second)

			cfg, _ = config(t, srv.URL, dir, opts) // nothing is left for a third process
			if s := newClient(t, cfg).Stats(); s.Recovered != 0 {
				t.Errorf("stats of the third: %+v", s)
			}
		})
	}
}

// Whatever happens to the folder or the file at run time, no event is lost, and the app
// goes on.
func TestFolderIsDeletedAtRunTime(t *testing.T) {
	t.Parallel()
	spool.NeedsFilesSetFree(t)
	srv, dir := newServer(t, http.StatusServiceUnavailable), filepath.Join(t.TempDir(), "spool")
	cfg, log := config(t, srv.URL, dir, spool.Options{WriteAhead: true})
	client := newClient(t, cfg)
	track(t, client, ids("before", 50)...)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	err := client.Track(t.Context(), "Done", nil, klime.ForUser("u1"), klime.WithMessageID("during"))
	if !errors.Is(err, klime.ErrNotDurable) {
		t.Errorf("Track: %v, want ErrNotDurable", err)
	}
	if s := client.Stats(); !s.SpoolDown || s.Queued != 1 || s.Spooled != 50 {
		t.Errorf("stats %+v", s)
	}
	eventually(t, "the spool works again", func() bool { return !client.Stats().SpoolDown })
	track(t, client, ids("after", 50)...)
	shutdown(t, client, 50*time.Millisecond)
	if n := strings.Count(log.String(), "level=WARN msg=\"klime: the spool fails"); n != 1 {
		t.Errorf("%d log lines: %s", n, log)
	}

	srv.be(http.StatusOK)
	cfg, _ = config(t, srv.URL, dir, spool.Options{})
	client = newClient(t, cfg)
	flush(t, client)
	if n, _ := srv.arrived(); n != 101 {
		t.Errorf("%d of 101 arrived", n)
	}
}

// Another folder with events comes in place of the first, such as a volume that is mounted
// late: what is on disk is delivered all the same, and the other events stay there.
func TestFolderIsReplacedAtRunTime(t *testing.T) {
	t.Parallel()
	srv, top := newServer(t, http.StatusServiceUnavailable), t.TempDir()
	dir, other := filepath.Join(top, "spool"), filepath.Join(top, "other")
	leave := func(dir, prefix string) (*klime.Client, *syncBuffer) {
		cfg, log := config(t, srv.URL, dir, spool.Options{WriteAhead: true})
		cfg.QueueSize = 10 // the others are on disk alone
		client := newClient(t, cfg)
		track(t, client, ids(prefix, 50)...)
		return client, log
	}
	theirs, _ := leave(other, "theirs")
	shutdown(t, theirs, 50*time.Millisecond)
	client, log := leave(dir, "own")
	if err := errors.Join(os.Rename(dir, filepath.Join(top, "shadowed")), os.Rename(other, dir)); err != nil {
		t.Fatal(err)
	}
	srv.be(http.StatusOK)
	err := client.Track(t.Context(), "Done", nil, klime.ForUser("u1"), klime.WithMessageID("during"))
	if !errors.Is(err, klime.ErrNotDurable) {
		t.Errorf("Track: %v, want ErrNotDurable", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := client.Flush(ctx); err != nil {
		t.Errorf("Flush: %v", err)
	}
	if s := client.Stats(); !s.SpoolDown || s.Sent != 51 {
		t.Errorf("stats %+v", s)
	}
	shutdown(t, client, time.Minute)
	if n := strings.Count(log.String(), "did not put there"); n != 1 || strings.Contains(log.String(), "not closed") {
		t.Errorf("%d log lines: %s", n, log)
	}
	cfg, _ := config(t, srv.URL, dir, spool.Options{})
	if s := newClient(t, cfg).Stats(); s.Recovered != 50 {
		t.Errorf("left of theirs: %d", s.Recovered)
	}
}

// The same in an outage that outlasts the process: Shutdown says what is lost, and why.
func TestFolderIsReplacedInAnOutage(t *testing.T) {
	t.Parallel()
	spool.NeedsFilesSetFree(t)
	srv, top := newServer(t, http.StatusServiceUnavailable), t.TempDir()
	dir, other := filepath.Join(top, "spool"), filepath.Join(top, "other")
	start := func(dir string) (*klime.Client, *syncBuffer) {
		cfg, log := config(t, srv.URL, dir, spool.Options{WriteAhead: true})
		cfg.QueueSize = 10
		client, err := klime.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		track(t, client, ids(filepath.Base(dir), 50)...)
		return client, log
	}
	theirs, _ := start(other)
	shutdown(t, theirs, 50*time.Millisecond)
	client, log := start(dir)
	if err := errors.Join(os.RemoveAll(dir), os.Rename(other, dir)); err != nil {
		t.Fatal(err)
	}
	if err := client.Track(t.Context(), "Done", nil, klime.ForUser("u1")); !errors.Is(err, klime.ErrNotDurable) {
		t.Errorf("Track: %v, want ErrNotDurable", err)
	}
	eventually(t, "the reason is logged", func() bool { return strings.Contains(log.String(), "cannot use its folder") })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := client.Shutdown(ctx)
	checkSum(t, client)
	if s := client.Stats(); !errors.Is(err, klime.ErrSpoolLost) || !strings.Contains(err.Error(), "51 events") || s.Spooled != 0 {
		t.Errorf("Shutdown: %v, stats %+v", err, s)
	}
	if text := log.String(); strings.Count(text, "did not put there") != 2 || !strings.Contains(text, "not closed") {
		t.Errorf("log %s", text)
	}
}

// The folder, or the file alone, is deleted, and nothing uses the disk before Shutdown:
// what was on disk is moved to a new file. If that cannot be, Shutdown says so.
func TestFolderIsDeletedBeforeShutdown(t *testing.T) {
	t.Parallel()
	spool.NeedsFilesSetFree(t)
	for name, test := range map[string]struct {
		remove func(dir string) error
		taken  bool // another process has the folder by then
	}{
		"the file":                   {remove: func(dir string) error { return os.Remove(filepath.Join(dir, "klime-spool.db")) }},
		"the folder":                 {remove: os.RemoveAll},
		"the folder, which is taken": {remove: os.RemoveAll, taken: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, dir := newServer(t, http.StatusServiceUnavailable), filepath.Join(t.TempDir(), "spool")
			cfg, _ := config(t, srv.URL, dir, spool.Options{WriteAhead: true})
			cfg.QueueSize = 10 // the others are on disk alone
			client, err := klime.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			track(t, client, ids("event", 50)...)
			if err := test.remove(dir); err != nil {
				t.Fatal(err)
			}
			if test.taken {
				config(t, srv.URL, dir, spool.Options{})
			}
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			err = client.Shutdown(ctx)
			checkSum(t, client)
			if test.taken {
				if s := client.Stats(); !errors.Is(err, klime.ErrSpoolLost) || !strings.Contains(err.Error(), "50 events") ||
					s.Dropped[klime.DropSpoolLost] < 40 || s.Spooled != 0 {
					t.Errorf("Shutdown: %v, stats %+v", err, s)
				}
				return
			}
			if s := client.Stats(); err != nil || s.Spooled != 50 {
				t.Errorf("Shutdown: %v, stats %+v", err, s)
			}
			cfg, _ = config(t, srv.URL, dir, spool.Options{})
			if s := newClient(t, cfg).Stats(); s.Recovered != 50 {
				t.Errorf("the next process finds %d", s.Recovered)
			}
		})
	}
}

// MaxBytes holds, OnError is told of the events that make room, and the Stats add up.
func TestSpoolFullIsTold(t *testing.T) {
	t.Parallel()
	srv := newServer(t, http.StatusServiceUnavailable)
	cfg, _ := config(t, srv.URL, t.TempDir(), spool.Options{MaxBytes: 1 << 20})
	told := make(chan int, 10_000)
	cfg.QueueSize = 100
	cfg.OnError = func(err error, events []klime.Event) {
		if errors.Is(err, klime.ErrSpoolFull) {
			told <- len(events)
			for _, e := range events {
				if e.MessageID == "" || e.UserID != "u1" {
					t.Errorf("told of %+v", e)
				}
			}
		}
	}
	client := newClient(t, cfg)
	pad := strings.Repeat("x", 10_000)
	for range 500 {
		if err := client.Track(t.Context(), "Done", klime.Properties{"pad": pad}, klime.ForUser("u1")); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "OnError is told", func() bool { return len(told) > 0 })
	shutdown(t, client, 10*time.Millisecond)
	s := client.Stats()
	if s.SpooledBytes > 1<<20 || s.Spooled < 50 || s.Dropped[klime.DropSpoolFull] < 300 || s.Dropped[klime.DropQueueFull] != 0 {
		t.Errorf("stats %+v", s)
	}
}

// With Reject a full spool refuses new events: a write-ahead call returns an error,
// OnError is told, the event is never sent, and the others arrive.
func TestRejectedCalls(t *testing.T) {
	t.Parallel()
	srv, dir := newServer(t, http.StatusServiceUnavailable), t.TempDir()
	opts := spool.Options{MaxBytes: 1 << 20, WhenFull: spool.Reject, WriteAhead: true}
	cfg, _ := config(t, srv.URL, dir, opts)
	told := make(chan string, 1000)
	cfg.OnError = func(err error, events []klime.Event) {
		for _, e := range events {
			if errors.Is(err, klime.ErrSpoolFull) {
				told <- e.MessageID
			}
		}
	}
	client := newClient(t, cfg)
	pad := klime.Properties{"pad": strings.Repeat("x", 10_000)}
	var kept, refused []string
	for _, id := range ids("a", 150) {
		err := client.Track(t.Context(), "Done", pad, klime.ForUser("u1"), klime.WithMessageID(id))
		switch {
		case err == nil:
			kept = append(kept, id)
		case errors.Is(err, klime.ErrSpoolFull) && !errors.Is(err, klime.ErrNotDurable):
			refused = append(refused, id)
		default:
			t.Fatal(err)
		}
	}
	jane := klime.User{ID: "u1", Traits: klime.Traits{"pad": pad["pad"]}}
	if err := client.Link(t.Context(), jane); !errors.Is(err, klime.ErrSpoolFull) {
		t.Errorf("Link: %v", err)
	}
	if s := client.Stats(); len(kept) < 100 || s.Spooled != len(kept) || s.Dropped[klime.DropSpoolFull] != uint64(len(refused)+1) || s.SpoolDown {
		t.Errorf("%d kept, stats %+v", len(kept), s)
	}
	for _, id := range refused {
		if got := <-told; got != id {
			t.Fatalf("told of %s, want %s", got, id)
		}
	}
	// In a handler it is also counted once, and not as Invalid: the event is valid.
	scope := klime.NewTracker(client).Begin(t.Context())
	klime.SetUser(scope, "u1")
	klime.Track(scope, "Done", pad)
	if s := client.Stats(); s.Dropped[klime.DropSpoolFull] != uint64(len(refused)+2) || s.Invalid != 0 {
		t.Errorf("in a handler: %+v", s)
	}
	shutdown(t, client, 10*time.Millisecond)

	srv.be(http.StatusOK)
	cfg, _ = config(t, srv.URL, dir, opts)
	client = newClient(t, cfg)
	flush(t, client)
	if err := client.Link(t.Context(), jane); err != nil { // sent, as the refused one is not known as sent
		t.Error(err)
	}
	shutdown(t, client, 10*time.Second)
	if n, _ := srv.arrived(); n != len(kept)+1 || !srv.has(kept[0]) || !srv.has(kept[len(kept)-1]) {
		t.Errorf("%d arrived, want %d", n, len(kept)+1)
	}
}

// Without write-ahead the call returns no error, and memory is used first.
func TestRejectedOverflow(t *testing.T) {
	t.Parallel()
	srv := newServer(t, http.StatusServiceUnavailable)
	cfg, _ := config(t, srv.URL, t.TempDir(), spool.Options{MaxBytes: 1 << 20, WhenFull: spool.Reject})
	cfg.QueueSize = 50
	told := make(chan string, 1000)
	cfg.OnError = func(err error, events []klime.Event) {
		for _, e := range events {
			if errors.Is(err, klime.ErrSpoolFull) {
				told <- e.MessageID
			}
		}
	}
	client := newClient(t, cfg)
	pad := klime.Properties{"pad": strings.Repeat("x", 10_000)}
	all := ids("a", 300)
	for _, id := range all {
		if err := client.Track(t.Context(), "Done", pad, klime.ForUser("u1"), klime.WithMessageID(id)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the disk has what it takes", func() bool {
		s := client.Stats()
		return s.Spooled >= 100 && s.Queued == 50
	})
	s := client.Stats()
	checkSum(t, client)
	if s.Queued != 50 || s.Spooled > 105 || s.Dropped[klime.DropSpoolFull] != 300-50-uint64(s.Spooled) {
		t.Errorf("stats %+v", s)
	}
	srv.be(http.StatusOK)
	shutdown(t, client, 10*time.Second)
	if n, twice := srv.arrived(); n != 50+s.Spooled || twice > 0 || len(told) != 300-n {
		t.Errorf("%d arrived, %d twice, told of %d", n, twice, len(told))
	}
	for len(told) > 0 {
		if id := <-told; srv.has(id) {
			t.Errorf("told of %s, which has arrived", id)
		}
	}
}

// A client works without the spool that could not be opened, if the app only logs the
// error.
func TestNoSpool(t *testing.T) {
	t.Parallel()
	srv, dir := newServer(t, http.StatusOK), t.TempDir()
	first, err := spool.Open(dir, spool.Options{})
	if err != nil {
		t.Fatal(err)
	}
	second, err := spool.Open(dir, spool.Options{})
	if !errors.Is(err, spool.ErrInUse) || second != nil {
		t.Fatalf("second: %v", err)
	}
	client := newClient(t, klime.Config{WriteKey: "key", Endpoint: srv.URL, Spool: second})
	track(t, client, "a")
	flush(t, client)
	if s := client.Stats(); s.Sent != 1 || s.SpoolDown {
		t.Errorf("stats %+v", s)
	}

	one := newClient(t, klime.Config{WriteKey: "key", Endpoint: srv.URL, Spool: first})
	if _, err := klime.New(klime.Config{WriteKey: "key", Endpoint: srv.URL, Spool: first}); !errors.Is(err, klime.ErrInvalidConfig) {
		t.Errorf("two clients with one spool: %v", err)
	}
	track(t, one, "b")
}

// The processes of a deploy that overlap share a folder. What they leave in an outage is
// delivered by a later one, by whichever part it is in, and each process's account closes.
func TestSharedFolderIsDelivered(t *testing.T) {
	t.Parallel()
	srv, dir := newServer(t, http.StatusServiceUnavailable), t.TempDir()
	start := func() *klime.Client {
		cfg, _ := config(t, srv.URL, dir, spool.Options{Shared: true})
		return newClient(t, cfg)
	}
	older, newer := start(), start()
	track(t, older, ids("older", 300)...)
	track(t, newer, ids("newer", 200)...)
	shutdown(t, older, 0)
	shutdown(t, newer, 0)

	srv.be(http.StatusOK)
	newest := start()
	track(t, newest, ids("newest", 100)...)
	eventually(t, "all have arrived", func() bool { n, _ := srv.arrived(); return n == 600 })
	flush(t, newest)
	shutdown(t, newest, time.Minute)
	if s := newest.Stats(); s.Recovered != 500 || s.Sent != 600 || s.Spooled != 0 {
		t.Errorf("stats %+v", s)
	}
	last := start()
	shutdown(t, last, time.Minute)
	if s := last.Stats(); s.Accepted > 0 {
		t.Errorf("the next process has %+v", s)
	}
}

// A client that cannot be made does not take the spool: it is there for another, or can
// be closed.
func TestNoClient(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg, _ := config(t, "no URL", dir, spool.Options{})
	if _, err := klime.New(cfg); !errors.Is(err, klime.ErrInvalidConfig) {
		t.Fatal(err)
	}
	if _, err := spool.Open(dir, spool.Options{}); !errors.Is(err, spool.ErrInUse) {
		t.Errorf("second: %v", err)
	}
	disk, is := cfg.Spool.(*spool.Spool)
	if !is {
		t.Fatalf("%T", cfg.Spool)
	}
	if err := disk.Close(); err != nil {
		t.Error(err)
	}
	cfg, _ = config(t, "no URL", dir, spool.Options{})
	if _, err := klime.New(cfg); !errors.Is(err, klime.ErrInvalidConfig) {
		t.Fatal(err)
	}
	srv := newServer(t, http.StatusOK)
	cfg.Endpoint = srv.URL
	track(t, newClient(t, cfg), "a")
}

// A link that waits on disk is not sent again, unless it is lost there.
func TestLinkOnDisk(t *testing.T) {
	t.Parallel()
	srv := newServer(t, http.StatusServiceUnavailable)
	cfg, _ := config(t, srv.URL, t.TempDir(), spool.Options{})
	cfg.QueueSize = 1
	client := newClient(t, cfg)
	jane, acme := klime.User{ID: "u1"}, klime.Group{ID: "g1"}
	if err := client.Link(t.Context(), jane, acme); err != nil {
		t.Fatal(err)
	}
	track(t, client, ids("a", 10)...)
	eventually(t, "the link is on disk", func() bool { return client.Stats().Spooled >= 9 })
	if err := client.Link(t.Context(), jane, acme); err != nil {
		t.Fatal(err)
	}
	srv.be(http.StatusOK)
	flush(t, client)
	if n, _ := srv.arrived(); n != 11 {
		t.Errorf("%d events arrived, want 11", n)
	}
}

// Flush at the end of an invocation delivers its events, and those that an earlier
// invocation has left.
func TestFlushDeliversWhatIsOnDisk(t *testing.T) {
	t.Parallel()
	srv := newServer(t, http.StatusServiceUnavailable)
	cfg, _ := config(t, srv.URL, t.TempDir(), spool.Options{WriteAhead: true})
	client := newClient(t, cfg)
	track(t, client, ids("first", 10)...)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := client.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Flush in an outage: %v", err)
	}
	srv.be(http.StatusOK)
	track(t, client, ids("second", 10)...)
	flush(t, client)
	if n, _ := srv.arrived(); n != 20 {
		t.Errorf("%d arrived", n)
	}
}
