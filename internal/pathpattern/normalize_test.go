package pathpattern

import (
	"strings"
	"testing"
)

// Every router's patterns in one dialect.
func TestNormalize(t *testing.T) {
	t.Parallel()
	tests := []struct{ router, in, want string }{
		{"any", "/", "/"},
		{"any", "/reports", "/reports"},
		{"any", "/reports/", "/reports"},
		{"any", "//reports///daily//", "/reports/daily"},
		{"any", "/reports//daily", "/reports/daily"},
		{"any", "/v1.2/reports-daily_x~y/@me", "/v1.2/reports-daily_x~y/@me"},
		{"any", "/größe/%20", "/größe/%20"},

		{"net/http", "GET /reports/{id}", "/reports/{id}"},
		{"net/http", "GET  \t /reports/{id}", "/reports/{id}"},
		{"net/http", "example.com/reports/{id}", "/reports/{id}"},
		{"net/http", "GET example.com/reports/{id}", "/reports/{id}"},
		{"net/http", "/{$}", "/"},
		{"net/http", "GET /reports/{$}", "/reports"},
		{"net/http", "/files/{path...}", "/files/*"},
		{"net/http", "/{path...}", "/*"},
		{"net/http", "/things/batch:get", "/things/batch:get"},
		{"net/http", "GET /+docs/{id}", "/+docs/{id}"},

		{"gin", "/reports/:id", "/reports/{id}"},
		{"gin", "/orgs/:org/reports/:id", "/orgs/{org}/reports/{id}"},
		{"gin", "/orgs/:orgID/reports/:Z", "/orgs/{orgID}/reports/{Z}"},
		{"gin", "/reports/:report-id", "/reports/{report-id}"},
		{"gin", "/reports/:AZaz_09~:À", "/reports/{AZaz_09}~{À}"},
		{"gin", "/files/*path", "/files/*"},
		{"gin", "/*path", "/*"},

		{"chi", "/reports/{id}", "/reports/{id}"},
		{"chi", "/reports/{id:[0-9]+}", "/reports/{id}"},
		{"chi", "/reports/{id:[0-9]{2,4}}/lines", "/reports/{id}/lines"},
		{"chi", "/reports/{path:[a-z]+/[a-z]+}/lines", "/reports/{path}/lines"},
		{"chi", "/reports/{day:a b}", "/reports/{day}"},
		{"chi", "/files/*", "/files/*"},
		{"chi", "/{year}-{month}-{day}", "/{year}-{month}-{day}"},
		{"chi", `/{year:\d{4}}-{month:\d{2}}/x`, "/{year}-{month}/x"},
		{"chi", "/v{version:[0-9]+}/reports", "/v{version}/reports"},
		{"chi", "/reports/{id:[0-9]+}.json", "/reports/{id}.json"},
		{"chi", "/reports/{id}:cancel", "/reports/{id}:cancel"},

		{"fiber", "/reports/:id?", "/reports/{id}"},
		{"fiber", "/reports/:id<int>", "/reports/{id}"},
		{"fiber", "/reports/:id<int;min(1)>?", "/reports/{id}"},
		{"fiber", `/reports/:id<regex(\d{4})>/lines`, "/reports/{id}/lines"},
		{"fiber", "/flights/:from-:to", "/flights/{from}-{to}"},
		{"fiber", "/flights/:from.:to<int>", "/flights/{from}.{to}"},
		{"fiber", "/files/*", "/files/*"},
		{"fiber", "/files/+", "/files/*"},
		{"fiber", "/files/*1", "/files/*"},

		{"fiber", `/things/batch\:get`, "/things/batch:get"},
		{"fiber", `/things/:id\:get`, "/things/{id}:get"},
		{"adapters of gin and fiber", "/user_{name}", "/user_{name}"},

		{"gorilla", "/reports/{id:[0-9]+}", "/reports/{id}"},
		{"httprouter", "/files/*filepath", "/files/*"},
		{"goa", "/files/{*path}", "/files/*"},
		{"beego", `/reports/:id([0-9]{2,})/lines`, "/reports/{id}/lines"},

		{"none", "", ""},
		{"none", "reports", ""},
		{"none", "GET", ""},
		{"none", "GET ", ""},
		{"none", " ", ""},
		{"garbage", "/{", "/{"},
		{"garbage", "/}/x", "/}/x"},
		{"garbage", "/{a/b", "/{a/b"},
		{"garbage", "/{}", "/{}"},
		{"garbage", "/{a:", "/{a:"},
		{"garbage", "/:", "/:"},
		{"garbage", "/:0...}", "/{0}...}"},
		{"garbage", "/{a}{b...}", "/{a}{b...}"},
		{"garbage", `/\\:a\\:b`, `/\:a\\:b`},
		{"garbage", "/:a<b", "/{a}<b"},
		{"garbage", "/:a.(b)", "/{a}.(b)"},
		{"garbage", "/:-a", "/:-a"},
		{"garbage", "/a{b...}", "/a{b...}"},
		{"garbage", "/:a<}>{b:[0]/c}", "/{a}<}>{b:[0]/c}"},
		{"garbage", "/{:[0-9]+}", "/{:[0-9]+}"},
	}
	for _, tt := range tests {
		got := Normalize(tt.in)
		if got != tt.want {
			t.Errorf("%s: %q became %q, want %q", tt.router, tt.in, got, tt.want)
		}
		if again := Normalize(got); again != got {
			t.Errorf("%s: %q became %q, and that %q", tt.router, tt.in, got, again)
		}
	}
}

func FuzzNormalize(f *testing.F) {
	for _, pattern := range []string{
		"/", "GET /a/{b}", "h/a/{$}", "/{a...}", "/:a/*b", "/{a:[/]{2}}/c", "/:a?/:b<int>-:c<regex(a/b)>", "/+", "}/{:x", "/:a<}>{/:b",
	} {
		f.Add(pattern)
	}
	f.Fuzz(func(t *testing.T, pattern string) {
		route := Normalize(pattern)
		if route != "" && !strings.HasPrefix(route, "/") {
			t.Errorf("%q became %q", pattern, route)
		}
		if again := rebuild(route); again != route {
			t.Errorf("%q became %q, and that %q", pattern, route, again)
		}
		if rebuilt := rebuild(pattern); rebuilt != route {
			t.Errorf("%q is plain, and became %q", pattern, rebuilt)
		}
	})
}
