package inspector

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/klimeapp/klime-go/internal/ingest"
)

// The most that a page shows of lists that have no further pages. The page says how
// much it leaves out.
const (
	maxTraits  = 50
	maxMembers = 50
	maxBars    = 15
	maxLinks   = 8 // groups in one row
)

type customersView struct {
	CustomerList

	Columns []column
	Pager   pager
}

func (h *Handler) customersPage(f *figures, q query) page {
	list := f.customerList(q, "/customers")
	heads := []string{
		nameKey, "Customer", planKey, "Plan", "users", "Users", "active1", "Active 1 d", "active7", "7 d", "active30", "30 d",
		eventsKey, "Events", seenKey, "Last seen",
	}
	if f.mode == UserMode {
		heads = []string{nameKey, "Customer", emailKey, "E-mail", planKey, "Plan", eventsKey, "Events", seenKey, "Last seen"}
	}
	return page{template: "customers", title: "Customers", tab: "customers", content: customersView{
		list, columnsOf(q, "/customers", eventsKey, heads...), pagerOf(list.List, q, "/customers"),
	}}
}

// usersTab is also the name of its template.
const usersTab = "users"

type usersView struct {
	UserList

	Columns []column
	Pager   pager
	Alone   int // users without a group
}

func (h *Handler) usersPage(f *figures, q query) page {
	list := f.userList(q, "/users")
	view := usersView{
		UserList: list, Pager: pagerOf(list.List, q, "/users"),
		Columns: columnsOf(q, "/users", eventsKey,
			nameKey, "User", emailKey, "E-mail", "groups", "Customers", eventsKey, "Events", seenKey, "Last seen"),
	}
	for _, u := range f.users {
		if len(u.members) == 0 {
			view.Alone++
		}
	}
	return page{template: usersTab, title: "Users", tab: usersTab, content: view}
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

// accountView is the page of one customer or one user.
type accountView struct {
	Customer *CustomerDetail // nil on the page of a user
	User     *UserDetail     // nil on the page of a customer

	ID, Name string
	Summary  Customer
	Traits   []traitRow
	Hidden   int // traits that are left out
	Members  []Member
	Further  int // members that are left out
	Groups   []group
	Names    bars
	Routes   bars
	Usage    Usage
	Timeline timeline
	Filters  filters
}

type group struct {
	ID, Name string
	Known    bool
}

// filters are what a timeline can be filtered for.
type filters struct {
	Users  []Member
	Events []NameCount
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

func (f *figures) customerView(q query) *accountView {
	d := f.customerDetail(q)
	if d == nil {
		return nil
	}
	a := f.customers[d.ID]
	v := &accountView{
		Customer: d, ID: d.ID, Name: d.Name, Summary: d.Customer,
		Traits: traitRows(a.traits), Hidden: max(len(a.traits)-maxTraits, 0),
		Members: d.Members[:min(len(d.Members), maxMembers)], Further: max(len(d.Members)-maxMembers, 0),
		Usage: d.Usage, Routes: routeBars(&d.Usage),
		Names:    nameBars(d.Names, q, "/customer"),
		Timeline: f.timelineView(a, q, "/customer"),
	}
	v.Timeline.OfUser = f.mode == UserMode
	v.Filters = filtersOf(v.Members, d.Names, q)
	return v
}

func (h *Handler) customerPage(f *figures, q query) page {
	if v := f.customerView(q); v != nil {
		return page{template: "account", title: cmp.Or(v.Name, v.ID), tab: "customers", content: v}
	}
	return page{title: "Not known", tab: "customers"}
}

func (h *Handler) userPage(f *figures, q query) page {
	if f.mode == UserMode {
		return h.customerPage(f, q)
	}
	d := f.userDetail(q)
	if d == nil {
		return page{title: "Not known", tab: usersTab}
	}
	a := f.users[d.ID]
	v := &accountView{
		User: d, ID: d.ID, Name: d.Name, Usage: d.Usage, Routes: routeBars(&d.Usage),
		Traits: traitRows(a.traits), Hidden: max(len(a.traits)-maxTraits, 0),
		Summary:  Customer{Events: d.Events, Parts: d.Parts, Total: d.Total, LastSeen: d.LastSeen},
		Names:    nameBars(d.Names, q, "/user"),
		Timeline: f.timelineView(a, q, "/user"),
	}
	v.Timeline.OfUser = true
	v.Filters = filtersOf(nil, d.Names, q)
	for _, id := range d.Groups[:min(len(d.Groups), maxMembers)] {
		g := group{ID: id}
		if c := f.customers[id]; c != nil && f.mode == GroupMode {
			g.Name, g.Known = c.name(), true
		}
		v.Groups = append(v.Groups, g)
	}
	return page{template: "account", title: cmp.Or(d.Name, d.ID), tab: usersTab, content: v}
}

// row is an event in a list.
type row struct {
	*ingest.Record

	Name    string // of the event, or of the call
	Data    string // its properties or traits
	Request string // method and route of the request that it is about
}

func rowOf(r *ingest.Record) row {
	view := row{Record: r, Name: r.Event.Event}
	switch r.Type {
	case ingest.TypeIdentify:
		view.Name = "identify"
	case ingest.TypeGroup:
		view.Name = "group"
	}
	if r.Usage != nil {
		view.Request = strings.TrimSpace(r.Usage.Method + " " + r.Usage.Route)
	}
	var data struct {
		Properties json.RawMessage `json:"properties"`
		Traits     json.RawMessage `json:"traits"`
	}
	_ = json.Unmarshal(r.Raw, &data) // cannot fail: the event was validated
	if r.Type == ingest.TypeTrack {
		view.Data = compact(data.Properties)
	} else {
		view.Data = compact(data.Traits)
	}
	if view.Data == "null" || view.Data == "{}" {
		view.Data = ""
	}
	return view
}

// timeline is a list of events, and one of them in full.
type timeline struct {
	Rows     []row
	Total    int
	Older    string // link to the next part
	Newest   string // link to the beginning, if this is not it
	Chosen   bool   // an event is selected
	Selected *row   // the selected event, nil if it is not remembered
	Unselect string
	Arrivals bool // events of all types in order of arrival
	OfUser   bool // all are of the same user
}

func (f *figures) timelineOf(list List[*ingest.Record], q query, path string) timeline {
	t := timeline{Total: list.Total, Older: list.Next, Unselect: q.with(path, "seq", "")}
	if q.Get("before") != "" {
		t.Newest = q.with(path, "before", "", "at", "")
	}
	for _, r := range list.Items {
		t.Rows = append(t.Rows, rowOf(r))
	}
	if q.Get("seq") != "" {
		t.Chosen = true
		if r := f.event(q.number("seq")); r != nil {
			selected := rowOf(r)
			t.Selected = &selected
		}
	}
	return t
}

func (f *figures) timelineView(a *account, q query, path string) timeline {
	return f.timelineOf(a.timeline(q, path), q, path)
}

// JSON is the event as indented JSON.
func (r *row) JSON() string { return indented(r.Raw) }

// Sender is the SDK that the event names as its sender.
func (r *row) Sender() string {
	return strings.TrimSpace(r.Library.Name + " " + r.Library.Version)
}

type eventsView struct {
	Timeline timeline
	Problems *List[Problem] // if not nil, shown in place of the timeline
	Pager    pager
	Tabs     []choice
	Filters  []choice // the active filters, with links that remove them
}

func (h *Handler) eventsPage(f *figures, q query) page {
	v := eventsView{}
	counts := f.snap.Counts
	problems := counts.Rejected + counts.Refused + counts.Unauthorized
	for _, tab := range []struct{ show, title string }{
		{"", "All"}, {"repeated", "Repeated " + number(counts.Repeated)}, {"problems", "Rejected " + number(problems)},
	} {
		v.Tabs = append(v.Tabs, choice{
			tab.title, q.with("/events", showKey, tab.show, "before", "", "page", "", "seq", "", "code", ""), q.Get(showKey) == tab.show,
		})
	}
	if q.Get(showKey) == "problems" {
		list := f.problems(q, "/events")
		v.Problems, v.Pager = &list, pagerOf(list, q, "/events")
	} else {
		v.Timeline = f.timelineOf(f.events(q, "/events"), q, "/events")
		v.Timeline.Arrivals = true
	}
	for _, name := range []string{"event", "user", "group", "trace", "code"} {
		if value := q.Get(name); value != "" {
			v.Filters = append(v.Filters, choice{name + ": " + value, q.with("/events", name, "", "before", ""), true})
		}
	}
	return page{template: "events", title: "Events", tab: "events", content: v}
}

func (h *Handler) healthPage(f *figures, _ query) page {
	return page{template: "health", title: "Health", tab: "health", content: f.health()}
}
