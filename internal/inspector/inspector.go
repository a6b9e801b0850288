// Package inspector shows what a local Klime knows: web pages for people, and a
// query API for scripts and tests, over an [ingest.Server]. Both are made of the
// same figures.
//
// What it shows is hostile input: every text is escaped and bounded, pages load
// and run nothing but their own two files, and nothing changes state.
package inspector

import (
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klimeapp/klime-go/internal/ingest"
)

// Mode says who the customers are.
type Mode string

// The modes of Klime.
const (
	GroupMode Mode = "group" // customers are groups
	UserMode  Mode = "user"  // customers are single people
)

// Options say what is shown to whom.
type Options struct {
	Mode Mode // default GroupMode

	// Key, if set, is asked of everybody who wants to look: as a bearer token, or
	// as the password of HTTP Basic, which browsers ask their users for.
	Key string

	// Hosts are names by which the pages may be asked for, beside those of
	// loopback and plain IP addresses.
	Hosts []string

	// TraceURL is where the traces of events are shown, but for the trace's ID at
	// its end. When empty, the pages show the ID alone.
	TraceURL string
}

// Handler serves pages, query API and event stream, and the ingest server's
// POST /v1/batch. It is made by [New].
type Handler struct {
	opts    Options
	server  *ingest.Server
	mux     *http.ServeMux
	web     *web
	streams atomic.Int32
	closed  chan struct{}
	close   func()

	mu    sync.Mutex
	cache *figures
}

// New returns a Handler for what server knows.
func New(server *ingest.Server, opts Options) *Handler {
	if opts.Mode == "" {
		opts.Mode = GroupMode
	}
	closed := make(chan struct{})
	h := &Handler{
		opts: opts, server: server, mux: http.NewServeMux(), web: newWeb(),
		closed: closed, close: sync.OnceFunc(func() { close(closed) }),
	}
	for path, serve := range map[string]http.HandlerFunc{
		"/{$}":           h.home,
		"/customers":     h.page(h.customersPage),
		"/customer":      h.page(h.customerPage),
		"/users":         h.users(),
		"/user":          h.page(h.userPage),
		"/events":        h.page(h.eventsPage),
		"/health":        h.page(h.healthPage),
		"/stream":        h.stream,
		"/assets/{file}": h.web.asset,
		"/favicon.ico":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
	} {
		h.mux.HandleFunc("GET "+path, serve) // and HEAD
	}
	allowed := apiRules()
	for path, answer := range map[string]func(*figures, query) any{
		"/api/summary":    h.summaryAPI,
		"/api/customers":  h.customersAPI,
		"/api/customer":   h.customerAPI,
		"/api/timeline":   h.timelineAPI,
		"/api/users":      h.usersAPI,
		"/api/user":       h.userAPI,
		"/api/events":     h.eventsAPI,
		"/api/event":      h.eventAPI,
		"/api/event/json": h.eventJSON,
		"/api/problems":   h.problemsAPI,
		"/api/health":     h.healthAPI,
	} {
		h.mux.HandleFunc("GET "+path, h.api(allowed[path], answer))
		h.mux.HandleFunc(path, onlyGET)
	}
	h.mux.HandleFunc("/api", noAPI)
	h.mux.HandleFunc("/api/", noAPI)
	return h
}

// Close ends the event streams, which would hold up an [http.Server.Shutdown]:
// give it to RegisterOnShutdown.
func (h *Handler) Close() { h.close() }

// ServeHTTP answers everything that a local Klime answers.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/v1/batch" {
		h.server.ServeHTTP(w, r) // has a key of its own, and shows nothing
		return
	}
	header := w.Header()
	header.Set("Content-Security-Policy", policy)
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "no-store")
	switch {
	case !h.known(r.Host):
		// A web site whose name resolves to this machine would otherwise be of the
		// same origin as these pages, and could read them.
		http.Error(w, "This host name is not known here. Use localhost, or an IP address.", http.StatusMisdirectedRequest)
	case !h.admitted(r):
		header.Set("WWW-Authenticate", `Basic realm="klime-local: any name, and the write key as password", charset="UTF-8"`)
		http.Error(w, "The key of -key is needed: as password, or as Authorization: Bearer KEY.", http.StatusUnauthorized)
	default:
		h.mux.ServeHTTP(w, r)
	}
}

// policy lets pages load and run what this server has as files, and no more.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// known reports whether a Host header is one that no foreign web site can have.
func (h *Handler) known(host string) bool {
	host = strings.TrimSuffix(hostName(host), ".")
	if _, err := netip.ParseAddr(host); err == nil {
		return true // a site that is asked for by address has no name to rebind
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost") ||
		slices.ContainsFunc(h.opts.Hosts, func(known string) bool { return strings.EqualFold(known, host) })
}

// hostName is a Host header without port and brackets, in lower case.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}

func (h *Handler) admitted(r *http.Request) bool {
	if h.opts.Key == "" {
		return true
	}
	_, key, basic := r.BasicAuth()
	if !basic {
		key = ingest.Bearer(r.Header.Get("Authorization"))
	}
	return subtle.ConstantTimeCompare([]byte(key), []byte(h.opts.Key)) == 1
}

// BaseURL is how this machine reaches a Handler that is served at addr.
func BaseURL(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if ip := net.ParseIP(host); err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

func (h *Handler) home(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "/customers", http.StatusSeeOther)
}

// users serves the page of users. In user mode they are the customers, whose page
// has an address of its own.
func (h *Handler) users() http.HandlerFunc {
	if h.opts.Mode == GroupMode {
		return h.page(h.usersPage)
	}
	return func(w http.ResponseWriter, r *http.Request) {
		to := url.URL{Path: "/customers", RawQuery: r.URL.RawQuery}
		http.Redirect(w, r, to.String(), http.StatusSeeOther)
	}
}

// figures returns what follows from all that is known now.
func (h *Handler) figures() *figures {
	snap := h.server.Snapshot()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.cache == nil || h.cache.snap != snap {
		h.cache = newFigures(snap, h.opts.Mode)
	}
	f := *h.cache // its maps and slices are only read
	f.now, f.free = time.Now().UTC(), make(map[freeIn]count)
	return &f
}
