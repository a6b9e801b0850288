package klime_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"testing"

	klime "github.com/klimeapp/klime-go/core"
)

// However long names are, lines and what is remembered of them stay short.
func TestExplainLongNames(t *testing.T) {
	var log *syncBuffer
	client, _ := newClient(t, func(cfg *klime.Config) { log = logFrom(cfg, slog.LevelDebug) })
	tracker := klime.NewTracker(client)
	long := strings.Repeat("n", 100_000)
	heap := func() int {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	before := heap()
	for i := range 200 {
		name := fmt.Sprint(i, long)
		traffic{tracker: tracker}.serve(func(ctx context.Context) {
			klime.SetEvent(ctx, name)
			klime.Track(ctx, name, nil)
		})
	}
	if grown := heap() - before; grown > 10<<20 {
		t.Errorf("%d bytes kept", grown)
	}
	if n, lines := len(log.String()), strings.Count(log.String(), "\n"); n > 500*lines || lines < 200 {
		t.Errorf("%d bytes of log in %d lines", n, lines)
	}
	runtime.KeepAlive(client)
}

// At debug level the log says of each request what it was, whose, under which name,
// and why nothing was sent.
func TestExplainRequests(t *testing.T) {
	t.Parallel()
	jane := func(ctx context.Context) { klime.SetUser(ctx, "jane-secret-id") }
	several := func(ctx context.Context) {
		klime.Link(ctx, klime.User{ID: "jane-secret-id"}, klime.Group{ID: "g1"}, klime.Group{ID: "g2"})
	}
	tests := []struct {
		name    string
		x       klime.Exchange
		opts    []klime.Option
		handler func(context.Context)
		want    []string
	}{
		{"an API call", klime.Exchange{}, nil, jane, []string{
			`method=POST route=/reports answer=2xx kind="API call" event="API Called" user="by SetUser, SetGroup or Link" group="not known" outcome=queued`,
		}},
		{
			"by an option", klime.Exchange{}, []klime.Option{asUser("jane-secret-id")}, nil,
			[]string{`user="by an option or a context value"`, "outcome=queued"},
		},
		{
			"the user by the app, the group by an option", klime.Exchange{}, []klime.Option{klime.ResolveGroup(answerWith("acme-secret-id"))}, jane,
			[]string{`user="by SetUser, SetGroup or Link" group="by an option or a context value"`},
		},
		{
			"both by a Link", klime.Exchange{}, []klime.Option{klime.ResolveGroup(answerWith("acme-secret-id"))},
			func(ctx context.Context) { klime.Link(ctx, klime.User{ID: "jane-secret-id"}, klime.Group{ID: "g1"}) },
			[]string{`user="by SetUser, SetGroup or Link" group="by SetUser, SetGroup or Link"`},
		},
		{"several linked", klime.Exchange{}, nil, several, []string{
			`user="by SetUser, SetGroup or Link" group="several are linked, and none is the active one (SetGroup, GroupID)"`,
		}},
		{
			"several linked, and one named", klime.Exchange{}, nil, func(ctx context.Context) { several(ctx); klime.SetGroup(ctx, "g2") },
			[]string{`group="by SetUser, SetGroup or Link"`},
		},
		{
			"several linked, and one found", klime.Exchange{}, []klime.Option{klime.ResolveGroup(answerWith("g2"))}, several,
			[]string{`group="by an option or a context value"`},
		},
		{
			"several linked, and the one that was claimed is not believed", klime.Exchange{Status: 403},
			[]klime.Option{klime.ResolveGroup(answerWith("g2"))}, several, []string{`group="not known"`},
		},
		{
			"several linked, and another one claimed", klime.Exchange{},
			[]klime.Option{klime.RequireMembership(), klime.ResolveGroup(answerWith("g3"))}, several,
			[]string{`group="left out by RequireMembership"`},
		},
		{
			"several linked, and nothing to attribute", klime.Exchange{}, nil, func(ctx context.Context) { several(ctx); klime.Skip(ctx) },
			[]string{`group="" outcome="not sent: skipped`},
		},
		{
			"several linked of another user", klime.Exchange{}, nil, func(ctx context.Context) { several(ctx); klime.SetUser(ctx, "u2") },
			[]string{`group="not known"`},
		},
		{"a page", klime.Exchange{Method: "GET", ContentType: "text/html"}, nil, jane, []string{`kind=page event="Page Viewed"`}},
		{"a stream", klime.Exchange{Status: 101}, nil, jane, []string{"kind=stream", "answer=1xx"}},
		{"a panic", klime.Exchange{Panicked: true}, nil, jane, []string{"answer=panic"}},
		{"named", klime.Exchange{}, nil, func(ctx context.Context) { jane(ctx); klime.SetEvent(ctx, "Done") }, []string{"event=Done"}},
		{"nobody", klime.Exchange{}, nil, nil, []string{"not sent: neither user nor group is known"}},
		{"counted", klime.Exchange{}, []klime.Option{klime.RollUp(60e9)}, jane, []string{"counted for API Usage Recorded"}},
		{"sampled", klime.Exchange{}, []klime.Option{klime.Sample(0)}, jane, []string{"left out by Sample"}},
		{"silenced", klime.Exchange{}, nil, func(ctx context.Context) { jane(ctx); klime.Silence(ctx) }, []string{"the request is silenced"}},
		{"skipped", klime.Exchange{}, nil, func(ctx context.Context) { jane(ctx); klime.Skip(ctx) }, []string{"skipped (Skip)"}},
		{"skipped route", klime.Exchange{}, []klime.Option{klime.SkipRoutes("/reports")}, jane, []string{"skipped (SkipRoutes)"}},
		{"HEAD", klime.Exchange{Method: "HEAD"}, nil, jane, []string{"the method asks about something"}},
		{"an asset", klime.Exchange{Method: "GET", ContentType: "text/css"}, nil, jane, []string{"part of a page"}},
		{"a health check", klime.Exchange{Method: "GET", Route: "/healthz"}, nil, jane, []string{"a health check"}},
		{"no route", klime.Exchange{Method: "GET", Unmatched: true, Status: 404}, nil, jane, []string{"no route has the path"}},
		{"no route within another", klime.Exchange{Method: "GET", Route: "/*", Status: 404}, nil, jane, []string{"of a route that ends in *"}},
		{"a redirect", klime.Exchange{Method: "GET", Status: 302}, nil, jane, []string{"not sent: a redirect"}},
		{
			"a prefetch", klime.Exchange{Method: "GET", Header: http.Header{"Sec-Purpose": {"prefetch"}}.Get},
			nil, jane, []string{"a prefetch"},
		},
		{
			"a probe", klime.Exchange{Method: "GET", Header: http.Header{"User-Agent": {"kube-probe/1.31"}}.Get},
			nil, jane, []string{"probes whether the app is alive"},
		},
		{"each by another", klime.Exchange{}, []klime.Option{asUser("jane-secret-id")}, func(ctx context.Context) { klime.SetGroup(ctx, "g1") }, []string{
			`user="by an option or a context value" group="by SetUser, SetGroup or Link"`,
		}},
		{
			"not a member", klime.Exchange{}, []klime.Option{klime.RequireMembership(), klime.ResolveGroup(answerWith("g1"))}, jane,
			[]string{`group="left out by RequireMembership"`},
		},
		{"classified", klime.Exchange{}, []klime.Option{
			klime.ClassifyWith(func(klime.Exchange, klime.Kind) klime.Kind { return klime.KindNoise }),
		}, jane, []string{"ClassifyWith takes it for an asset or noise"}},
	}
	for _, tt := range tests {
		var log *syncBuffer
		client, _ := newClient(t, func(cfg *klime.Config) { log = logFrom(cfg, slog.LevelDebug) })
		request := traffic{tracker: klime.NewTracker(client, tt.opts...), exchange: tt.x}
		for range 3 {
			request.serve(tt.handler)
		}
		text := log.String()
		for _, want := range tt.want {
			if strings.Count(text, want) != 1 {
				t.Errorf("%s: %q is not there once:\n%s", tt.name, want, text)
			}
		}
		if strings.Contains(text, "jane-secret-id") {
			t.Errorf("%s: an ID is logged:\n%s", tt.name, text)
		}
	}
}

// And of each event that the app tracks, and of what is passed on untouched.
func TestExplainEvents(t *testing.T) {
	t.Parallel()
	var log *syncBuffer
	client, _ := newClient(t, func(cfg *klime.Config) {
		log = logFrom(cfg, slog.LevelDebug)
		cfg.BeforeSend = func(e *klime.Event) bool { return e.Event != "Filtered" }
	})
	tracker := klime.NewTracker(client, klime.IgnoreRoutes("/static/*"))
	for i := range 2 {
		_ = client.Track(t.Context(), "Report Generated", nil, klime.ForUser("u1"))
		_ = client.Track(t.Context(), "Report Generated", nil)
		_ = client.Track(t.Context(), "Filtered", nil, klime.ForGroup("g1"))
		_ = client.Track(t.Context(), "Wrong", klime.Properties{strconv.Itoa(i): math.NaN()}, klime.ForUser("u1"))
		_ = client.Group(t.Context(), "g1", nil, klime.ForUser("u1"))
		traffic{tracker: tracker}.serve(func(ctx context.Context) {
			klime.Silence(ctx)
			klime.Track(ctx, "Hidden", nil)
		})
		if !tracker.Ignores("GET", "/static/app.js", http.Header{}.Get) || tracker.Ignores("GET", "/reports", http.Header{}.Get) {
			t.Error("IgnoreRoutes has no effect")
		}
		if !tracker.Ignores("PRI", "*", http.Header{}.Get) {
			t.Error("a connection of HTTP/2 is not ignored")
		}
	}
	text := log.String()
	for _, want := range []string{
		`type=track event="Report Generated" user=true group=false outcome=queued`,
		`type=track event="Report Generated" user=false group=false outcome="not sent: `,
		`event=Filtered user=false group=true outcome="not sent: BeforeSend dropped it"`,
		`event=Wrong user=true group=false outcome="not sent: `,
		`type=group event="" user=true group=true outcome=queued`,
		`event=Hidden`,
		`outcome="not sent: IgnoreRoutes has /static/*"`,
		`outcome="not sent: a connection of HTTP/2`,
	} {
		if strings.Count(text, want) != 1 {
			t.Errorf("%q is not there once:\n%s", want, text)
		}
	}
}

// A call that sends nothing because the request is silenced says so, whichever it is.
func TestExplainSilencedCalls(t *testing.T) {
	t.Parallel()
	const track, identify, group = `type=track event=Hidden user=false group=false`,
		`type=identify event="" user=true group=false`, `type=group event="" user=false group=true`
	tests := []struct {
		name, want string
		call       func(context.Context, *klime.Client) (klime.BatchResult, error)
	}{
		{"Track", track, func(ctx context.Context, client *klime.Client) (klime.BatchResult, error) {
			return klime.BatchResult{}, client.Track(ctx, "Hidden", nil)
		}},
		{"TrackSync", track, func(ctx context.Context, client *klime.Client) (klime.BatchResult, error) {
			return client.TrackSync(ctx, "Hidden", nil)
		}},
		{"Identify", identify, func(ctx context.Context, client *klime.Client) (klime.BatchResult, error) {
			return klime.BatchResult{}, client.Identify(ctx, "u1", nil)
		}},
		{"IdentifySync", identify, func(ctx context.Context, client *klime.Client) (klime.BatchResult, error) {
			return client.IdentifySync(ctx, "u1", nil)
		}},
		{"Group", group, func(ctx context.Context, client *klime.Client) (klime.BatchResult, error) {
			return klime.BatchResult{}, client.Group(ctx, "g1", nil)
		}},
		{"GroupSync", group, func(ctx context.Context, client *klime.Client) (klime.BatchResult, error) {
			return client.GroupSync(ctx, "g1", nil)
		}},
	}
	for _, tt := range tests {
		var log *syncBuffer
		client, wire := newClient(t, func(cfg *klime.Config) { log = logFrom(cfg, slog.LevelDebug) })
		traffic{tracker: klime.NewTracker(client)}.serve(func(ctx context.Context) {
			klime.Silence(ctx)
			if result, err := tt.call(ctx, client); err != nil || !reflect.DeepEqual(result, klime.BatchResult{}) {
				t.Errorf("%s: %+v, %v", tt.name, result, err)
			}
		})
		want := tt.want + ` outcome="not sent: the request is silenced`
		if text := log.String(); strings.Count(text, want) != 1 {
			t.Errorf("%s: %q is not there once:\n%s", tt.name, want, text)
		}
		if got := wire.events(t, client); len(got) != 0 {
			t.Errorf("%s: sent %v", tt.name, got)
		}
	}
}

// Of errors it says what they have in common: neither the size of each event, nor
// what Klime has answered.
func TestExplainErrors(t *testing.T) {
	t.Parallel()
	var log *syncBuffer
	client, wire := newClient(t, func(cfg *klime.Config) {
		log = logFrom(cfg, slog.LevelDebug)
		cfg.QueueSize, cfg.Overflow = 1, klime.DropNewest
	})
	wire.answers(always(http.StatusUnauthorized, "said of jane-secret-id"))
	for i := range 3 {
		_ = client.Track(t.Context(), "Large", klime.Properties{"text": strings.Repeat("x", 300_000+i)}, klime.ForUser("u1"))
	}
	_ = client.Track(t.Context(), "Kept", nil, klime.ForUser("u1"))
	_ = client.Flush(t.Context()) // until it is halted
	if err := client.Track(t.Context(), "Refused", nil, klime.ForUser("u1")); !errors.Is(err, klime.ErrQueueFull) {
		t.Fatal(err)
	}
	text := log.String()
	if got := strings.Count(text, "event=Large"); got != 1 {
		t.Errorf("explained %d times:\n%s", got, text)
	}
	if !strings.Contains(text, `event=Refused user=true group=false outcome="not sent: klime: queue full"`) || strings.Contains(text, "jane-secret-id") {
		t.Errorf("log:\n%s", text)
	}
}

// What is remembered is bounded, whatever the app calls its events.
func TestExplainIsBounded(t *testing.T) {
	t.Parallel()
	var log *syncBuffer
	client, _ := newClient(t, func(cfg *klime.Config) { log = logFrom(cfg, slog.LevelDebug) })
	for i := range 3000 {
		_ = client.Track(t.Context(), fmt.Sprint("Event ", i), nil, klime.ForUser("u1"))
	}
	if got := strings.Count(log.String(), "klime: an event"); got != 2000 {
		t.Errorf("%d events explained", got)
	}
}
