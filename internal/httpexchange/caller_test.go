package httpexchange

import (
	"net/http"
	"testing"
)

// The address of the server has a port, and one that a middleware has put in its place may
// have none.
func TestClientIP(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"192.0.2.7:443":     "192.0.2.7",
		"192.0.2.7":         "192.0.2.7",
		"[2001:db8::1]:443": "2001:db8::1",
		"2001:db8::1":       "2001:db8::1",
	} {
		if got := (caller{&http.Request{RemoteAddr: address}}).ClientIP(); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}
