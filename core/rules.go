package klime

import (
	"log/slog"
	"net/http"
	"slices"
	"sync"
)

// rules are what a middleware's options say of certain routes. They are set up
// before the first request, and then safe for concurrent use.
type rules struct {
	skipped []*pattern // of SkipRoutes
	named   []*pattern // of NameRoutes
	health  []*pattern // of HealthRoutes
	ignored []*pattern // of IgnoreRoutes

	ownHealth bool // health is what the app has said, and not the defaults
}

// own are the app's patterns.
func (r *rules) own() []*pattern {
	own := slices.Concat(r.ignored, r.skipped, r.named)
	if r.ownHealth {
		own = append(own, r.health...)
	}
	return own
}

// ruling is what the rules say of a request.
type ruling struct {
	name   string // of its event; "" if it has none of its own
	skip   bool   // no event, whatever else holds
	health bool   // no event unless it is named

	matched bool // not by the rules: an inner router has a route for it, which may have no name outside
}

// defaultHealthRoutes are the usual paths of health checks and metrics, and
// what browsers and crawlers ask for by themselves.
func defaultHealthRoutes() []string {
	return []string{
		"GET /health", "GET /healthz", "GET /healthcheck", "GET /livez", "GET /readyz", "GET /ready", "GET /startupz", "GET /ping",
		"GET /metrics", "GET /favicon.ico", "GET /robots.txt",
	}
}

// of returns the ruling on a request with one of the methods of HTTP: by its
// route, or where that is not known or is one for many paths, by its path.
func (r *rules) rulingFor(method string, rt *route, path string) ruling {
	if rt.catchAll {
		return r.decide(method, path, false)
	}
	found, ok := rt.ruling(method)
	if !ok {
		found = r.decide(method, rt.text, true)
		rt.remember(method, found)
	}
	return found
}

// ignores says why a request is known to be nobody's by what it asks for, "" if it
// is not.
func (r *rules) ignores(method, path string, header func(name string) string) (why string) {
	if len(r.ignored) > 0 {
		if p := firstOf(r.ignored, method, path, false); p != nil {
			return p.ignores
		}
	}
	switch method {
	case http.MethodOptions:
		if header("Access-Control-Request-Method") != "" {
			why = "a preflight of CORS"
		}
	case "PRI":
		why = "a connection of HTTP/2 (h2c), whose requests are found further in"
	case http.MethodGet, http.MethodHead:
		if isProbe(header("User-Agent")) && firstOf(r.health, http.MethodGet, path, false) != nil &&
			firstOf(r.named, method, path, false) == nil {
			why = "a health check (HealthRoutes)"
		}
	}
	if why != "" {
		firstOf(r.skipped, method, path, false) // which is no slip then, even if it matches nothing else
	}
	return why
}

func (r *rules) decide(method, path string, route bool) ruling {
	var ruled ruling
	if p := firstOf(r.named, method, path, route); p != nil {
		ruled.name = p.name
	}
	ruled.skip = firstOf(r.skipped, method, path, route) != nil
	ruled.health = firstOf(r.health, method, path, route) != nil
	return ruled
}

// firstOf returns the first pattern that matches, nil if none does.
func firstOf(patterns []*pattern, method, path string, route bool) *pattern {
	for _, p := range patterns {
		if p.matches(method, path, route) {
			p.used.Store(true)
			return p
		}
	}
	return nil
}

// unused lists the app's patterns that no request has matched.
func (r *rules) unused() []string {
	var texts []string
	for _, p := range r.own() {
		if !p.used.Load() {
			texts = append(texts, p.text)
		}
	}
	return texts
}

// maxWatched bounds how many middlewares of a client are watched: there should be
// a few.
const maxWatched = 100

// watchedRules are those of a client's middlewares.
type watchedRules struct {
	mu  sync.Mutex
	all []*rules
}

// watch remembers rules of the app.
func (w *watchedRules) watch(r *rules) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(r.own()) > 0 && len(w.all) < maxWatched {
		w.all = append(w.all, r)
	}
}

// tellUnused names the patterns that no request has matched: there may be a
// slip in them.
func (w *watchedRules) tellUnused(c *Client) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.all {
		if unused := r.unused(); len(unused) > 0 && !c.cfg.NoHints {
			c.cfg.Logger.Info("klime: no request has matched these patterns of SkipRoutes, IgnoreRoutes, NameRoutes or HealthRoutes",
				slog.Any("patterns", unused))
		}
	}
	w.all = nil
}
