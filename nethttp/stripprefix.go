package nethttp

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/klimeapp/klime-go/internal/httpexchange"
)

// wayTo tells how a request has come to a middleware through muxes and
// [http.StripPrefix], nil if nothing was taken off. Of the muxes between it and the
// middleware around it, the first and the last are known: the first names what was taken
// off, the last tells of the rest.
func wayTo(incoming *http.Request) *httpexchange.Way {
	if incoming.Pattern == "" || incoming.RequestURI == "" {
		return nil // no mux, as usual, or not read by a server
	}
	if rest, all := strings.CutPrefix(incoming.RequestURI, incoming.URL.Path); all && (rest == "" || rest[0] == '?') {
		return nil // nothing was taken off, told without allocation
	}
	way, outer, first := httpexchange.Around(incoming)
	if outer == nil {
		return nil
	}
	taken, inside := strings.CutSuffix(outer.EscapedPath(), incoming.URL.EscapedPath())
	if !inside || taken == "" && way.Taken == "" {
		return nil // the path was rewritten, or nothing was taken off
	}
	last := incoming.Pattern
	if first == way.Pattern { // no mux has matched since: those further out tell of this path
		first = way.Rest
	}
	if last == way.Pattern {
		last = way.Rest
	}
	path := strings.Split(outer.EscapedPath(), "/")
	names := namesOf(taken, path, first, last)
	allTaken := way.Taken + strings.TrimSuffix(outer.Path, incoming.URL.Path)
	if names == nil || way.Lost() {
		return &httpexchange.Way{Taken: allTaken}
	}
	return &httpexchange.Way{
		Taken:   allTaken,
		Prefix:  way.Prefix + strings.Join(names, "/"),
		Pattern: incoming.Pattern,
		Rest:    restOf(last, path, names),
	}
}

// namesOf names what was taken off a path, in segments of the first of the patterns that
// goes so far, behind the slash. It is nil if none does.
func namesOf(taken string, path []string, patterns ...string) []string {
	if taken == "" {
		return []string{""}
	}
	n := strings.Count(taken, "/") + 1
	for _, pattern := range patterns {
		if segments := segmentsOf(pattern); n < len(segments) && covers(segments, path) {
			return segments[:n]
		}
	}
	return nil
}

// restOf is what a pattern tells of a path behind the prefix that was taken off and has
// these names. Its mux may stand in front of the prefix, behind it, or within, between two
// that were taken off. If the path does not tell which, it is "".
func restOf(pattern string, path, names []string) (rest string) {
	segments := segmentsOf(pattern)
	for i := range names {
		if !covers(segments[1:], path[i+1:]) {
			continue
		}
		if rest != "" {
			return ""
		}
		behind := min(len(names)-i, len(segments)-1) // a pattern may end within the prefix, and match all that follows
		rest = "/" + strings.Join(segments[behind:], "/")
		if i == 0 && strings.HasPrefix(pathOf(pattern), strings.Join(names, "/")+"/") { // it has given the names
			return rest
		}
	}
	return rest
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
