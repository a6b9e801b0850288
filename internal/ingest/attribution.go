package ingest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Customer is a group for which group() was called.
//
// EventCount and LastSeen are of the track events that count for the customer,
// those included that are no longer remembered. LastSeen is zero where there
// are none.
type Customer struct {
	ID         string
	Traits     map[string]any // never nil
	Users      []string       // linked users, sorted
	EventCount int
	LastSeen   time.Time
}

// User is a person whom any event named: users who were tracked or linked but
// never identified have no traits.
//
// EventCount and LastSeen are of the user's track events, in whichever group.
type User struct {
	ID         string
	Traits     map[string]any // never nil
	Groups     []string       // the customers the user is linked to, sorted
	EventCount int
	LastSeen   time.Time
}

// user and group hold events where they are named, never where they count:
// what counts for a customer is put together when asked for, from the group's
// own events and those of its users. A link made late thus needs no second look
// at earlier events.
type user struct {
	id     string
	since  int // the Seq of the event that made it known
	traits facts
	groups map[string]*group
	all    tally  // of all the user's track events
	free   tracks // those that name no group: they count for each group of the user
}

type group struct {
	id       string
	since    int  // the Seq of the event that made it known
	customer bool // group() was called
	traits   facts
	users    map[string]*user
	named    tracks // the track events that name this group: they count for it alone
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

// What users, groups and links take in memory beside their text, roughly.
const (
	nodeBytes  = 400
	linkBytes  = 150
	traitBytes = 100
)

func (u *user) bytes() int  { return nodeBytes + len(u.id) + len(u.groups)*linkBytes + u.traits.bytes }
func (g *group) bytes() int { return nodeBytes + len(g.id) + g.traits.bytes }

func (s *Server) forgetUser(u *user) {
	s.counts.ForgottenUsers++
	s.factBytes -= u.bytes()
	for _, g := range u.groups {
		delete(g.users, u.id)
	}
}

func (s *Server) forgetGroup(g *group) {
	s.counts.ForgottenGroups++
	s.factBytes -= g.bytes()
	for _, u := range g.users {
		delete(u.groups, g.id)
		s.factBytes -= linkBytes
	}
}

// makeRoom forgets the users or the groups that were named least recently, of
// which there are more, until what is known of all fits. That is more than
// events need: their number bounds both, but not how much is told of each. One
// of whom too much is told to fit alone goes as well.
func (s *Server) makeRoom() {
	for s.factBytes > s.opts.MaxBytes {
		if s.users.order.Len() >= s.groups.order.Len() {
			s.users.forgetOldest()
		} else {
			s.groups.forgetOldest()
		}
	}
}

// attribute files an event under the user and the group it names.
func (s *Server) attribute(r *Record) {
	e := &r.Event
	var u *user
	if e.UserID != "" {
		u = s.users.use(e.UserID)
		e.UserID = u.id // one copy for all
	}
	var g *group
	if e.GroupID != "" {
		g = s.groups.use(e.GroupID)
		e.GroupID = g.id
	}
	defer s.makeRoom()

	switch e.Type {
	case TypeIdentify: // knows no groups, even if it names one
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
			u.all.add(e.Timestamp)
		}
		if g != nil {
			g.named.add(r)
		} else {
			u.free.add(r)
		}
	}
}

// detach takes an event that is forgotten out of its timeline.
//
// A user or group that was forgotten and is known again has none from before.
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
			u.free.forget(r)
		}
	}
}

// tally counts events, and outlives them.
type tally struct {
	count int
	last  time.Time
}

func (t *tally) add(at time.Time) {
	t.count++
	t.last = later(t.last, at)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// tracks are track events in order of arrival; the tally also counts those that
// are no longer kept.
type tracks struct {
	tally

	kept []*Record
}

func (t *tracks) add(r *Record) {
	t.tally.add(r.Timestamp)
	t.kept = append(t.kept, r)
}

// forget drops r, which can only be the first: the log forgets in order of
// arrival too.
func (t *tracks) forget(r *Record) {
	if len(t.kept) > 0 && t.kept[0] == r {
		t.kept = dropFirst(t.kept)
	}
}

// Traits are merged, key by key. They stay JSON, so that no digit is lost and
// every caller gets values of its own.
type Traits map[string]Trait

// Trait is a value as it was sent, and when it was so.
type Trait struct {
	Value json.RawMessage
	At    time.Time
}

// facts are the traits of one user or group. What a snapshot has is not changed
// any more: the next merge copies it first. Merging costs what is merged, and not
// what is known already, or one user with very many traits would hold up all.
type facts struct {
	Traits

	bytes  int  // of all of them
	shared bool // with a snapshot
}

// merge takes in the traits of e, and returns by how many bytes the facts have
// grown. For each key the newest event wins, and of equal timestamps the later
// arrival, so that it does not matter in which order events arrive.
func (f *facts) merge(e *Event) (grown int) {
	// Neither fails: the event was validated.
	all, _ := parseFields(e.Raw)
	sent, _ := parseFields(all["traits"])
	switch {
	case len(sent) == 0:
		return 0
	case f.Traits == nil:
		f.Traits = make(Traits, len(sent))
	case f.shared:
		f.Traits = maps.Clone(f.Traits)
	}
	f.shared = false
	for key, value := range sent {
		old, known := f.Traits[key]
		if known && e.Timestamp.Before(old.At) {
			continue
		}
		f.Traits[key] = Trait{value, e.Timestamp}
		grown += len(value) - len(old.Value)
		if !known {
			grown += traitBytes + len(key)
		}
	}
	f.bytes += grown
	return grown
}

// share returns the traits for a snapshot.
func (f *facts) share() Traits {
	f.shared = true
	return f.Traits
}

// Decode returns the values as encoding/json decodes them.
func (t Traits) Decode() map[string]any {
	m := make(map[string]any, len(t))
	for key, trait := range t {
		var v any
		_ = json.Unmarshal(trait.Value, &v) // cannot fail: the event was validated
		m[key] = v
	}
	return m
}

// Text returns a trait as a person would write it: a string without quotes, and
// anything else as JSON. Of null, and of a trait that is not there, it is "".
func (t Traits) Text(key string) string {
	var s *string
	value := t[key].Value
	if n := len(value); n > 1 && value[0] == '"' && bytes.IndexByte(value, '\\') < 0 && utf8.Valid(value) {
		return string(value[1 : n-1]) // as most are: nothing to decode
	}
	if err := json.Unmarshal(value, &s); err != nil {
		return string(value)
	}
	if s == nil {
		return ""
	}
	return *s
}

// activity is what counts for the group: the events that name it, and those of
// its users that name no group.
func (g *group) activity() tally {
	sum := g.named.tally
	for _, u := range g.users {
		sum.count += u.free.count
		sum.last = later(sum.last, u.free.last)
	}
	return sum
}

func (g *group) snapshot() Customer {
	activity := g.activity()
	return Customer{
		ID:         g.id,
		Traits:     g.traits.Decode(),
		Users:      slices.Sorted(maps.Keys(g.users)),
		EventCount: activity.count,
		LastSeen:   activity.last,
	}
}

func (u *user) snapshot() User {
	return User{
		ID:         u.id,
		Traits:     u.traits.Decode(),
		Groups:     slices.Sorted(maps.Keys(u.groups)),
		EventCount: u.all.count,
		LastSeen:   u.all.last,
	}
}

// Customers returns all customers, sorted by ID.
func (s *Server) Customers() []Customer {
	s.mu.Lock()
	defer s.mu.Unlock()
	var customers []Customer
	for g := range s.groups.all() {
		if g.customer {
			customers = append(customers, g.snapshot())
		}
	}
	slices.SortFunc(customers, func(a, b Customer) int { return strings.Compare(a.ID, b.ID) })
	return customers
}

// Customer returns one customer, if group() was called for it.
func (s *Server) Customer(id string) (Customer, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok := s.groups.peek(id)
	if !ok || !g.customer {
		return Customer{}, false
	}
	return g.snapshot(), true
}

// Users returns all users, sorted by ID.
func (s *Server) Users() []User {
	s.mu.Lock()
	defer s.mu.Unlock()
	var users []User
	for u := range s.users.all() {
		users = append(users, u.snapshot())
	}
	slices.SortFunc(users, func(a, b User) int { return strings.Compare(a.ID, b.ID) })
	return users
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
		records = append(records, u.free.kept...)
	}
	return records, true
}
