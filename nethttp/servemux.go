package nethttp

import (
	"net/http"
	"strings"

	"github.com/klimeapp/klime-go/internal/httpexchange"
)

// matchedPattern is the pattern that a ServeMux has set in r, the request that was
// passed on. A pattern in incoming is that of an outer mux.
func matchedPattern(incoming, r *http.Request, _ int) (pattern string, unmatched bool) {
	if incoming.Pattern == "" { // no mux outside, as usual
		return withRest(r.Pattern), false
	}
	switch way := httpexchange.WayOf(r); {
	case r.Pattern != incoming.Pattern: // a mux inside has matched
		return withPrefix(way, r.Pattern), false
	case way.Prefix != "": // none has, or one with the same pattern
		return withPrefix(way, way.Rest), false
	default:
		return withRest(r.Pattern), false
	}
}

// askMux is the pattern that mux, or a mux nested in it, matches for r as it came.
// It is "" if r.Pattern already holds the right one.
func askMux(mux *http.ServeMux, r *http.Request) string {
	incoming := httpexchange.Original(r)
	pattern := patternOf(mux, incoming)
	if pattern == r.Pattern {
		return ""
	}
	if incoming == r && httpexchange.IsMatched(r) && covers(segmentsOf(pattern), segmentsOf(r.Pattern)) { // by a mux further in
		return ""
	}
	if incoming != r && r.Pattern != "" && patternOf(mux, r) == r.Pattern { // r was changed before mux served it
		return ""
	}
	return withPrefix(httpexchange.WayOf(r), pattern)
}

// patternOf is the pattern that mux, or a mux nested in it, matches for r.
func patternOf(mux *http.ServeMux, r *http.Request) string {
	handler, pattern := mux.Handler(r)
	if inner, ok := handler.(*http.ServeMux); ok {
		return patternOf(inner, r)
	}
	return pattern
}

// withPrefix puts what [http.StripPrefix] has taken off outside before the pattern of a
// mux inside. It is "" if the pattern is, because that mux has answered by itself, or if
// the prefix is unknown.
func withPrefix(way httpexchange.Way, pattern string) string {
	if pattern == "" || way.Lost() {
		return ""
	}
	return way.Prefix + withRest(pathOf(pattern))
}

// wholeRoute completes a pattern that an app's own router has matched: if
// [http.StripPrefix] stands outside, the router may or may not know the prefix.
func wholeRoute(r *http.Request, pattern string) string {
	if r.Pattern == "" { // no mux, as usual
		return pattern
	}
	way := httpexchange.WayOf(r)
	if way.Taken == "" || strings.HasPrefix(pathOf(pattern), way.Taken+"/") {
		return pattern
	}
	return withPrefix(way, pattern)
}

// withRest spells out that a pattern with a slash at its end matches any rest of
// the path.
func withRest(pattern string) string {
	if strings.HasSuffix(pattern, "/") {
		return pattern + "{rest...}"
	}
	return pattern
}

// segmentsOf is a pattern without its method and host, split into segments.
func segmentsOf(pattern string) []string { return strings.Split(pathOf(pattern), "/") }

// pathOf is a pattern without its method and host.
func pathOf(pattern string) string {
	return pattern[max(strings.IndexByte(pattern, '/'), 0):]
}
