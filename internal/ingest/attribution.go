package ingest

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Customer is a group for which group() was called.
//
// EventCount and LastSeen cover all track events that count for the customer, also
// those that are no longer remembered, and those of users who are not. LastSeen is zero
// if there are none.
type Customer struct {
	ID         string
	Traits     map[string]any // never nil
	Users      []string       // linked users, sorted
	EventCount int
	LastSeen   time.Time
}

// User is a person whom some event has named. Users who were tracked or linked but
// never identified have no traits.
//
// EventCount and LastSeen cover all track events of the user, in any group.
type User struct {
	ID         string
	Traits     map[string]any // never nil
	Groups     []string       // the customers the user is linked to, sorted
	EventCount int
	LastSeen   time.Time
}

// A user or group holds the events that name it, not those that count for it. What
// counts for a customer is put together on demand, from the group's own events and
// those of its users. So a link that is made late needs no second look at earlier
// events.
type user struct {
	id        string
	since     int // the Seq of the event that made it known
	traits    facts
	groups    map[string]*group
	total     tally  // of all the user's track events
	ungrouped tracks // track events that name no group: they count for each group of the user
}

type group struct {
	id       string
	since    int  // the Seq of the event that made it known
	customer bool // group() was called
	traits   facts
	users    map[string]*user
	named    tracks // track events that name this group: they count for it alone
	left     tally  // events of users who were forgotten, which had counted for it
}

func (s *Server) newUser(id string) *user {
	u := &user{id: id, since: s.counts.Accepted, groups: make(map[string]*group)}
	s.factBytes += u.bytes()
	return u
}

func (s *Server) newGroup(id string) *group {
	g := &group{id: id, since: s.counts.Accepted, users: make(map[string]*user)}
	s.factBytes += g.bytes()
	return g
}

// attribute files an event under the user and the group it names.
func (s *Server) attribute(r *Record) {
	e := &r.Event
	var u *user
	if e.UserID != "" {
		u = s.users.use(e.UserID)
		e.UserID = u.id // all events share one copy
	}
	var g *group
	if e.GroupID != "" {
		g = s.groups.use(e.GroupID)
		e.GroupID = g.id
	}
	defer s.makeRoom()

	switch e.Type {
	case TypeIdentify: // a group that it names has no effect
		s.factBytes += u.traits.merge(e)
	case TypeGroup:
		g.customer = true
		s.factBytes += g.traits.merge(e)
		if u != nil && u.groups[g.id] == nil {
			u.groups[g.id], g.users[u.id] = g, u
			s.factBytes += linkBytes
		}
	case TypeTrack:
		if u != nil {
			u.total.add(1, e.Timestamp)
		} else {
			s.counts.Userless++
		}
		if g != nil {
			g.named.add(r)
		} else {
			u.ungrouped.add(r)
		}
	}
}

// detach takes a forgotten event out of the timeline of its user or group.
//
// A user or group that was itself forgotten, and is known again, does not have it.
func (s *Server) detach(r *Record) {
	e := &r.Event
	switch {
	case e.Type != TypeTrack:
	case e.GroupID != "":
		if g, ok := s.groups.peek(e.GroupID); ok {
			g.named.forget(r)
		}
	default:
		if u, ok := s.users.peek(e.UserID); ok {
			u.ungrouped.forget(r)
		}
	}
}

// tally counts events, also after they are forgotten.
type tally struct {
	count int
	last  time.Time
}

func (t *tally) add(n int, last time.Time) {
	if n > 0 && (t.count == 0 || last.After(t.last)) { // the zero time is a time, too
		t.last = last
	}
	t.count += n
}

// tracks are track events in order of arrival. The tally also counts those that are
// no longer kept.
type tracks struct {
	tally

	kept []*Record
}

func (t *tracks) add(r *Record) {
	t.tally.add(1, r.Timestamp)
	t.kept = append(t.kept, r)
}

// forget drops r. It can only be the first, as the log forgets in order of arrival too.
func (t *tracks) forget(r *Record) {
	if len(t.kept) > 0 && t.kept[0] == r {
		t.kept = dropFirst(t.kept)
	}
}

// activity counts the events that count for the group: those that name it, and those
// of its users, also forgotten ones, that name no group.
func (g *group) activity() tally {
	sum := g.named.tally
	sum.add(g.left.count, g.left.last)
	for _, u := range g.users {
		sum.add(u.ungrouped.count, u.ungrouped.last)
	}
	return sum
}

// Customers returns all customers, sorted by ID.
func (s *Server) Customers() []Customer {
	var customers []Customer
	groups := s.Snapshot().Groups
	for _, id := range slices.Sorted(maps.Keys(groups)) {
		if g := groups[id]; g.Customer {
			customers = append(customers, Customer{id, g.Traits.Decode(), slices.Clone(g.Users), g.EventCount, g.LastSeen})
		}
	}
	return customers
}

// Users returns all users, sorted by ID.
func (s *Server) Users() []User {
	users := s.Snapshot().Users
	all := make([]User, 0, len(users))
	for _, id := range slices.Sorted(maps.Keys(users)) {
		u := users[id]
		all = append(all, User{id, u.Traits.Decode(), slices.Clone(u.Groups), u.EventCount, u.LastSeen})
	}
	return all
}

// Timeline returns the remembered track events that count for a customer,
// sorted by timestamp, or nil if there is no such customer.
func (s *Server) Timeline(groupID string) []Event {
	records, ok := s.timeline(groupID)
	if !ok {
		return nil
	}
	slices.SortFunc(records, func(a, b *Record) int {
		return cmp.Or(a.Timestamp.Compare(b.Timestamp), cmp.Compare(a.Seq, b.Seq))
	})
	return decodeAll(records)
}

func (s *Server) timeline(groupID string) ([]*Record, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok := s.groups.peek(groupID)
	if !ok || !g.customer {
		return nil, false
	}
	records := slices.Clone(g.named.kept)
	for _, u := range g.users {
		records = append(records, u.ungrouped.kept...)
	}
	return records, true
}
