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
	if incoming.Pattern == "" || r.Pattern == incoming.Pattern { // no mux outside, or none inside that has matched
		return withRest(r.Pattern), false
	}
	return withPrefix(r, r.Pattern, incoming.Pattern), false
}

// askMux is the pattern that mux, or a mux nested in it, matches for r as it came.
// It is "" if r.Pattern already holds the right one.
func askMux(mux *http.ServeMux, r *http.Request) string {
	incoming := httpexchange.Original(r)
	pattern := patternOf(mux, incoming)
	if pattern == r.Pattern {
		return ""
	}
	if incoming != r && r.Pattern != "" && patternOf(mux, r) == r.Pattern { // r was changed before mux served it
		return ""
	}
	return withPrefix(r, pattern, r.Pattern)
}

// patternOf is the pattern that mux, or a mux nested in it, matches for r.
func patternOf(mux *http.ServeMux, r *http.Request) string {
	handler, pattern := mux.Handler(r)
	if inner, ok := handler.(*http.ServeMux); ok {
		return patternOf(inner, r)
	}
	return pattern
}

// withPrefix puts what [http.StripPrefix] has taken between an outer mux and an
// inner one before the pattern of the inner one. It is "" if the pattern is, because
// the inner mux has answered by itself, or if the prefix is unknown.
func withPrefix(r *http.Request, pattern, outer string) string {
	pattern = withRest(pathOf(pattern))
	if pattern == "" || outer == "" {
		return pattern
	}
	prefix, known := strippedPrefix(httpexchange.Original(r), outer)
	if !known {
		return ""
	}
	return prefix + pattern
}

// wholeRoute completes a pattern that an app's own router has matched: if
// [http.StripPrefix] stands outside, the router may or may not know the prefix.
func wholeRoute(r *http.Request, pattern string) string {
	if pattern == "" || r.Pattern == "" {
		return pattern
	}
	if _, taken := unstripped(httpexchange.Original(r)); taken == "" || strings.HasPrefix(pathOf(pattern), taken+"/") {
		return pattern
	}
	return withPrefix(r, pattern, r.Pattern)
}

// withRest spells out that a pattern with a slash at its end matches any rest of
// the path.
func withRest(pattern string) string {
	if strings.HasSuffix(pattern, "/") {
		return pattern + "{rest...}"
	}
	return pattern
}

// strippedPrefix is what [http.StripPrefix] has taken between an outer mux and r.
// It consists of segments of the outer pattern, as segments of the path may be IDs. It
// is unknown if more was taken than the outer pattern names.
func strippedPrefix(r *http.Request, outer string) (prefix string, known bool) {
	_, taken := unstripped(r)
	if taken == "" {
		return "", true
	}
	segments, n := strings.Split(pathOf(outer), "/"), strings.Count(taken, "/")+1
	if n >= len(segments) || !covers(segments, strings.Split(taken+r.URL.EscapedPath(), "/")) {
		return "", false // the outer mux names only a part of the prefix, or stands inside StripPrefix
	}
	return strings.Join(segments[:n], "/"), true
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

// wholePath is the path that the client asked for. Inside [http.StripPrefix] it
// includes the prefix if the route does too: if an outer mux has set its pattern.
func wholePath(incoming *http.Request) string {
	if incoming.Pattern == "" {
		return incoming.URL.Path
	}
	if _, known := strippedPrefix(incoming, incoming.Pattern); !known {
		return incoming.URL.Path // the mux itself stands inside StripPrefix
	}
	path, _ := unstripped(incoming)
	return path
}

// unstripped is the path of r with the prefix that [http.StripPrefix] has taken
// off. taken is that prefix alone, percent-encoded as it came.
func unstripped(r *http.Request) (path, taken string) {
	if rest, all := strings.CutPrefix(r.RequestURI, r.URL.Path); all && (rest == "" || rest[0] == '?') {
		return r.URL.Path, "" // the usual case
	}
	asked, err := url.ParseRequestURI(r.RequestURI)
	if err != nil { // r was not read by a server
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
