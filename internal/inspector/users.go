package inspector

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

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
		Total: a.total, LastSeen: a.seenLast(),
	}
	all := f.count(a, w)
	u.Events, u.Parts = all.sum, all.parts
	return u
}

// usersBy returns the users that match, sorted by a column of userColumns, or by
// events. If alone is set, these are only users who are linked to no group.
func (f *figures) usersBy(search, sort string, up, alone bool, w window) []User {
	all := make([]User, 0, len(f.users))
	for _, a := range f.users {
		if a.matches(search) && (!alone || len(a.members) == 0) {
			all = append(all, f.user(a, w))
		}
	}
	sortRows(all, userColumns(), sort, up, func(u *User) string { return u.ID })
	return all
}

// userColumns are the columns by which users can be sorted.
func userColumns() map[string]func(a, b *User) int {
	return map[string]func(a, b *User) int{
		nameKey:   func(a, b *User) int { return compareNames(a.Name, a.ID, b.Name, b.ID) },
		emailKey:  func(a, b *User) int { return strings.Compare(a.Email, b.Email) },
		"groups":  func(a, b *User) int { return cmp.Compare(len(a.Groups), len(b.Groups)) },
		eventsKey: func(a, b *User) int { return cmp.Compare(a.Events, b.Events) },
		seenKey:   func(a, b *User) int { return compareTimes(a.LastSeen, b.LastSeen) },
	}
}

// Member is a user of one customer, and what the user did for that customer.
type Member struct {
	ID       string     `json:"id"`
	Name     string     `json:"name"`
	Email    string     `json:"email"`
	Linked   bool       `json:"linked"` // by group(); otherwise only events name both
	Events   int        `json:"events"` // for this customer, in the window
	LastSeen *time.Time `json:"lastSeen"`
}

// members returns the users who are linked to a customer or have events for it, those
// with the most events first.
func (f *figures) members(a *account, w window) []Member {
	byID := make(map[string]*Member, len(a.members))
	for _, u := range a.people {
		byID[u.id] = &Member{ID: u.id, Linked: true}
	}
	for id, last := range a.seen() {
		if byID[id] == nil {
			byID[id] = &Member{ID: id}
		}
		byID[id].LastSeen = &last
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
	for _, m := range byID {
		all = append(all, *m)
	}
	slices.SortFunc(all, func(a, b Member) int { return cmp.Or(cmp.Compare(b.Events, a.Events), strings.Compare(a.ID, b.ID)) })
	return all
}

// UserList is a page of users.
type UserList struct {
	List[User]

	Window window `json:"window"`
}

func (f *figures) userList(q query, path string) UserList {
	w := f.window(q.Get("window"))
	return UserList{paged(f.usersBy(q.Get(searchKey), q.Get("sort"), q.ascending(q.Get("sort")), q.Get(showKey) == "alone", w), q, path), w}
}

// UserDetail is all about one user, except the events.
type UserDetail struct {
	User

	Window window         `json:"window"`
	Traits map[string]any `json:"traits"`
	Names  []NameCount    `json:"eventsByName"`
	Usage  Usage          `json:"requests"`
}

func (f *figures) userDetail(q query) *UserDetail {
	a := accountOf(f.users, q.Get("id"))
	if a == nil {
		return nil
	}
	w := f.window(q.Get("window"))
	return &UserDetail{f.user(a, w), w, a.traits.Decode(), a.names(w), a.usage(w)}
}
