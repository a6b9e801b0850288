package conformance

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
)

// testNilClient: without a client the app is as it was.
func testNilClient(t *testing.T, a Adapter) {
	t.Helper()
	t.Parallel()
	url, stop := a.Start(t, App{
		UserID: jane,
		Link:   func(Request) (klime.User, []klime.Group) { return klime.User{ID: "jane"}, []klime.Group{{ID: "acme"}} },
		Routes: []Route{{Path: "/orgs/{org}", Event: "Seen", Handler: func(r Request) {
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
		}}},
	})
	defer stop()
	if status, body := do(t, url, get("/orgs/acme")); status != http.StatusOK || body != "acme" {
		t.Errorf("answer %d %q", status, body)
	}
}

// alien is the request of a framework that no adapter knows.
type alien struct{}

// testForeignOption: an option of another framework's package finds nothing,
// breaks nothing, and is named in the log once.
func testForeignOption(t *testing.T, a Adapter) {
	t.Helper()
	t.Parallel()
	server := klimetest.NewServer(t)
	config := server.Config()
	var log bytes.Buffer
	config.Logger = slog.New(slog.NewTextHandler(&log, nil))
	client, err := klime.New(config)
	if err != nil {
		t.Fatal(err)
	}
	url, stop := a.Start(t, App{
		Client:  client,
		Options: []klime.Option{klime.ResolveUser(klime.Native(func(alien) string { return "eve" }))},
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
