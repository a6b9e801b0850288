package adaptertest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
)

// tap is a transport that keeps what is sent through it.
type tap struct {
	next http.RoundTripper

	mu   sync.Mutex
	sent bytes.Buffer
}

func (w *tap) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.sent.Write(body)
	w.mu.Unlock()
	r.Body = io.NopCloser(bytes.NewReader(body))
	return w.next.RoundTrip(r)
}

// testPrintedContext: as those of the standard library, a request's context is printed by
// its name, without what is known of the request.
func testPrintedContext(t *testing.T, a Adapter) {
	var printed []string
	app := a.record(t, App{Routes: []Route{{Path: "/reports", Handler: func(r Request) {
		klime.SetUser(r.Context(), "jane")
		ctx := r.Detached() // not a whole *gin.Context, nor a fiber.Ctx
		if _, request := r.HTTP(); request != nil {
			ctx = request.Context()
		}
		derived, cancel := context.WithCancel(ctx)
		defer cancel()
		printed = []string{fmt.Sprintf("%v", ctx), fmt.Sprintf("%+v", ctx), fmt.Sprint(derived)}
		r.Reply(http.StatusOK, appJSON, "{}")
	}}}})
	do(t, app.url, get("/reports"))
	app.stop()
	if want := []string{"klime.Scope", "klime.Scope", "klime.Scope.WithCancel"}; !slices.Equal(printed, want) {
		t.Errorf("printed as %.300s", printed)
	}
}

// testNothingLeaks: a request has a secret in every place that has room for one, and
// the app has stored another under the usual keys. No secret is sent or logged.
func testNothingLeaks(t *testing.T, a Adapter) {
	const secret = "hunter2"
	server := klimetest.NewServer(t)
	transport := newTransport()
	defer transport.CloseIdleConnections()
	wire, log := &tap{next: transport}, &bytes.Buffer{}
	config := server.Config()
	config.HTTPClient = &http.Client{Transport: wire}
	config.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	client, err := klime.New(config)
	if err != nil {
		t.Fatal(err)
	}
	handler := func(r Request) {
		ctx := r.Context()
		traits := klime.Traits{"name": "Jane", "password": secret, "apiKey": secret, "ssn": secret}
		klime.Link(ctx, klime.User{ID: "jane", Traits: traits}, klime.Group{ID: "acme", Traits: klime.Traits{"accessToken": secret}})
		klime.SetProperty(ctx, "login", map[string]any{"Password": secret, "card_number": secret})
		klime.SetProperty(ctx, "Authorization", secret)
		klime.SetProperty(ctx, "cookies", []string{secret})
		_, _ = io.Copy(io.Discard, r.Body())
		if r.Header("X-Panic") != "" {
			panic(secret)
		}
		r.Reply(http.StatusOK, appJSON, `{"token":"`+secret+`"}`)
	}
	recovery := func(r Request, next func(Request)) {
		defer func() {
			if recover() != nil {
				r.Reply(http.StatusInternalServerError, appJSON, `{"error":"`+secret+`"}`)
			}
		}()
		next(r)
	}
	url, stop := a.start(t, App{
		Client: client, Outside: []Middleware{recovery},
		UserID: func(r Request) any {
			if r.Header("X-Panic") != "" {
				panic(secret)
			}
			return "jane"
		},
		Routes: []Route{
			{Method: http.MethodPost, Path: "/reset/{token}", Handler: handler},
			{Path: "/reset/{token}", Handler: handler},
		},
	})
	header := http.Header{
		"Authorization": {"Bearer " + secret}, "Proxy-Authorization": {"Basic " + secret}, "Cookie": {"session=" + secret},
		"X-Api-Key": {secret}, "X-Csrf-Token": {secret}, "Referer": {"https://u:" + secret + "@app.example/" + secret + "?t=" + secret},
		"User-Agent": {secret}, "X-Forwarded-For": {secret}, "Accept": {secret}, "Content-Type": {"text/" + secret},
		"Origin":      {"https://" + secret},
		"Traceparent": {secret}, "Baggage": {"a=" + secret}, "Accept-Language": {secret}, "Etag": {secret}, "If-None-Match": {secret},
	}
	panics := header.Clone()
	panics.Set("X-Panic", "1")
	query := "?password=" + secret + "&" + secret + "=1#" + secret
	for _, c := range []call{
		{method: http.MethodPost, path: "/reset/" + secret + query, header: header, body: "password=" + secret},
		{path: "/reset/" + secret + query, header: header},
		{method: http.MethodPost, path: "/reset/" + secret + query, header: panics, body: secret},
		{path: "/" + secret + query, header: header}, // a path without a route
		{method: http.MethodPatch, path: "/reset/" + secret, header: header, body: secret},
	} {
		do(t, url, c)
	}
	stop()
	if err := client.Shutdown(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	if n := len(server.Events()); n != 5 { // identify, group, and the requests that have a route
		t.Errorf("%d events", n)
	}
	for place, text := range map[string]string{"sent": wire.sent.String(), "logged": log.String()} {
		if at := strings.Index(text, secret); at >= 0 {
			t.Errorf("%s: …%s…", place, text[max(0, at-100):min(len(text), at+50)])
		}
		if strings.Contains(text, "192.0.2.") || strings.Contains(text, "127.0.0.1") {
			t.Errorf("an address is %s", place)
		}
	}
	if !strings.Contains(wire.sent.String(), "[redacted]") {
		t.Error("nothing is redacted")
	}
}

// testCapture: what the app asks for is recorded, without the parts that may hold a
// secret.
func testCapture(t *testing.T, a Adapter) {
	app := a.record(t, App{
		UserID: jane, Options: []klime.Option{klime.Capture(klime.IP, klime.UserAgent, klime.Path, klime.Referrer)},
		Routes: []Route{{Path: "/orgs/{org}", Handler: reply(http.StatusOK, appJSON, `{}`)}},
	})
	header := http.Header{"User-Agent": {"curl/8"}, "Referer": {"https://u:p@app.example/a?b=c#d"}}
	do(t, app.url, call{path: "/orgs/acme?q=1", header: header})
	host, err := url.Parse(app.url)
	if err != nil {
		t.Fatal(err)
	}
	app.expect(`API Called by jane: GET /orgs/{org} 200, 0 in, 2 out, path="/orgs/acme", referrer="https://app.example/a", ` +
		`context={"ip":"` + host.Hostname() + `","userAgent":"curl/8"}`)
}

// testOptOut: nothing is sent from a request whose client does not want to be tracked,
// if the app honours that.
func testOptOut(t *testing.T, a Adapter) {
	app := a.record(t, App{
		UserID: jane, Options: []klime.Option{klime.HonorOptOut()},
		Routes: []Route{{Path: "/", Handler: func(r Request) {
			klime.Track(r.Context(), "Done", nil)
			r.Reply(http.StatusOK, appJSON, `{}`)
		}}},
	})
	for _, name := range []string{"Sec-Gpc", "Dnt"} {
		if status, _ := do(t, app.url, call{path: "/", header: http.Header{name: {"1"}}}); status != http.StatusOK {
			t.Errorf("status %d", status)
		}
	}
	app.expect()
}

// testOptOutOfTwoClients: the option holds for its own client, and for one that has no
// middleware, but not for another one's middleware further in.
func testOptOutOfTwoClients(t *testing.T, a Adapter) {
	outer, inner, none := klimetest.NewServer(t), klimetest.NewServer(t), klimetest.NewServer(t)
	outerClient, innerClient, client := outer.Client(), inner.Client(), none.Client()
	url, stop := a.start(t, App{
		Client: outerClient, UserID: jane, Options: []klime.Option{klime.HonorOptOut()},
		ClientInside: innerClient, UserIDInside: jane,
		Routes: []Route{{Path: "/", Handler: func(r Request) {
			for _, c := range []*klime.Client{outerClient, innerClient, client} {
				if err := c.Track(r.Context(), "Done", nil, klime.ForUser("jane")); err != nil {
					t.Error(err)
				}
			}
			r.Reply(http.StatusOK, "image/png", "")
		}}},
	})
	do(t, url, call{path: "/", header: http.Header{"Sec-Gpc": {"1"}}})
	stop()
	compare(t, outer, outerClient, nil)
	compare(t, inner, innerClient, []string{"Done by jane"})
	compare(t, none, client, nil)
}

// testTraceparent: events name the trace that the request came with, if there is no
// better one.
func testTraceparent(t *testing.T, a Adapter) {
	app := a.record(t, App{
		UserID: jane, Routes: []Route{{Path: "/", Handler: reply(http.StatusOK, appJSON, `{}`)}},
	})
	do(t, app.url, call{path: "/", header: http.Header{"Traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}})
	app.expect(`API Called by jane: GET / 200, 0 in, 2 out, ` +
		`context={"trace":{"remote":true,"sampled":true,"spanId":"b7ad6b7169203331","traceId":"0af7651916cd43dd8448eb211c80319c"}}`)
}
