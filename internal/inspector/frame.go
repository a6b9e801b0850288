package inspector

import (
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

// servePage serves the page that build makes for a query, or 404 with the template "missing"
// if it makes no content.
func (h *Handler) servePage(build func(*figures, query) page) http.HandlerFunc {
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
