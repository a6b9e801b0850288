package colons_test

import (
	"strings"
	"testing"

	"github.com/klimeapp/klime-go/internal/colons"
)

func TestBraces(t *testing.T) {
	t.Parallel()
	untilDelimiter := func(after string) string {
		if end := strings.IndexAny(after, `-.:?<\`); end >= 0 {
			return after[:end]
		}
		return after
	}
	whole := func(after string) string { return after }
	none := func(string) string { return "" }
	for _, tt := range []struct {
		nameOf   func(string) string
		in, want string
	}{
		{whole, "", ""},
		{whole, "/", "/"},
		{whole, "/users/:name", "/users/:name"},
		{whole, "/user_:name", "/user_{name}"},
		{whole, "/user_:name/", "/user_{name}/"},
		{whole, "/v:version/reports/:id", "/v{version}/reports/:id"},
		{whole, "/user-:name.json", "/user-{name.json}"},
		{untilDelimiter, "/user_:name.json", "/user_{name}.json"},
		{untilDelimiter, "/x:from-:to", "/x{from}-{to}"},
		{untilDelimiter, "/:from-:to/v:version", "/:from-:to/v{version}"},
		{untilDelimiter, "/v:version<int>?/x", "/v{version}/x"},
		{untilDelimiter, "/v:a<int;min(1)>-:b?", "/v{a}-{b}"},
		{untilDelimiter, "/v:a<int", "/v{a}<int"},
		{untilDelimiter, `/things/batch\:get`, `/things/batch\:get`},
		{untilDelimiter, `/x:a\:b`, `/x{a}\:b`},
		{none, "/things/batch:get", "/things/batch:get"},
		{whole, "/x:", "/x:"},
	} {
		if got := colons.Braces(tt.in, tt.nameOf); got != tt.want {
			t.Errorf("%s became %s, want %s", tt.in, got, tt.want)
		}
	}
}
