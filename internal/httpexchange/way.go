package httpexchange

import (
	"context"
	"net/http"
	"net/url"
)

// Way is how a request has come to a middleware: for GET /rss/v1/feeds/7, through a mux
// with /rss/ and StripPrefix("/rss") to a mux with /v1/. It is the zero Way if nothing was
// taken off the path, or not behind a mux. A middleware finds it out once, before the
// handlers: afterwards, patterns further out may change.
type Way struct {
	Taken   string // what was taken off the path: /rss
	Prefix  string // the same in segments of the muxes' patterns, as those of the path may be IDs; "" if they do not name all of it
	Pattern string // of the last mux, as it has set it: /v1/
	Rest    string // what the muxes tell of the rest of the path: /v1/; "" if that is not certain
}

// Lost reports whether something was taken off that nobody can name.
func (w *Way) Lost() bool { return w.Taken != "" && w.Prefix == "" }

// whole is the path that the client asked for where a middleware sees this one, as far as
// the route is known too. The Way may be nil.
func (w *Way) whole(path string) string {
	if w == nil || w.Lost() {
		return path
	}
	return w.Taken + path
}

// contextWith returns the context with which e passes a request on. The Way may be nil.
func (w *Way) contextWith(e *exchange) context.Context {
	if w == nil {
		return e
	}
	return context.WithValue(e, &e.Passed, w)
}

// WayOf returns the Way to the innermost middleware that r has passed.
func WayOf(r *http.Request) Way { return passedBy(r).way(r) }

// Around returns the Way to the middleware around the one to which r has come, the path
// that it has seen, and the pattern in the request that it passed on: of a mux since, or the
// one with which that request came. If there is none, or if it has seen another request, for
// which the app has made this one, path is the one that the client asked for: nil if that is
// malformed.
func Around(r *http.Request) (way Way, path *url.URL, pattern string) {
	for p := passedBy(r); p != nil; p = passedBy(p.incoming) { // some are of routers that do not know their Way
		if passed := p.passed.Load(); passed != nil {
			if p.incoming.RequestURI != r.RequestURI {
				break
			}
			return p.way(r), &url.URL{Path: p.path, RawPath: p.rawPath}, passed.Pattern
		}
	}
	path, _ = url.ParseRequestURI(r.RequestURI)
	return Way{}, path, ""
}

// IsMatched reports whether a mux has matched r since it was passed on.
func IsMatched(r *http.Request) bool {
	p := passedBy(r)
	return p != nil && r.Pattern != p.incoming.Pattern
}

// passedBy returns what is known of the innermost middleware that r has passed, nil if
// there is none.
func passedBy(r *http.Request) *Passed {
	p, _ := r.Context().Value(passedKey{}).(*Passed)
	return p
}

// way returns the Way to p, by which r has passed.
func (p *Passed) way(r *http.Request) Way {
	if way, ok := r.Context().Value(p).(*Way); ok {
		return *way
	}
	return Way{}
}
