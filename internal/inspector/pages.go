package inspector

import "github.com/klimeapp/klime-go/internal/ingest"

// The most that a page shows of lists that have no further pages. The page says how
// much it leaves out.
const (
	maxTraits  = 50
	maxMembers = 50
	maxBars    = 15
)

type customersView struct {
	CustomerList

	Columns []column
	Pager   pager
}

func (f *figures) customersPage(q query) page {
	list := f.customerList(q, "/customers")
	heads := []string{
		nameKey, "Customer", planKey, "Plan", "users", "Users", "active1", "Active 1 d", "active7", "7 d", "active30", "30 d",
		eventsKey, "Events", seenKey, "Last seen",
	}
	if f.mode == UserMode {
		heads = []string{nameKey, "Customer", emailKey, "E-mail", planKey, "Plan", eventsKey, "Events", seenKey, "Last seen"}
	}
	return page{template: "customers", title: "Customers", tab: "customers", content: customersView{
		list, columnsOf(q, "/customers", heads...), pagerOf(list.List, q, "/customers"),
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

func (f *figures) usersPage(q query) page {
	list := f.userList(q, "/users")
	view := usersView{
		UserList: list, Pager: pagerOf(list.List, q, "/users"),
		Columns: columnsOf(q, "/users",
			nameKey, "User", emailKey, "E-mail", "groups", "Customers", eventsKey, "Events", seenKey, "Last seen"),
	}
	for _, u := range f.users {
		if len(u.members) == 0 {
			view.Alone++
		}
	}
	return page{template: usersTab, title: "Users", tab: usersTab, content: view}
}

type eventsView struct {
	Timeline timeline
	Problems *List[*ingest.Problem] // if not nil, shown in place of the timeline
	Pager    pager
	Tabs     []choice
	Filters  []choice // the active filters, with links that remove them
}

func (f *figures) eventsPage(q query) page {
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
	filters := []string{"event", "user", "group", "trace"}
	if q.Get(showKey) == "problems" {
		filters = []string{"code"}
		list := f.problems(q, "/events")
		v.Problems, v.Pager = &list, pagerOf(list, q, "/events")
	} else {
		v.Timeline = f.timelineOf(f.events(q, "/events"), q, "/events")
		v.Timeline.Arrivals = true
	}
	for _, name := range filters {
		if value := q.Get(name); value != "" {
			v.Filters = append(v.Filters, choice{name + ": " + value, q.with("/events", name, "", "before", ""), true})
		}
	}
	return page{template: "events", title: "Events", tab: "events", content: v}
}

func (f *figures) healthPage(_ query) page {
	return page{template: "health", title: "Health", tab: "health", content: f.health()}
}
