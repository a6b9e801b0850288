// Package authtest visits the recipes over HTTP, and checks what Klime was told.
package authtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/examples/auth/accounts"
	"github.com/klimeapp/klime-go/klimetest"
)

const timeout = 30 * time.Second

// Site is a recipe that is served on loopback, and a browser that visits it.
type Site struct {
	URL string

	t       *testing.T
	klime   *klimetest.Server
	client  *klime.Client
	browser *http.Client
	cookies jar
	stop    func()
}

// Serve serves a recipe until the test ends or the Site is asked.
func Serve[A http.Handler](t *testing.T, recipe func(*klime.Client) A) *Site {
	t.Helper()
	s := newSite(t)
	server := httptest.NewServer(recipe(s.client))
	s.URL, s.stop = server.URL, sync.OnceFunc(server.Close) // when all requests have ended
	t.Cleanup(s.stop)
	return s
}

// ServeFiber is Serve for Fiber.
func ServeFiber(t *testing.T, recipe func(*klime.Client) *fiber.App) *Site {
	t.Helper()
	s := newSite(t)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	app := recipe(s.client)
	ended := make(chan error, 1)
	go func() { ended <- app.Listener(listener) }()
	s.URL = "http://" + listener.Addr().String()
	s.stop = sync.OnceFunc(func() {
		s.browser.CloseIdleConnections()
		if err := errors.Join(app.ShutdownWithTimeout(timeout), <-ended); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(s.stop)
	return s
}

func newSite(t *testing.T) *Site {
	t.Helper()
	s := &Site{t: t, klime: klimetest.NewServer(t)}
	config := s.klime.Config()
	config.Logger = slog.New(slog.NewTextHandler(complaints{t}, nil))
	client, err := klime.New(config)
	if err != nil {
		t.Fatal(err)
	}
	cookies, _ := cookiejar.New(nil) // cannot fail
	s.client, s.cookies = client, jar{cookies, t}
	s.browser = &http.Client{Jar: s.cookies, Timeout: timeout, Transport: &http.Transport{}}
	return s
}

// jar has cookies with Secure for http://127.0.0.1 too, as browsers do. Go's own does so
// from 1.26 on.
type jar struct {
	*cookiejar.Jar

	t *testing.T
}

// SetCookies implements http.CookieJar. A recipe's cookies are for its own pages alone:
// not for scripts, and not for requests that other sites make.
func (j jar) SetCookies(u *url.URL, cookies []*http.Cookie) {
	for _, c := range cookies {
		if !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" {
			j.t.Errorf("cookie %s", c)
		}
	}
	j.Jar.SetCookies(u, cookies)
}

// Cookies implements http.CookieJar.
func (j jar) Cookies(u *url.URL) []*http.Cookie {
	secure := *u
	secure.Scheme = "https"
	return j.Jar.Cookies(&secure)
}

// Change changes a request before it is made.
type Change func(*http.Request)

// Bearer adds a token.
func Bearer(token string) Change { return Header("Authorization", "Bearer "+token) }

// Basic adds a name and a password.
func Basic(name, password string) Change {
	return func(r *http.Request) { r.SetBasicAuth(name, password) }
}

// Header adds a header.
func Header(name, value string) Change {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// Host sets the Host header, which may differ from the host that is connected to.
func Host(host string) Change { return func(r *http.Request) { r.Host = host } }

// Form adds a form.
func Form(values url.Values) Change {
	return func(r *http.Request) {
		body := values.Encode()
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
}

// Password adds the form with which a user signs in.
func Password(email, password string) Change {
	return Form(url.Values{"email": {email}, "password": {password}})
}

// Visit makes a request, and fails the test if the answer has another status.
func (s *Site) Visit(method, path string, want int, changes ...Change) []byte {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.URL+path, http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, change := range changes {
		change(r)
	}
	answer, err := s.browser.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if answer.StatusCode != want {
		s.t.Errorf("%s %s: status %d, want %d: %s", method, path, answer.StatusCode, want, body)
	}
	return body
}

// SignIn signs a user in with the form of a recipe that has sessions.
func (s *Site) SignIn(email string) {
	s.t.Helper()
	s.Visit(http.MethodPost, "/login", http.StatusNoContent, Password(email, accounts.Password))
}

// SetCookie changes a cookie in the browser.
func (s *Site) SetCookie(name, value string) {
	site, _ := url.Parse(s.URL)                                 // a listener's URL is valid
	cookie := &http.Cookie{Name: name, Value: value, Path: "/"} //nolint:gosec // a browser has no more than this
	s.cookies.Jar.SetCookies(site, []*http.Cookie{cookie})
}

// Cookies returns the cookies in the browser.
func (s *Site) Cookies() []*http.Cookie {
	site, _ := url.Parse(s.URL) // a listener's URL is valid
	return s.cookies.Cookies(site)
}

// WantNewCookies checks that the browser had cookies, and that all of them have changed: who has
// seen the cookie of a session cannot do what the session may do later.
func (s *Site) WantNewCookies(before []*http.Cookie) {
	s.t.Helper()
	if len(before) == 0 {
		s.t.Error("no cookies before")
	}
	for _, old := range before {
		if slices.ContainsFunc(s.Cookies(), func(c *http.Cookie) bool { return c.Name == old.Name && c.Value == old.Value }) {
			s.t.Errorf("the cookie %s is still the same", old.Name)
		}
	}
}

// WantTold ends the recipe and checks what Klime was told: the events in their order, a
// line each (see [line]).
func (s *Site) WantTold(want ...string) {
	s.t.Helper()
	s.stop()
	if err := s.client.Shutdown(context.Background()); err != nil {
		s.t.Error(err)
	}
	events := s.klime.Events()
	told := make([]string, len(events))
	for i, e := range events {
		told[i] = line(e)
	}
	if !slices.Equal(told, want) {
		s.t.Errorf("Klime was told:\n\t%s\nwant:\n\t%s", strings.Join(told, "\n\t"), strings.Join(want, "\n\t"))
	}
	if n := s.klime.Rejected() + s.klime.Repeated(); n > 0 {
		s.t.Errorf("%d events rejected or repeated", n)
	}
}

// line describes an event in words:
//
//	identify 1001 email=jane@acme.example name=Jane
//	group 0199a1c2… of 1001 name="Acme Robotics"
//	API Called by 1001 in 0199a1c2…: GET /reports 200
func line(e klime.Event) string {
	var b strings.Builder
	switch e.Type {
	case klime.IdentifyEvent:
		fmt.Fprintf(&b, "identify %s", e.UserID)
	case klime.GroupEvent:
		fmt.Fprintf(&b, "group %s", nameOf(e.GroupID))
		if e.UserID != "" {
			fmt.Fprintf(&b, " of %s", e.UserID)
		}
	case klime.TrackEvent:
		fmt.Fprintf(&b, "%s by %s in %s", e.Event, cmp.Or(e.UserID, "-"), cmp.Or(nameOf(e.GroupID), "-"))
		if method, ok := e.Properties["method"]; ok {
			fmt.Fprintf(&b, ": %s %s %v", method, e.Properties["route"], e.Properties["status"])
		}
	}
	for _, trait := range slices.Sorted(maps.Keys(e.Traits)) {
		fmt.Fprintf(&b, " %s=%v", trait, e.Traits[trait])
	}
	return b.String()
}

// nameOf makes the IDs of the accounts readable.
func nameOf(id string) string {
	for _, org := range []accounts.Org{accounts.Acme(), accounts.Cobalt(), accounts.Harbor()} {
		if id == org.ID.String() {
			return org.Slug
		}
	}
	return id
}

// complaints is a log that must stay empty.
type complaints struct{ t *testing.T }

func (c complaints) Write(p []byte) (int, error) {
	c.t.Errorf("log: %s", p)
	return len(p), nil
}
