package klime

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/klimeapp/klime-go/internal/pathpattern"
)

// route is a router's pattern, and what holds for all requests that match it. It is
// safe for concurrent use.
type route struct {
	pattern  string // as the router writes it
	text     string // normalized: see [pathpattern.Normalize]; "" if the route is not known
	property string // encoded for an event: "route":"/orgs/{org}"
	catchAll bool   // it is not known, or ends in *: rules then go by the path

	rulings atomic.Pointer[[]methodRuling] // copied on write
}

// methodRuling is what a middleware's rules say about a route's requests with one method.
type methodRuling struct {
	method string
	ruling ruling
}

func newRoute(pattern string) *route {
	text := pathpattern.Normalize(pattern)
	r := &route{pattern: pattern, text: text, catchAll: text == "" || strings.HasSuffix(text, "*")}
	if text != "" {
		r.property = string(appendString([]byte(`"route":`), text))
	}
	return r
}

// isWithin reports whether r begins with what stands before the * at the end of other, as
// /api/orgs/{org} does with /api/*.
func (r *route) isWithin(other *route) bool {
	prefix, ok := strings.CutSuffix(other.text, "*")
	return ok && strings.HasPrefix(r.text, prefix)
}

// ruling returns the ruling that is remembered for a method.
func (r *route) ruling(method string) (ruling, bool) {
	if known := r.rulings.Load(); known != nil {
		for i := range *known {
			if (*known)[i].method == method {
				return (*known)[i].ruling, true
			}
		}
	}
	return ruling{}, false
}

// remember keeps the ruling for a method, which knownMethod must have returned, as that
// bounds their number. If two calls meet, one of the rulings may be lost; it will be
// found again.
func (r *route) remember(method string, found ruling) {
	known := r.rulings.Load()
	var all []methodRuling
	if known != nil {
		all = slices.Clone(*known)
	}
	all = append(all, methodRuling{method, found})
	r.rulings.CompareAndSwap(known, &all)
}

const (
	// maxRoutes is how many routes a routeTable keeps. Without a limit, an adapter that
	// reports raw paths as routes would fill the memory.
	maxRoutes = 10_000

	recentRoutes = 256
)

// routeTable holds the routes of a middleware by the patterns of its router. It is
// safe for concurrent use.
type routeTable struct {
	seed   maphash.Seed
	recent [recentRoutes]atomic.Pointer[route] // by hash of the pattern, the last one looked up
	known  sync.Map                            // pattern → *route
	size   atomic.Int64
	none   *route
}

func newRouteTable() *routeTable {
	return &routeTable{seed: maphash.MakeSeed(), none: newRoute("")}
}

// lookup returns the route of a pattern.
func (t *routeTable) lookup(pattern string) *route {
	if pattern == "" {
		return t.none
	}
	slot := &t.recent[maphash.String(t.seed, pattern)%recentRoutes]
	if last := slot.Load(); last != nil && last.pattern == pattern {
		return last
	}
	found := t.find(pattern)
	slot.Store(found)
	return found
}

func (t *routeTable) find(pattern string) *route {
	if known, ok := t.known.Load(pattern); ok {
		return known.(*route) //nolint:forcetypeassert // nothing else is stored
	}
	found := newRoute(strings.Clone(pattern))
	if t.size.Load() < maxRoutes {
		if _, loaded := t.known.LoadOrStore(found.pattern, found); !loaded {
			t.size.Add(1)
		}
	}
	return found
}
