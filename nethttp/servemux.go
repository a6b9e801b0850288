package nethttp

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/klimeapp/klime-go/internal/httpexchange"
)

// matched is the pattern that a ServeMux has left in the request.
func matched(came, r *http.Request, _ int) (pattern string, unmatched bool) {
	if r.Pattern != "" && r.Pattern == came.Pattern { // it was there before
		return subtree(r.Pattern), false
	}
	return served(r, r.Pattern, came.Pattern), false
}

// ask is the pattern for which mux, or one in it, serves a request like r as it came;
// "" if that has it already.
func ask(mux *http.ServeMux, r *http.Request) string {
	came := httpexchange.AsItCame(r)
	pattern := patternOf(mux, came)
	if pattern == r.Pattern {
		return ""
	}
	if came != r && r.Pattern != "" && patternOf(mux, r) == r.Pattern { // it was changed before it was served
		return ""
	}
	return served(r, pattern, r.Pattern)
}

// patternOf is the pattern for which mux, or one in it, serves a request like r.
func patternOf(mux *http.ServeMux, r *http.Request) string {
	handler, pattern := mux.Handler(r)
	if inner, ok := handler.(*http.ServeMux); ok {
		return patternOf(inner, r)
	}
	return pattern
}

// served is the pattern of a mux that stands in the subtree of an outer one, ""
// if it has answered by itself.
func served(r *http.Request, pattern, outer string) string {
	pattern = subtree(pathOf(pattern))
	if pattern == "" || outer == "" {
		return pattern
	}
	prefix, known := stripped(httpexchange.AsItCame(r), outer)
	if !known {
		return ""
	}
	return prefix + pattern
}

// told is a pattern that an app's own router has matched.
func told(r *http.Request, pattern string) string {
	if pattern == "" || r.Pattern == "" {
		return pattern
	}
	if _, taken := unstripped(httpexchange.AsItCame(r)); taken == "" || strings.HasPrefix(pathOf(pattern), taken+"/") {
		return pattern
	}
	return served(r, pattern, r.Pattern)
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
	_, taken := unstripped(r)
	if taken == "" {
		return "", true
	}
	segments, n := strings.Split(pathOf(outer), "/"), strings.Count(taken, "/")+1
	if n >= len(segments) || !covers(segments, strings.Split(taken+r.URL.EscapedPath(), "/")) {
		return "", false // of another mux, which has a part of the prefix, or comes after it
	}
	return strings.Join(segments[:n], "/"), true
}

// covers reports whether a pattern stands for a path, both in segments.
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

// requested is the path that was asked for, also inside of [http.StripPrefix] where
// the route is the whole one too: an outer router has left its pattern.
func requested(came *http.Request) string {
	if came.Pattern == "" {
		return came.URL.Path
	}
	if _, known := stripped(came, came.Pattern); !known {
		return came.URL.Path // the mux stands inside of StripPrefix itself
	}
	path, _ := unstripped(came)
	return path
}

// unstripped is the path of r with what [http.StripPrefix] has taken of it, and the
// latter as it came, percent-encoded.
func unstripped(r *http.Request) (path, taken string) {
	if rest, all := strings.CutPrefix(r.RequestURI, r.URL.Path); all && (rest == "" || rest[0] == '?') {
		return r.URL.Path, "" // the usual case
	}
	asked, err := url.ParseRequestURI(r.RequestURI)
	if err != nil { // a request that no server has read
		return r.URL.Path, ""
	}
	taken, inner := strings.CutSuffix(asked.EscapedPath(), r.URL.EscapedPath())
	if !inner || taken == "" {
		return r.URL.Path, ""
	}
	return asked.Path, taken
}

// pathOf is a pattern without its method and host.
func pathOf(pattern string) string {
	return pattern[max(strings.IndexByte(pattern, '/'), 0):]
}
