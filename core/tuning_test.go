package klime_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"

	klime "github.com/klimeapp/klime-go/core"
)

// namesOf lists the names of events.
func namesOf(events []map[string]any) []string {
	var names []string
	for _, e := range events {
		names = append(names, fmt.Sprint(e["event"]))
	}
	return names
}

// Which event the options make of a request.
func TestNamesAndNoise(t *testing.T) {
	t.Parallel()
	names := klime.NameRoutes(map[string]string{
		"POST /reports": "Report Generated", "/docs/*": "Docs Read", "GET /docs/api": "API Docs Read", "/healthz": "Health Asked",
		"GET /moved": "Link Followed",
	})
	skip := klime.SkipRoutes("/internal/*", "DELETE /reports")
	asStream := klime.ClassifyWith(func(x klime.Exchange, _ klime.Kind) klime.Kind {
		if x.Header("X-Kind") == "stream" {
			return klime.KindStream
		}
		return klime.KindNoise
	})
	page := klime.Exchange{Method: "GET", ContentType: "text/html"}
	with := func(x klime.Exchange, method, route string, status int) klime.Exchange {
		x.Method, x.Route, x.Path, x.Status = method, route, route, status
		return x
	}
	tests := []struct {
		name   string
		opts   []klime.Option
		in     klime.Exchange
		do     func(context.Context)
		want   string // "" for no event
		status int
	}{
		{name: "a route that is named", opts: []klime.Option{names}, in: klime.Exchange{Route: "/reports"}, want: "Report Generated"},
		{name: "another method of it", opts: []klime.Option{names}, in: klime.Exchange{Method: "PUT", Route: "/reports"}, want: "API Called"},
		{name: "a named route that fails", opts: []klime.Option{names}, in: klime.Exchange{Route: "/reports", Status: 422}, want: "API Called"},
		{name: "a named route that panics", opts: []klime.Option{names}, in: klime.Exchange{Route: "/reports", Panicked: true}, want: "API Called"},
		{name: "the rest of a path", opts: []klime.Option{names}, in: with(page, "GET", "/docs/{page}", 200), want: "Docs Read"},
		{name: "the most specific", opts: []klime.Option{names}, in: with(page, "GET", "/docs/api", 200), want: "API Docs Read"},
		{name: "a route for all paths", opts: []klime.Option{names}, in: klime.Exchange{Route: "/{rest...}", Path: "/docs/a/b"}, want: "Docs Read"},
		{name: "no route", opts: []klime.Option{names}, in: klime.Exchange{Route: "none", Path: "/docs/a/b"}, want: "Docs Read"},
		{name: "a named health check", opts: []klime.Option{names}, in: with(page, "GET", "/healthz", 200), want: "Health Asked"},
		{name: "a named route without an answer", opts: []klime.Option{names}, in: klime.Exchange{Route: "/reports", Aborted: true}, want: "API Called"},
		{name: "a named route whose connection is taken over", opts: []klime.Option{names}, in: klime.Exchange{Route: "/reports", Hijacked: true}, want: "Report Generated"},
		{name: "a named route with half an answer", opts: []klime.Option{names}, in: klime.Exchange{Route: "/reports", Status: 200, Aborted: true}, want: "Report Generated"},
		{
			name: "a named route, asked for in another form", opts: []klime.Option{names},
			in: klime.Exchange{Route: "/reports", Path: "/reports/", Status: 307, Location: "/reports"},
		},
		{
			name: "a named route, asked for without TLS", opts: []klime.Option{names},
			in: klime.Exchange{Route: "/reports", Path: "/reports", Status: 308, Location: "https://app.example.com/reports"},
		},
		{
			name: "a named page, asked for without TLS", opts: []klime.Option{names},
			in: klime.Exchange{Method: "GET", Route: "/moved", Path: "/moved", Status: 301, Location: "https://app.example.com/moved"},
		},
		{
			name: "a named file that is elsewhere", opts: []klime.Option{names}, want: "Link Followed",
			in: klime.Exchange{Method: "GET", Route: "/moved", Path: "/moved", Status: 307, Location: "https://cdn.example.com/moved?signature=x"},
		},
		{
			name: "a named file that is elsewhere, in another case", opts: []klime.Option{names}, want: "Link Followed",
			in: klime.Exchange{Method: "GET", Route: "/moved", Path: "/moved", Status: 307, Location: "https://cdn.example.com/Moved?signature=x"},
		},
		{
			name: "a named route that is elsewhere for now, in another form", opts: []klime.Option{names}, want: "Report Generated",
			in: klime.Exchange{Route: "/reports", Path: "/reports/", Status: 307, Location: "https://app.example.com/reports"},
		},
		{
			name: "a named route with other parameters", opts: []klime.Option{names}, want: "Report Generated",
			in: klime.Exchange{Route: "/reports", Path: "/reports", Status: 308, Location: "/reports?page=2"},
		},
		{
			name: "a named route that leads for good to the page of its form", opts: []klime.Option{names}, want: "Report Generated",
			in: klime.Exchange{Route: "/reports", Path: "/reports", Status: 301, Location: "https://app.example.com/reports"},
		},
		{
			name: "a named route that leads to the page of its form", opts: []klime.Option{names}, want: "Report Generated",
			in: klime.Exchange{Route: "/reports", Path: "/reports", Status: 303, Location: "https://app.example.com/reports"},
		},
		{name: "a blank name is none", in: klime.Exchange{}, do: func(ctx context.Context) { klime.SetEvent(ctx, " ") }, want: "API Called"},
		{name: "a blank name leaves the one before", in: klime.Exchange{}, do: func(ctx context.Context) {
			klime.SetEvent(ctx, "Done")
			klime.SetEvent(ctx, "")
		}, want: "Done"},
		{name: "a named redirect", opts: []klime.Option{names}, in: with(page, "GET", "/moved", 302), want: "Link Followed"},
		{name: "SetEvent goes before", opts: []klime.Option{names}, in: klime.Exchange{Route: "/reports"}, do: func(ctx context.Context) { klime.SetEvent(ctx, "Done") }, want: "Done"},
		{name: "a health check", in: with(page, "GET", "/healthz", 200)},
		{name: "other health checks", opts: []klime.Option{klime.HealthRoutes("/up")}, in: with(page, "GET", "/up", 200)},
		{name: "then the usual are pages", opts: []klime.Option{klime.HealthRoutes("/up")}, in: with(page, "GET", "/healthz", 200), want: "Page Viewed"},
		{name: "skipped", opts: []klime.Option{skip}, in: klime.Exchange{Route: "/internal/jobs"}},
		{name: "skipped by path", opts: []klime.Option{skip}, in: klime.Exchange{Route: "/*", Path: "/internal/jobs"}},
		{name: "skipped by method", opts: []klime.Option{skip}, in: klime.Exchange{Method: "DELETE", Route: "/reports"}},
		{name: "skipped although named", opts: []klime.Option{skip}, in: klime.Exchange{Route: "/internal/jobs"}, do: func(ctx context.Context) { klime.SetEvent(ctx, "Done") }},
		{name: "not skipped", opts: []klime.Option{skip}, in: klime.Exchange{Route: "/reports"}, want: "API Called"},
		{name: "names of one's own", opts: []klime.Option{klime.DefaultNames("", "Endpoint Called")}, in: klime.Exchange{}, want: "Endpoint Called"},
		{name: "of pages too", opts: []klime.Option{klime.DefaultNames("Screen Seen", "")}, in: with(page, "GET", "/", 200), want: "Screen Seen"},
		{
			name: "kinds of one's own", in: with(page, "GET", "/healthz", 200), want: "API Called",
			opts: []klime.Option{klime.ClassifyWith(func(x klime.Exchange, k klime.Kind) klime.Kind {
				if k == klime.KindNoise && x.Path == "/healthz" {
					return klime.KindAPI
				}
				return k
			})},
		},
		{name: "kinds by a header that is the adapter's", opts: []klime.Option{asStream}, in: klime.Exchange{Header: http.Header{"X-Kind": {"stream"}}.Get}, want: "API Called"},
		{name: "kinds by a header that is not known", opts: []klime.Option{asStream}, in: klime.Exchange{}},
		{name: "a classifier that panics", opts: []klime.Option{klime.ClassifyWith(func(klime.Exchange, klime.Kind) klime.Kind { panic("x") })}, want: "API Called"},
		{name: "a kind that does not exist", opts: []klime.Option{klime.ClassifyWith(func(klime.Exchange, klime.Kind) klime.Kind { return 42 })}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client, wire := newClient(t)
			tracker := klime.NewTracker(client, append(tt.opts, asUser("u1"))...)
			if err := tracker.Err(); err != nil {
				t.Fatal(err)
			}
			traffic{tracker: tracker, exchange: tt.in}.serve(tt.do)
			var want []string
			if tt.want != "" {
				want = []string{tt.want}
			}
			if got := namesOf(wire.events(t, client)); !slices.Equal(got, want) {
				t.Errorf("events %q, want %q", got, want)
			}
		})
	}
}

// What is wrong with options is told by Err, and once by the log; the rest of
// them holds.
func TestWrongOptions(t *testing.T) {
	t.Parallel()
	var log *syncBuffer
	client, wire := newClient(t, func(cfg *klime.Config) { log = logTo(cfg) })
	tracker := klime.NewTracker(
		client, asUser("u1"),
		klime.SkipRoutes("internal", "/skipped"),
		klime.NameRoutes(map[string]string{"/a/{x}": "A", "/a/{y}": "B", "/c": " ", "POST /reports": "Report Generated"}),
		klime.HealthRoutes("healthz"),
		klime.RollUp(time1), klime.RollUp(-1), klime.Sample(1.5), klime.Sample(-0.1), klime.Sample(math.NaN()),
		klime.Capture(klime.Captured(9)), klime.ClassifyWith(nil), klime.HealthRoutes("GET"), klime.IgnoreRoutes("ignored"),
	)
	err := tracker.Err()
	if !errors.Is(err, klime.ErrInvalidOption) {
		t.Fatalf("error %v", err)
	}
	for _, part := range []string{
		`SkipRoutes: pattern "internal": the path must`, `NameRoutes: patterns "/a/{x}" and "/a/{y}"`, `NameRoutes: pattern "/c" has no name`, "RollUp of 1ns", "RollUp of -1ns", "Sample of 1.5", "Sample of -0.1", "Sample of NaN",
		"Capture of 9", "ClassifyWith", `HealthRoutes: pattern "GET": `, `IgnoreRoutes: pattern "ignored": `,
	} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error without %s: %v", part, err)
		}
	}
	if n, mistakes := strings.Count(log.String(), "left out"), len(strings.Split(err.Error(), "\n")); n != mistakes {
		t.Errorf("%d mistakes told in %d lines: %s", mistakes, n, log)
	}
	traffic{tracker: tracker}.serve(nil)
	traffic{tracker: tracker, exchange: klime.Exchange{Route: "/skipped"}}.serve(nil)
	traffic{tracker: tracker, exchange: klime.Exchange{Route: "/c"}}.serve(nil)
	traffic{tracker: tracker, exchange: klime.Exchange{Method: "GET", Route: "/healthz"}}.serve(nil)
	if got := namesOf(wire.events(t, client)); !slices.Equal(got, []string{"Report Generated", "API Called"}) {
		t.Errorf("events %q", got)
	}
}

const time1 = 1 // a nanosecond

// Each of them can be told by [errors.Is], also alone.
func TestWrongOptionsAlone(t *testing.T) {
	t.Parallel()
	client, _ := newClient(t)
	for name, option := range map[string]klime.Option{
		"SkipRoutes":                   klime.SkipRoutes("internal"),
		"NameRoutes":                   klime.NameRoutes(map[string]string{"c": "C"}),
		"NameRoutes, no name":          klime.NameRoutes(map[string]string{"/c": " "}),
		"NameRoutes, of the same":      klime.NameRoutes(map[string]string{"/a/{x}": "A", "/a/{y}": "B"}),
		"RollUp":                       klime.RollUp(time1),
		"Sample":                       klime.Sample(1.5),
		"Capture":                      klime.Capture(klime.Captured(9)),
		"ClassifyWith":                 klime.ClassifyWith(nil),
		"HealthRoutes, without a path": klime.HealthRoutes("GET"),
	} {
		if err := klime.NewTracker(client, option).Err(); !errors.Is(err, klime.ErrInvalidOption) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A health check that is named is recorded, by a probe too.
func TestNamedHealthCheckIsNotIgnored(t *testing.T) {
	t.Parallel()
	client, _ := newClient(t)
	tracker := klime.NewTracker(client, klime.NameRoutes(map[string]string{"GET /healthz": "Health Asked"}))
	for path, want := range map[string]bool{"/healthz": false, "/readyz": true} {
		if got := tracker.Ignores("GET", path, http.Header{"User-Agent": {"kube-probe/1.31"}}.Get); got != want {
			t.Errorf("%s: ignored %v", path, got)
		}
	}
}

// A pattern that no request has matched is named at Shutdown.
func TestUnusedPatterns(t *testing.T) {
	t.Parallel()
	for _, quiet := range []bool{false, true} {
		var log *syncBuffer
		client, _ := newClient(t, func(cfg *klime.Config) {
			log = logTo(cfg)
			cfg.NoHints = quiet
		})
		tracker := klime.NewTracker(client, asUser("u1"), klime.SkipRoutes("/internal/*", "/intrenal", "/healthz"),
			klime.NameRoutes(map[string]string{"POST /reports": "Report Generated", "/repotrs": "Slip"}), klime.HealthRoutes("/healthz", "/heathlz"))
		traffic{tracker: tracker}.serve(nil)
		traffic{tracker: tracker, exchange: klime.Exchange{Route: "/internal/a"}}.serve(nil)
		if !tracker.Ignores("GET", "/healthz", http.Header{"User-Agent": {"kube-probe/1.31"}}.Get) {
			t.Error("a probe is not ignored")
		}
		shutDown(t, client)
		if told := strings.Contains(log.String(), `"[/intrenal /repotrs /heathlz]"`); told == quiet {
			t.Errorf("NoHints %v: log %s", quiet, log)
		}
	}
}

// Sampled is API calls alone; about so many, each saying at which rate.
func TestSample(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t, func(cfg *klime.Config) { cfg.QueueSize = 100_000 })
	tracker := klime.NewTracker(client, asUser("u1"), klime.Sample(0.25), klime.NameRoutes(map[string]string{"/named": "Named"}))
	const n = 8000
	for range n {
		traffic{tracker: tracker}.serve(nil)
	}
	const others = 100
	for range others {
		traffic{tracker: tracker, exchange: klime.Exchange{Method: "GET", ContentType: "text/html"}}.serve(nil)
		traffic{tracker: tracker, exchange: klime.Exchange{Route: "/named"}}.serve(nil)
		traffic{tracker: tracker, exchange: klime.Exchange{Method: "GET", ContentType: "text/event-stream"}}.serve(nil)
	}
	counts := map[string]int{}
	for _, e := range wire.events(t, client) {
		name := fmt.Sprint(e["event"])
		properties, _ := e["properties"].(map[string]any)
		if properties["protocol"] != nil {
			name = "stream"
		}
		counts[name]++
		rate, sampled := properties["sampleRate"]
		if sampled != (name == "API Called") || sampled && rate != 0.25 {
			t.Errorf("%s with sampleRate %v", name, rate)
		}
	}
	if counts["Page Viewed"] != others || counts["Named"] != others || counts["stream"] != others {
		t.Errorf("events %v", counts)
	}
	if got := counts["API Called"]; math.Abs(float64(got)-n/4) > 200 { // five standard deviations
		t.Errorf("%d of %d API calls", got, n)
	}
}

// All services that see a trace decide alike.
func TestSampleByTrace(t *testing.T) {
	t.Parallel()
	taken := func(rate float64, span trace.SpanContext) bool {
		client, wire := newClient(t)
		tracker := klime.NewTracker(client, asUser("u1"), klime.Sample(rate))
		traffic{tracker: tracker, ctx: trace.ContextWithSpanContext(t.Context(), span)}.serve(nil)
		return len(wire.events(t, client)) == 1
	}
	both := 0
	for i := range 64 {
		span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1, byte(i)}, SpanID: trace.SpanID{1}})
		one, other := taken(0.5, span), taken(0.5, span)
		if one != other {
			t.Fatal("two services decide differently")
		}
		if one {
			both++
		}
		if taken(0.1, span) && !one {
			t.Error("a lower rate takes what a higher one does not")
		}
	}
	if both < 16 || both > 48 {
		t.Errorf("%d of 64 traces", both)
	}
	remote := spanContext(1).WithRemote(true)
	if taken(0, remote) || !taken(1, remote) {
		t.Error("none or all is not that")
	}
}

// What may tell who somebody is, is recorded when asked for, and then without
// what may be secret in it.
func TestCapture(t *testing.T) {
	t.Parallel()
	header := http.Header{"User-Agent": {"curl/8"}, "Referer": {"https://jane:hidden@acme.com/a?token=hidden#hidden"}}
	in := klime.Exchange{Path: "/orgs/acme", Caller: caller{header, "192.0.2.7"}}
	for _, ask := range []bool{false, true} {
		client, wire := newClient(t)
		opts := []klime.Option{asUser("u1")}
		if ask {
			opts = append(opts, klime.Capture(klime.IP, klime.UserAgent, klime.Path, klime.Referrer))
		}
		traffic{tracker: klime.NewTracker(client, opts...), exchange: in}.serve(nil)
		e := wire.one(t, client)
		props, ctx := e["properties"].(map[string]any), e["context"].(map[string]any)
		got := fmt.Sprint(ctx["ip"], " ", ctx["userAgent"], " ", props["path"], " ", props["referrer"])
		want := "<nil> <nil> <nil> <nil>"
		if ask {
			want = "192.0.2.7 curl/8 /orgs/acme https://acme.com/a"
		}
		if got != want {
			t.Errorf("captured %s, want %s", got, want)
		}
	}
}

// What is no URL may hold a secret anywhere, and is left out.
func TestCaptureReferrer(t *testing.T) {
	t.Parallel()
	for referer, want := range map[string]any{
		"https://acme.com/a%2Fb?token=hidden": "https://acme.com/a%2Fb",
		"https://acme.com/%zz?token=hidden":   nil,
		"":                                    nil,
	} {
		client, wire := newClient(t)
		tracker := klime.NewTracker(client, asUser("u1"), klime.Capture(klime.Referrer))
		traffic{tracker: tracker, exchange: klime.Exchange{Header: http.Header{"Referer": {referer}}.Get}}.serve(nil)
		if got := wire.one(t, client)["properties"].(map[string]any)["referrer"]; got != want {
			t.Errorf("%q is recorded as %v", referer, got)
		}
	}
}

// The address is recorded without its port, and what is no address, as the peer of a Unix
// socket, is left out.
func TestCaptureAddress(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]any{
		"192.0.2.7": "192.0.2.7", "2001:db8::1": "2001:db8::1", "fe80::1%eth0": "fe80::1%eth0", "::ffff:192.0.2.7": "::ffff:192.0.2.7",
		"192.0.2.7:443": "192.0.2.7", "[2001:db8::1]:443": "2001:db8::1", "[fe80::1%eth0]:443": "fe80::1%eth0",
		"": nil, "@": nil, "/run/app.sock": nil, "pipe": nil, "192.0.2.7, 10.0.0.1": nil, "acme.com": nil, "192.0.2.700": nil,
		"fe80::1%" + strings.Repeat("z", 4096): nil,
	} {
		client, wire := newClient(t)
		tracker := klime.NewTracker(client, asUser("u1"), klime.Capture(klime.IP))
		traffic{tracker: tracker, exchange: klime.Exchange{Caller: caller{http.Header{}, address}}}.serve(nil)
		if got := wire.one(t, client)["context"].(map[string]any)["ip"]; got != want {
			t.Errorf("%.60q is recorded as %.60v, want %v", address, got, want)
		}
	}
}

// Whatever a caller sends, and as much as the app may add, the event is not too large.
func TestCaptureBesideManyProperties(t *testing.T) {
	t.Parallel()
	escaped := strings.Repeat("\x01", 4096)
	header := http.Header{"User-Agent": {escaped}, "Referer": {"https://" + strings.Repeat(`"`, 4096)}}
	x := klime.Exchange{
		Path: "/" + escaped, Route: "/" + strings.Repeat("r", 500), RequestBytes: math.MaxInt64, ResponseBytes: math.MaxInt64,
		Caller: caller{header, "fe80::1%" + escaped[:2000]},
	}
	app := klime.App{Name: strings.Repeat("a", 1024), Version: strings.Repeat("a", 1024), Environment: strings.Repeat("a", 1024)}
	for what, key := range map[string]string{"plain": "k", "with escapes in their keys": escaped[:1000]} {
		client, wire := newClient(t, func(cfg *klime.Config) { cfg.App = app })
		everything := klime.Capture(klime.IP, klime.UserAgent, klime.Path, klime.Referrer)
		traffic{tracker: klime.NewTracker(client, everything), exchange: x}.serve(func(ctx context.Context) {
			klime.SetUser(ctx, strings.Repeat("u", 500))
			klime.SetGroup(ctx, strings.Repeat("g", 500))
			klime.SetEvent(ctx, strings.Repeat("e", 500))
			for size := 128 << 10; size > 0; size /= 2 { // what fits, so that together they come near to the limit
				klime.SetProperty(ctx, fmt.Sprint(key, size), strings.Repeat("v", size))
			}
		})
		e := wire.one(t, client)
		props, seen := e["properties"].(map[string]any), e["context"].(map[string]any)
		if n := len(fmt.Sprint(seen["ip"], seen["userAgent"], props["path"], props["referrer"])); n != 3*2048+2008 {
			t.Errorf("%s: %d bytes captured: this shows nothing", what, n)
		}
		if client.Stats().Invalid == 0 {
			t.Errorf("%s: there was room for all properties: this shows nothing", what)
		}
	}
}

type caller struct {
	header  http.Header
	address string
}

func (c caller) Header(name string) string { return c.header.Get(name) }
func (c caller) ClientIP() string          { return c.address }

// A client that asks not to be tracked is not, at all.
func TestHonorOptOut(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		header http.Header
		opts   []klime.Option
		want   int
	}{
		"nothing asked":              {http.Header{}, []klime.Option{klime.HonorOptOut()}, 2},
		"Global Privacy Control":     {http.Header{"Sec-Gpc": {"1"}}, []klime.Option{klime.HonorOptOut()}, 0},
		"Do Not Track":               {http.Header{"Dnt": {"1"}}, []klime.Option{klime.HonorOptOut()}, 0},
		"tracking allowed":           {http.Header{"Dnt": {"0"}}, []klime.Option{klime.HonorOptOut()}, 2},
		"the app does not honour it": {http.Header{"Dnt": {"1"}}, nil, 2},
	} {
		client, wire := newClient(t)
		tracker := klime.NewTracker(client, append(tt.opts, asUser("u1"))...)
		scope := tracker.Begin(t.Context())
		scope.ReadHeader(tt.header.Get)
		scope.Bind(struct{}{}, nil)
		klime.Track(scope, "Done", nil)
		tracker.Observe(scope, klime.Exchange{Method: "POST", Route: "/reports", Status: 200})
		if got := len(wire.events(t, client)); got != tt.want {
			t.Errorf("%s: %d events, want %d", name, got, tt.want)
		}
	}
}

// Secrets do not leave with traits and properties of requests; what the app tracks
// by itself is its word, unless it wants otherwise.
func TestSecretsAreRedacted(t *testing.T) {
	t.Parallel()
	type p = klime.Properties
	for name, tt := range map[string]struct {
		change func(*klime.Config)
		want   int // of the four calls below, how many keep the value
	}{
		"default":              {func(*klime.Config) {}, 1},
		"Track too":            {func(cfg *klime.Config) { cfg.RedactProperties = true }, 0},
		"no secrets at all":    {func(cfg *klime.Config) { cfg.SecretKeys = []string{} }, 4},
		"others than a secret": {func(cfg *klime.Config) { cfg.SecretKeys = []string{"api key"} }, 4},
	} {
		client, wire := newClient(t, tt.change)
		traits := klime.Traits{"name": "Jane", "password": "hidden"}
		traffic{tracker: klime.NewTracker(client)}.serve(func(ctx context.Context) {
			klime.Link(ctx, klime.User{ID: "u1", Traits: traits}, klime.Group{ID: "g1", Traits: klime.Traits{"password": "hidden"}})
			klime.SetProperty(ctx, "login", map[string]any{"password": "hidden"})
			klime.Track(ctx, "Done", p{"password": "hidden"})
		})
		if traits["password"] != "hidden" {
			t.Error("the app's own map was changed")
		}
		kept := 0
		for _, e := range wire.events(t, client) {
			if text := fmt.Sprint(e); strings.Contains(text, "hidden") {
				kept++
			} else if !strings.Contains(text, "[redacted]") {
				t.Errorf("%s: neither: %s", name, text)
			}
		}
		if kept != tt.want {
			t.Errorf("%s: %d events keep the secret, want %d", name, kept, tt.want)
		}
	}
}

// Of too many properties the first are sent, and the log tells of the others.
func TestManyProperties(t *testing.T) {
	t.Parallel()
	var log *syncBuffer
	client, wire := newClient(t, func(cfg *klime.Config) { log = logTo(cfg) })
	traffic{tracker: klime.NewTracker(client, asUser("u1"))}.serve(func(ctx context.Context) {
		for i := range 150 {
			klime.SetProperty(ctx, fmt.Sprint("p", i), i)
		}
		klime.SetProperty(ctx, "p7", "changed")
	})
	props := wire.one(t, client)["properties"].(map[string]any)
	own := 0
	for key := range props {
		if strings.HasPrefix(key, "p") {
			own++
		}
	}
	if own != 100 || props["p7"] != "changed" {
		t.Errorf("%d properties, p7 %v", own, props["p7"])
	}
	if n := strings.Count(log.String(), "not recorded"); n != 1 || client.Stats().Invalid != 50 {
		t.Errorf("told %d times, counted %d", n, client.Stats().Invalid)
	}
}

// What a client may choose at will is not sent: it could be anything, and any
// number of things.
func TestOfTheClientsChoice(t *testing.T) {
	t.Parallel()
	const secret = "HUNTER2"
	client, wire := newClient(t)
	tracker := klime.NewTracker(client, asUser("u1"))
	header := http.Header{"Upgrade": {"websocket, " + secret}}.Get
	traffic{tracker: tracker, exchange: klime.Exchange{Method: secret}}.serve(nil)
	traffic{tracker: tracker, exchange: klime.Exchange{Method: "GET", Status: 101, Header: header}}.serve(nil)
	var got []string
	for _, e := range wire.events(t, client) {
		p := e["properties"].(map[string]any)
		got = append(got, fmt.Sprint(p["method"], " ", p["protocol"]))
	}
	if want := []string{"_OTHER <nil>", "GET other"}; !slices.Equal(got, want) {
		t.Errorf("sent %q, want %q", got, want)
	}
}

// A caller that chooses its trace ID must not choose what is recorded: chance decides where the
// trace came with the request, by the header or, if that is not W3C's, as the span says.
func TestSampleOfACallersTrace(t *testing.T) {
	t.Parallel()
	here := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{15: 7}, SpanID: trace.SpanID{1}})
	came := here.WithRemote(true)
	span := func(c trace.SpanContext) trace.Span {
		return trace.SpanFromContext(trace.ContextWithSpanContext(t.Context(), c))
	}
	for name, tt := range map[string]struct {
		span   trace.Span
		header string
		chance bool
	}{
		"it began here":             {span: span(here)},
		"its parent is of here too": {span: child{span(here), here}},
		"its parent came":           {span: child{span(here), came}, chance: true},
		"it came":                   {span: span(came), chance: true},
		"it is in the header":       {span: span(here), header: "00-00000000000000000000000000000007-00000000000000aa-01", chance: true},
	} {
		seen := 0
		for range 64 {
			client, wire := newClient(t)
			request := traffic{tracker: klime.NewTracker(client, asUser("u1"), klime.Sample(0.5)), ctx: trace.ContextWithSpan(t.Context(), tt.span)}
			request.exchange.Header = http.Header{"Traceparent": {tt.header}}.Get
			request.serve(nil)
			seen += len(wire.events(t, client))
		}
		if chance := seen != 0 && seen != 64; chance != tt.chance {
			t.Errorf("%s: recorded %d of 64", name, seen)
		}
	}
}

// child is a span that tells of its parent, as those of OpenTelemetry's SDK do.
type child struct {
	trace.Span

	parent trace.SpanContext
}

func (c child) Parent() trace.SpanContext { return c.parent }

// The names and skips of a middleware that joins another hold too.
func TestRulesFurtherIn(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	outer := klime.NewTracker(client, asUser("u1"), klime.NameRoutes(map[string]string{"/a": "Outer", "/b": "Outer"}))
	inner := klime.NewTracker(client, klime.NameRoutes(map[string]string{"/a": "Inner", "/c": "Inner"}), klime.SkipRoutes("/d"))
	for _, route := range []string{"/a", "/b", "/c", "/d"} {
		x := klime.Exchange{Route: route}
		traffic{tracker: outer, exchange: x}.serve(func(ctx context.Context) {
			traffic{tracker: inner, ctx: ctx, exchange: x}.serve(nil)
		})
	}
	if got := namesOf(wire.events(t, client)); !slices.Equal(got, []string{"Inner", "Outer", "Inner"}) {
		t.Errorf("events %q", got)
	}
}

// The failure of a named route counts as an API call, whatever the request would be
// without the name, and whoever has given it.
func TestFailuresOfNamedRoutes(t *testing.T) {
	t.Parallel()
	byRule := klime.NameRoutes(map[string]string{"/reports": "Report Viewed", "/healthz": "Health Seen"})
	named := map[string]func(*klime.Client, klime.Exchange){
		"NameRoutes": func(c *klime.Client, x klime.Exchange) {
			traffic{tracker: klime.NewTracker(c, asUser("u1"), byRule), exchange: x}.serve(nil)
		},
		"SetEvent": func(c *klime.Client, x klime.Exchange) {
			traffic{tracker: klime.NewTracker(c, asUser("u1")), exchange: x}.serve(func(ctx context.Context) { klime.SetEvent(ctx, "Report Viewed") })
		},
		"a middleware further in": func(c *klime.Client, x klime.Exchange) {
			traffic{tracker: klime.NewTracker(c, asUser("u1")), exchange: x}.serve(func(ctx context.Context) {
				traffic{tracker: klime.NewTracker(c, byRule), ctx: ctx, exchange: x}.serve(nil)
			})
		},
	}
	with := func(name, value string) func(string) string { return http.Header{name: {value}}.Get }
	for what, x := range map[string]klime.Exchange{
		"a prefetch":             {Status: 500, Header: with("Sec-Purpose", "prefetch")},
		"a prefetch, panicked":   {Panicked: true, Header: with("Sec-Purpose", "prefetch")},
		"a probe":                {Status: 503, Header: with("User-Agent", "kube-probe/1.34")},
		"a health check":         {Status: 503, Route: "/healthz"},
		"an image, aborted":      {Aborted: true, Header: with("Sec-Fetch-Dest", "image")},
		"an image, answered out": {AnsweredOutside: true, Header: with("Sec-Fetch-Dest", "image")},
		"a script over gRPC":     {GRPCStatus: "13", ContentType: "application/grpc", Header: with("Sec-Fetch-Dest", "script")},
	} {
		x.Method = http.MethodGet
		for who, serve := range named {
			client, wire := newClient(t)
			serve(client, x)
			if got := namesOf(wire.events(t, client)); !slices.Equal(got, []string{"API Called"}) {
				t.Errorf("%s, named by %s: events %q", what, who, got)
			}
		}
	}
	for who, serve := range named { // the server wants to be asked again when the page is opened
		client, wire := newClient(t)
		serve(client, klime.Exchange{Method: http.MethodGet, Status: http.StatusServiceUnavailable, Header: with("Sec-Purpose", "prefetch")})
		if got := wire.events(t, client); len(got) > 0 {
			t.Errorf("a prefetch declined, named by %s: events %v", who, got)
		}
	}
}
