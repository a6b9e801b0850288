package nethttp

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/klimeapp/klime-go/internal/httpexchange"
)

// matchedPattern is the pattern that a ServeMux has set in r, the request that was
// passed on. A pattern in incoming is that of an outer mux.
func matchedPattern(incoming, r *http.Request, _ int) (pattern string, unmatched bool) {
	switch incoming.Pattern {
	case "":
		return withRest(r.Pattern), false
	case r.Pattern: // no mux inside has matched, or one with the same pattern
		if way := httpexchange.WayOf(r); way.Taken != "" && !way.Lost {
			return withRest(way.Route), false
		}
		return withRest(r.Pattern), false
	default:
		return withPrefix(r, r.Pattern), false
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
	return withPrefix(r, pattern)
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
func withPrefix(r *http.Request, pattern string) string {
	way := httpexchange.WayOf(r)
	if pattern == "" || way.Lost {
		return ""
	}
	return way.Prefix + withRest(pathOf(pattern))
}

// wholeRoute completes a pattern that an app's own router has matched: if
// [http.StripPrefix] stands outside, the router may or may not know the prefix.
func wholeRoute(r *http.Request, pattern string) string {
	taken := httpexchange.WayOf(r).Taken
	if taken == "" || strings.HasPrefix(pathOf(pattern), taken+"/") {
		return pattern
	}
	return withPrefix(r, pattern)
}

// withRest spells out that a pattern with a slash at its end matches any rest of
// the path.
func withRest(pattern string) string {
	if strings.HasSuffix(pattern, "/") {
		return pattern + "{rest...}"
	}
	return pattern
}

// wayTo tells how a request has come to a middleware through muxes and
// [http.StripPrefix]. Of the muxes since the middleware around that one, it knows the
// first and the last.
func wayTo(incoming *http.Request) *httpexchange.Way {
	if incoming.Pattern == "" || incoming.RequestURI == "" {
		return nil // no mux, as usual, or not read by a server
	}
	if rest, all := strings.CutPrefix(incoming.RequestURI, incoming.URL.Path); all && (rest == "" || rest[0] == '?') {
		return nil // nothing was taken off
	}
	way, outer, first := httpexchange.Around(incoming)
	if outer == nil {
		asked, err := url.ParseRequestURI(incoming.RequestURI)
		if err != nil {
			return nil
		}
		outer = asked
	}
	taken, inside := strings.CutSuffix(outer.EscapedPath(), incoming.URL.EscapedPath())
	if !inside || taken == "" && way.Taken == "" { // the path was rewritten, or nothing was taken off
		return nil
	}
	further, known := strings.CutPrefix(way.Route, way.Prefix) // what muxes outside of the middleware around this one tell of outer
	if !known {
		further = ""
	}
	last, matched := incoming.Pattern, incoming.Pattern != way.Pattern
	if first == way.Pattern { // no mux has set it since
		first = further
	}
	if !matched {
		last = further
	}
	path, names := strings.Split(outer.EscapedPath(), "/"), []string{""}
	if taken != "" {
		names = namesOf(taken, path, first, last)
		way.Taken += strings.TrimSuffix(outer.Path, incoming.URL.Path)
	}
	way.Lost = way.Lost || names == nil
	if matched && !way.Lost {
		way.Pattern, way.Route = last, routeOf(last, path, names)
		if way.Route != "" {
			way.Route = way.Prefix + way.Route
		}
	}
	way.Prefix += strings.Join(names, "/")
	return &way
}

// namesOf names what was taken off a path, in segments of the first of the patterns that
// goes so far, behind the slash. It is nil if none does.
func namesOf(taken string, path []string, patterns ...string) []string {
	n := strings.Count(taken, "/") + 1
	for _, pattern := range patterns {
		if segments := segmentsOf(pattern); n < len(segments) && covers(segments, path) {
			return segments[:n]
		}
	}
	return nil
}

// routeOf is what a mux has matched of a path of which a prefix with these names was taken
// off. The mux may stand in front of that, behind it, or in between. If the path does not
// tell which, it is "", and the middleware around this one knows more.
func routeOf(pattern string, path, names []string) (route string) {
	for i := range names {
		switch {
		case !covers(segmentsOf(pattern)[1:], path[i+1:]):
		case i == 0 && strings.HasPrefix(pathOf(pattern), strings.Join(names, "/")+"/"): // it has given the names
			return pathOf(pattern)
		case route != "":
			return ""
		default:
			route = strings.Join(names[:i+1], "/") + pathOf(pattern)
		}
	}
	return route
}

// covers reports whether a pattern matches a path, both split into segments.
func covers(pattern, path []string) bool {
	for i, segment := range pattern {
		if i == len(pattern)-1 && (segment == "" || segment == "*" || strings.HasSuffix(segment, "...}")) {
			return len(path) > i
		}
		if i == len(path) {
			return false
		}
		if strings.Contains(segment, "{") {
			continue
		}
		literal, err := url.PathUnescape(segment) // as a mux does
		if err != nil {
			literal = segment
		}
		if decoded, _ := url.PathUnescape(path[i]); decoded != literal {
			return false
		}
	}
	return len(pattern) == len(path)
}

// segmentsOf is a pattern without its method and host, split into segments.
func segmentsOf(pattern string) []string { return strings.Split(pathOf(pattern), "/") }

// pathOf is a pattern without its method and host.
func pathOf(pattern string) string {
	return pattern[max(strings.IndexByte(pattern, '/'), 0):]
}
