// Package pathpattern reads the path patterns of all common routers as one dialect. So a
// route is written alike whatever the framework, and an app may write a pattern as it
// writes those of its own router.
package pathpattern

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// Pattern selects requests by method and path: /healthz, GET /internal/*. It is safe
// for concurrent use, except while it is changed.
type Pattern struct {
	method   string // "" for all
	segments []segment
	rest     bool // ends in /*: any further segments may follow, or none
	slash    bool // ends in a slash
	subtree  bool // also stands for the route of all that follows the slash, as in net/http
}

// segment is one segment of a pattern, as the texts before, between and after its
// parameters: there is one text more than there are parameters. The names of parameters
// do not matter.
type segment []string

// Parse reads a path in any router's dialect. The pattern is for one method, or for all
// if that is "". The error says what is wrong with the path, in words for whoever has
// written it.
func Parse(method, path string) (Pattern, error) {
	if err := check(path); err != nil {
		return Pattern{}, err
	}
	p := Pattern{method: method}
	if err := p.parse(Normalize(path)); err != nil {
		return Pattern{}, err
	}
	p.slash = !p.rest && len(p.segments) > 0 && strings.HasSuffix(path, "/")
	p.subtree = p.slash
	return p, nil
}

// check says what is wrong with a path as the app has written it, nil if nothing is found.
func check(path string) error {
	switch {
	case !strings.HasPrefix(path, "/"):
		return errors.New("the path must begin with a slash")
	case strings.Count(path, "{") != strings.Count(path, "}"):
		return errors.New("braces do not match")
	}
	if before, after, vague := cutVagueColon(path); vague {
		return fmt.Errorf(`does the colon begin a parameter? Write %s{%s} if so, else %[1]s\:%[2]s`, before, after)
	}
	for path != "" {
		var part string
		part, path = cutSegment(path[1:]) // not segmentsOf: constraints, in which slashes may be, are still there
		if i := strings.IndexAny(part, "*+"); i > 0 && !strings.Contains(part, "{") || i == 0 && !isRest(part) {
			return errors.New("* stands for all that follows a slash, not for a part of it")
		}
	}
	return nil
}

// parse reads a normalized path.
func (p *Pattern) parse(path string) error {
	if strings.ContainsAny(path, " ?#") {
		return errors.New("a path has no spaces, query or fragment")
	}
	for part := range segmentsOf(path) {
		if p.rest {
			return errors.New("nothing can follow the rest of a path")
		}
		if part == "*" {
			p.rest = true
			continue
		}
		p.segments = append(p.segments, parseSegment(part))
	}
	return nil
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

// isRest reports whether a segment stands for the rest of the path: +, or * with a name or
// without.
func isRest(part string) bool {
	return part == "+" || part[0] == '*' && (len(part) == 1 || isName(part[1:]))
}

// MatchesPath reports whether the pattern matches a method and a path.
func (p *Pattern) MatchesPath(method, path string) bool { return p.matches(method, path, false) }

// MatchesRoute reports whether the pattern matches a method and a normalized route. A
// pattern with a subtree also matches the route of all that follows: /reports/ and
// /reports/*, but not the route /reports/{id}.
func (p *Pattern) MatchesRoute(method, route string) bool { return p.matches(method, route, true) }

// HasSubtree reports whether the pattern ends in a slash, and so stands for all that
// follows, too: as net/http serves it by /reports/, whose route is /reports/*.
func (p *Pattern) HasSubtree() bool { return p.subtree }

// Literal is the only path that the pattern matches; ok is false if it matches several.
func (p *Pattern) Literal() (path string, ok bool) {
	var b strings.Builder
	for _, s := range p.segments {
		if len(s) > 1 {
			return "", false
		}
		b.WriteByte('/')
		b.WriteString(s[0])
	}
	return cmp.Or(b.String(), "/"), !p.rest
}

func (p *Pattern) matches(method, path string, isRoute bool) bool {
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
	case !strings.HasPrefix(part, s[0]):
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

// Shape is a key that is equal for patterns that match the same requests.
func (p *Pattern) Shape() string {
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

// LeaveSubtreeTo takes the subtree from p if q stands for it: beside /docs/*, the pattern
// /docs/ stands for its index alone.
func (p *Pattern) LeaveSubtreeTo(q *Pattern) {
	if q.rest && (q.method == "" || q.method == p.method) && slices.EqualFunc(p.segments, q.segments, slices.Equal[segment]) {
		p.subtree = false
	}
}

// DropSlash makes p the same as without a slash at its end. That suits a pattern that is
// compared with paths only, where the slash makes no difference.
func (p *Pattern) DropSlash() { p.slash, p.subtree = false, false }

// Compare orders patterns so that the most specific one is sorted first: segment by
// segment, a literal goes before a parameter, and a parameter before the rest of a path;
// then a pattern with a method goes before one without.
func (p *Pattern) Compare(q *Pattern) int {
	for i := range min(len(p.segments), len(q.segments)) {
		if c := p.segments[i].compare(q.segments[i]); c != 0 {
			return c
		}
	}
	switch {
	case len(p.segments) != len(q.segments):
		return cmp.Compare(len(q.segments), len(p.segments))
	case p.rest != q.rest:
		return falseFirst(p.rest, q.rest)
	default:
		return cmp.Or(falseFirst(p.method == "", q.method == ""), falseFirst(p.slash, q.slash), cmp.Compare(p.Shape(), q.Shape()))
	}
}

// falseFirst compares booleans so that false is sorted first.
func falseFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

func (s segment) compare(other segment) int {
	if c := falseFirst(len(s) > 1, len(other) > 1); c != 0 {
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
