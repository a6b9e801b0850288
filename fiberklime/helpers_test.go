package fiberklime_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/fiberklime"
	"github.com/klimeapp/klime-go/klimetest"
)

// site is an app that is being served.
type site struct {
	t      *testing.T
	fake   *klimetest.Server
	client *klime.Client
	url    string
	stop   func()
}

// serve serves the app that build makes. Ours is our middleware, to which every user
// is jane.
func serve(t *testing.T, config fiber.Config, build func(app *fiber.App, ours fiber.Handler)) *site {
	t.Helper()
	fake := klimetest.NewServer(t)
	config.DisableStartupMessage = true
	app := fiber.New(config)
	client := fake.Client()
	build(app, fiberklime.Middleware(client, fiberklime.UserID(func(*fiber.Ctx) string { return "jane" })))
	url, stop := listen(t, app)
	return &site{t, fake, client, url, stop}
}

// answer is what a client sees.
type answer struct {
	status int
	header http.Header
	body   string // as it comes over the wire
}

// do makes a request such as "GET /path", with headers in pairs.
func (s *site) do(request string, headers ...string) answer {
	s.t.Helper()
	method, path, _ := strings.Cut(request, " ")
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Errorf("%s: %v", request, err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

// events stops the site and returns its events, which must be n.
func (s *site) events(n int) []klime.Event {
	s.t.Helper()
	s.stop()
	if err := s.client.Flush(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	events := s.fake.Events()
	if len(events) != n {
		s.t.Fatalf("%d events, want %d: %+v", len(events), n, events)
	}
	return events
}

// brief is an event's status and route, such as "200 /things/{id}".
func brief(e *klime.Event) string {
	route, ok := e.Properties["route"]
	if !ok {
		route = "-"
	}
	return fmt.Sprint(e.Properties["status"], " ", route)
}

func sends(status int) fiber.Handler {
	return func(c *fiber.Ctx) error { return c.SendStatus(status) }
}

func passes(c *fiber.Ctx) error { return c.Next() }
