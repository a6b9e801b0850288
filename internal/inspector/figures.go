package inspector

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/klimeapp/klime-go/internal/ingest"
)

// figures is everything that is shown, of one snapshot.
type figures struct {
	snap *ingest.Snapshot
	mode Mode
	now  time.Time

	customers map[string]*account
	users     map[string]*account
	oldest    time.Time // of the remembered track events
	health    func() Health

	free map[freeIn]count // of one answer: many customers may have the same user
}

// account is a customer or a user, with the remembered track events that count
// for it.
//
// What a user does without naming a group counts for all of the user's groups.
// It stands with the user alone: copied to every group, the events of one user of
// very many groups would fill the memory.
type account struct {
	id       string
	since    int // the first event that may count: it was forgotten before
	traits   ingest.Traits
	members  []string // users of a customer, groups of a user
	total    int      // track events, those included that are no longer remembered
	lastSeen time.Time

	own    []*ingest.Record     // that name it
	active map[string]time.Time // of a customer: when each user did any of those the last time
	people []*account           // linked to a customer: their free events count for it, too

	last     time.Time        // of a user: when the newest of own happened
	free     []*ingest.Record // of a user: those of own that name no group
	lastFree time.Time        // when the newest of free happened
}

// records are all that count for the account.
func (a *account) records() iter.Seq[*ingest.Record] {
	return func(yield func(*ingest.Record) bool) {
		for _, r := range a.own {
			if !yield(r) {
				return
			}
		}
		for _, u := range a.people {
			for _, r := range u.free {
				if !yield(r) {
					return
				}
			}
		}
	}
}

// seen yields the users who did anything here, and when they did so the last
// time.
func (a *account) seen() iter.Seq2[string, time.Time] {
	return func(yield func(string, time.Time) bool) {
		for _, u := range a.people {
			last := later(a.active[u.id], u.lastFree)
			if !last.IsZero() && !yield(u.id, last) {
				return
			}
		}
		for id, last := range a.active {
			if _, linked := slices.BinarySearch(a.members, id); !linked && !yield(id, last) {
				return
			}
		}
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func newFigures(snap *ingest.Snapshot, mode Mode) *figures {
	f := &figures{snap: snap, mode: mode, customers: make(map[string]*account), users: make(map[string]*account, len(snap.Users))}
	for id, u := range snap.Users {
		f.users[id] = &account{id: id, since: u.Since, traits: u.Traits, members: u.Groups, total: u.EventCount, lastSeen: u.LastSeen}
	}
	for id, g := range snap.Groups {
		if g.Customer {
			c := &account{
				id: id, since: g.Since, traits: g.Traits, members: g.Users, total: g.EventCount, lastSeen: g.LastSeen,
				active: make(map[string]time.Time),
			}
			for _, user := range g.Users {
				c.people = append(c.people, f.users[user])
			}
			f.customers[id] = c
		}
	}
	if mode == UserMode {
		f.customers = f.users
	}
	for _, r := range snap.Records {
		if r.Type == ingest.TypeTrack {
			f.file(r)
		}
	}
	f.health = sync.OnceValue(f.examine)
	return f
}

// file puts a track event with the user and the customer that it names.
func (f *figures) file(r *ingest.Record) {
	if f.oldest.IsZero() || r.Timestamp.Before(f.oldest) {
		f.oldest = r.Timestamp
	}
	if u := f.users[r.UserID]; u != nil && r.Seq >= u.since {
		u.own = append(u.own, r)
		u.last = later(u.last, r.Timestamp)
		if r.GroupID == "" {
			u.free = append(u.free, r)
			u.lastFree = later(u.lastFree, r.Timestamp)
		}
	}
	if f.mode == UserMode || r.GroupID == "" {
		return
	}
	if c := f.customers[r.GroupID]; c != nil && r.Seq >= c.since {
		c.own = append(c.own, r)
		if r.UserID != "" {
			c.active[r.UserID] = later(c.active[r.UserID], r.Timestamp)
		}
	}
}

func (a *account) name() string { return a.traits.Text(nameKey) }

// window is the time that figures are about: from Start on, in equal parts. What
// says that it happens later than now counts for the last part.
type window struct {
	Name   string        `json:"name"`
	Start  time.Time     `json:"start"`
	Length time.Duration `json:"-"`
	Auto   bool          `json:"auto"` // not asked for
	All    bool          `json:"all"`  // no remembered track event is older
}

const parts = 30 // of a window

type span struct {
	name   string
	length time.Duration
}

func spans() []span {
	const day = 24 * time.Hour
	return []span{{"5m", 5 * time.Minute}, {"1h", time.Hour}, {"24h", day}, {"7d", 7 * day}, {"30d", 30 * day}}
}

// window returns the one of that name, or else the shortest that holds all
// remembered track events, or else the longest.
func (f *figures) window(name string) window {
	all := spans()
	i := slices.IndexFunc(all, func(s span) bool { return s.name == name })
	auto := i < 0
	if auto {
		i = slices.IndexFunc(all, func(s span) bool { return f.oldest.IsZero() || f.oldest.After(f.now.Add(-s.length)) })
	}
	if i < 0 {
		i = len(all) - 1
	}
	start := f.now.Add(-all[i].length)
	return window{all[i].name, start, all[i].length, auto, f.oldest.IsZero() || !f.oldest.Before(start)}
}

// part is where in the window a time is, -1 if it is before.
func (w window) part(t time.Time) int {
	if t.Before(w.Start) {
		return -1
	}
	return int(min(t.Sub(w.Start)/(w.Length/parts), parts-1))
}

// Customer is a row of the customers.
type Customer struct {
	ID       string     `json:"id"`
	Name     string     `json:"name"`
	Email    string     `json:"email,omitempty"` // in user mode only
	Plan     string     `json:"plan"`
	Users    int        `json:"users"`         // linked
	Active1  int        `json:"activeUsers1"`  // with events in the last day
	Active7  int        `json:"activeUsers7"`  // in the last 7 days
	Active30 int        `json:"activeUsers30"` // in the last 30 days
	Events   int        `json:"events"`        // in the window
	Parts    []int      `json:"eventsByPart"`  // of the window, in equal parts
	Total    int        `json:"eventsTotal"`   // those included that are no longer remembered
	LastSeen *time.Time `json:"lastSeen"`      // null without events
}

func (f *figures) customer(a *account, w window) Customer {
	c := Customer{
		ID: a.id, Name: a.name(), Plan: a.traits.Text(planKey), Users: len(a.members), Total: a.total, LastSeen: timeOrNil(a.lastSeen),
	}
	if f.mode == UserMode {
		c.Email, c.Users = a.traits.Text(emailKey), 0
	}
	if f.mode == UserMode {
		c.countActive(f.now, a.last)
	}
	for _, last := range a.seen() {
		c.countActive(f.now, last)
	}
	all := f.count(a, w)
	c.Events, c.Parts = all.sum, all.parts
	return c
}

// countActive counts a user who did anything at that time.
func (c *Customer) countActive(now, last time.Time) {
	const day = 24 * time.Hour
	switch {
	case last.After(now.Add(-day)):
		c.Active1++
		fallthrough
	case last.After(now.Add(-7 * day)):
		c.Active7++
		fallthrough
	case last.After(now.Add(-30 * day)):
		c.Active30++
	}
}

// count is how many events there are in a window, and in each part of it.
type count struct {
	sum   int
	parts []int
}

func newCount() count { return count{parts: make([]int, parts)} }

func (c *count) add(records []*ingest.Record, w window) {
	for _, r := range records {
		if i := w.part(r.Timestamp); i >= 0 {
			c.parts[i]++
			c.sum++
		}
	}
}

// freeIn is what is counted once for all groups of a user of several.
type freeIn struct {
	user   *account
	window string
}

func (f *figures) count(a *account, w window) count {
	all := newCount()
	all.add(a.own, w)
	for _, u := range a.people {
		if len(u.members) < 2 {
			all.add(u.free, w)
			continue
		}
		free, ok := f.free[freeIn{u, w.Name}]
		if !ok {
			free = newCount()
			free.add(u.free, w)
			f.free[freeIn{u, w.Name}] = free
		}
		all.sum += free.sum
		for i, n := range free.parts {
			all.parts[i] += n
		}
	}
	return all
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// matches reports whether what Klime itself searches contains the text.
func (a *account) matches(text string) bool {
	if text == "" || containsFold(a.id, text) {
		return true
	}
	for _, key := range []string{nameKey, emailKey, planKey} {
		if containsFold(a.traits.Text(key), text) {
			return true
		}
	}
	return false
}

func containsFold(s, part string) bool {
	return strings.Contains(strings.ToLower(s), strings.ToLower(part))
}

// customersBy returns the customers that match, sorted by a column of
// customerColumns, or by events.
func (f *figures) customersBy(search, sort string, up bool, w window) []Customer {
	all := make([]Customer, 0, len(f.customers))
	for _, a := range f.customers {
		if a.matches(search) {
			all = append(all, f.customer(a, w))
		}
	}
	by, ok := customerColumns()[sort]
	if !ok {
		by = customerColumns()[eventsKey]
	}
	slices.SortFunc(all, func(a, b Customer) int {
		order := by(&a, &b)
		if !up {
			order = -order
		}
		return cmp.Or(order, strings.Compare(a.ID, b.ID))
	})
	return all
}

// Traits that are shown and searched, and what can be sorted by them.
const (
	nameKey  = "name"
	emailKey = "email"
	planKey  = "plan"
)

// Further columns by which tables are sorted.
const (
	eventsKey = "events"
	seenKey   = "seen"
)

// customerColumns are what customers can be sorted by.
func customerColumns() map[string]func(a, b *Customer) int {
	return map[string]func(a, b *Customer) int{
		nameKey:    func(a, b *Customer) int { return compareNames(a.Name, a.ID, b.Name, b.ID) },
		emailKey:   func(a, b *Customer) int { return strings.Compare(a.Email, b.Email) },
		planKey:    func(a, b *Customer) int { return strings.Compare(a.Plan, b.Plan) },
		"users":    func(a, b *Customer) int { return cmp.Compare(a.Users, b.Users) },
		"active1":  func(a, b *Customer) int { return cmp.Compare(a.Active1, b.Active1) },
		"active7":  func(a, b *Customer) int { return cmp.Compare(a.Active7, b.Active7) },
		"active30": func(a, b *Customer) int { return cmp.Compare(a.Active30, b.Active30) },
		eventsKey:  func(a, b *Customer) int { return cmp.Compare(a.Events, b.Events) },
		seenKey:    func(a, b *Customer) int { return compareTimes(a.LastSeen, b.LastSeen) },
	}
}

func compareNames(aName, aID, bName, bID string) int {
	return strings.Compare(strings.ToLower(cmp.Or(aName, aID)), strings.ToLower(cmp.Or(bName, bID)))
}

func compareTimes(a, b *time.Time) int {
	var x, y time.Time
	if a != nil {
		x = *a
	}
	if b != nil {
		y = *b
	}
	return x.Compare(y)
}

// User is a row of the users.
type User struct {
	ID       string     `json:"id"`
	Name     string     `json:"name"`
	Email    string     `json:"email"`
	Groups   []string   `json:"groups"`
	Events   int        `json:"events"` // in the window
	Parts    []int      `json:"eventsByPart"`
	Total    int        `json:"eventsTotal"`
	LastSeen *time.Time `json:"lastSeen"`
}

func (f *figures) user(a *account, w window) User {
	u := User{
		ID: a.id, Name: a.name(), Email: a.traits.Text(emailKey), Groups: append([]string{}, a.members...),
		Total: a.total, LastSeen: timeOrNil(a.lastSeen),
	}
	all := f.count(a, w)
	u.Events, u.Parts = all.sum, all.parts
	return u
}

// usersBy returns the users that match, sorted by a column of userColumns, or by
// events. With alone, only those who are linked to no group.
func (f *figures) usersBy(search, sort string, up, alone bool, w window) []User {
	all := make([]User, 0, len(f.users))
	for _, a := range f.users {
		if a.matches(search) && (!alone || len(a.members) == 0) {
			all = append(all, f.user(a, w))
		}
	}
	by, ok := userColumns()[sort]
	if !ok {
		by = userColumns()[eventsKey]
	}
	slices.SortFunc(all, func(a, b User) int {
		order := by(&a, &b)
		if !up {
			order = -order
		}
		return cmp.Or(order, strings.Compare(a.ID, b.ID))
	})
	return all
}

// userColumns are what users can be sorted by.
func userColumns() map[string]func(a, b *User) int {
	return map[string]func(a, b *User) int{
		nameKey:   func(a, b *User) int { return compareNames(a.Name, a.ID, b.Name, b.ID) },
		emailKey:  func(a, b *User) int { return strings.Compare(a.Email, b.Email) },
		"groups":  func(a, b *User) int { return cmp.Compare(len(a.Groups), len(b.Groups)) },
		eventsKey: func(a, b *User) int { return cmp.Compare(a.Events, b.Events) },
		seenKey:   func(a, b *User) int { return compareTimes(a.LastSeen, b.LastSeen) },
	}
}

// Member is a user of one customer, and what the user did there.
type Member struct {
	ID       string     `json:"id"`
	Name     string     `json:"name"`
	Email    string     `json:"email"`
	Linked   bool       `json:"linked"` // by group(); else only events name both
	Events   int        `json:"events"` // for this customer, in the window
	LastSeen *time.Time `json:"lastSeen"`
}

// members returns who is linked to a customer or active there, the most active
// first.
func (f *figures) members(a *account, w window) []Member {
	byID := make(map[string]*Member, len(a.members))
	for _, u := range a.people {
		byID[u.id] = &Member{ID: u.id, Linked: true}
	}
	for id, last := range a.seen() {
		if byID[id] == nil {
			byID[id] = &Member{ID: id}
		}
		byID[id].LastSeen = timeOrNil(last)
	}
	for id, m := range byID {
		if user := f.users[id]; user != nil {
			m.Name, m.Email = user.name(), user.traits.Text(emailKey)
		}
	}
	for r := range a.records() {
		if m := byID[r.UserID]; m != nil && w.part(r.Timestamp) >= 0 {
			m.Events++
		}
	}
	all := make([]Member, 0, len(byID))
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		all = append(all, *byID[id])
	}
	slices.SortStableFunc(all, func(a, b Member) int { return cmp.Compare(b.Events, a.Events) })
	return all
}

// NameCount is how often an event of that name happened.
type NameCount struct {
	Name   string `json:"event"`
	Events int    `json:"events"`
}

// names counts the events of an account in a window by name, the most frequent
// first.
func (a *account) names(w window) []NameCount {
	counts := make(map[string]int)
	for r := range a.records() {
		if w.part(r.Timestamp) >= 0 {
			counts[r.Event.Event]++
		}
	}
	all := make([]NameCount, 0, len(counts))
	for name, n := range counts {
		all = append(all, NameCount{name, n})
	}
	slices.SortFunc(all, func(a, b NameCount) int {
		return cmp.Or(cmp.Compare(b.Events, a.Events), strings.Compare(a.Name, b.Name))
	})
	return all
}
