package klime

import (
	"log/slog"
	"slices"
	"sync"
)

// maxWatched is how many middlewares of a client are watched. Usually there are few.
const maxWatched = 100

// watchedRules are the rules of a client's middlewares, watched for requests that pass
// none of them, and for unused patterns.
type watchedRules struct {
	mu     sync.Mutex
	all    []*rules
	passed bool // a request has passed one that is no longer watched
}

// watch adds a middleware's rules. Those of others that have served their time give way:
// a request has passed them, and they have no patterns.
func (w *watchedRules) watch(r *rules) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.all) == maxWatched {
		w.all = slices.DeleteFunc(w.all, func(r *rules) bool { return !r.isIdle() && len(r.own()) == 0 })
		w.passed = w.passed || len(w.all) < maxWatched
	}
	if len(w.all) < maxWatched {
		w.all = append(w.all, r)
	} else {
		w.passed = true // perhaps
	}
}

// tellUnused logs what no request has passed or matched: there may be a mistake in it.
func (w *watchedRules) tellUnused(c *Client) {
	w.mu.Lock()
	defer w.mu.Unlock()
	idle := len(w.all) > 0 && !w.passed
	for _, r := range w.all {
		idle = idle && r.isIdle() // if only some are, perhaps nobody has used their part of the app
	}
	if idle {
		c.hint(slog.LevelInfo, "of the requests that have ended, none was for a route and passed a Middleware of this client; "+
			"it must come before the routes, and around what the server serves")
	}
	for _, r := range w.all {
		if !r.routed.Load() {
			continue
		}
		if unused := r.unused(); len(unused) > 0 {
			c.hint(slog.LevelInfo, "of the requests that have ended, none has matched these patterns "+
				"of SkipRoutes, IgnoreRoutes, NameRoutes or HealthRoutes", slog.Any("patterns", unused))
		}
	}
	w.all = nil
}
