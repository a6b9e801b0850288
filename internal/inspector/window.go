package inspector

import (
	"slices"
	"time"

	"github.com/klimeapp/klime-go/internal/ingest"
)

// window is the time that figures are about: from Start to now, in equal parts. Events
// with a timestamp in the future count for the last part.
type window struct {
	Name   string        `json:"name"`
	Start  time.Time     `json:"start"`
	Length time.Duration `json:"-"`
	Auto   bool          `json:"auto"` // chosen here, not asked for
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

// window returns the window of that name, or else the shortest that holds all
// remembered track events, or else the longest.
func (f *figures) window(name string) window {
	all := spans()
	i := slices.IndexFunc(all, func(s span) bool { return s.name == name })
	auto := i < 0
	if auto {
		i = slices.IndexFunc(all, func(s span) bool { return !f.tracked || f.oldest.After(f.now.Add(-s.length)) })
	}
	if i < 0 {
		i = len(all) - 1
	}
	start := f.now.Add(-all[i].length)
	return window{all[i].name, start, all[i].length, auto, !f.tracked || !f.oldest.Before(start)}
}

// windows returns the links of a page that choose another window.
func (f *figures) windows(q query, path string) []choice {
	w := f.window(q.Get("window"))
	all := spans()
	choices := make([]choice, 0, 1+len(all))
	choices = append(choices, choice{"Auto", q.with(path, "window", ""), w.Auto})
	for _, s := range all {
		choices = append(choices, choice{s.name, q.with(path, "window", s.name), !w.Auto && w.Name == s.name})
	}
	return choices
}

// part returns the index of the part that t is in, -1 if t is before the window.
func (w window) part(t time.Time) int {
	if t.Before(w.Start) {
		return -1
	}
	return int(min(t.Sub(w.Start)/(w.Length/parts), parts-1))
}

// count is the number of events in a window, and in each part of it.
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

// userWindow is what is counted only once for a user of several groups.
type userWindow struct {
	user   *account
	window string
}

func (f *figures) count(a *account, w window) count {
	all := newCount()
	all.add(a.own, w)
	for _, u := range a.people {
		if len(u.members) < 2 {
			all.add(u.ungrouped, w)
			continue
		}
		free, ok := f.shared[userWindow{u, w.Name}]
		if !ok {
			free = newCount()
			free.add(u.ungrouped, w)
			f.shared[userWindow{u, w.Name}] = free
		}
		all.sum += free.sum
		for i, n := range free.parts {
			all.parts[i] += n
		}
	}
	return all
}
