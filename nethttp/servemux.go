package nethttp

import (
	"net/http"
	"net/url"
	"strings"
)

// matched is the pattern that a ServeMux has left in the request.
func matched(came, r *http.Request, _ int) (pattern string, unmatched bool) {
	if r.Pattern != "" && r.Pattern == came.Pattern { // it was there before
		return subtree(r.Pattern), false
	}
	return served(r, r.Pattern, came.Pattern), false
}

// ask is the pattern for which mux, or one in it, serves a request like r; "" if
// that has it already.
func ask(mux *http.ServeMux, r *http.Request) string {
	handler, pattern := mux.Handler(r)
	if inner, ok := handler.(*http.ServeMux); ok {
		return ask(inner, r)
	}
	if pattern == r.Pattern {
		return ""
	}
	return served(r, pattern, r.Pattern)
}

// served is the pattern of a mux that stands in the subtree of an outer one, ""
// if it has answered by itself.
func served(r *http.Request, pattern, outer string) string {
	pattern = subtree(pathOf(pattern))
	if pattern == "" || outer == "" {
		return pattern
	}
	prefix, known := stripped(r, outer)
	if !known {
		return ""
	}
	return prefix + pattern
}

// subtree spells out the rest of the path that a pattern with a slash at its end
// stands for.
func subtree(pattern string) string {
	if strings.HasSuffix(pattern, "/") {
		return pattern + "{rest...}"
	}
	return pattern
}

// stripped is what [http.StripPrefix] has taken between an outer mux and r, as
// the segments of the outer pattern: those of the path may be IDs. It is not
// known where more was taken than the pattern tells.
func stripped(r *http.Request, outer string) (prefix string, known bool) {
	requested, err := url.ParseRequestURI(r.RequestURI)
	if err != nil { // a request that no server has read
		return "", true
	}
	taken, inner := strings.CutSuffix(requested.EscapedPath(), r.URL.EscapedPath())
	if !inner || taken == "" {
		return "", true
	}
	segments, n := strings.Split(outer, "/"), strings.Count(taken, "/")+1
	if n >= len(segments) {
		return "", false
	}
	return strings.Join(segments[:n], "/"), true
}

// pathOf is a pattern without its method and host.
func pathOf(pattern string) string {
	return pattern[max(strings.IndexByte(pattern, '/'), 0):]
}
