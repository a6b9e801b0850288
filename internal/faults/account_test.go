package faults_test

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	klime "github.com/klimeapp/klime-go/core"
)

// fate is what the caller was told of an event.
type fate int

const (
	acknowledged fate = iota + 1
	refused           // it is counted, told to OnError, and never sent
	late              // likewise after Shutdown, but that it may not be counted
	unknown           // it may arrive or not
)

// account is what the app knows of its events, over all lives of its process.
type account struct {
	givesUp bool // events may fail for other reasons than that Klime has refused them
	firm    bool // what a call returns nil for is durable: no drop excuses that it is missing

	mu       sync.Mutex
	offered  map[string]fate
	durable  map[string]bool
	told     map[string]int // by key, what OnError was given
	named    int            // these
	untold   int            // what OnError was only given the number of
	blamed   []string       // keys that OnError was given as refused by Klime
	inLife   map[fate]int   // events of this life
	syncFail int            // of this life, counted and not told
	toldLife int            // events of this life that OnError was told of
}

func newAccount() *account {
	return &account{offered: map[string]fate{}, durable: map[string]bool{}, told: map[string]int{}, inLife: map[fate]int{}}
}

// newLife begins the books of a process.
func (a *account) newLife() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.inLife)
	a.syncFail, a.toldLife = 0, 0
}

// offer notes what the caller was told of events.
func (a *account) offer(f fate, keys ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, key := range keys {
		a.offered[key] = f
		a.inLife[f]++
	}
}

// called notes what a call has returned, whose events have that fate.
func (a *account) called(err error, f fate, keys ...string) {
	a.offer(f, keys...)
	if !a.firm || err != nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, key := range keys {
		a.durable[key] = true
	}
}

// fateOf reads what a call returned.
func fateOf(err error) fate {
	switch {
	case err == nil, errors.Is(err, klime.ErrNotDurable):
		return acknowledged
	case errors.Is(err, klime.ErrQueueFull), errors.Is(err, klime.ErrSpoolFull):
		return refused
	case errors.Is(err, klime.ErrClosed):
		return late
	default:
		return 0
	}
}

var more = regexp.MustCompile(`\(and (\d+) more\)$`)

// onError is the app's callback.
func (a *account) onError(err error, events []klime.Event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	blames := a.blames(err)
	for i := range events {
		key, _ := events[i].Properties["key"].(string)
		if events[i].Traits != nil {
			key, _ = events[i].Traits["key"].(string)
		}
		a.told[key]++
		if blames {
			a.blamed = append(a.blamed, key)
		}
	}
	a.named += len(events)
	a.toldLife += len(events)
	if found := more.FindStringSubmatch(err.Error()); found != nil {
		n, _ := strconv.Atoi(found[1])
		a.untold += n
		a.toldLife += n
	}
}

// blames reports whether the events of an error were refused by Klime, it says.
func (a *account) blames(err error) bool {
	var failure *klime.DeliveryError
	switch {
	case errors.Is(err, klime.ErrQueueFull), errors.Is(err, klime.ErrSpoolFull), errors.Is(err, klime.ErrSpoolBusy), errors.Is(err, klime.ErrSpoolLost):
		return false
	case strings.Contains(err.Error(), " not delivered"): // at Shutdown
		return false
	case !errors.As(err, &failure):
		return false
	}
	return !a.givesUp || slices.Contains([]int{200, 400, 413, 422}, failure.StatusCode)
}

// toldInLife is how many events OnError was told of in this life.
func (a *account) toldInLife() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.toldLife
}

// balanced fails unless the client's figures add up.
func balanced(tb testing.TB, s klime.Stats) {
	tb.Helper()
	sum := s.Sent + s.Failed + droppedOf(s) + uint64(s.Queued) + uint64(s.Spooled)
	if sum != s.Accepted {
		tb.Errorf("accepted %d, but %d accounted for: %+v", s.Accepted, sum, s)
	}
}

func droppedOf(s klime.Stats) (n uint64) {
	for _, of := range s.Dropped {
		n += of
	}
	return n
}

// closeLife holds a client that has been shut down to what its callers were told.
func (a *account) closeLife(tb testing.TB, s klime.Stats) {
	tb.Helper()
	balanced(tb, s)
	a.mu.Lock()
	defer a.mu.Unlock()
	if s.Queued != 0 {
		tb.Errorf("%d events are queued after Shutdown", s.Queued)
	}
	least := a.inLife[acknowledged] + a.inLife[refused]
	most := least + a.inLife[late] + a.inLife[unknown]
	if accepted := int(s.Accepted - s.Recovered); accepted < least || accepted > most {
		tb.Errorf("accepted %d events, the callers know of %d to %d", accepted, least, most)
	}
	if lost := int(s.Failed+droppedOf(s)) - a.syncFail; a.toldLife != lost {
		tb.Errorf("OnError was told of %d events, %d failed or were dropped: %+v", a.toldLife, lost, s)
	}
}

// result is what an experiment comes to.
type result struct {
	runs, acknowledged, delivered, duplicates, reported, lost int
	heap                                                      uint64
}

func (r *result) add(other result) {
	r.runs += other.runs
	r.acknowledged += other.acknowledged
	r.delivered += other.delivered
	r.duplicates += other.duplicates
	r.reported += other.reported
	r.lost += other.lost
	r.heap = max(r.heap, other.heap)
}

// compare holds what arrived at the server to what the callers were told.
func (a *account) compare(tb testing.TB, s *server) result {
	tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	r := result{runs: 1, delivered: len(s.arrived), reported: a.named + a.untold}
	for _, problem := range s.problems {
		tb.Error(problem)
	}
	for key, came := range s.arrived {
		r.duplicates += came.times - 1
		if f := a.offered[key]; f != acknowledged && f != unknown {
			tb.Errorf("%q has arrived, and was refused or never sent (%d)", key, f)
		}
	}
	for key, times := range a.told {
		if times > 1 || a.offered[key] == 0 {
			tb.Errorf("OnError was told of %q %d times, its fate is %d", key, times, a.offered[key])
		}
	}
	for _, key := range a.blamed {
		if !s.refused[key] {
			tb.Errorf("OnError was told that Klime has refused %s, which it has not", key)
		}
	}
	for key := range a.durable {
		if s.arrived[key] == nil && !s.refused[key] {
			tb.Errorf("%s was durable, and is lost", key)
		}
	}
	missing := 0
	for key, f := range a.offered {
		if f == acknowledged {
			r.acknowledged++
			if s.arrived[key] == nil && a.told[key] == 0 {
				missing++
			}
		}
	}
	r.lost = max(0, missing-a.untold)
	return r
}
