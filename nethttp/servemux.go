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
		if before := httpexchange.WayOf(r).Before; before != "" {
			return before + withRest(pathOf(r.Pattern)), false
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
	if incoming.Pattern == "" {
		return nil // the usual case
	}
	if rest, all := strings.CutPrefix(incoming.RequestURI, incoming.URL.Path); all && (rest == "" || rest[0] == '?') {
		return nil // nothing was taken off
	}
	way, outer, first := httpexchange.Around(incoming)
	if outer == nil {
		asked, err := url.ParseRequestURI(incoming.RequestURI)
		if err != nil { // it was not read by a server
			return nil
		}
		outer = asked
	}
	if first != way.Pattern || incoming.Pattern != way.Pattern { // a mux has matched since
		way.Before, way.Pattern = way.Prefix, incoming.Pattern
	}
	taken, inside := strings.CutSuffix(outer.EscapedPath(), incoming.URL.EscapedPath())
	switch {
	case !inside, taken == "" && way.Taken == "": // the path was rewritten, or nothing was taken off
		return nil
	case taken == "":
		return &way
	}
	way.Taken += strings.TrimSuffix(outer.Path, incoming.URL.Path)
	for _, pattern := range [...]string{first, incoming.Pattern} {
		if name := nameOf(taken, pattern, incoming.URL.EscapedPath()); name != "" {
			way.Prefix += name
			if pattern != incoming.Pattern { // which is that of a mux inside of the StripPrefix
				way.Before = way.Prefix
			}
			return &way
		}
	}
	way.Lost = true
	return &way
}

// nameOf names what was taken off in front of the rest of a path, in segments of the
// pattern of a mux. It is "" if more was taken off than the pattern names, or if that mux
// stands inside of the [http.StripPrefix].
func nameOf(taken, pattern, rest string) string {
	segments, n := segmentsOf(pattern), strings.Count(taken, "/")+1
	if n >= len(segments) || !covers(segments, strings.Split(taken+rest, "/")) {
		return ""
	}
	return strings.Join(segments[:n], "/")
}

// covers reports whether a pattern matches a path, both split into segments.
func covers(pattern, path []string) bool {
	for i, segment := range pattern {
		if i == len(pattern)-1 && (segment == "" || segment == "*" || strings.HasSuffix(segment, "...}")) {
			return len(path) >= i
		}
		if i == len(path) {
			return false
		}
		if decoded, _ := url.PathUnescape(path[i]); segment != decoded && !strings.Contains(segment, "{") {
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
