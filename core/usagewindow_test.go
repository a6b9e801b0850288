package klime

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// A window that goes on covers what it then counts, whichever way the clock was set meanwhile.
func TestWindowsThatGoOnCoverWhatTheyCount(t *testing.T) {
	t.Parallel()
	at := func(hour, minute int) time.Time { return time.Date(2026, 11, 23, hour, minute, 59, 0, time.UTC) }
	for _, tt := range []struct {
		counts     time.Time
		start, end string
	}{
		{at(10, 0), "10:00", "10:01"},
		{at(10, 1), "10:00", "10:02"},
		{at(10, 5), "10:00", "10:06"},
		{at(9, 59), "09:59", "10:01"},
		{at(9, 0), "09:00", "10:01"},
	} {
		w := &usageWindow{start: at(10, 0).Truncate(time.Minute), length: time.Minute}
		for _, now := range []time.Time{tt.counts, at(10, 0)} {
			w.cover(now, time.Minute)
		}
		if start, end := w.start.Format("15:04"), w.start.Add(w.length).Format("15:04"); start != tt.start || end != tt.end {
			t.Errorf("%v: from %s to %s, want %s to %s", tt.counts, start, end, tt.start, tt.end)
		}
	}
}

// A window ends when its time has passed, but also when the clock shows a later one, as it
// was set, or the machine slept: its event would say of calls of today that they were
// made yesterday. A request that ended before the one that began the window is counted in it.
func TestWindowsEndWhenTheClockIsSet(t *testing.T) {
	t.Parallel()
	c, err := New(Config{WriteKey: "key"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Shutdown(context.Background()) }()
	for shift, want := range map[time.Duration]bool{
		0: false, 59 * time.Minute: false, -time.Minute: false, time.Hour: true, 8 * time.Hour: true,
	} {
		r := &rollUp{client: c, length: time.Hour}
		now, x := morning(), &Exchange{Method: http.MethodGet, Route: "/", Status: http.StatusOK}
		if err := r.add(now, identity{user: "u1"}, x); err != nil {
			t.Fatal(err)
		}
		began := r.current
		began.start = began.start.Add(-shift) // as if the clock had gone on by so much since
		if err := r.add(now, identity{user: "u1"}, x); err != nil {
			t.Fatal(err)
		}
		if ended := r.current != began; ended != want {
			t.Errorf("a clock set by %v: ended is %v", shift, ended)
		}
		r.flush(true)
	}
}

// A request that ended just before the window began does not make a window that goes on longer.
func TestWindowsThatGoOnStartWhereTheyBegan(t *testing.T) {
	t.Parallel()
	r := &rollUp{length: time.Minute, backlog: make([]*usageWindow, 2)} // as in an outage
	now, x := time.Now(), &Exchange{Method: http.MethodGet, Route: "/", Status: http.StatusOK}
	start := now.Truncate(time.Minute).Add(time.Minute)
	for _, after := range []time.Duration{time.Microsecond, -time.Microsecond} {
		if err := r.add(now.Add(start.Sub(now)+after), identity{user: "u1"}, x); err != nil {
			t.Fatal(err)
		}
		r.flush(false)
	}
	if w := r.current; !w.start.Equal(start) || w.length != time.Minute {
		t.Errorf("it is from %v, and %v long", w.start, w.length)
	}
	r.current.expiry.Stop()
}

// What a rollUp holds is bounded, in keys and in bytes. At the bound a new key has to wait until
// the oldest window has gone, and those that it has are still counted.
func TestRollUpIsBounded(t *testing.T) {
	t.Parallel()
	const size = len("u1" + http.MethodGet + "/")
	for _, before := range []struct{ keys, bytes int }{{160_000 - 1, 0}, {1, 64<<20 - size}} {
		waiting, stopWaiting := context.WithCancel(t.Context())
		oldest := &usageWindow{waiting: waiting, stopWaiting: stopWaiting}
		r := &rollUp{length: time.Hour, keys: before.keys, bytes: before.bytes, backlog: []*usageWindow{oldest}}
		for i, tt := range []struct {
			user string
			want error
		}{{"u1", nil}, {"u2", ErrQueueFull}, {"u1", nil}} {
			if waits := oldest.waiting.Err() == nil; waits != (i < 2) {
				t.Errorf("%+v: before request %d, the oldest window waits: %v", before, i, waits)
			}
			if err := r.add(morning(), identity{user: tt.user}, &Exchange{Method: http.MethodGet, Route: "/"}); !errors.Is(err, tt.want) {
				t.Errorf("%+v: request %d: %v, want %v", before, i, err, tt.want)
			}
		}
		if len(r.current.usage) != 1 {
			t.Errorf("%+v: %d keys were added", before, len(r.current.usage))
		}
		r.current.expiry.Stop()
	}
}

// A window that goes on ends once fewer than two others are left.
func TestAWindowGoesOnWhileTwoAreLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		c, err := New(Config{WriteKey: "key", BeforeSend: func(*Event) bool { <-goOn; return false }})
		if err != nil {
			t.Fatal(err)
		}
		r, x := c.rollUp(time.Hour), &Exchange{Method: http.MethodGet, Route: "/", Status: http.StatusOK}
		count := func(user string) {
			if err := r.add(time.Now(), identity{user: user}, x); err != nil {
				t.Error(err)
			}
		}
		for _, user := range []string{"u1", "u2", "u3"} {
			count(user)
			r.mu.Lock()
			r.finish() // as if it were full
			r.mu.Unlock()
		}
		count("u4")
		r.flush(false)
		for left := 3; left > 0; left-- {
			if goesOn := r.current != nil; goesOn != (left > 1) {
				t.Errorf("with %d left, it goes on is %v", left, goesOn)
			}
			goOn <- struct{}{}
			synctest.Wait()
		}
		close(goOn)
		_ = c.Shutdown(t.Context())
	})
}
