package klime

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Windows that become one cover both, whichever way the clock was set between them.
func TestWindowsThatBecomeOne(t *testing.T) {
	t.Parallel()
	for _, shift := range []time.Duration{0, time.Minute, 5 * time.Minute, -time.Minute, -time.Hour} {
		windowAt := func(start time.Time) *usageWindow {
			return &usageWindow{start: start, length: time.Minute, usage: map[usageKey]*usage{
				{user: "u1"}: {count: 1}, {user: start.String()}: {count: 1},
			}}
		}
		w, later := windowAt(morning()), windowAt(morning().Add(shift))
		w.absorb(later)
		if got := w.usage[usageKey{user: "u1"}].count; got != 2 {
			t.Errorf("%v: %d requests", shift, got)
		}
		for _, start := range []time.Time{morning(), later.start} {
			if w.start.After(start) || w.start.Add(w.length).Before(start.Add(time.Minute)) {
				t.Errorf("%v: from %v for %v", shift, w.start, w.length)
			}
		}
		if want := shift.Abs() + time.Minute; w.length != want {
			t.Errorf("%v: %v long, want %v", shift, w.length, want)
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

// A window that has many keys absorbs no further ones: that would take long, under a lock.
// Of the same users an outage may have as many windows as it likes.
func TestWindowsStayBounded(t *testing.T) {
	t.Parallel()
	windowOf := func(first, n int) *usageWindow {
		w := &usageWindow{usage: map[usageKey]*usage{}}
		for i := range n {
			w.usage[usageKey{user: strconv.Itoa(first + i)}] = &usage{}
		}
		return w
	}
	longOf := func(first, n int) *usageWindow { // n megabytes
		w := &usageWindow{usage: map[usageKey]*usage{}, bytes: n << 20}
		for i := range n {
			w.usage[usageKey{user: strings.Repeat("u", 1<<20-1) + strconv.Itoa(first+i)}] = &usage{}
		}
		return w
	}
	for _, tt := range []struct {
		name     string
		w, later *usageWindow
		want     bool
	}{
		{"few", windowOf(0, 1000), windowOf(1000, 1000), true},
		{"one too many", windowOf(0, 1000), windowOf(1000, 1001), false},
		{"the same", windowOf(0, 2000), windowOf(0, 2000), true},
		{"the same, and too many", windowOf(0, 2001), windowOf(0, 2001), true},
		{"few of too many", windowOf(0, 2001), windowOf(0, 1), true},
		{"one more than too many", windowOf(0, 2001), windowOf(2001, 1), false},
		{"too many of few", windowOf(0, 1), windowOf(0, 2001), false},
		{"few of many bytes", longOf(0, 2), longOf(2, 2), true},
		{"few of too many bytes", longOf(0, 2), longOf(2, 3), false},
		{"the same, of too many bytes", longOf(0, 3), longOf(0, 3), true},
	} {
		if got := tt.w.canAbsorb(tt.later); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// What both have counted adds up, and does not become negative.
func TestUsagesThatBecomeOne(t *testing.T) {
	t.Parallel()
	u := &usage{count: 9, clientErrors: 1, serverErrors: 2, aborted: 3, requestBytes: total{math.MaxInt64 - 1, true}, responseBytes: total{1, true}}
	u.merge(&usage{count: 40, clientErrors: 10, serverErrors: 20, aborted: 30, requestBytes: total{2, true}, responseBytes: total{2, true}})
	if u.count != 49 || u.clientErrors != 11 || u.serverErrors != 22 || u.aborted != 33 {
		t.Errorf("%d requests, errors of %d clients and %d servers, %d aborted", u.count, u.clientErrors, u.serverErrors, u.aborted)
	}
	if u.requestBytes.bytes != math.MaxInt64 || u.responseBytes.bytes != 3 {
		t.Errorf("%d bytes requested, %d answered", u.requestBytes.bytes, u.responseBytes.bytes)
	}
}
