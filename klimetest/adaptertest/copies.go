package adaptertest

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/klimeapp/klime-go/klimetest"
)

// testCopies: if a handler copies from a reader, the client is sent the same bytes as
// without us, chunks included. Net/http has a special way to copy (io.ReaderFrom).
func testCopies(t *testing.T, a Adapter) {
	server := klimetest.NewServer(t)
	client := server.Client()
	without := copiesOf(t, a, App{Bare: true})
	with := copiesOf(t, a, App{Client: client, UserID: jane})
	for request, want := range without {
		if got := with[request]; got != want {
			t.Errorf("%s\nwithout us %d bytes %.160q\n   with us %d bytes %.160q", request, len(want), want, len(got), got)
		}
	}
	events := flushed(t, server, client)
	if len(events) != len(with) {
		t.Errorf("%d events, want %d", len(events), len(with))
	}
	for _, e := range events {
		if e.Event != "Page Viewed" {
			t.Errorf("%s, want a page", describe(t, e))
		}
	}
}

// copiesOf is what a client is sent, by request.
func copiesOf(t *testing.T, a Adapter, app App) map[string]string {
	t.Helper()
	const small = 100
	pages := map[string]string{}
	for _, size := range []int{len(aPage), 511, 512, 513, 600, 5000, 100_000} {
		pages[strconv.Itoa(size)] = (aPage + strings.Repeat("x", size))[:size]
	}
	add := func(path string, handler func(w http.ResponseWriter, page string)) {
		app.Routes = append(app.Routes, Route{Path: path + "/{size}", Handler: func(r Request) {
			w, _ := r.HTTP()
			handler(w, pages[r.Param("size")])
		}})
	}
	add("/reader", func(w http.ResponseWriter, page string) { _, _ = io.Copy(w, onlyReads{strings.NewReader(page)}) })
	add("/writer/to", func(w http.ResponseWriter, page string) {
		if into, ok := w.(io.ReaderFrom); ok {
			_, _ = into.ReadFrom(strings.NewReader(page))
			return
		}
		_, _ = io.Copy(w, strings.NewReader(page))
	})
	add("/after/text", func(w http.ResponseWriter, page string) {
		_, _ = io.WriteString(w, page[:small/10])
		_, _ = io.Copy(w, onlyReads{strings.NewReader(page[small/10:])})
	})
	add("/twice", func(w http.ResponseWriter, page string) {
		_, _ = io.Copy(w, onlyReads{strings.NewReader(page)})
		_, _ = io.Copy(w, onlyReads{strings.NewReader(page)})
	})
	add("/length", func(w http.ResponseWriter, page string) {
		w.Header().Set("Content-Length", strconv.Itoa(len(page)))
		if n, err := io.Copy(w, onlyReads{strings.NewReader(page)}); err == nil && n != int64(len(page)) {
			t.Errorf("the handler is told that %d of %d bytes were copied", n, len(page))
		}
	})
	add("/too/long", func(w http.ResponseWriter, page string) {
		w.Header().Set("Content-Length", strconv.Itoa(len(page)-1))
		_, _ = io.Copy(w, onlyReads{strings.NewReader(page)})
	})
	url, stop := a.start(t, app)
	defer stop()
	date := regexp.MustCompile(`\r\nDate: [^\r]*`)
	copies := map[string]string{}
	for _, route := range app.Routes {
		for size := range pages {
			for _, version := range []string{"1.0", "1.1"} {
				request := strings.Replace(route.Path, "{size}", size, 1) + " HTTP/" + version
				conn := dial(t, url)
				_, _ = fmt.Fprintf(conn, "GET %s\r\nHost: app\r\nConnection: close\r\n\r\n", request)
				answer, err := io.ReadAll(conn)
				if overdue(err) {
					t.Fatalf("%s: the answer does not end: %v", request, err)
				}
				if err != nil {
					t.Errorf("%s: %v", request, err)
				}
				copies[request] = date.ReplaceAllString(string(answer), "")
				conn.Close()
			}
		}
	}
	return copies
}

// testCopiesBehindUnwrap: some routers copy to the first io.ReaderFrom that they find along
// Unwrap. What they copy is recorded like any other answer.
func testCopiesBehindUnwrap(t *testing.T, a Adapter) {
	a = a.behindUnwrap()
	if !givesServersWriter(t, a) {
		t.Skip("the framework has a writer of its own, and does not see either what is copied to one behind it")
	}
	page := aPage + strings.Repeat("x", copied)
	copyWith := func(key, value string) func(Request) {
		return func(r Request) {
			w, _ := r.HTTP()
			w.Header().Set(key, value)
			if n, err := copyBehindUnwrap(w, strings.NewReader(page)); n != int64(len(page)) || err != nil {
				t.Errorf("copied %d bytes of %d: %v", n, len(page), err)
			}
		}
	}
	app := a.record(t, App{UserID: jane, Routes: []Route{
		{Path: "/", Handler: copyWith("X-Type", "guessed")},
		{Path: "/type", Handler: copyWith("Content-Type", textPlain)},
		{Path: "/length", Handler: copyWith("Content-Length", strconv.Itoa(len(page)))},
	}})
	for _, path := range []string{"/", "/type", "/length"} {
		if status, body := do(t, app.url, get(path)); status != http.StatusOK || body != page {
			t.Errorf("%s: status %d, %d bytes, want %d", path, status, len(body), len(page))
		}
	}
	out := fmt.Sprintf(" 200, 0 in, %d out", len(page))
	app.expect("Page Viewed by jane: GET /"+out, "API Called by jane: GET /type"+out, "Page Viewed by jane: GET /length"+out)
}

// givesServersWriter reports whether, without us, a handler of the framework gets the server's own
// writer.
func givesServersWriter(t *testing.T, a Adapter) bool {
	t.Helper()
	passed := false
	url, stop := a.start(t, App{Bare: true, Routes: []Route{{Path: "/", Handler: func(r Request) {
		w, _ := r.HTTP()
		_, passed = w.(onlyUnwraps)
	}}}})
	do(t, url, get("/"))
	stop()
	return passed
}

// copyBehindUnwrap copies src to the first io.ReaderFrom along the Unwrap of w, else to w.
func copyBehindUnwrap(w http.ResponseWriter, src io.Reader) (int64, error) {
	for at := w; ; {
		switch next := at.(type) {
		case io.ReaderFrom:
			return next.ReadFrom(src)
		case interface{ Unwrap() http.ResponseWriter }:
			at = next.Unwrap()
		default:
			return io.Copy(w, src)
		}
	}
}

// onlyReads hides a reader's WriteTo, if it has one.
type onlyReads struct{ io.Reader }

// testSlowCopy: bytes that a handler has copied are not held back while the source
// pauses.
func testSlowCopy(t *testing.T, a Adapter) {
	const atOnce, more = 512, 200       // net/http may wait for 512 bytes, to guess the content type
	received := make(chan struct{}, 10) // more than the test sends
	copySlowly := func(declare func(http.Header)) func(Request) {
		return func(r Request) {
			w, _ := r.HTTP()
			declare(w.Header())
			if _, ok := w.(io.ReaderFrom); !ok { // Gin's writer buffers a copy like any other write
				received <- struct{}{}
			}
			source, sender := io.Pipe()
			go func() {
				_, _ = io.CopyN(sender, zeros{}, atOnce+more)
				hold(t, received)
				_ = sender.Close()
			}()
			_, _ = io.Copy(w, source)
			_ = source.Close()
		}
	}
	routes := []Route{
		{Path: "/", Handler: copySlowly(func(http.Header) {})},
		{Path: "/length", Handler: copySlowly(func(h http.Header) { h.Set("Content-Length", strconv.Itoa(atOnce+more)) })},
		{Path: "/type", Handler: copySlowly(func(h http.Header) { h.Set("Content-Type", textPlain) })},
	}
	app := a.record(t, App{UserID: jane, Routes: routes})
	for _, route := range routes {
		conn := dial(t, app.url)
		_, _ = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n", route.Path)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			overdue(err)
			t.Fatalf("%s: nothing came through: %v", route.Path, err)
		}
		if n, err := io.ReadFull(resp.Body, make([]byte, atOnce)); err != nil {
			overdue(err)
			t.Fatalf("%s: only %d bytes came through: %v", route.Path, n, err)
		}
		received <- struct{}{}
		if n, err := io.Copy(io.Discard, resp.Body); n != more || err != nil {
			t.Errorf("%s: then %d bytes, %v", route.Path, n, err)
		}
		resp.Body.Close()
		conn.Close()
	}
}
