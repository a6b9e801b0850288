package ingest

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Snapshot is what a Server knew at one time. Several callers may get the same
// one: it must not be changed.
type Snapshot struct {
	Version  int // grows with every change
	Options  Options
	Counts   Counts
	Bytes    int        // of the JSON in Records
	Records  []*Record  // remembered events in order of arrival
	Kinds    []Kind     // of Records, in no order
	Problems []*Problem // the newest, in order of arrival
	Users    map[string]UserState
	Groups   map[string]GroupState
}

// UserState is what is known of a user. See [User].
//
// One that was forgotten and is known again has what came from then on: Since is
// the Seq of the first of its events.
type UserState struct {
	Since      int
	Traits     Traits
	Groups     []string // sorted
	EventCount int
	LastSeen   time.Time
}

// GroupState is what is known of a group, whether it is a customer or not. See
// [Customer].
type GroupState struct {
	Since      int  // as of users
	Customer   bool // group() was called
	Traits     Traits
	Users      []string // sorted
	EventCount int
	LastSeen   time.Time
}

// Snapshot returns what is known now. While nothing changes, it costs nothing to
// ask again.
func (s *Server) Snapshot() *Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.snapshot != nil {
		return s.snapshot
	}
	snap := &Snapshot{
		Version:  s.version,
		Options:  s.opts,
		Counts:   s.countsLocked(),
		Bytes:    s.logBytes,
		Records:  slices.Clone(s.log),
		Problems: slices.Clone(s.problems),
		Users:    make(map[string]UserState, len(s.users.byID)),
		Groups:   make(map[string]GroupState, len(s.groups.byID)),
	}
	for _, k := range s.kinds.all {
		snap.Kinds = append(snap.Kinds, *k)
	}
	for u := range s.users.all() {
		snap.Users[u.id] = UserState{u.since, u.traits.share(), slices.Sorted(maps.Keys(u.groups)), u.all.count, u.all.last}
	}
	for g := range s.groups.all() {
		activity := g.activity()
		snap.Groups[g.id] = GroupState{
			g.since, g.customer, g.traits.share(), slices.Sorted(maps.Keys(g.users)), activity.count, activity.last,
		}
	}
	s.snapshot = snap
	return snap
}

// Problem is an event that was rejected, or a batch that was refused whole.
type Problem struct {
	Seq     int // order of arrival, from 1
	At      time.Time
	Status  int // of a batch refused whole, 0 for an event
	Code    string
	Message string
	Index   int    // of an event in its batch
	Sender  string // the User-Agent of the request, cut
	Raw     json.RawMessage
	Cut     bool // Raw is the beginning only
}

// How much is remembered of problems: the newest, the beginning of each.
const (
	maxProblems = 1000
	maxProblem  = 8 << 10
	maxSender   = 200
)

func problemWith(raw json.RawMessage, e *eventError, at time.Time, r *http.Request) Problem {
	kept := cut(string(raw), maxProblem)
	return Problem{
		At: at, Code: e.Code, Message: e.Message, Index: e.Index,
		Sender: cut(r.UserAgent(), maxSender), Raw: json.RawMessage(kept), Cut: len(kept) < len(raw),
	}
}

// cut returns the beginning of s, and keeps nothing of the rest.
func cut(s string, n int) string {
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "")
	}
	return strings.Clone(s)
}

// note remembers a problem. It needs the lock.
func (s *Server) note(p Problem) {
	s.noted++
	p.Seq = s.noted
	s.problems = append(s.problems, &p)
	if len(s.problems) > maxProblems {
		s.problems[0] = nil
		s.problems = s.problems[1:]
	}
}

// change tells those who watch. It needs the lock.
func (s *Server) change() {
	s.version++
	s.snapshot = nil
	for changed := range s.watchers {
		select {
		case changed <- struct{}{}:
		default: // it has not looked since the last change
		}
	}
}

// Watch returns a channel that has a value when something has changed since the
// last was taken. The caller ends it with stop.
func (s *Server) Watch() (changed <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers[c] = struct{}{}
	return c, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchers, c)
	}
}

// bucket holds a token for each batch that may come now.
type bucket struct {
	tokens float64
	at     time.Time
}

// admit takes a token. A second's worth may come at once.
func (s *Server) admit() bool {
	rate := float64(s.opts.BatchRate)
	if rate <= 0 {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	b := &s.bucket
	if b.at.IsZero() {
		b.tokens = rate
	} else {
		b.tokens = min(rate, b.tokens+rate*now.Sub(b.at).Seconds())
	}
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
