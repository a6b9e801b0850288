package ginklime_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/ginklime"
	"github.com/klimeapp/klime-go/klimetest"
	"github.com/klimeapp/klime-go/nethttp"
)

// UseH2C puts h2c.NewHandler in front of the engine. Outside it, one request carries all
// requests of a connection. They need not be of the same user as that one, and only a
// Middleware inside records them. That one makes no event, whosever it is.
func TestInsideOfH2C(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		ask    func(t *testing.T, url string, users ...string)
		inside bool
		want   []string
	}{
		{"prior knowledge, around alone", overHTTP2, false, nil},
		{"prior knowledge", overHTTP2, true, []string{"Report Generated jane", "API Called jane", "Report Generated mary", "API Called mary"}},
		{"upgrade, around alone", upgraded, false, nil},
		{"upgrade", upgraded, true, []string{"Report Generated jane", "API Called jane", "Report Generated mary", "API Called mary"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := klimetest.NewServer(t)
			client := server.Client()
			engine := gin.New()
			engine.UseH2C = true
			if test.inside {
				engine.Use(ginklime.Middleware(client))
			}
			engine.POST("/report", func(c *gin.Context) {
				if ctx := c.Request.Context(); c.GetHeader("X-User") != "" {
					klime.SetUser(ctx, c.GetHeader("X-User"))
				}
				klime.Track(c.Request.Context(), "Report Generated", nil)
			})
			around := nethttp.Middleware(client, nethttp.UserID(func(*http.Request) string { return "eve" }))(engine.Handler())
			var served sync.WaitGroup // the server does not wait for a connection that was taken over
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				served.Add(1)
				defer served.Done()
				around.ServeHTTP(w, r)
			}))
			defer web.Close()
			test.ask(t, web.URL, "jane", "mary", "")
			web.Close()
			served.Wait()
			if err := client.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range server.Events() {
				got = append(got, e.Event+" "+e.UserID)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("events\n got %q\nwant %q", got, test.want)
			}
		})
	}
}

// If a client asks for h2c but nothing takes over the connection, nothing changes.
func TestH2CIsNotSpoken(t *testing.T) {
	t.Parallel()
	server := klimetest.NewServer(t)
	client := server.Client()
	engine := gin.New()
	engine.Use(ginklime.Middleware(client))
	engine.GET("/", func(c *gin.Context) {
		klime.SetUser(c.Request.Context(), "jane")
		klime.Track(c.Request.Context(), "Report Generated", nil)
	})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
	r.Header.Set("Connection", "Upgrade, HTTP2-Settings")
	r.Header.Set("Upgrade", "h2c")
	r.Header.Set("HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA")
	nethttp.Middleware(client)(engine).ServeHTTP(httptest.NewRecorder(), r)
	for _, e := range server.Wait(2) {
		if e.UserID != "jane" {
			t.Errorf("event %+v", e)
		}
	}
}

// overHTTP2 asks for a report for each user, on one connection.
func overHTTP2(t *testing.T, url string, users ...string) {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	for _, user := range users {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/report", http.NoBody)
		req.Header.Set("X-User", user)
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.ProtoMajor != 2 || resp.StatusCode != http.StatusOK {
			t.Errorf("answered by %s with %d", resp.Proto, resp.StatusCode)
		}
	}
}

// upgraded does the same as overHTTP2 on a connection that begins with HTTP/1.
func upgraded(t *testing.T, url string, users ...string) {
	t.Helper()
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = fmt.Fprintf(conn, "POST /report HTTP/1.1\r\nHost: app\r\nX-User: %s\r\nContent-Length: 0\r\n"+
		"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n", users[0])
	reader := bufio.NewReader(conn)
	resp, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	const settings, headers, endOfBoth = 4, 1, 5
	_, _ = io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+frame(settings, 0, 0, ""))
	for i, user := range users {
		id := byte(2*i + 1)
		if i > 0 { // the first request is the one that was upgraded
			block := "\x83\x86" + literal("\x04", "/report") + literal("\x01", "app") + literal("\x00", "x-user", user)
			_, _ = io.WriteString(conn, frame(headers, endOfBoth, id, block))
		}
		for { // until it is answered
			var head [9]byte
			if _, err := io.ReadFull(reader, head[:]); err != nil {
				t.Fatal(err)
			}
			_, _ = io.CopyN(io.Discard, reader, int64(head[1])<<8|int64(head[2]))
			if head[3] == headers && head[8] == id {
				break
			}
		}
	}
}

// frame is an HTTP/2 frame.
func frame(kind, flags, stream byte, payload string) string {
	return string([]byte{0, 0, byte(len(payload)), kind, flags, 0, 0, 0, stream}) + payload
}

// literal is an HTTP/2 header field in HPACK's literal form. Its name is an index into
// the static table, or, after a zero byte, the first of the texts.
func literal(name string, texts ...string) string {
	for _, text := range texts {
		name += string(rune(len(text))) + text
	}
	return name
}
