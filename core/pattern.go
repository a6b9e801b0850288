package klime

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
)

// pattern selects requests for an option: "/healthz", "GET /internal/*".
type pattern struct {
	text     string // as the app has written it
	method   string // "" for all
	segments []segment
	rest     bool // ends in /*: any further segments may follow, or none
	slash    bool // ends in a slash
	subtree  bool // also stands for the route of all that follows the slash, as in net/http

	name    string      // with NameRoutes, the event's
	ignores string      // with IgnoreRoutes, the reason for ignoring the request
	used    atomic.Bool // a request has matched
}

// segment is one segment of a pattern, as the texts before, between and after its
// parameters: there is one text more than there are parameters. The names of parameters
// do not matter.
type segment []string

// parsePattern reads a pattern in any router's dialect, which may begin with a method.
func parsePattern(text string) (*pattern, error) {
	p := &pattern{text: text}
	path := strings.TrimSpace(text)
	if method, rest, ok := strings.Cut(path, " "); ok {
		p.method, path = method, strings.TrimSpace(rest)
	}
	mistake := mistakeIn(p.method, path)
	if mistake == "" {
		mistake = p.parsePath(normalizeRoute(path))
		p.slash = !p.rest && len(p.segments) > 0 && strings.HasSuffix(path, "/")
		p.subtree = p.slash
	}
	if mistake != "" {
		return p, fmt.Errorf("pattern %q: %s", text, mistake)
	}
	return p, nil
}

// mistakeIn says what is wrong with a method and a path as the app has written them, ""
// if nothing is found.
func mistakeIn(method, path string) string {
	switch {
	case method != "" && method != knownMethod(method):
		return "before the path there is room for one method, in capitals: POST /reports"
	case !strings.HasPrefix(path, "/"):
		return "the path must begin with a slash"
	case strings.Count(path, "{") != strings.Count(path, "}"):
		return "braces do not match"
	}
	if before, after, vague := cutVagueColon(path); vague {
		return fmt.Sprintf(`does the colon begin a parameter? Write %s{%s} if so, else %[1]s\:%[2]s`, before, after)
	}
	for part := range segmentsOf(path) {
		if i := strings.IndexAny(part, "*+"); i > 0 && !strings.Contains(part, "{") || i == 0 && !isRestName(part[1:]) {
			return "* stands for all that follows a slash, not for a part of it"
		}
	}
	return ""
}

// parsePath reads a normalized path. It returns what is wrong with it, or "".
func (p *pattern) parsePath(path string) (mistake string) {
	if strings.ContainsAny(path, " ?#") {
		return "a path has no spaces, query or fragment"
	}
	for part := range segmentsOf(path) {
		if p.rest {
			return "nothing can follow the rest of a path"
		}
		if part == "*" {
			p.rest = true
			continue
		}
		p.segments = append(p.segments, parseSegment(part))
	}
	return ""
}

// cutVagueColon finds a colon that begins a parameter in Gin and Fiber, but is literal in
// net/http and chi: one that stands within a segment. It splits the segment there.
func cutVagueColon(path string) (before, after string, found bool) {
	for path != "" {
		var s string
		if s, path = cutSegment(path[1:]); strings.HasPrefix(s, ":") || strings.ContainsAny(s, "{}") {
			continue
		}
		for i := 1; i < len(s)-1; i++ {
			if s[i] == ':' && s[i-1] != '\\' && isWordByte(s[i+1]) {
				return s[:i], s[i+1:], true
			}
		}
	}
	return "", "", false
}

func parseSegment(part string) segment {
	var s segment
	for {
		text, rest, param := cutParameter(part)
		s = append(s, text)
		if !param {
			return s
		}
		part = rest
	}
}

// cutParameter splits a segment of a path at its first parameter.
func cutParameter(part string) (text, rest string, found bool) {
	for open := range len(part) {
		if part[open] != '{' {
			continue
		}
		if end := closing(part, open, '{', '}'); end > 0 {
			return part[:open], part[end+1:], true
		}
	}
	return part, "", false
}

// segmentsOf yields the segments of a path.
func segmentsOf(path string) iter.Seq[string] {
	return func(yield func(string) bool) {
		path = strings.Trim(path, "/")
		for path != "" {
			var part string
			part, path, _ = strings.Cut(path, "/")
			if !yield(part) {
				return
			}
		}
	}
}

// isRestName reports whether s may be the name in a parameter such as *rest. It may be
// empty.
func isRestName(s string) bool {
	return strings.TrimFunc(s, func(r rune) bool { return isLetter(r) || r == '_' }) == ""
}

func isLetter(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' }

// matchesRequest reports whether the pattern matches a request by its route or, if that is
// nil, not known or ends in *, by its path.
func (p *pattern) matchesRequest(method string, rt *route, path string) bool {
	switch {
	case rt == nil:
		return p.matches(method, path, false)
	case rt.catchAll:
		return p.matches(method, path, false) || p.subtree && p.matches(method, rt.text, true)
	default:
		return p.matches(method, rt.text, true)
	}
}

// matches reports whether the pattern matches a method and a path, or a method and a
// normalized route if isRoute. A subtree also matches the route of all that follows:
// /reports/ and /reports/*, but not the route /reports/{id}.
func (p *pattern) matches(method, path string, isRoute bool) bool {
	if p.method != "" && p.method != method {
		return false
	}
	if isRoute && p.subtree {
		path = strings.TrimSuffix(path, "/*")
	}
	i := 0
	for part := range segmentsOf(path) {
		if i == len(p.segments) {
			return p.rest
		}
		if !p.segments[i].matches(part, isRoute) {
			return false
		}
		i++
	}
	return i == len(p.segments)
}

// matches reports whether s matches a segment of a path. A segment of a route must have
// the same parameters in the same places: the pattern /reports/{id} does not match the
// routes /reports/new and /reports/{from}-{to}.
func (s segment) matches(part string, isRoute bool) bool {
	last := len(s) - 1
	switch {
	case isRoute:
		return s.equals(part)
	case last == 0:
		return part == s[0]
	case part == "*" || !strings.HasPrefix(part, s[0]):
		return false
	}
	part = part[len(s[0]):]
	for _, text := range s[1:last] {
		if part == "" {
			return false
		}
		at := strings.Index(part[1:], text) // a parameter has at least one byte
		if at < 0 {
			return false
		}
		part = part[1+at+len(text):]
	}
	return len(part) > len(s[last]) && strings.HasSuffix(part, s[last])
}

// equals reports whether s is the same as a segment of a route.
func (s segment) equals(part string) bool {
	for i, want := range s {
		text, rest, param := cutParameter(part)
		if text != want || param != (i < len(s)-1) {
			return false
		}
		part = rest
	}
	return true
}

// shape is a key that is equal for patterns that match the same requests.
func (p *pattern) shape() string {
	var b strings.Builder
	b.WriteString(p.method)
	for _, s := range p.segments {
		b.WriteByte('/')
		b.WriteString(strings.Join(s, "{}"))
	}
	switch {
	case p.rest:
		b.WriteString("/*")
	case p.slash:
		b.WriteByte('/')
	}
	return b.String()
}

// separate takes from each pattern the subtree for which there is a pattern of its own:
// beside /docs/*, the pattern /docs/ stands for its index alone.
func separate(patterns []*pattern) {
	for _, p := range patterns {
		p.subtree = p.subtree && !slices.ContainsFunc(patterns, func(q *pattern) bool {
			return q.rest && (q.method == "" || q.method == p.method) && slices.EqualFunc(p.segments, q.segments, slices.Equal[segment])
		})
	}
}

// bySpecificity compares patterns so that the most specific one is sorted first: segment
// by segment, a literal goes before a parameter, and a parameter before the rest of a
// path; then a pattern with a method goes before one without.
func bySpecificity(a, b *pattern) int {
	for i := range min(len(a.segments), len(b.segments)) {
		if c := a.segments[i].compare(b.segments[i]); c != 0 {
			return c
		}
	}
	switch {
	case len(a.segments) != len(b.segments):
		return cmp.Compare(len(b.segments), len(a.segments))
	case a.rest != b.rest:
		return boolToInt(a.rest) - boolToInt(b.rest)
	default:
		return cmp.Or(boolToInt(b.method != "")-boolToInt(a.method != ""), boolToInt(a.slash)-boolToInt(b.slash),
			cmp.Compare(a.shape(), b.shape()))
	}
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (s segment) compare(other segment) int {
	if c := boolToInt(len(s) > 1) - boolToInt(len(other) > 1); c != 0 {
		return c
	}
	return cmp.Or(cmp.Compare(other.literal(), s.literal()), cmp.Compare(len(other), len(s)))
}

// literal is how many bytes of a segment do not belong to parameters.
func (s segment) literal() int {
	n := 0
	for _, text := range s {
		n += len(text)
	}
	return n
}

// parsePatterns parses what an option was given. Malformed patterns are left out and
// reported.
func parsePatterns(option string, texts []string) ([]*pattern, error) {
	var patterns []*pattern
	var errs []error
	for _, text := range texts {
		if p, err := parsePattern(text); err != nil {
			errs = append(errs, fmt.Errorf("%w: %s: %w", ErrInvalidOption, option, err))
		} else {
			patterns = append(patterns, p)
		}
	}
	return patterns, errors.Join(errs...)
}

// distinct returns patterns sorted by bySpecificity. Of those that mean the same, it keeps
// the first.
func distinct(patterns []*pattern) []*pattern {
	known := map[string]bool{}
	var kept []*pattern
	for _, p := range patterns {
		if shape := p.shape(); !known[shape] {
			known[shape], kept = true, append(kept, p)
		}
	}
	slices.SortStableFunc(kept, bySpecificity)
	return kept
}
