package inspector

import (
	"cmp"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/klimeapp/klime-go/internal/ingest"
)

// account is a customer or a user, with the remembered track events that count
// for it.
//
// A user's events that name no group count for all of the user's groups. They are kept
// only with the user: copied to each group, the events of one user of very many groups
// would fill the memory.
type account struct {
	id       string
	since    int // the Seq of the first event that may count, if it was forgotten before
	traits   ingest.Traits
	members  []string  // users of a customer, groups of a user
	total    int       // track events, also those no longer remembered
	lastSeen time.Time // if there are any

	own    []*ingest.Record     // events that name it
	active map[string]time.Time // of a customer: when each user did the last of own
	people []*account           // users linked to a customer: their ungrouped events count for it too

	last          time.Time        // of a user: when the newest of own happened
	ungrouped     []*ingest.Record // of a user: those of own that name no group
	lastUngrouped time.Time        // when the newest of ungrouped happened
}

// records yields all events that count for the account.
func (a *account) records() iter.Seq[*ingest.Record] {
	return func(yield func(*ingest.Record) bool) {
		for _, r := range a.own {
			if !yield(r) {
				return
			}
		}
		for _, u := range a.people {
			for _, r := range u.ungrouped {
				if !yield(r) {
					return
				}
			}
		}
	}
}

// seen yields the users who did anything for a customer, and when they last did.
func (a *account) seen() iter.Seq2[string, time.Time] {
	return func(yield func(string, time.Time) bool) {
		for _, u := range a.people {
			last, did := a.active[u.id]
			if len(u.ungrouped) > 0 {
				last, did = latest(did, last, u.lastUngrouped), true
			}
			if did && !yield(u.id, last) {
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

// seenLast returns nil if the account has no track events.
func (a *account) seenLast() *time.Time {
	if a.total == 0 {
		return nil
	}
	return &a.lastSeen
}

// name returns "" also for a name that nobody would see.
func (a *account) name() string {
	if name := a.traits.Text(nameKey); strings.ContainsFunc(name, isSeen) {
		return name
	}
	return ""
}

// matches reports whether the ID, or a trait that is searched, contains the text.
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

// NameCount is how many events have a name.
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

// accountOf returns the account that was asked for, nil if there is none.
func accountOf(all map[string]*account, asked string) *account {
	if a := all[asked]; a != nil || !strings.HasPrefix(asked, "sha256-") {
		return a
	}
	for id, a := range all {
		if matchesHandle(id, asked) {
			return a
		}
	}
	return nil
}
