package inspector

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/klimeapp/klime-go/internal/ingest"
)

// accountView is the page of one customer or one user.
type accountView struct {
	Customer *CustomerDetail // nil on the page of a user
	User     *UserDetail     // nil on the page of a customer

	ID, Name string
	Summary  Customer
	Traits   []traitRow
	Hidden   int // traits that are left out
	Members  []Member
	Further  int // members or groups that are left out
	Groups   []group
	Names    bars
	Routes   bars
	Usage    Usage
	Timeline timeline
	Filters  filters
}

type group struct{ ID, Name string }

// filters are what a timeline can be filtered for.
type filters struct {
	Users  []Member
	Events []NameCount
}

// accountView has what the pages of a customer and of a user have in common.
func (f *figures) accountView(a *account, names []NameCount, usage Usage, q query, path string) *accountView {
	return &accountView{
		ID: a.id, Name: a.name(), Traits: traitRows(a.traits), Hidden: max(len(a.traits)-maxTraits, 0),
		Names: nameBars(names, q, path), Routes: routeBars(&usage), Usage: usage, Timeline: f.timelineOf(a.timeline(q, path), q, path),
	}
}

func (f *figures) customerPage(q query) page {
	d := f.customerDetail(q)
	if d == nil {
		return page{title: "Not known", tab: "customers"}
	}
	v := f.accountView(f.customers[d.ID], d.Names, d.Usage, q, "/customer")
	v.Customer, v.Summary = d, d.Customer
	v.Members, v.Further = d.Members[:min(len(d.Members), maxMembers)], max(len(d.Members)-maxMembers, 0)
	v.Timeline.OfUser = f.mode == UserMode
	v.Filters = filtersOf(v.Members, d.Names, q)
	return page{template: "account", title: cmp.Or(v.Name, v.ID), tab: "customers", content: v}
}

func (f *figures) userPage(q query) page {
	if f.mode == UserMode {
		return f.customerPage(q)
	}
	d := f.userDetail(q)
	if d == nil {
		return page{title: "Not known", tab: usersTab}
	}
	v := f.accountView(f.users[d.ID], d.Names, d.Usage, q, "/user")
	v.User, v.Summary = d, Customer{Events: d.Events, Parts: d.Parts, Total: d.Total, LastSeen: d.LastSeen}
	v.Timeline.OfUser = true
	v.Filters = filtersOf(nil, d.Names, q)
	v.Further = max(len(d.Groups)-maxMembers, 0)
	for _, id := range d.Groups[:min(len(d.Groups), maxMembers)] {
		v.Groups = append(v.Groups, group{id, f.customers[id].name()})
	}
	return page{template: "account", title: cmp.Or(v.Name, v.ID), tab: usersTab, content: v}
}

// filtersOf offers the most active users, the most frequent events, and the current
// filters even if these are not among them.
func filtersOf(users []Member, events []NameCount, q query) filters {
	v := filters{slices.Clone(users), slices.Clone(events[:min(len(events), maxMembers)])}
	if user := q.Get("user"); user != "" && !slices.ContainsFunc(v.Users, func(m Member) bool { return handle(m.ID) == user }) {
		v.Users = append(v.Users, Member{ID: user})
	}
	if event := q.Get("event"); event != "" && !slices.ContainsFunc(v.Events, func(n NameCount) bool { return handle(n.Name) == event }) {
		v.Events = append(v.Events, NameCount{Name: event})
	}
	return v
}

// traitRow is a trait, with its value as a person would write it.
type traitRow struct {
	Key, Value string
	At         time.Time
}

// traitRows puts the traits that are shown and searched elsewhere first.
func traitRows(t ingest.Traits) []traitRow {
	rank := map[string]int{nameKey: -3, emailKey: -2, planKey: -1}
	keys := slices.SortedFunc(maps.Keys(t), func(a, b string) int {
		return cmp.Or(cmp.Compare(rank[a], rank[b]), strings.Compare(a, b))
	})
	rows := make([]traitRow, 0, len(keys))
	for _, key := range keys[:min(len(keys), maxTraits)] {
		rows = append(rows, traitRow{key, t.Text(key), t[key].At})
	}
	return rows
}

// bars is a chart of horizontal bars, the longest first.
type bars struct {
	Rows []bar
	More int
}

type bar struct {
	Name, Link  string
	Count, Most int
	Errors      int
	Request     *Requests
}

// nameBars has a bar for each event name, with a link to the timeline of only these
// events.
func nameBars(names []NameCount, q query, path string) bars {
	b := bars{More: max(len(names)-maxBars, 0)}
	for _, n := range names[:len(names)-b.More] {
		link := q.with(path, "event", handle(n.Name), "before", "", "at", "", "seq", "") + "#activity"
		b.Rows = append(b.Rows, bar{Name: n.Name, Link: link, Count: n.Events, Most: names[0].Events})
	}
	return b
}

func routeBars(u *Usage) bars {
	b := bars{More: max(len(u.Routes)-maxBars, 0)}
	for i := range u.Routes[:len(u.Routes)-b.More] {
		r := &u.Routes[i]
		b.Rows = append(b.Rows, bar{
			Name: r.Method + " " + cmp.Or(r.Route, "(route not known)"), Count: r.Count, Most: u.Routes[0].Count,
			Errors: r.ClientErrors + r.ServerErrors, Request: r,
		})
	}
	return b
}
