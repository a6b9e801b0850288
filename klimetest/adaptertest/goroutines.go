package adaptertest

import (
	"bytes"
	"context"
	"net/http"
	"runtime/pprof"
	"strconv"
	"strings"
	"testing"
	"time"
)

// testGoroutines: no request leaves a goroutine behind, or the app would run out of
// memory.
func testGoroutines(t *testing.T, a Adapter) {
	const key = "conformance" // of the label that a goroutine hands on to those that it starts
	recovery := func(r Request, next func(Request)) {
		defer func() {
			if recover() != nil {
				r.Reply(http.StatusInternalServerError, textPlain, "caught")
			}
		}()
		next(r)
	}
	var app *recording
	pprof.Do(t.Context(), pprof.Labels(key, t.Name()), func(context.Context) {
		app = a.record(t, App{
			UserID: jane, GroupID: func(Request) any { return "acme" }, Outside: []Middleware{recovery},
			Routes: []Route{
				{Path: "/", Handler: func(r Request) { r.Reply(http.StatusOK, textPlain, "") }},
				{Path: "/panic", Handler: func(Request) { panic("a panic") }},
			},
		})
	})
	const each = 10
	for range each {
		do(t, app.url, get("/"))
		do(t, app.url, get("/panic"))
	}
	app.stop()
	if err := app.client.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(app.server.Events()); n != 2*each {
		t.Fatalf("%d events of %d requests", n, 2*each)
	}
	var left string
	for end := time.Now().Add(patience()); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if left = alike(key, t.Name(), each); left == "" {
			return
		}
	}
	missed.Store(true)
	t.Errorf("after %d requests, when server and client have ended, these goroutines are left:\n%s", 2*each, left)
}

// alike returns the stacks that at least a number of goroutines with a label have in
// common, "" if there are none. What has one such goroutine for all requests is a
// framework's own.
func alike(key, value string, number int) string {
	var profile, stacks bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&profile, 1) // a Buffer takes everything
	for stack := range strings.SplitSeq(profile.String(), "\n\n") {
		count, _, _ := strings.Cut(stack, " @ ")
		n, _ := strconv.Atoi(count)
		if n >= number && strings.Contains(stack, strconv.Quote(key)+":"+strconv.Quote(value)) {
			stacks.WriteString(stack + "\n\n")
		}
	}
	return strings.TrimSpace(stacks.String())
}
