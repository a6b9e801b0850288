package klime

import (
	"strings"
	"sync"
	"sync/atomic"
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
		name := s[1:]
		if end := strings.IndexAny(name, "?<("); end >= 0 {
			name = name[:end]
		}
		return "{" + name + "}"
	case s[0] == '{':
		if name, _, hasRule := strings.Cut(s[1:], ":"); hasRule && strings.HasSuffix(s, "}") {
			return "{" + name + "}"
		}
	}
	return s
}
