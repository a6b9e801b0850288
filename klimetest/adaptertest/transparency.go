package adaptertest

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
)

// testTransparency: with a nil client, or one that is shut down, the app behaves as it
// does without our middleware.
func testTransparency(t *testing.T, a Adapter) {
	server := klimetest.NewServer(t)
	closed := server.Client()
	if err := closed.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	bare, bareWriter := observe(t, a, App{Bare: true})
	without, writer := observe(t, a, App{})
	if !slices.Equal(bare, without) || writer != bareWriter {
		t.Errorf("without a client: %q\nof us: %q\nwriters %s, %s", without, bare, writer, bareWriter)
	}
	if with, _ := observe(t, a, App{Client: closed}); !slices.Equal(bare, with) {
		t.Errorf("with a client that is shut down: %q\nwithout us: %q", with, bare)
	}
	if n := len(server.Events()); n != 0 {
		t.Errorf("%d events", n)
	}
}

// observe notes what clients and handlers of an app see, and the type of the handlers'
// http.ResponseWriter.
func observe(t *testing.T, a Adapter, app App) (notes []string, writer string) {
	t.Helper()
	var mu sync.Mutex
	note := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		notes = append(notes, fmt.Sprintf(format, args...))
	}
	app.UserID = jane
	app.Link = func(Request) (klime.User, []klime.Group) { return klime.User{ID: "jane"}, []klime.Group{{ID: "acme"}} }
	app.Outside = []Middleware{func(r Request, next func(Request)) {
		defer func() {
			if v := recover(); v != nil {
				note("panic %v", v)
				r.Reply(http.StatusTeapot, textPlain, "caught")
			}
		}()
		next(r)
	}}
	app.Routes = []Route{
		{Path: "/orgs/{org}", Event: "Seen", Handler: func(r Request) {
			ctx := r.Context()
			klime.SetUser(ctx, "mary")
			klime.SetGroup(ctx, "acme")
			klime.SetEvent(ctx, "Named")
			klime.SetProperty(ctx, "a", 1)
			klime.Track(ctx, "Done", nil)
			klime.Link(ctx, klime.User{ID: "mary"})
			klime.Skip(ctx)
			klime.Silence(ctx)
			r.Reply(http.StatusOK, textPlain, r.Param("org"))
		}},
		{Path: "/panic", Skip: true, Handler: func(Request) { panic("a panic") }},
		{Path: "/stream", Handler: func(r Request) {
			streamTo(r, "text/event-stream", func(w StreamWriter) {
				_, _ = io.WriteString(w, "data: 1\n\n")
				note("flushed: %v", w.Flush())
				_, _ = io.WriteString(w, "data: 2\n\n")
			})
		}},
		{Method: http.MethodPost, Path: "/echo", Handler: func(r Request) {
			body, err := io.ReadAll(r.Body())
			note("body %q, %v", body, err)
			r.Reply(http.StatusCreated, textPlain, string(body))
		}},
		{Path: "/upgrade", Handler: func(r Request) {
			w, _ := r.HTTP()
			writer = fmt.Sprintf("%T", w)
			note("writer %v", interfacesOf(w))
			upgrade(t, r)
		}},
	}
	url, stop := a.start(t, app)
	for _, request := range []call{
		get("/orgs/acme"), get("/panic"), get("/stream"), get("/nowhere"), {method: http.MethodPost, path: "/echo", body: "hello"},
	} {
		got := ask(t, url, request)
		got.header.Del("Date")
		note("%s: %d %q %v", request.path, got.status, got.body, got.header)
	}
	if !a.OwnServer {
		checkUpgrade(t, url)
	}
	stop()
	return notes, writer
}

// alien is the request of a framework that no adapter knows.
type alien struct{}

// testForeignOption: an option of another framework's adapter finds nothing and breaks
// nothing. The log mentions it once.
func testForeignOption(t *testing.T, a Adapter) {
	server := klimetest.NewServer(t)
	client, log := logged(t, server)
	url, stop := a.start(t, App{
		Client:  client,
		Options: []klime.Option{klime.UserFrom(func(alien) string { return "eve" })},
		Routes:  []Route{{Path: "/", Handler: reply(http.StatusOK, textPlain, "fine")}},
	})
	for range 3 {
		if status, body := do(t, url, get("/")); status != http.StatusOK || body != "fine" {
			t.Errorf("answer %d %q", status, body)
		}
	}
	stop()
	if err := client.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if n := len(server.Events()); n != 0 {
		t.Errorf("%d events", n)
	}
	if n := strings.Count(log.String(), "of another framework"); n != 1 {
		t.Errorf("%d hints: %s", n, log.String())
	}
}
