package inspector

import (
	"encoding/json"
	"net/http"
)

// failure is the answer to a request that failed.
type failure struct {
	Error string `json:"error"`
}

// api serves the result of answer as JSON, or 404 if it is nil. A query that breaks the
// rules is answered 400.
func (h *Handler) api(allowed rules, answer func(*figures, query) any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q, fault := allowed.check(r.URL.RawQuery)
		if fault != "" {
			writeJSON(w, http.StatusBadRequest, failure{fault})
			return
		}
		body := answer(h.figures(), q)
		switch body := body.(type) {
		case nil:
			writeJSON(w, http.StatusNotFound, failure{"nothing is known about it"})
		case json.RawMessage: // sent as it is, byte by byte
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(body)
		default:
			writeJSON(w, http.StatusOK, body)
		}
	}
}

// noAPI answers requests for paths that the query API does not have.
func noAPI(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusNotFound, failure{"there is nothing here; docs/klime-local.md lists the paths"})
}

// onlyGET answers requests with other methods for a path of the query API.
func onlyGET(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Allow", "GET, HEAD")
	writeJSON(w, http.StatusMethodNotAllowed, failure{"use GET"})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// Not indented: for events that are nested a thousand deep, that would fill the memory.
	_ = json.NewEncoder(w).Encode(body) //nolint:errchkjson // it can be encoded; an error means that the client has gone away
}

// Summary is how much there is of everything.
type Summary struct {
	Mode         Mode `json:"mode"`
	Version      int  `json:"version"` // grows with every change
	Customers    int  `json:"customers"`
	Users        int  `json:"users"`
	Events       int  `json:"events"`    // remembered events
	Bytes        int  `json:"bytes"`     // of their JSON
	MaxEvents    int  `json:"maxEvents"` // the most events that are remembered
	MaxBytes     int  `json:"maxBytes"`  // the most bytes of JSON that are remembered
	Accepted     int  `json:"accepted"`  // events, without repeats
	Repeated     int  `json:"repeated"`  // events that were already known
	Rejected     int  `json:"rejected"`  // events that are not valid
	Forgotten    int  `json:"forgotten"` // events no longer remembered, for lack of room
	LostUsers    int  `json:"forgottenUsers"`
	LostGroups   int  `json:"forgottenGroups"`
	Unlinked     int  `json:"unlinked"`     // track events that no customer shows
	Batches      int  `json:"batches"`      // accepted
	Refused      int  `json:"refused"`      // batches refused for their form or size
	Unauthorized int  `json:"unauthorized"` // batches refused for their write key
	Deferred     int  `json:"deferred"`     // batches answered 429, which SDKs send again
}

func (f *figures) summary() Summary {
	c := f.snap.Counts
	s := Summary{
		Mode: f.mode, Version: f.snap.Version, Customers: len(f.customers), Users: len(f.users), Events: len(f.snap.Records),
		Bytes: f.snap.Bytes, MaxEvents: f.snap.Options.MaxEvents, MaxBytes: f.snap.Options.MaxBytes,
		Accepted: c.Accepted, Repeated: c.Repeated, Rejected: c.Rejected,
		Forgotten: c.Forgotten, LostUsers: c.ForgottenUsers, LostGroups: c.ForgottenGroups, Unlinked: c.Unlinked,
		Batches: c.Batches, Refused: c.Refused, Unauthorized: c.Unauthorized, Deferred: c.Deferred,
	}
	if f.mode == UserMode {
		s.Unlinked = 0
		for _, r := range f.snap.Records {
			if r.Event.Event != "" && r.UserID == "" {
				s.Unlinked++
			}
		}
	}
	return s
}

func (h *Handler) summaryAPI(f *figures, _ query) any { return f.summary() }

// CustomerList is a page of customers.
type CustomerList struct {
	List[Customer]

	Window window `json:"window"`
}

func (f *figures) customerList(q query, path string) CustomerList {
	w := f.window(q.Get("window"))
	return CustomerList{paged(f.customersBy(q.Get(searchKey), q.Get("sort"), q.ascending(q.Get("sort")), w), q, path), w}
}

func (h *Handler) customersAPI(f *figures, q query) any { return f.customerList(q, "/api/customers") }

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

func (h *Handler) customerAPI(f *figures, q query) any {
	if d := f.customerDetail(q); d != nil {
		return d
	}
	return nil
}

func (h *Handler) timelineAPI(f *figures, q query) any {
	a := accountOf(f.customers, q.Get("customer"))
	if a == nil {
		return nil
	}
	list := a.timeline(q, "/api/timeline")
	return List[Event]{eventsOf(list.Items), list.Total, list.Next}
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

func (h *Handler) usersAPI(f *figures, q query) any { return f.userList(q, "/api/users") }

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

func (h *Handler) userAPI(f *figures, q query) any {
	if d := f.userDetail(q); d != nil {
		return d
	}
	return nil
}

func (h *Handler) eventsAPI(f *figures, q query) any {
	list := f.events(q, "/api/events")
	return List[Event]{eventsOf(list.Items), list.Total, list.Next}
}

func (h *Handler) eventAPI(f *figures, q query) any {
	if r := f.event(q.number("seq")); r != nil {
		return eventOf(r)
	}
	return nil
}

// eventJSON is an event as it was sent.
func (h *Handler) eventJSON(f *figures, q query) any {
	if r := f.event(q.number("seq")); r != nil {
		return r.Raw
	}
	return nil
}

func (h *Handler) problemsAPI(f *figures, q query) any { return f.problems(q, "/api/problems") }

func (h *Handler) healthAPI(f *figures, _ query) any { return f.health() }
