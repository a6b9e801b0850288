package klime

import (
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// maxRoutes bounds a routeCache: an adapter that reports raw paths as routes
// must not fill the memory.
const maxRoutes = 10_000

// routeCache remembers normalized routes. It is safe for concurrent use.
type routeCache struct {
	known sync.Map // pattern → route, both string
	size  atomic.Int64
}

func (c *routeCache) normalize(pattern string) string {
	if pattern == "" {
		return ""
	}
	if route, ok := c.known.Load(pattern); ok {
		return route.(string) //nolint:forcetypeassert // nothing else is stored
	}
	pattern = strings.Clone(pattern)
	route := normalizeRoute(pattern)
	if c.size.Load() < maxRoutes {
		if _, loaded := c.known.LoadOrStore(pattern, route); !loaded {
			c.size.Add(1)
		}
	}
	return route
}

// normalizeRoute turns the pattern of any router into one dialect:
//
//	/orgs/{org}/reports/{id}    parameters in braces, without their rules
//	/files/*                    the rest of the path
//
// It knows the patterns of net/http (with method and host), gin, chi, fiber,
// gorilla/mux and httprouter. A trailing slash is dropped.
func normalizeRoute(pattern string) string {
	if method, rest, ok := strings.Cut(pattern, " "); ok && !strings.Contains(method, "/") {
		pattern = strings.TrimLeft(rest, " \t")
	}
	slash := strings.IndexByte(pattern, '/')
	if slash < 0 {
		return ""
	}
	pattern = pattern[slash:] // past a host
	var b strings.Builder
	b.Grow(len(pattern) + 8)
	for pattern != "" {
		var segment string
		segment, pattern = cutSegment(pattern[1:])
		if segment = normalizeSegment(segment); segment != "" {
			b.WriteByte('/')
			b.WriteString(segment)
		}
	}
	if b.Len() == 0 {
		return "/"
	}
	return b.String()
}

// cutSegment splits at the next slash that is not within braces: a parameter's
// rule may hold one.
func cutSegment(s string) (segment, rest string) {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '{':
			depth++
		case '}':
			depth--
		case '/':
			if depth <= 0 {
				return s[:i], s[i:]
			}
		}
	}
	return s, ""
}

func normalizeSegment(s string) string {
	switch {
	case s == "" || s == "{$}":
		return ""
	case s[0] == '*' || s[0] == '+' || strings.HasPrefix(s, "{") && strings.HasSuffix(s, "...}"):
		return "*"
	case s[0] == ':':
		return normalizeBraces(normalizeColons(s))
	default:
		return normalizeBraces(s)
	}
}

// normalizeBraces drops the rules of parameters in braces: {id:[0-9]{2}}.json
// is {id}.json.
func normalizeBraces(s string) string {
	var b strings.Builder
	for {
		start := strings.IndexByte(s, '{')
		end := closing(s, start, '{', '}')
		if end < 0 {
			return b.String() + s
		}
		name, _, hasRule := strings.Cut(s[start+1:end], ":")
		if hasRule && isName(name) {
			b.WriteString(s[:start] + "{" + name + "}")
		} else {
			b.WriteString(s[:end+1])
		}
		s = s[end+1:]
	}
}

// normalizeColons puts parameters in braces: :id is {id}, and :from-:to<int>?
// is {from}-{to}.
func normalizeColons(s string) string {
	var b strings.Builder
	// Where one parameter follows another, names are words; else they may have
	// a dash in them.
	isNameByte := isWordByte
	if strings.Count(s, ":") == 1 {
		isNameByte = func(c byte) bool { return c == '-' || isWordByte(c) }
	}
	for {
		colon := strings.IndexByte(s, ':')
		if colon < 0 {
			return b.String() + s
		}
		end := colon + 1
		if end == len(s) || !isWordByte(s[end]) { // a colon and no name
			b.WriteString(s[:end])
			s = s[end:]
			continue
		}
		for end < len(s) && isNameByte(s[end]) {
			end++
		}
		b.WriteString(s[:colon] + "{" + s[colon+1:end] + "}")
		s = strings.TrimPrefix(cutRule(s[end:]), "?")
	}
}

func isWordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= utf8.RuneSelf
}

// isName reports whether s may name a parameter.
func isName(s string) bool {
	for i := range len(s) {
		if s[i] != '-' && !isWordByte(s[i]) {
			return false
		}
	}
	return s != ""
}

// cutRule drops the <rule> or (rule) with which s begins.
func cutRule(s string) string {
	end := -1
	switch {
	case strings.HasPrefix(s, "<"):
		end = closing(s, 0, '<', '>')
	case strings.HasPrefix(s, "("):
		end = closing(s, 0, '(', ')')
	}
	rule := s[:end+1]
	if strings.Count(rule, "{") != strings.Count(rule, "}") {
		return s // garbage, and its braces may belong to what follows
	}
	return s[end+1:]
}

// closing is where what opens at start is closed, negative if nowhere.
func closing(s string, start int, open, end byte) int {
	depth := 0
	for i := max(start, 0); start >= 0 && i < len(s); i++ {
		switch s[i] {
		case open:
			depth++
		case end:
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}
