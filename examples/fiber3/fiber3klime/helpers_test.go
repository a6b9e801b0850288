package fiber3klime_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v3"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/examples/fiber3/fiber3klime"
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

// jane is every user.
func jane() klime.Option { return fiber3klime.UserID(func(fiber.Ctx) string { return "jane" }) }

// serve serves app once build has made it. Ours is our middleware.
func serve(t *testing.T, app *fiber.App, build func(app *fiber.App, ours fiber.Handler), opts ...klime.Option) *site {
	t.Helper()
	fake := klimetest.NewServer(t)
	client := fake.Client()
	build(app, fiber3klime.Middleware(client, append([]klime.Option{jane()}, opts...)...))
	url, stop := listen(t, app)
	return &site{t, fake, client, url, stop}
}

// answer is what a client sees.
type answer struct {
	status int
	header http.Header
	body   string
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
		req.Header[headers[i]] = []string{headers[i+1]} // as it is spelled
	}
	return s.send(req)
}

func (s *site) send(req *http.Request) answer {
	s.t.Helper()
	resp, err := (&http.Transport{DisableKeepAlives: true, DisableCompression: true}).RoundTrip(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Error(err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

// events stops the site and returns its events.
func (s *site) events() []klime.Event {
	s.t.Helper()
	s.stop()
	if err := s.client.Flush(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	return s.fake.Events()
}

// want stops the site and compares its events, as brief tells them.
func (s *site) want(want ...string) {
	s.t.Helper()
	var got []string
	for _, e := range s.events() {
		got = append(got, brief(&e))
	}
	if !slices.Equal(got, want) {
		s.t.Errorf("recorded\n got %q\nwant %q", got, want)
	}
}

// brief is an event's status and route, such as "200 /things/{id}", or the name and user
// of an event that the app has tracked.
func brief(e *klime.Event) string {
	status, ok := e.Properties["status"]
	if !ok && e.Properties["method"] == nil {
		return e.Event + " by " + e.UserID
	}
	route, ok := e.Properties["route"]
	if !ok {
		route = "-"
	}
	return fmt.Sprint(status, " ", route)
}

func sends(status int) fiber.Handler {
	return func(c fiber.Ctx) error { return c.SendStatus(status) }
}

func passes(c fiber.Ctx) error { return c.Next() }
