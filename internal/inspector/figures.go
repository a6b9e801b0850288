package inspector

import (
	"sync"
	"time"

	"github.com/klimeapp/klime-go/internal/ingest"
)

// figures is everything that is shown of one snapshot.
type figures struct {
	snap *ingest.Snapshot
	mode Mode
	now  time.Time

	customers map[string]*account
	users     map[string]*account
	tracked   bool      // there are remembered track events
	oldest    time.Time // of these
	health    func() Health

	// shared holds counts for one answer, as many customers may have the same user.
	shared map[userWindow]count
}

// latest returns t, unless there is a later time already. The zero time is one like others: it may
// be the timestamp of an event.
func latest(known bool, last, t time.Time) time.Time {
	if known && last.After(t) {
		return last
	}
	return t
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
			f.attribute(r)
		}
	}
	f.health = sync.OnceValue(f.examine)
	return f
}

// attribute adds a track event to the user and the customer that it names.
func (f *figures) attribute(r *ingest.Record) {
	if !f.tracked || r.Timestamp.Before(f.oldest) {
		f.tracked, f.oldest = true, r.Timestamp
	}
	if u := f.users[r.UserID]; u != nil && r.Seq >= u.since {
		u.last = latest(len(u.own) > 0, u.last, r.Timestamp)
		u.own = append(u.own, r)
		if r.GroupID == "" {
			u.lastUngrouped = latest(len(u.ungrouped) > 0, u.lastUngrouped, r.Timestamp)
			u.ungrouped = append(u.ungrouped, r)
		}
	}
	if f.mode == UserMode || r.GroupID == "" {
		return
	}
	if c := f.customers[r.GroupID]; c != nil && r.Seq >= c.since {
		c.own = append(c.own, r)
		if r.UserID != "" {
			last, active := c.active[r.UserID]
			c.active[r.UserID] = latest(active, last, r.Timestamp)
		}
	}
}
