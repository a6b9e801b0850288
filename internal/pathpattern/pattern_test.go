package pathpattern_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/klimeapp/klime-go/internal/pathpattern"
)

// parse parses a path, before which there may be a method.
func parse(text string) (pathpattern.Pattern, error) {
	method, path, found := strings.Cut(text, " ")
	if !found {
		method, path = "", text
	}
	return pathpattern.Parse(method, path)
}

func TestMatches(t *testing.T) {
	t.Parallel()
	tests := []struct {
		pattern string
		matches []string // "METHOD route or path"
		not     []string
	}{
		{"/healthz", []string{"GET /healthz", "POST /healthz", "GET /healthz/"}, []string{"GET /healthz/x", "GET /healthz/*", "GET /", "GET /health"}},
		{"GET /healthz", []string{"GET /healthz"}, []string{"POST /healthz", "HEAD /healthz"}},
		{"/", []string{"GET /"}, []string{"GET /a"}},
		{"/*", []string{"GET /", "GET /a", "GET /a/b"}, nil},
		{"/internal/*", []string{"GET /internal", "GET /internal/", "GET /internal/users/{id}", "GET /internal/*"}, []string{"GET /internals", "GET /a/internal"}},
		{"/internal/{rest...}", []string{"GET /internal/a/b"}, []string{"GET /external"}},
		{"/orgs/{org}/reports", []string{"GET /orgs/{id}/reports", "GET /orgs/acme/reports"}, []string{"GET /orgs/reports", "GET /orgs//reports", "GET /orgs/{id}/reports/{n}"}},
		{"/orgs/:org/files/*path", []string{"GET /orgs/{org}/files/*", "GET /orgs/a/files/b/c"}, []string{"GET /orgs/a/file"}},
		{"/docs/", []string{"GET /docs"}, []string{"GET /docs/*"}}, // as a path
		{"/files/+", []string{"GET /files/a/b"}, []string{"GET /file"}},
		{"/files/*path2", []string{"GET /files/a/b"}, []string{"GET /file"}},
		{"/files/*file-path", []string{"GET /files/a/b"}, []string{"GET /file"}},
		{"/orgs/{org:[a-z]{2,}}", []string{"GET /orgs/{org}"}, []string{"GET /orgs", "GET /orgs/{org}/*"}},
		{"/orgs/{org:[^/]+}/reports", []string{"GET /orgs/{org}/reports"}, []string{"GET /orgs/{org}"}},
		{"/files/{path:(?:[a-z]+/)*[a-z]+}", []string{"GET /files/{path}"}, nil},
		{"/orgs/{org}/x", []string{"GET /orgs/*/x", "GET /orgs/+/x", "GET /orgs/:id/x"}, nil}, // in a path, these are texts
		{"/files/{name}.json", []string{"GET /files/{id}.json", "GET /files/a.json"}, []string{"GET /files/.json", "GET /files/a.xml", "GET /files/{id}"}},
		{"/v{n}/x", []string{"GET /v1/x"}, []string{"GET /v/x", "GET /w1/x"}},
		{"/reports/{id}", []string{"GET /reports/new"}, nil}, // as a path
		{"/flights/:from-:to", []string{"GET /flights/{a}-{b}", "GET /flights/ams-lhr", "GET /flights/a-b-c"}, []string{"GET /flights/{id}", "GET /flights/{flight-id}", "GET /flights/{a}.{b}", "GET /flights/ams", "GET /flights/-lhr", "GET /flights/ams-", "GET /flights/-"}},
		{"/flights/{id}", []string{"GET /flights/{flight-id}"}, []string{"GET /flights/{a}-{b}", "GET /flights/x{id}", "GET /flights/{id}.json"}},
		{"/compare/{a}...{b}", []string{"GET /compare/{x}...{y}", "GET /compare/v1...v2"}, []string{"GET /compare/{id}", "GET /compare/v1..v2"}},
		{"/{y}-{m}-{d}.html", []string{"GET /{a}-{b}-{c}.html", "GET /2026-11-26.html"}, []string{"GET /{a}-{b}.html", "GET /2026-11.html", "GET /2026-11-.html", "GET /2026-", "GET /2026-11-26.htm"}},
		{`/things/batch\:get`, []string{"GET /things/batch:get"}, []string{"GET /things/batchx", `GET /things/batch\:get`}},
		{"/reports/{id}:cancel", []string{"GET /reports/{report}:cancel", "GET /reports/7:cancel"}, []string{"GET /reports/{id}"}},
		{"/user_{name}", []string{"GET /user_{x}", "GET /user_jane"}, []string{"GET /user_", "GET /{user}"}},
		{"/x:", []string{"GET /x:"}, []string{"GET /xy"}},
		{"/x:-y", []string{"GET /x:-y"}, []string{"GET /xy"}},
		{"/}{", []string{"GET /}{"}, []string{"GET /x"}},
		{"/{a}{b}", []string{"GET /{x}{y}", "GET /ab"}, []string{"GET /{x}", "GET /a"}},
		{"/my{any}report", []string{"GET /my report", "GET /my?report"}, []string{"GET /myreport"}},
		{"/100%", []string{"GET /100%"}, []string{"GET /100%25"}}, // paths are decoded
		{"/Case", nil, []string{"GET /case"}},
		{"/a/$/x", []string{"GET /a/$/x"}, nil},
	}
	for _, tt := range tests {
		p, err := parse(tt.pattern)
		if err != nil {
			t.Errorf("%s: %v", tt.pattern, err)
			continue
		}
		check := func(requests []string, want bool) {
			for _, request := range requests {
				method, path, _ := strings.Cut(request, " ")
				matches := p.MatchesPath
				if strings.Contains(path, "{") {
					matches = p.MatchesRoute
				}
				if matches(method, path) != want {
					t.Errorf("%q matches %q: %v", tt.pattern, request, !want)
				}
			}
		}
		check(tt.matches, true)
		check(tt.not, false)
	}
}

// A route beside a parameter is not the parameter's.
func TestMatchesNoSiblings(t *testing.T) {
	t.Parallel()
	p, err := parse("GET /reports/{id}")
	if err != nil {
		t.Fatal(err)
	}
	if !p.MatchesRoute("GET", "/reports/{report}") || p.MatchesRoute("GET", "/reports/new") {
		t.Error("/reports/new is taken for a report")
	}
}

// A slash at the end stands for the route of all that follows, too, unless that has a
// pattern of its own.
func TestSubtree(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern, other string
		want           bool // has the pattern a subtree beside the other
	}{
		{"/docs/", "/docs", true},
		{"/docs", "/docs", false},
		{"/docs/{$}", "/docs", false},
		{"/docs/*", "/docs", false},
		{"/docs/*/", "/docs", false},
		{"/", "/a", false}, // it cannot be written without the slash
		{"/docs/", "/docs/*", false},
		{"/docs/", "/docs/{rest...}", false},
		{"GET /docs/", "/docs/*", false},
		{"GET /docs/", "GET /docs/*", false},
		{"GET /docs/", "POST /docs/*", true},
		{"/docs/", "GET /docs/*", true},
		{"/{a}/", "/{b}/*", false},
		{"/{a}/", "/a/*", true},
	} {
		p, err := parse(tt.pattern)
		if err != nil {
			t.Fatal(err)
		}
		q, err := parse(tt.other)
		if err != nil {
			t.Fatal(err)
		}
		p.LeaveSubtreeTo(&q)
		if _, dir, _ := strings.Cut(tt.pattern, "/"); tt.want && !p.MatchesRoute("GET", "/"+dir+"*") {
			t.Errorf("%s beside %s does not match the route /%s*", tt.pattern, tt.other, dir)
		}
		if p.HasSubtree() != tt.want {
			t.Errorf("%s beside %s: %v", tt.pattern, tt.other, !tt.want)
		}
		if p.DropSlash(); p.HasSubtree() || strings.HasSuffix(p.Shape(), "/") {
			t.Errorf("%s is %s without its slash", tt.pattern, p.Shape())
		}
	}
}

func TestMalformed(t *testing.T) {
	t.Parallel()
	for _, path := range []string{
		"", " ", "healthz", "example.com/a", "https://example.com/a", "/a?b=c", "/a#b", "/a /b", "/a/*/b", "/a/{rest...}/b", "/a/{b", "/a/b}",
		"/files/*.json", "/a*", "/+1", "/+docs", "/a/b*c", "/user_:name", "/v:version/reports", "/things/batch:get", "/a/12:30/*", `/x\:y:z`, "/user-:id.json",
		"/files/{dir:[^/]+}/*.json", "/files/{dir:[^/]+}/a*",
	} {
		if p, err := pathpattern.Parse("", path); err == nil {
			t.Errorf("%q: %+v", path, p)
		}
	}
}

// Of a colon within a segment no one can tell whether it begins a parameter: how to
// say so is told.
func TestVagueColon(t *testing.T) {
	t.Parallel()
	_, err := pathpattern.Parse("", "/user_:name")
	if err == nil || !strings.Contains(err.Error(), "user_{name}") || !strings.Contains(err.Error(), `user_\:name`) {
		t.Errorf("error %v", err)
	}
}

// The most specific pattern comes first.
func TestCompare(t *testing.T) {
	t.Parallel()
	sorted := []string{
		"/orgs/acme/reports", "GET /orgs/acme", "/orgs/acme", "/orgs/x-{org}/y", "/orgs/{from}-{to}", "GET /orgs/{org}", "/orgs/{org}", "/orgs/{org}/*",
		"GET /orgs", "/orgs", "/orgs/", "GET /orgs/*", "/orgs/*", "/{a}-workspace", "/{a}", "/*",
	}
	var patterns []pathpattern.Pattern
	for _, text := range sorted {
		p, err := parse(text)
		if err != nil {
			t.Fatal(err)
		}
		patterns = append(patterns, p)
	}
	for range 20 {
		rand.Shuffle(len(patterns), func(i, j int) { patterns[i], patterns[j] = patterns[j], patterns[i] })
		slices.SortFunc(patterns, func(p, q pathpattern.Pattern) int { return p.Compare(&q) })
		for i := range patterns {
			if want, err := parse(sorted[i]); err != nil || patterns[i].Shape() != want.Shape() {
				t.Fatalf("%s at %d, want %s", patterns[i].Shape(), i, sorted[i])
			}
		}
	}
}

// A pattern without parameters has one path.
func TestLiteral(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"/": "/", "GET /a/b": "/a/b", "/a/": "/a", `/a\:get`: "/a:get", "/a/{b}": "", "/a/{b}.c": "", "/a/*": "", "/*": ""} {
		p, err := parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := p.Literal(); ok != (want != "") || ok && got != want {
			t.Errorf("%s: %q, %v", text, got, ok)
		}
	}
}

// Whatever is given as pattern and as path, nothing panics; what is a pattern
// matches itself.
func FuzzPattern(f *testing.F) {
	for _, pattern := range []string{"/a/{b}/c", "/a/*", "/a/{b...}", "/:x/*y", "/v{n}.json", "/{", "POST"} {
		f.Add(pattern, "/a/b/c")
	}
	f.Fuzz(func(t *testing.T, pattern, path string) {
		p, err := pathpattern.Parse("", pattern)
		if err != nil {
			return
		}
		p.MatchesPath("GET", path)
		if route := strings.ReplaceAll(p.Shape(), "{}", "{x}"); !p.MatchesRoute("GET", route) {
			t.Errorf("%q does not match %q", pattern, route)
		}
	})
}
