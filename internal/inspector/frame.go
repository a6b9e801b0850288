package inspector

import (
	"cmp"
	"encoding/hex"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// frame is what all pages have in common.
type frame struct {
	Title   string
	Tab     string // the current tab
	Path    string
	Host    string // by which the browser has reached this server
	Query   query
	Now     time.Time
	Summary Summary
	Window  window
	Windows []choice
	Faults  int // findings of the health page, without hints

	// WriteKey is what pages give as the write key for senders. It is not the real one.
	WriteKey string

	tracing string // Options.TraceURL
	Content any
}

// choice is one of several links.
type choice struct {
	Text, Link string
	Current    bool
}

// GroupMode is for templates.
func (f frame) GroupMode() bool { return f.Summary.Mode == GroupMode }

// Insecure reports whether klime-go refuses to send to Host without
// Config.AllowInsecure: the write key would go over the network in the clear.
func (f frame) Insecure() bool {
	name := hostName(f.Host)
	ip := net.ParseIP(name)
	return name != "localhost" && (ip == nil || !ip.IsLoopback())
}

// Ago is how long ago a time was.
func (f frame) Ago(t time.Time) string { return ago(f.Now, t) }

// With is a link to this page with other parameters.
func (f frame) With(pairs ...string) string { return f.Query.with(f.Path, pairs...) }

// TraceLink is where a trace is shown. It is "" if that is not configured, or if id is
// not a valid trace ID.
func (f frame) TraceLink(id string) string {
	if bytes, err := hex.DecodeString(id); f.tracing == "" || err != nil || len(bytes) != 16 {
		return ""
	}
	return f.tracing + id
}

// Kept are the names of the parameters that a new search keeps.
func (f frame) Kept() []string {
	return slices.DeleteFunc([]string{"event", "user", "group", "trace", showKey}, func(name string) bool { return f.Query.Get(name) == "" })
}

// Selected is a link to this page that shows an event as well.
func (f frame) Selected(seq int) string { return f.Query.with(f.Path, "seq", strconv.Itoa(seq)) }

// page is what one page adds to the frame.
type page struct {
	template, title, tab string

	content any // nil if what was asked for is not known
}

// page serves the page that build makes for a query, or 404 with the template "missing"
// if it makes no content.
func (h *Handler) page(build func(*figures, query) page) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		f, q := h.figures(), query{Values: r.URL.Query()}.short()
		p, status := build(f, q), http.StatusOK
		if p.content == nil {
			p.template, status = "missing", http.StatusNotFound
		}
		writeKey := "anything"
		if f.snap.Options.WriteKey != "" {
			writeKey = "YOUR-KEY" // the real one is not shown
		}
		h.web.render(w, status, p.template, frame{
			WriteKey: writeKey, Title: p.title, Tab: p.tab, Path: r.URL.Path, Host: r.Host, Query: q, Now: f.now, Summary: f.summary(),
			Window: f.window(q.Get("window")), Windows: f.windows(q, r.URL.Path), Faults: f.faults(), Content: p.content, tracing: h.opts.TraceURL,
		})
	}
}

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

// column is the head of a sortable column.
type column struct {
	Title, Link, Sort string
	Number            bool
	Order             string // the value of aria-sort, "" if the table is not sorted by this column
}

// columnsOf returns column heads for pairs of names and titles. The table is sorted by
// the column fallback unless the query names another.
func columnsOf(q query, path, fallback string, names ...string) []column {
	sorted := cmp.Or(q.Get("sort"), fallback)
	up := q.ascending(sorted)
	heads := make([]column, 0, len(names)/2)
	for i := 0; i+1 < len(names); i += 2 {
		c := column{Sort: names[i], Title: names[i+1], Number: !isText(names[i])}
		order := ""
		if c.Sort == sorted {
			c.Order = map[bool]string{true: "ascending", false: "descending"}[up]
			order = map[bool]string{true: "desc", false: "asc"}[up]
		}
		c.Link = q.with(path, "sort", c.Sort, "order", order, "page", "")
		heads = append(heads, c)
	}
	return heads
}

// pager holds the links to the pages before and after, and where in the list this one is.
type pager struct {
	From, To, Total int
	Before, Next    string
}

func pagerOf[T any](list List[T], q query, path string) pager {
	page := q.pageOf(list.Total)
	from := (page-1)*q.limit() + 1
	p := pager{From: from, To: from + len(list.Items) - 1, Total: list.Total, Next: list.Next}
	if page > 1 {
		p.Before = q.with(path, "page", strconv.Itoa(page-1))
	}
	return p
}
