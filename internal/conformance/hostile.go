package conformance

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
)

// testHostileRequests: whatever is asked, nothing panics, and what is sent to
// Klime is valid.
func testHostileRequests(t *testing.T, a Adapter) {
	t.Helper()
	t.Parallel()
	server := klimetest.NewServer(t)
	client := server.Client()
	url, stop := a.Start(t, App{
		Client:  client,
		UserID:  func(r Request) any { return r.Header("X-User") },
		GroupID: func(r Request) any { return r.Param("org") },
		Routes: []Route{{Path: "/orgs/{org}", Handler: func(r Request) {
			klime.SetProperty(r.Context(), r.Param("org"), r.Param("org"))
			r.Reply(http.StatusOK, textPlain, "")
		}}},
	})
	addr := strings.TrimPrefix(url, "http://")
	for _, request := range []string{
		"GET /%zz HTTP/1.1\r\nHost: app\r\nX-User: jane\r\n\r\n",
		"GET /orgs/%00 HTTP/1.1\r\nHost: app\r\nX-User: jane\r\n\r\n",
		"GET /orgs/%ff%fe HTTP/1.1\r\nHost: app\r\nX-User: ja\xff\xfene\r\n\r\n",
		"GET /orgs/\xff HTTP/1.1\r\nHost: app\r\nX-User: jane\r\n\r\n",
		"GET /orgs/" + strings.Repeat("x", 3000) + " HTTP/1.1\r\nHost: app\r\nX-User: jane\r\n\r\n",
		"GET /orgs/" + strings.Repeat("x", 100_000) + " HTTP/1.1\r\nHost: app\r\nX-User: jane\r\n\r\n",
		"GET /orgs/a HTTP/1.1\r\nHost: app\r\nX-User: " + strings.Repeat("u", 1<<20) + "\r\n\r\n",
		"BREW /orgs/a HTTP/1.1\r\nHost: app\r\nX-User: jane\r\n\r\n",
		"GET //orgs//a HTTP/1.1\r\nHost: app\r\nX-User: jane\r\n\r\n",
		"GET /orgs/%F0%9F%92%A9?%zz=%zz HTTP/1.1\r\nHost: app\r\nX-User: \"}],\r\n\r\n",
	} {
		conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = io.WriteString(conn, request) }() // the answer may come before all is read
		if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
			if resp.StatusCode >= 500 && resp.StatusCode != http.StatusNotImplemented {
				t.Errorf("%.40q: status %d", request, resp.StatusCode)
			}
			resp.Body.Close()
		}
		conn.Close()
	}
	if status, _ := do(t, url, call{path: "/orgs/a", header: http.Header{"X-User": {"jane"}}}); status != http.StatusOK {
		t.Errorf("afterwards: status %d", status)
	}
	stop()
	if err := client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	events := server.Events()
	if n := server.Rejected(); n != 0 || len(events) < 3 {
		t.Errorf("%d events, %d rejected", len(events), n)
	}
	for _, e := range events {
		if route := e.Properties["route"]; route != "/orgs/{org}" {
			t.Errorf("route %v", route)
		}
		if !utf8.ValidString(e.UserID + e.GroupID) {
			t.Errorf("user %q, group %q", e.UserID, e.GroupID)
		}
	}
}
