package klime

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestPatternMatches(t *testing.T) {
	t.Parallel()
	tests := []struct {
		pattern string
		matches []string // "METHOD route or path"
		not     []string
	}{
		{"/healthz", []string{"GET /healthz", "POST /healthz", "GET /healthz/"}, []string{"GET /healthz/x", "GET /", "GET /health"}},
		{"GET /healthz", []string{"GET /healthz"}, []string{"POST /healthz", "HEAD /healthz"}},
		{"GET  /healthz ", []string{"GET /healthz"}, nil},
		{"/", []string{"GET /"}, []string{"GET /a"}},
		{"/*", []string{"GET /", "GET /a", "GET /a/b"}, nil},
		{"/internal/*", []string{"GET /internal", "GET /internal/", "GET /internal/users/{id}", "GET /internal/*"}, []string{"GET /internals", "GET /a/internal"}},
		{"/internal/{rest...}", []string{"GET /internal/a/b"}, []string{"GET /external"}},
		{"/orgs/{org}/reports", []string{"GET /orgs/{id}/reports", "GET /orgs/acme/reports"}, []string{"GET /orgs/reports", "GET /orgs//reports", "GET /orgs/{id}/reports/{n}"}},
		{"/orgs/:org/files/*path", []string{"GET /orgs/{org}/files/*", "GET /orgs/a/files/b/c"}, []string{"GET /orgs/a/file"}},
		{"/orgs/{org:[a-z]{2,}}", []string{"GET /orgs/{org}"}, []string{"GET /orgs"}},
		{"/orgs/{org}", nil, []string{"GET /orgs/*"}}, // which is more than one segment
		{"/files/{name}.json", []string{"GET /files/{id}.json", "GET /files/a.json"}, []string{"GET /files/.json", "GET /files/a.xml", "GET /files/{id}"}},
		{"/v{n}/x", []string{"GET /v1/x"}, []string{"GET /v/x", "GET /w1/x"}},
		{"/reports/{id}", []string{"GET /reports/new"}, nil}, // as a path
		{"/flights/:from-:to", []string{"GET /flights/{a}-{b}", "GET /flights/ams-lhr", "GET /flights/a-b-c"}, []string{"GET /flights/{id}", "GET /flights/{flight-id}", "GET /flights/{a}.{b}", "GET /flights/ams", "GET /flights/-lhr", "GET /flights/ams-", "GET /flights/-"}},
		{"/flights/{id}", []string{"GET /flights/{flight-id}"}, []string{"GET /flights/{a}-{b}", "GET /flights/x{id}", "GET /flights/{id}.json"}},
		{"/compare/{a}...{b}", []string{"GET /compare/{x}...{y}", "GET /compare/v1...v2"}, []string{"GET /compare/{id}", "GET /compare/v1..v2"}},
		{"/{y}-{m}-{d}.html", []string{"GET /{a}-{b}-{c}.html", "GET /2026-11-26.html"}, []string{"GET /{a}-{b}.html", "GET /2026-11.html", "GET /2026-11-.html", "GET /2026-11-26.htm"}},
		{`/things/batch\:get`, []string{"GET /things/batch:get"}, []string{"GET /things/batchx", `GET /things/batch\:get`}},
		{"/reports/{id}:cancel", []string{"GET /reports/{report}:cancel", "GET /reports/7:cancel"}, []string{"GET /reports/{id}"}},
		{"/user_{name}", []string{"GET /user_{x}", "GET /user_jane"}, []string{"GET /user_", "GET /{user}"}},
		{"/x:", []string{"GET /x:"}, []string{"GET /xy"}},
		{"/{a}{b}", []string{"GET /{x}{y}", "GET /ab"}, []string{"GET /{x}", "GET /a"}},
		{"/my{any}report", []string{"GET /my report", "GET /my?report"}, []string{"GET /myreport"}},
		{"/100%", []string{"GET /100%"}, []string{"GET /100%25"}}, // paths are decoded
		{"/Case", nil, []string{"GET /case"}},
		{"/a/$/x", []string{"GET /a/$/x"}, nil},
	}
	for _, tt := range tests {
		p, err := parsePattern(tt.pattern)
		if err != nil {
			t.Errorf("%s: %v", tt.pattern, err)
			continue
		}
		check := func(requests []string, want bool) {
			for _, request := range requests {
				method, path, _ := strings.Cut(request, " ")
				if p.matches(method, path, strings.Contains(path, "{")) != want {
					t.Errorf("%q matches %q: %v", tt.pattern, request, !want)
				}
			}
		}
		check(tt.matches, true)
		check(tt.not, false)
	}
}

func TestMalformedPatterns(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", " ", "healthz", "GET", "GET healthz", "get /healthz", "GET /a /b", "example.com/a", "/a?b=c", "/a#b", "/a/*/b", "/a/{rest...}/b",
		"/a/{b", "/a/b}", "/files/*.json", "/a*", "/+1", "/a/b*c", "GETS /a", "https://example.com/a",
		"/user_:name", "/v:version/reports", "/things/batch:get", "/a/12:30/*", `/x\:y:z`, "POST /user-:id.json",
	} {
		if parsed, err := parsePatterns("SkipRoutes", []string{text}); len(parsed) > 0 || !errors.Is(err, ErrInvalidOption) {
			t.Errorf("%q: %+v, error %v", text, parsed, err)
		}
	}
}

// Of a colon within a segment no one can tell whether it begins a parameter: how to
// say so is told.
func TestVagueColon(t *testing.T) {
	t.Parallel()
	_, err := parsePattern("/user_:name")
	if err == nil || !strings.Contains(err.Error(), "user_{name}") || !strings.Contains(err.Error(), `user_\:name`) {
		t.Errorf("error %v", err)
	}
}

// Patterns that mean the same are one, however often and in which dialect they are given.
func TestRepeatedPatterns(t *testing.T) {
	t.Parallel()
	skipped := func(r *rules) []*pattern { return r.skipped }
	for name, test := range map[string]struct {
		opts []Option
		kept func(*rules) []*pattern
	}{
		"SkipRoutes":       {[]Option{SkipRoutes("/a/{x}", "/b", "/a/:y", "GET /a/{x}", "/b")}, skipped},
		"SkipRoutes twice": {[]Option{SkipRoutes("/a/{x}"), SkipRoutes("/a/:y", "/b", "GET /a/{x}", "/a/{x}")}, skipped},
		"IgnoreRoutes":     {[]Option{IgnoreRoutes("/a/{x}", "/b"), IgnoreRoutes("/a/:y", "GET /a/{x}")}, func(r *rules) []*pattern { return r.ignored }},
		"HealthRoutes":     {[]Option{HealthRoutes("/a/{x}", "/b", "/a/:y", "GET /a/{x}")}, func(r *rules) []*pattern { return r.health }},
	} {
		tracker := NewTracker(nil, test.opts...)
		if err := tracker.Err(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var kept []string
		for _, p := range test.kept(&tracker.rules) {
			kept = append(kept, p.text)
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
		patterns, err := parsePatterns("NameRoutes", all)
		if err != nil {
			t.Fatal(err)
		}
		patterns = distinct(patterns)
		separate(patterns)
		for request, want := range tests {
			method, path, _ := strings.Cut(request, " ")
			rt := newRoute("")
			if strings.ContainsAny(path, "{*") {
				rt = newRoute(path)
			}
			if p := firstOf(patterns, method, rt, path); p == nil || p.text != want {
				t.Errorf("%s: %+v, want %s", request, p, want)
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
		{"GET", "/{page}", "/health", false}, // a page of that name
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

// Whatever is given as pattern and as path, nothing panics; what is a pattern
// matches itself.
func FuzzPattern(f *testing.F) {
	for _, text := range []string{"GET /a/{b}/c", "/a/*", "/a/{b...}", "/:x/*y", "/v{n}.json", "/{", "POST"} {
		f.Add(text, "/a/b/c")
	}
	f.Fuzz(func(t *testing.T, text, path string) {
		p, err := parsePattern(text)
		if err != nil {
			return
		}
		p.matches("GET", path, false)
		route := strings.ReplaceAll(strings.TrimPrefix(p.shape(), p.method), "{}", "{x}")
		if !p.matches(p.method, route, true) {
			t.Errorf("%q does not match %q", text, route)
		}
	})
}

// A route beside a parameter is not the parameter's.
func TestPatternOfSiblingRoutes(t *testing.T) {
	t.Parallel()
	p, err := parsePattern("GET /reports/{id}")
	if err != nil {
		t.Fatal(err)
	}
	if !p.matches("GET", "/reports/{report}", true) || p.matches("GET", "/reports/new", true) {
		t.Error("/reports/new is taken for a report")
	}
}
