package klime_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	klime "github.com/klimeapp/klime-go/core"
)

// Where events are posted, and which endpoints are refused. An error never
// shows what might be a secret.
func TestEndpoint(t *testing.T) {
	t.Parallel()
	tests := []struct {
		endpoint string
		insecure bool
		want     string // "" if refused
	}{
		{"", false, "https://i.klime.com/v1/batch"},
		{"https://klime.example.com", false, "https://klime.example.com/v1/batch"},
		{"https://klime.example.com/", false, "https://klime.example.com/v1/batch"},
		{"https://klime.example.com:8443/proxy/klime", false, "https://klime.example.com:8443/proxy/klime/v1/batch"},
		{"https://klime.example.com/proxy/", false, "https://klime.example.com/proxy/v1/batch"},
		{"https://klime.example.com/a%2Fb", false, "https://klime.example.com/a%2Fb/v1/batch"},
		{"HTTPS://klime.example.com", false, "https://klime.example.com/v1/batch"},
		{"https://[2001:db8::1]:443", false, "https://[2001:db8::1]:443/v1/batch"},

		{"http://localhost:8080", false, "http://localhost:8080/v1/batch"},
		{"http://LocalHost:8080", false, "http://LocalHost:8080/v1/batch"},
		{"http://127.0.0.1:8080", false, "http://127.0.0.1:8080/v1/batch"},
		{"http://127.0.0.2", false, "http://127.0.0.2/v1/batch"},
		{"http://[::1]:8080", false, "http://[::1]:8080/v1/batch"},
		{"http://example.com", false, ""},
		{"http://10.0.0.1", false, ""},
		{"http://0.0.0.0", false, ""},
		{"http://localhost.example.com", false, ""},
		{"http://127.0.0.1.example.com", false, ""},
		{"http://example.com", true, "http://example.com/v1/batch"},

		{"https://klime.example.com/v1/batch", false, ""},
		{"https://klime.example.com/proxy/v1/batch/", false, ""},
		{"https://klime.example.com/v1", false, "https://klime.example.com/v1/v1/batch"},

		{"ftp://localhost", true, ""},
		{"i.klime.com", true, ""},
		{"//i.klime.com", true, ""},
		{"/v1/batch", true, ""},
		{"https://", true, ""},
		{"https://:443", true, ""},
		{"https:i.klime.com", true, ""},
		{"https://i.klime.com?key=secret", true, ""},
		{"https://i.klime.com#secret", true, ""},
		{"https://user:secret@i.klime.com", true, ""},
		{"https://secret@i.klime.com", true, ""},
		{"http://user:secret@example.com", false, ""},
		{"https://user:secret@i.klime.com:port", true, ""},
		{"https://i.klime.com:65536", true, ""},
		{"https://i.klime.com:0", true, ""},
		{"https://sec\nret", true, ""},
		{"\x00secret", true, ""},
	}
	for _, tt := range tests {
		wire := &wire{}
		client, err := klime.New(klime.Config{
			WriteKey: "secret", Endpoint: tt.endpoint, AllowInsecure: tt.insecure, HTTPClient: &http.Client{Transport: wire},
		})
		switch {
		case tt.want == "":
			if client != nil || !errors.Is(err, klime.ErrInvalidConfig) {
				t.Errorf("%q: error %v, want ErrInvalidConfig", tt.endpoint, err)
			} else if strings.Contains(err.Error(), "secret") {
				t.Errorf("%q: the error shows it: %v", tt.endpoint, err)
			}
			continue
		case err != nil:
			t.Errorf("%q: %v", tt.endpoint, err)
			continue
		}
		if err := client.Ping(t.Context()); err != nil {
			t.Error(err)
		}
		request := wire.lastRequest()
		if got := request.URL.String(); got != tt.want {
			t.Errorf("%q: posted to %s, want %s", tt.endpoint, got, tt.want)
		}
		shutDown(t, client)
	}
}
