package klime

import (
	"net/http"
	"slices"
	"strings"

	"github.com/klimeapp/klime-go/internal/pathpattern"
)

// rules are what a middleware's options say about certain routes. They are set up
// before the first request, and safe for concurrent use from then on.
type rules struct {
	traffic

	skipped []*rule // of SkipRoutes
	named   []*rule // of NameRoutes
	health  []*rule // of HealthRoutes
	ignored []*rule // of IgnoreRoutes

	ownHealth bool // health comes from the app and not from the defaults
}

// own returns the rules that the app has given.
func (r *rules) own() []*rule {
	own := slices.Concat(r.ignored, r.skipped, r.named)
	if r.ownHealth {
		own = append(own, r.health...)
	}
	return own
}

// ruling is what the rules say about a request.
type ruling struct {
	name   string // the event's; "" if the rules give none
	skip   bool   // no event in any case
	health bool   // no event unless it is named

	healthPaths bool // health goes by the path: the route has a parameter that also takes health checks
}

// defaultHealthRoutes returns the usual paths of health checks and metrics, and of what
// browsers and crawlers request on their own.
func defaultHealthRoutes() []string {
	return []string{
		"GET /health", "GET /healthz", "GET /healthcheck", "GET /livez", "GET /readyz", "GET /ready", "GET /startupz", "GET /ping",
		"GET /metrics", "GET /favicon.ico", "GET /robots.txt",
	}
}

// rulingFor returns the ruling on a request, whose method knownMethod must have
// returned.
func (r *rules) rulingFor(method string, rt *route, path string) ruling {
	if rt.catchAll {
		return r.decide(method, rt, path)
	}
	found, ok := rt.ruling(method)
	if !ok {
		found = r.decide(method, rt, path)
		rt.remember(method, found)
	}
	if found.healthPaths && r.isHealthPath(path) {
		found.health = firstOf(r.health, method, nil, path) != nil
	}
	return found
}

// ignores says why a request is of no interest, "" if it may be: see [Tracker.Ignores].
func (r *rules) ignores(method, path string, header func(name string) string) (why outcome) {
	if len(r.ignored) > 0 {
		if match := firstOf(r.ignored, method, nil, path); match != nil {
			return match.ignores
		}
	}
	switch method {
	case http.MethodOptions:
		if header("Access-Control-Request-Method") != "" {
			why = outcomePreflight
		}
	case "PRI":
		why = outcomeH2C
	case http.MethodGet, http.MethodHead:
		if isProbe(header("User-Agent")) && firstOf(r.health, http.MethodGet, nil, path) != nil &&
			firstOf(r.named, method, nil, path) == nil {
			why = outcomeHealthCheck
		}
	}
	if why != "" {
		firstOf(r.skipped, method, nil, path) // marks the pattern as used, so that it is not reported as a mistake
	}
	return why
}

func (r *rules) decide(method string, rt *route, path string) ruling {
	var ruled ruling
	if match := firstOf(r.named, method, rt, path); match != nil {
		ruled.name = match.name
	}
	ruled.skip = firstOf(r.skipped, method, rt, path) != nil
	ruled.health = firstOf(r.health, method, rt, path) != nil
	ruled.healthPaths = !rt.catchAll && !ruled.health && r.takesHealthPath(rt)
	return ruled
}

// takesHealthPath reports whether a route such as /{page} takes the path of a health check,
// too.
func (r *rules) takesHealthPath(rt *route) bool {
	pattern, err := pathpattern.Parse("", rt.text)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(r.health, func(check *rule) bool {
		return check.literal != "" && pattern.MatchesPath("", check.literal)
	})
}

// isHealthPath reports whether some method of a path is a health check, in less time than
// firstOf takes.
func (r *rules) isHealthPath(path string) bool {
	path = strings.TrimSuffix(path, "/")
	return path != "" && slices.ContainsFunc(r.health, func(check *rule) bool { return check.literal == path })
}

// unused lists the app's patterns that no request has matched.
func (r *rules) unused() []string {
	var texts []string
	for _, own := range r.own() {
		if !own.used.Load() {
			texts = append(texts, own.text)
		}
	}
	return texts
}
