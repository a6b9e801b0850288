package adaptertest

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
)

// testHostileRequests: no request makes anything panic, and all that is sent to Klime
// is valid.
func testHostileRequests(t *testing.T, a Adapter) {
	app := a.record(t, App{
		UserID:  func(r Request) any { return r.Header("X-User") },
		GroupID: func(r Request) any { return r.Param("org") },
		Routes: []Route{{Path: "/orgs/{org}", Handler: func(r Request) {
			klime.SetProperty(r.Context(), r.Param("org"), r.Param("org"))
			r.Reply(http.StatusOK, textPlain, "")
		}}},
	})
	for _, request := range []string{
		"GET /%zz HTTP/1.1\r\nHost: app\r\nX-User: jane\r\n\r\n",
		"GET /orgs/%00 HTTP/1.1\r\nHost: app\r\nX-User: jane\r\n\r\n",
		"GET /orgs/%ff%fe HTTP/1.1\r\nHost: app\r\nX-User: ja\xff\xfene\r\n\r\n",
		"GET /orgs/\xff HTTP/1.1\r\nHost: app\r\nX-User: jane\r\n\r\n",
		"GET /orgs/" + strings.Repeat("x", 3000) + " HTTP/1.1\r\nHost: app\r\nX-User: jane\r\n\r\n",
		"GET /orgs/" + strings.Repeat("y", 10_000) + " HTTP/1.1\r\nHost: app\r\nX-User: jane\r\n\r\n",
		"GET /orgs/" + strings.Repeat("x", 100_000) + " HTTP/1.1\r\nHost: app\r\nX-User: jane\r\n\r\n",
		"GET /orgs/a HTTP/1.1\r\nHost: app\r\nX-User: " + strings.Repeat("u", 1<<20) + "\r\n\r\n",
		"BREW /orgs/a HTTP/1.1\r\nHost: app\r\nX-User: jane\r\n\r\n",
		"GET //orgs//a HTTP/1.1\r\nHost: app\r\nX-User: jane\r\n\r\n",
		"GET /orgs/%F0%9F%92%A9?%zz=%zz HTTP/1.1\r\nHost: app\r\nX-User: \"}],\r\n\r\n",
	} {
		conn := dial(t, app.url)
		go func() { _, _ = io.WriteString(conn, request) }() // the answer may come before the whole request is read
		if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
			if resp.StatusCode >= 500 && resp.StatusCode != http.StatusNotImplemented {
				t.Errorf("%.40q: status %d", request, resp.StatusCode)
			}
			resp.Body.Close()
		} else if overdue(err) {
			t.Fatalf("%.40q: no answer", request)
		}
		conn.Close()
	}
	if status, _ := do(t, app.url, call{path: "/orgs/a", header: http.Header{"X-User": {"jane"}}}); status != http.StatusOK {
		t.Errorf("afterwards: status %d", status)
	}
	events := app.events()
	if len(events) < 3 {
		t.Errorf("%d events", len(events))
	}
	long := false
	for _, e := range events {
		long = long || len(e.GroupID) == 10_000
		if route := e.Properties["route"]; route != "/orgs/{org}" {
			t.Errorf("route %v", route)
		}
		if !utf8.ValidString(e.UserID + e.GroupID) {
			t.Errorf("user %q, group %q", e.UserID, e.GroupID)
		}
	}
	if !long {
		t.Error("no event of the path of 10 KB, which the route takes")
	}
}

// testHugeIDs: an event that is too large because of its IDs is not recorded. The log
// says so, but does not contain the IDs. Other events are delivered.
func testHugeIDs(t *testing.T, a Adapter) {
	huge := strings.Repeat("x", 1<<20)
	server := klimetest.NewServer(t)
	client, log := logged(t, server)
	url, stop := a.start(t, App{
		Client:  client,
		UserID:  func(r Request) any { return strings.Repeat(r.Header("X-User"), 1<<20) },
		GroupID: func(r Request) any { return strings.Repeat(r.Header("X-Group"), 1<<20) },
		Routes: []Route{
			{Path: "/", Handler: func(Request) {}},
			{Path: "/said", Handler: func(r Request) {
				klime.SetUser(r.Context(), huge)
				klime.Link(r.Context(), klime.User{ID: huge, Traits: klime.Traits{"a": 1}}, klime.Group{ID: huge})
				klime.Track(r.Context(), "Done", nil, klime.InGroup(huge))
			}},
			{Path: "/fine", Handler: func(r Request) { klime.SetUser(r.Context(), "jane") }},
		},
	})
	for _, request := range []call{
		get("/fine"),
		{path: "/", header: http.Header{"X-User": {"x"}}},
		{path: "/", header: http.Header{"X-User": {"x"}, "X-Group": {"x"}}},
		get("/said"),
		get("/fine"),
	} {
		if status, _ := do(t, url, request); status != http.StatusOK {
			t.Errorf("%s: status %d", request.path, status)
		}
	}
	stop()
	fine := seen(http.MethodGet, "/fine", answer{status: http.StatusOK})
	compare(t, server, client, []string{fine, fine})
	if err := client.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if text := log.String(); !strings.Contains(text, klime.ErrEventTooLarge.Error()) || strings.Contains(text, "xxxx") {
		t.Errorf("log %.500s", text)
	}
}
