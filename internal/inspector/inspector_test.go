package inspector_test

import (
	"net"
	"testing"

	"github.com/klimeapp/klime-go/internal/inspector"
)

// The unspecified address stands for all addresses of this machine: it is reached on
// loopback.
func TestBaseURL(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"0.0.0.0:80":   "http://127.0.0.1:80",
		"[::]:80":      "http://127.0.0.1:80",
		"127.0.0.1:80": "http://127.0.0.1:80",
		"[::1]:80":     "http://[::1]:80",
	} {
		resolved, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := inspector.BaseURL(resolved); got != want {
			t.Errorf("%s: got %s", addr, got)
		}
	}
}
