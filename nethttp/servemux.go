package nethttp

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/klimeapp/klime-go/internal/httpexchange"
)

// matched is the pattern that a ServeMux has left in the request.
func matched(came, r *http.Request, status int) string {
	if r.Pattern != "" && r.Pattern == came.Pattern { // it was there before
		return subtree(r.Pattern, status)
	}
	return served(r, r.Pattern, came.Pattern, status)
}

// ask is the pattern for which mux, or one in it, serves a request like r; "" if
// that has it already.
func ask(mux *http.ServeMux, r *http.Request, status int) string {
	handler, pattern := mux.Handler(r)
	if inner, ok := handler.(*http.ServeMux); ok {
		return ask(inner, r, status)
	}
	if pattern == r.Pattern {
		return ""
	}
	return served(r, pattern, r.Pattern, status)
}

// served is the pattern of a mux that stands in the subtree of an outer one, ""
// if it has answered by itself.
func served(r *http.Request, pattern, outer string, status int) string {
	pattern = subtree(pathOf(pattern), status)
	prefix, known := stripped(r, outer)
	if pattern == "" || !known {
		return ""
	}
	return prefix + pattern
}

// subtree spells out the rest of the path that a pattern with a slash at its end
// stands for. In which nothing is found, it is no match: what stands behind it
// may be another mux, which does not tell.
func subtree(pattern string, status int) string {
	switch {
	case !strings.HasSuffix(pattern, "/"):
		return pattern
	case httpexchange.Nothing(status):
		return ""
	default:
		return pattern + "{rest...}"
	}
}

// stripped is what [http.StripPrefix] has taken between an outer mux and r, as
// the segments of the outer pattern: those of the path may be IDs. It is not
// known where more was taken than the pattern tells.
func stripped(r *http.Request, outer string) (prefix string, known bool) {
	if outer == "" {
		return "", true
	}
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
