package inspector

import (
	"cmp"
	"strings"
	"time"
)

// Customer is a row of the customers.
type Customer struct {
	ID       string     `json:"id"`
	Name     string     `json:"name"`
	Email    string     `json:"email,omitempty"` // in user mode only
	Plan     string     `json:"plan"`
	Users    int        `json:"users"`         // linked users
	Active1  int        `json:"activeUsers1"`  // users with events in the last day
	Active7  int        `json:"activeUsers7"`  // in the last 7 days
	Active30 int        `json:"activeUsers30"` // in the last 30 days
	Events   int        `json:"events"`        // in the window
	Parts    []int      `json:"eventsByPart"`  // of the window, in equal parts
	Total    int        `json:"eventsTotal"`   // also those no longer remembered
	LastSeen *time.Time `json:"lastSeen"`      // null without events
}

func (f *figures) customer(a *account, w window) Customer {
	c := Customer{
		ID: a.id, Name: a.name(), Plan: a.traits.Text(planKey), Users: len(a.members), Total: a.total, LastSeen: a.seenLast(),
	}
	if f.mode == UserMode {
		c.Email, c.Users = a.traits.Text(emailKey), 0
		c.countActive(f.now, a.last)
	}
	for _, last := range a.seen() {
		c.countActive(f.now, last)
	}
	all := f.count(a, w)
	c.Events, c.Parts = all.sum, all.parts
	return c
}

// countActive counts a user whose last event happened at that time.
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

// customersBy returns the customers that match, sorted by a column of
// customerColumns, or by events.
func (f *figures) customersBy(search, sort string, up bool, w window) []Customer {
	all := make([]Customer, 0, len(f.customers))
	for _, a := range f.customers {
		if a.matches(search) {
			all = append(all, f.customer(a, w))
		}
	}
	sortRows(all, customerColumns(), sort, up, func(c *Customer) string { return c.ID })
	return all
}

// customerColumns are the columns by which customers can be sorted.
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

// CustomerList is a page of customers.
type CustomerList struct {
	List[Customer]

	Window window `json:"window"`
}

func (f *figures) customerList(q query, path string) CustomerList {
	w := f.window(q.Get("window"))
	return CustomerList{paged(f.customersBy(q.Get(searchKey), q.Get("sort"), q.ascending(q.Get("sort")), w), q, path), w}
}

// CustomerDetail is all about one customer, except the timeline.
type CustomerDetail struct {
	Customer

	Window  window         `json:"window"`
	Traits  map[string]any `json:"traits"`
	Members []Member       `json:"members"`
	Names   []NameCount    `json:"eventsByName"`
	Usage   Usage          `json:"requests"`
}

func (f *figures) customerDetail(q query) *CustomerDetail {
	a := accountOf(f.customers, q.Get("id"))
	if a == nil {
		return nil
	}
	w := f.window(q.Get("window"))
	d := &CustomerDetail{
		Customer: f.customer(a, w), Window: w, Traits: a.traits.Decode(), Members: []Member{}, Names: a.names(w), Usage: a.usage(w),
	}
	if f.mode == GroupMode {
		d.Members = f.members(a, w)
	}
	return d
}
