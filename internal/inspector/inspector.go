// Package inspector shows what a local Klime, an [ingest.Server], knows: on web pages for
// people, and in a query API for scripts and tests. Both show the same figures.
//
// All that it shows is hostile input. So every text is escaped and bounded, pages load
// and run only their own two files, and no request to them changes state.
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

	// Key, if set, is needed to see anything: as a bearer token, or as the password
	// of HTTP Basic, which browsers ask their users for.
	Key string

	// Hosts are more host names under which the pages are served, in addition to
	// localhost, names that end in .localhost, and IP addresses.
	Hosts []string

	// TraceURL is where the traces of events are shown, without the trace's ID at the
	// end. If it is empty, the pages show only the ID.
	TraceURL string
}

// Handler serves the pages, the query API, the event stream, and the ingest server's
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

// New returns a Handler that shows what server knows.
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
		"/{$}":           http.RedirectHandler("/customers", http.StatusSeeOther).ServeHTTP,
		"/customers":     h.servePage((*figures).customersPage),
		"/customer":      h.servePage((*figures).customerPage),
		"/users":         h.users(),
		"/user":          h.servePage((*figures).userPage),
		"/events":        h.servePage((*figures).eventsPage),
		"/health":        h.servePage((*figures).healthPage),
		"/stream":        h.stream,
		"/assets/{file}": h.web.asset,
		"/favicon.ico":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
	} {
		h.mux.HandleFunc("GET "+path, serve) // and HEAD
	}
	for path, c := range apiCalls() {
		h.mux.HandleFunc("GET "+path, h.api(c))
		h.mux.HandleFunc(path, onlyGET)
	}
	h.mux.HandleFunc("/api", noAPI)
	h.mux.HandleFunc("/api/", noAPI)
	return h
}

// Close ends the event streams, which would otherwise hold up [http.Server.Shutdown]:
// pass it to RegisterOnShutdown.
func (h *Handler) Close() { h.close() }

// ServeHTTP answers everything that a local Klime answers.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/v1/batch" {
		h.server.ServeHTTP(w, r) // checks the key itself, and shows nothing
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
		// DNS rebinding: a web site whose name resolves to this machine would have the
		// same origin as these pages, and could read them.
		http.Error(w, "This host name is not known here. Use localhost or an IP address, or klime-local's -hosts.", http.StatusMisdirectedRequest)
	case !h.admitted(r):
		header.Set("WWW-Authenticate", `Basic realm="klime-local: any name, and the write key as password", charset="UTF-8"`)
		http.Error(w, "The key that was set with -key is needed: as the password, or as Authorization: Bearer KEY.", http.StatusUnauthorized)
	default:
		h.mux.ServeHTTP(w, r)
	}
}

// policy lets pages load and run only the files of this server.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// known reports whether a Host header is one that no foreign web site can have.
func (h *Handler) known(host string) bool {
	host = strings.TrimSuffix(hostName(host), ".")
	if _, err := netip.ParseAddr(host); err == nil {
		return true // with an address there is no name that could be rebound
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

// BaseURL is the URL at which this machine reaches a Handler that is served at addr.
func BaseURL(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if ip := net.ParseIP(host); err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// users serves the page of users. In user mode the users are the customers, and it
// redirects to their page.
func (h *Handler) users() http.HandlerFunc {
	if h.opts.Mode == GroupMode {
		return h.servePage((*figures).usersPage)
	}
	return func(w http.ResponseWriter, r *http.Request) {
		to := url.URL{Path: "/customers", RawQuery: r.URL.RawQuery}
		http.Redirect(w, r, to.String(), http.StatusSeeOther)
	}
}

// figures returns the figures of the newest snapshot.
func (h *Handler) figures() *figures {
	snap := h.server.Snapshot()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.cache == nil || h.cache.snap != snap {
		h.cache = newFigures(snap, h.opts.Mode)
	}
	f := *h.cache // its maps and slices are only read
	f.now, f.shared = time.Now().UTC(), make(map[userWindow]count)
	return &f
}
