package inspector

import (
	"encoding/json"
	"maps"
	"math"
	"net/http"
	"slices"
)

// call is what a path of the query API takes and answers.
type call struct {
	allowed rules
	answer  func(*figures, query) any // nil if nothing is known
}

// apiCalls are the calls of the query API, by path.
func apiCalls() map[string]call {
	const most = math.MaxInt64
	all := spans()
	windows := make([]string, len(all))
	for i, s := range all {
		windows[i] = s.name
	}
	window := rules{"window": oneOf(windows...)}
	limit := rules{"limit": integer(1, maxLimit)}
	pages := limit.and(rules{"page": integer(1, maxPage)})
	sorted := func(columns []string) rules {
		return pages.and(window).and(rules{searchKey: anyText(), "sort": oneOf(columns...), "order": oneOf("asc", "desc")})
	}
	filters := limit.and(rules{
		"type": oneOf("track", "identify", "group"), "event": anyText(), "user": anyText(), "group": anyText(), "trace": anyText(),
		searchKey: anyText(), showKey: oneOf("repeated"), "before": integer(1, most),
	})
	before, at := filters["before"], integer(-most, most)
	before.with, at.with = "at", "before"
	seq := rules{"seq": required(integer(1, most))}
	id := window.and(rules{"id": required(anyText())})
	return map[string]call{
		"/api/summary":    {rules{}, (*figures).summaryAPI},
		"/api/customers":  {sorted(slices.Sorted(maps.Keys(customerColumns()))), (*figures).customersAPI},
		"/api/customer":   {id, (*figures).customerAPI},
		"/api/timeline":   {filters.and(rules{"customer": required(anyText()), "before": before, "at": at}), (*figures).timelineAPI},
		"/api/users":      {sorted(slices.Sorted(maps.Keys(userColumns()))).and(rules{showKey: oneOf("alone")}), (*figures).usersAPI},
		"/api/user":       {id, (*figures).userAPI},
		"/api/events":     {filters, (*figures).eventsAPI},
		"/api/event":      {seq, (*figures).eventAPI},
		"/api/event/json": {seq, (*figures).eventJSON},
		"/api/problems":   {pages.and(rules{"code": anyText()}), (*figures).problemsAPI},
		"/api/health":     {rules{}, (*figures).healthAPI},
	}
}

// failure is the answer to a request that failed.
type failure struct {
	Error string `json:"error"`
}

// api serves what a call answers as JSON, or 404 if that is nil. A query that breaks the
// rules is answered 400.
func (h *Handler) api(c call) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q, fault := c.allowed.check(r.URL.RawQuery)
		if fault != "" {
			writeJSON(w, http.StatusBadRequest, failure{fault})
			return
		}
		switch body := c.answer(h.figures(), q).(type) {
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

func (f *figures) summaryAPI(_ query) any { return f.summary() }

func (f *figures) customersAPI(q query) any { return f.customerList(q, "/api/customers") }

func (f *figures) customerAPI(q query) any {
	if d := f.customerDetail(q); d != nil {
		return d
	}
	return nil
}

func (f *figures) timelineAPI(q query) any {
	a := accountOf(f.customers, q.Get("customer"))
	if a == nil {
		return nil
	}
	list := a.timeline(q, "/api/timeline")
	return List[Event]{eventsOf(list.Items), list.Total, list.Next}
}

func (f *figures) usersAPI(q query) any { return f.userList(q, "/api/users") }

func (f *figures) userAPI(q query) any {
	if d := f.userDetail(q); d != nil {
		return d
	}
	return nil
}

func (f *figures) eventsAPI(q query) any {
	list := f.events(q, "/api/events")
	return List[Event]{eventsOf(list.Items), list.Total, list.Next}
}

func (f *figures) eventAPI(q query) any {
	if r := f.event(q.int("seq")); r != nil {
		return eventOf(r)
	}
	return nil
}

// eventJSON is an event as it was sent.
func (f *figures) eventJSON(q query) any {
	if r := f.event(q.int("seq")); r != nil {
		return r.Raw
	}
	return nil
}

func (f *figures) problemsAPI(q query) any { return f.problems(q, "/api/problems") }

func (f *figures) healthAPI(_ query) any { return f.health() }
