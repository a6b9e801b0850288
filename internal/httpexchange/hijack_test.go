package httpexchange

import (
	"net/http"
	"testing"
)

// Only a request that has both headers of RFC 7540 upgrades to HTTP/2: others keep their
// Scope.
func TestUpgradesToHTTP2(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		header http.Header
		want   bool
	}{
		"both":             {http.Header{"Http2-Settings": {"AAMAAABk"}, "Upgrade": {"h2c"}}, true},
		"among others":     {http.Header{"Http2-Settings": {"AAMAAABk"}, "Upgrade": {"websocket", "TLS/1.0, H2C"}}, true},
		"without settings": {http.Header{"Upgrade": {"h2c"}}, false},
		"another protocol": {http.Header{"Http2-Settings": {"AAMAAABk"}, "Upgrade": {"websocket"}}, false},
		"no protocol":      {http.Header{"Http2-Settings": {"AAMAAABk"}}, false},
	} {
		if got := upgradesToHTTP2(test.header); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
