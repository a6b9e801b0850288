package klime

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A malformed pattern is left out and reported, with its option and what is wrong.
func TestMalformedPatterns(t *testing.T) {
	t.Parallel()
	for text, mistake := range map[string]string{
		"": "slash", " ": "slash", "healthz": "slash", "GET": "slash", "GET healthz": "slash",
		"get /healthz": "method", "GETS /a": "method", "POST PUT /a": "slash", "GET /a /b": "spaces",
		"GET /a/{b": "braces", "POST /user-:id.json": "user-{id.json}",
	} {
		parsed, err := parseRules("SkipRoutes", []string{"/a", text})
		if len(parsed) != 1 || !errors.Is(err, ErrInvalidOption) {
			t.Errorf("%q: %d rules, error %v", text, len(parsed), err)
			continue
		}
		if said := err.Error(); !strings.Contains(said, fmt.Sprintf("SkipRoutes: pattern %q: ", text)) || !strings.Contains(said, mistake) {
			t.Errorf("%q: error %v", text, err)
		}
	}
	if rules, err := parseRules("SkipRoutes", []string{"GET  /healthz "}); err != nil || !rules[0].MatchesPath("GET", "/healthz") {
		t.Errorf("spaces around a path: error %v", err)
	}
}

// Patterns that mean the same are one, however often and in which dialect they are given.
func TestRepeatedPatterns(t *testing.T) {
	t.Parallel()
	skipped := func(r *rules) []*rule { return r.skipped }
	for name, test := range map[string]struct {
		opts []Option
		kept func(*rules) []*rule
	}{
		"SkipRoutes":       {[]Option{SkipRoutes("/a/{x}", "/b", "/a/:y", "GET /a/{x}", "/b")}, skipped},
		"SkipRoutes twice": {[]Option{SkipRoutes("/a/{x}"), SkipRoutes("/a/:y", "/b", "GET /a/{x}", "/a/{x}")}, skipped},
		"IgnoreRoutes":     {[]Option{IgnoreRoutes("/a/{x}", "/b"), IgnoreRoutes("/a/:y", "GET /a/{x}")}, func(r *rules) []*rule { return r.ignored }},
		"HealthRoutes":     {[]Option{HealthRoutes("/a/{x}", "/b", "/a/:y", "GET /a/{x}")}, func(r *rules) []*rule { return r.health }},
	} {
		tracker := NewTracker(nil, test.opts...)
		if err := tracker.Err(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var kept []string
		for _, r := range test.kept(&tracker.rules) {
			kept = append(kept, r.text)
		}
		if want := []string{"GET /a/{x}", "/a/{x}", "/b"}; !slices.Equal(kept, want) {
			t.Errorf("%s: kept %q, want %q", name, kept, want)
		}
	}
}

// Two names for one pattern are reported, and neither counts; one of an earlier
// NameRoutes stays.
func TestAmbiguousNames(t *testing.T) {
	t.Parallel()
	tracker := NewTracker(nil, NameRoutes(map[string]string{"/b": "B"}),
		NameRoutes(map[string]string{"/a/{x}": "X", "/a/:y": "Y", "GET /a/{x}": "Z", "/b": "C", "c": "D"}))
	err := tracker.Err()
	for _, want := range []string{`"/a/:y" and "/a/{x}"`, `"/b" and "/b"`, `"c"`} {
		if !errors.Is(err, ErrInvalidOption) || strings.Count(err.Error(), want) != 1 {
			t.Errorf("error without %s: %v", want, err)
		}
	}
	if named := tracker.rules.named; len(named) != 2 || named[0].name != "Z" || named[1].name != "B" {
		t.Errorf("%d patterns left", len(named))
	}
}

// Beside a subtree with a name of its own, the same path with a slash is its index alone.
func TestNamedSubtree(t *testing.T) {
	t.Parallel()
	rules := &NewTracker(nil, NameRoutes(map[string]string{"/docs/": "Docs Opened", "GET /a/": "A Opened", "POST /a/*": "A Changed"}),
		NameRoutes(map[string]string{"/docs/*": "Doc Read", "/b/": "B Opened"})).rules
	for request, want := range map[string]string{
		"GET /docs": "Docs Opened", "GET /docs/*": "Doc Read", "GET /a/*": "A Opened", "POST /a/*": "A Changed", "GET /b/*": "B Opened",
	} {
		method, text, _ := strings.Cut(request, " ")
		if got := rules.decide(method, newRoute(text), strings.Replace(text, "*", "x", 1)).name; got != want {
			t.Errorf("%s: %q, want %q", request, got, want)
		}
	}
}

// Of several patterns that match the most specific one counts, in whatever order
// they were given.
func TestMostSpecificPattern(t *testing.T) {
	t.Parallel()
	all := []string{
		"/*", "/orgs/*", "/orgs/{org}", "/orgs/acme", "GET /orgs/acme", "GET /orgs/*", "/orgs/{org}/reports", "/orgs/{org}/*", "/orgs/x-{org}",
		"/orgs/{from}-{to}", "/files", "/files/", "/docs/", "/docs/*", "/docs/{page}",
	}
	tests := map[string]string{
		"GET /":               "/*",
		"GET /users":          "/*",
		"POST /orgs":          "/orgs/*",
		"GET /orgs":           "GET /orgs/*",
		"POST /orgs/{id}":     "/orgs/{org}",
		"GET /orgs/{id}":      "/orgs/{org}",
		"POST /orgs/acme":     "/orgs/acme",
		"GET /orgs/acme":      "GET /orgs/acme",
		"GET /orgs/x-1":       "/orgs/x-{org}",
		"GET /orgs/y-1":       "/orgs/{from}-{to}",
		"GET /orgs/{a}-{b}":   "/orgs/{from}-{to}",
		"GET /orgs/a/reports": "/orgs/{org}/reports",
		"GET /orgs/a/other":   "/orgs/{org}/*",
		"GET /files":          "/files",
		"GET /files/*":        "/files/",
		"GET /files/{id}":     "/*",
		"GET /docs/*":         "/docs/*",
		"GET /docs":           "/docs/",
		"GET /docs/{page}":    "/docs/{page}",
		"GET /docs/{page}/x":  "/docs/*",
	}
	for range 20 {
		rules, err := parseRules("NameRoutes", all)
		if err != nil {
			t.Fatal(err)
		}
		rules = distinct(rules)
		separate(rules)
		for request, want := range tests {
			method, path, _ := strings.Cut(request, " ")
			rt := newRoute("")
			if strings.ContainsAny(path, "{*") {
				rt = newRoute(path)
			}
			if r := firstOf(rules, method, rt, strings.Replace(path, "*", "x/y", 1)); r == nil || r.text != want {
				t.Errorf("%s: %+v, want %s", request, r, want)
			}
		}
		all = append(all[1:], all[0])
	}
}

// The usual health checks are known by their routes, and by their paths where
// there is no route.
func TestDefaultHealthRoutes(t *testing.T) {
	t.Parallel()
	r := &NewTracker(nil).rules
	routes := newRouteTable()
	for _, tt := range []struct {
		method, route, path string
		want                bool
	}{
		{"GET", "/healthz", "/healthz", true},
		{"GET", "", "/healthz", true}, // answered by a middleware
		{"GET", "/*", "/robots.txt", true},
		{"GET", "/favicon.ico", "/favicon.ico", true},
		{"GET", "/metrics", "/metrics", true},
		{"POST", "/ping", "/ping", false},
		{"GET", "/{page}", "/favicon.ico", true},
		{"GET", "/{page}", "/pricing", false},
		{"GET", "/{page}", "/health", true},
		{"POST", "/{page}", "/health", false},
		{"GET", "/{file}.txt", "/robots.txt", true},
		{"GET", "/{file}.txt", "/humans.txt", false},
		{"GET", "/{org}/{page}", "/api/health", false},
		{"GET", "", "/health-plans", false},
		{"GET", "/api/healthz", "/api/healthz", false},
	} {
		for range 2 { // the second time from memory
			if got := r.rulingFor(tt.method, routes.lookup(tt.route), tt.path).health; got != tt.want {
				t.Errorf("%s %s (%s): health %v", tt.method, tt.route, tt.path, got)
			}
		}
	}
}

// net/http serves all that follows by a pattern with a slash at its end. As it stands
// there, it can be given to an option.
func TestPatternsWithASlashAtTheEnd(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern, route, path string
		want                 bool
	}{
		{"/internal/", "/internal/", "/internal", true},
		{"/internal/", "/internal/*", "/internal/a/b", true},
		{"GET /internal/", "/internal/{rest...}", "/internal/a", true},
		{"POST /internal/", "/internal/*", "/internal/a", false},
		{"/internal/", "/internal/{id}", "/internal/a", false},
		{"/internal/", "/internal/{id}/*", "/internal/a/b", false},
		{"/internal/", "/*", "/internal/", true},
		{"/internal/", "/*", "/internal/a", false},
		{"/internal/", "", "/internal/a", false},
		{"/orgs/{org}/", "/orgs/:id/*", "/orgs/a/b", true},
		{"/orgs/{org}/", "/orgs/acme/*", "/orgs/acme/b", false},
		{"/internal", "/internal/*", "/internal/a", false},
		{"/internal/{$}", "/internal/*", "/internal/a", false},
		{"/", "/*", "/a", false}, // it cannot be written without the slash
		{"/", "/", "/", true},
	} {
		r := &NewTracker(nil, SkipRoutes(tt.pattern)).rules
		if got := r.rulingFor("GET", newRoute(tt.route), tt.path).skip; got != tt.want {
			t.Errorf("%q, route %q, path %q: skipped %v", tt.pattern, tt.route, tt.path, got)
		}
	}
}
