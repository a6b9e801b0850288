package ingest

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
)

// What the page shows at most; it says how much it leaves out.
const (
	maxRows   = 200 // customers, users and groups each
	maxInCell = 20  // users or traits of one row
	maxEvents = 50
)

//go:embed page.html
var pageHTML string

type page struct {
	template *template.Template
	policy   string // lets the browser apply the page's own style, and load nothing
}

func newPage() *page {
	funcs := template.FuncMap{"short": short, "clock": clock}
	return &page{
		template: template.Must(template.New("page").Funcs(funcs).Parse(pageHTML)),
		policy:   "default-src 'none'; style-src '" + styleHash(pageHTML) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	}
}

func styleHash(page string) string {
	_, rest, _ := strings.Cut(page, "<style>")
	style, _, _ := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(style))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

func (s *Server) servePage(w http.ResponseWriter) {
	page := s.page()
	var html bytes.Buffer
	if err := page.template.Execute(&html, s.view()); err != nil {
		http.Error(w, "the page could not be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", page.policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	// An error means that the browser has gone.
	_, _ = html.WriteTo(w)
}

// view is what the page shows. JSON in it is decoded only when the page is
// rendered, which no sender waits for.
type view struct {
	Counts    Counts
	TraceURL  string
	Customers excerpt[customerRow]
	Users     excerpt[userRow]  // linked to no customer
	Groups    excerpt[groupRow] // named by track events, but group() was not called
	Events    []eventRow        // newest first
}

// excerpt is the beginning of something longer.
type excerpt[T any] struct {
	Rows []T
	More int // how many are left out
}

type customerRow struct {
	ID       string
	Traits   excerpt[traitRow]
	Users    excerpt[string]
	Events   int
	LastSeen time.Time
}

type userRow struct {
	ID       string
	Traits   excerpt[traitRow]
	Events   int
	LastSeen time.Time
}

type groupRow struct {
	ID       string
	Events   int
	LastSeen time.Time
}

type traitRow struct {
	Key   string
	value json.RawMessage
}

type eventRow Event // Properties, Traits and Context not decoded

func (s *Server) view() view {
	s.mu.Lock()
	defer s.mu.Unlock()

	var customers, unknown []*group
	for g := range s.groups.all() {
		switch {
		case g.customer:
			customers = append(customers, g)
		case g.named.count > 0:
			unknown = append(unknown, g)
		}
	}
	var users []*user
	for u := range s.users.all() {
		if len(u.groups) == 0 {
			users = append(users, u)
		}
	}
	byID := func(a, b *group) int { return strings.Compare(a.id, b.id) }
	slices.SortFunc(customers, byID)
	slices.SortFunc(unknown, byID)
	slices.SortFunc(users, func(a, b *user) int { return strings.Compare(a.id, b.id) })

	v := view{
		Counts:   s.countsLocked(),
		TraceURL: s.opts.TraceURL,
		Customers: first(customers, maxRows, func(g *group) customerRow {
			activity := g.activity()
			linked := first(slices.Sorted(maps.Keys(g.users)), maxInCell, func(id string) string { return id })
			return customerRow{g.id, g.traits.rows(), linked, activity.count, activity.last}
		}),
		Users: first(users, maxRows, func(u *user) userRow {
			return userRow{u.id, u.traits.rows(), u.all.count, u.all.last}
		}),
		Groups: first(unknown, maxRows, func(g *group) groupRow {
			return groupRow{g.id, g.named.count, g.named.last}
		}),
	}
	for _, r := range slices.Backward(s.log[max(0, len(s.log)-maxEvents):]) {
		v.Events = append(v.Events, eventRow(r.event))
	}
	return v
}

func first[T, Row any](all []T, n int, row func(T) Row) excerpt[Row] {
	shown := all[:min(n, len(all))]
	l := excerpt[Row]{More: len(all) - len(shown)}
	for _, v := range shown {
		l.Rows = append(l.Rows, row(v))
	}
	return l
}

// rows puts first the two traits that Klime itself shows and searches.
func (t traits) rows() excerpt[traitRow] {
	rank := map[string]int{"name": -2, "email": -1}
	keys := slices.SortedFunc(maps.Keys(t), func(a, b string) int {
		return cmp.Or(cmp.Compare(rank[a], rank[b]), strings.Compare(a, b))
	})
	return first(keys, maxInCell, func(key string) traitRow { return traitRow{key, t[key].value} })
}

// Value is a trait as a person would write it: strings without quotes.
func (t traitRow) Value() string {
	var s *string
	if err := json.Unmarshal(t.value, &s); err == nil && s != nil {
		return *s
	}
	return compact(t.value)
}

// Data is the properties of a track event, the traits of others.
func (e eventRow) Data() string {
	f, _ := parseFields(e.Raw) // cannot fail: the event was validated
	if e.Type == TypeTrack {
		return compact(f["properties"])
	}
	return compact(f["traits"])
}

// TraceID is that of the trace in which the event was made, "" if none is named.
func (e eventRow) TraceID() string {
	f, _ := parseFields(e.Raw)
	var known struct {
		Trace struct {
			TraceID string `json:"traceId"`
		} `json:"trace"`
	}
	_ = json.Unmarshal(f["context"], &known) // any other trace than ours is none
	if id, err := hex.DecodeString(known.Trace.TraceID); err != nil || len(id) != 16 {
		return ""
	}
	return known.Trace.TraceID
}

// compact returns JSON without white space, or "" if there is none.
func compact(raw json.RawMessage) string {
	if len(raw) == 0 {
		return ""
	}
	var b bytes.Buffer
	_ = json.Compact(&b, raw) // cannot fail: the event was validated
	return b.String()
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

// short returns the first n characters of s, and writes out what cannot be seen
// or would disturb the rest of the page, such as marks that turn the direction
// of text. It is html/template that makes the result safe.
func short(n int, s string) string {
	var b strings.Builder
	for _, r := range s {
		if n == 0 {
			b.WriteRune('…')
			break
		}
		n--
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
