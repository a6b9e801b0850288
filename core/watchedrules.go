package klime

import (
	"log/slog"
	"slices"
	"sync"
)

// maxWatched is how many middlewares of a client are watched. Usually there are few.
const maxWatched = 100

// watchedRules are the rules of a client's middlewares, watched for those that no request
// passes, and for unused patterns.
type watchedRules struct {
	mu  sync.Mutex
	all []*rules
}

// watch adds a middleware's rules. Those of others that have served their time give way:
// a request has passed them, and they have no patterns.
func (w *watchedRules) watch(r *rules) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.all) == maxWatched {
		w.all = slices.DeleteFunc(w.all, func(r *rules) bool { return r.passed.Load() && len(r.own()) == 0 })
	}
	if len(w.all) < maxWatched {
		w.all = append(w.all, r)
	}
}

// tellUnused logs what no request has passed or matched: there may be a mistake in it.
func (w *watchedRules) tellUnused(c *Client) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.all {
		if !r.passed.Load() {
			c.hint(slog.LevelInfo, "no request has passed a Middleware that was set up; it must come before the routes, "+
				"and around what the server serves")
			break // one line for all of them
		}
	}
	for _, r := range w.all {
		if unused := r.unused(); r.passed.Load() && len(unused) > 0 {
			c.hint(slog.LevelInfo, "no request has matched these patterns of SkipRoutes, IgnoreRoutes, NameRoutes or HealthRoutes",
				slog.Any("patterns", unused))
		}
	}
	w.all = nil
}
