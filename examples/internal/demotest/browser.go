package demotest

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"
)

// Browser keeps cookies, and follows no redirects.
type Browser struct {
	t      *testing.T
	client *http.Client
}

// NewBrowser returns a browser without cookies.
func NewBrowser(t *testing.T) *Browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &Browser{t, &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true}, Jar: jar, Timeout: timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Do makes a request, whose body is a form or JSON, and fails the test if the answer has
// another status. It returns the answer's body.
func (b *Browser) Do(method, address, body string, header http.Header, want int) string {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	maps.Copy(r.Header, header)
	switch {
	case strings.HasPrefix(body, "{"):
		r.Header.Set("Content-Type", "application/json")
	case method == http.MethodPost:
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	answer, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		b.t.Fatal(err)
	}
	if resp.StatusCode != want {
		b.t.Errorf("%s %s: got %d, want %d: %s", method, address, resp.StatusCode, want, answer)
	}
	return string(answer)
}
