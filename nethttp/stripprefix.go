package nethttp

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/klimeapp/klime-go/internal/httpexchange"
)

// wayTo tells how a request has come to a middleware through muxes and
// [http.StripPrefix]. Of the muxes between it and the middleware around it, the first and
// the last are known.
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
