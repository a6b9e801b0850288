package ingest

import (
	"maps"
	"slices"
	"time"
)

// Snapshot is what a Server knew at one moment. Callers must not change it, as others
// may have the same one.
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

// UserState is what is known of a user: see [User]. Since is the Seq of the first event
// that named the user.
//
// If a user was forgotten and named again, all this begins with the new first event.
type UserState struct {
	Since      int
	Traits     Traits
	Groups     []string // sorted
	EventCount int
	LastSeen   time.Time
}

// GroupState is what is known of a group, whether it is a customer or not: see
// [Customer].
type GroupState struct {
	Since      int  // as in UserState
	Customer   bool // group() was called
	Traits     Traits
	Users      []string // sorted
	EventCount int
	LastSeen   time.Time
}

// Snapshot returns what is known now. While nothing changes, another call costs
// nothing.
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
	for _, k := range s.kinds.byKey {
		snap.Kinds = append(snap.Kinds, *k)
	}
	for u := range s.users.all() {
		snap.Users[u.id] = UserState{u.since, u.traits.share(), slices.Sorted(maps.Keys(u.groups)), u.total.count, u.total.last}
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
