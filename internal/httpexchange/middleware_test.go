package httpexchange

import (
	"context"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"testing"

	klime "github.com/klimeapp/klime-go/core"
)

// What is kept of a request fits into a size in which Go allocates; the next one takes
// longer.
func TestExchangeSize(t *testing.T) {
	t.Parallel()
	if size := reflect.TypeFor[exchange]().Size(); strconv.IntSize == 64 && size > 512 {
		t.Errorf("%d bytes, want at most 512", size)
	}
}

// Only a path on the same host that lacks the prefix gets it.
func TestWithPrefix(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ location, prefix, want string }{
		{"/things/", "", "/things/"},
		{"/things/", "/api", "/api/things/"},
		{"/", "/api", "/api/"},
		{"/apiary", "/api", "/api/apiary"},
		{"/api", "/api", "/api"},
		{"/api/things", "/api", "/api/things"},
		{"/api?page=2", "/api", "/api?page=2"},
		{"/api#new", "/api", "/api#new"},
		{"things", "/api", "things"},
		{"//example.com/things", "/api", "//example.com/things"},
		{"https://example.com/things", "/api", "https://example.com/things"},
		{"", "/api", ""},
	} {
		if got := withPrefix(test.location, test.prefix); got != test.want {
			t.Errorf("%q behind %q: %q, want %q", test.location, test.prefix, got, test.want)
		}
	}
}

// A middleware of a router that does not look further out is passed over: what is around it
// tells the Way.
func TestAround(t *testing.T) {
	t.Parallel()
	client, err := klime.New(klime.Config{WriteKey: "key"}) // nobody is known, and nothing is sent
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Shutdown(context.Background()) }()
	noRoute := func(_, _ *http.Request, _ int) (pattern string, unmatched bool) { return "", false }
	middleware := func(wayTo func(*http.Request) *Way) func(http.Handler) http.Handler {
		return Middleware(client, wayTo, noRoute, nil)
	}
	var asked, pattern string
	innermost := middleware(func(r *http.Request) *Way {
		_, path, matched := Around(r)
		asked, pattern = path.Path, matched
		return nil
	})(http.NotFoundHandler())
	mux := http.NewServeMux()
	mux.Handle("/api/", http.StripPrefix("/api", middleware(nil)(http.StripPrefix("/v1", innermost))))
	outermost := middleware(func(*http.Request) *Way { return nil })(mux)
	outermost.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/api/v1/things", http.NoBody))
	if asked != "/api/v1/things" || pattern != "/api/" {
		t.Errorf("%s, matched %s", asked, pattern)
	}
}
