package klime_test

import (
	"testing"

	klime "github.com/klimeapp/klime-go/core"
)

func TestSubdomain(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"acme.example.com":         "acme",
		"Acme.Example.COM:8443":    "acme",
		"acme.example.com.":        "acme",
		"example.com":              "",
		"example.com:80":           "",
		".example.com":             "",
		"a.acme.example.com":       "",
		"acme.example.org":         "",
		"acme.example.com.evil.io": "",
		"evilexample.com":          "",
		"[::1]:80":                 "",
		"":                         "",
	} {
		if got := klime.Subdomain(host, "example.com"); got != want {
			t.Errorf("%q: %q, want %q", host, got, want)
		}
	}
}
