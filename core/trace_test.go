package klime_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	klime "github.com/klimeapp/klime-go/core"
)

func spanContext(id byte) trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{id}, SpanID: trace.SpanID{id}, TraceFlags: trace.FlagsSampled})
}

// traceOf is an event's trace in short: the ID's first byte, and "remote".
func traceOf(event map[string]any) string {
	of, _ := event["context"].(map[string]any)["trace"].(map[string]any)
	if of == nil {
		return "none"
	}
	text := fmt.Sprint(of["traceId"])[:2]
	if of["remote"] == true {
		text += " remote"
	}
	return text
}

// Which trace an event names: that of the context that it is made with, or else
// the request's own, from wherever that can be known.
func TestTraceOfARequest(t *testing.T) {
	t.Parallel()
	with := func(ctx context.Context, id byte) context.Context {
		return trace.ContextWithSpanContext(ctx, spanContext(id))
	}
	header := func(value string) func(*klime.Scope) {
		return func(s *klime.Scope) { s.ReadHeader(http.Header{"Traceparent": {value}}.Get) }
	}
	const parent = "00-0a000000000000000000000000000000-0b00000000000000-01"
	tests := []struct {
		name   string
		before byte // of the span around the middleware, 0 for none
		begin  func(*klime.Scope)
		do     func(context.Context)
		want   string // of the app's events and then the request's
	}{
		{name: "none", want: "none"},
		{name: "instrumentation outside", before: 1, want: "01"},
		{name: "and a *gin.Context, which finds values of string keys alone", before: 1, want: "01, 01", do: func(ctx context.Context) {
			klime.Track(stringKeys{ctx, map[string]any{klime.ScopeKey: klime.ScopeFrom(ctx)}}, "Done", nil)
		}},
		{name: "and a span of the app", before: 1, want: "02, 01", do: func(ctx context.Context) { klime.Track(with(ctx, 2), "Done", nil) }},
		{name: "instrumentation inside", want: "02, 02", do: func(ctx context.Context) { klime.Track(with(ctx, 2), "Done", nil) }},
		{name: "met by SetUser", want: "02", do: func(ctx context.Context) { klime.SetUser(with(ctx, 2), "u1") }},
		{name: "met by SetProperty", want: "02", do: func(ctx context.Context) { klime.SetProperty(with(ctx, 2), "a", 1) }},
		{name: "met by Link", want: "02, 02", do: func(ctx context.Context) {
			klime.Link(with(ctx, 2), klime.User{ID: "u1"}, klime.Group{ID: "g1"})
		}},
		{name: "then a context without", want: "02, 02", do: func(ctx context.Context) {
			klime.SetUser(with(ctx, 2), "u1")
			klime.Track(ctx, "Done", nil)
		}},
		{name: "the first that is met", want: "02", do: func(ctx context.Context) {
			klime.SetUser(with(ctx, 2), "u1")
			klime.SetUser(with(ctx, 3), "u1")
		}},
		{name: "came with the request", begin: header(parent), want: "0a remote, 0a remote", do: func(ctx context.Context) { klime.Track(ctx, "Done", nil) }},
		{name: "a span of ours goes before", before: 1, begin: header(parent), want: "01"},
		{name: "one that is met too", begin: header(parent), want: "02", do: func(ctx context.Context) { klime.SetUser(with(ctx, 2), "u1") }},
		{name: "came malformed", begin: header("00-xyz"), want: "none"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client, wire := newClient(t)
			tracker := klime.NewTracker(client, asUser("u1"))
			ctx := t.Context()
			if tt.before != 0 {
				ctx = with(ctx, tt.before)
			}
			scope := tracker.Begin(ctx)
			scope.Bind(struct{}{}, nil)
			if tt.begin != nil {
				tt.begin(scope)
			}
			if tt.do != nil {
				tt.do(scope)
			}
			tracker.Observe(scope, klime.Exchange{Method: "POST", Route: "/reports", Status: 200})
			var got []string
			for _, e := range wire.events(t, client) {
				got = append(got, traceOf(e))
			}
			if text := strings.Join(got, ", "); text != tt.want {
				t.Errorf("traces %s, want %s", text, tt.want)
			}
		})
	}
}

func TestTraceOutsideARequest(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	ctx := trace.ContextWithSpanContext(t.Context(), spanContext(1))
	err := client.Track(ctx, "Done", nil, klime.ForUser("u1"))
	err = errors.Join(err, client.Identify(ctx, "u1", nil), client.Track(t.Context(), "Done", nil, klime.ForUser("u1")))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range wire.events(t, client) {
		got = append(got, traceOf(e))
	}
	if want := "01, 01, none"; strings.Join(got, ", ") != want {
		t.Errorf("traces %q, want %s", got, want)
	}
}

// Every call with a context shows klime the span of a request whose instrumentation stands
// further in than the middleware.
func TestEachCallShowsItsSpan(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(context.Context, *klime.Client){
		"Track":               func(ctx context.Context, _ *klime.Client) { klime.Track(ctx, "Done", nil) },
		"Link":                func(ctx context.Context, _ *klime.Client) { klime.Link(ctx, klime.User{ID: "u1"}) },
		"SetUser":             func(ctx context.Context, _ *klime.Client) { klime.SetUser(ctx, "u1") },
		"SetGroup":            func(ctx context.Context, _ *klime.Client) { klime.SetGroup(ctx, "g1") },
		"SetEvent":            func(ctx context.Context, _ *klime.Client) { klime.SetEvent(ctx, "Named") },
		"SetProperty":         func(ctx context.Context, _ *klime.Client) { klime.SetProperty(ctx, "a", 1) },
		"Client.Track":        func(ctx context.Context, c *klime.Client) { _ = c.Track(ctx, "Done", nil) },
		"Client.TrackSync":    func(ctx context.Context, c *klime.Client) { _, _ = c.TrackSync(ctx, "Done", nil) },
		"Client.Link":         func(ctx context.Context, c *klime.Client) { _ = c.Link(ctx, klime.User{ID: "u1"}) },
		"Client.Identify":     func(ctx context.Context, c *klime.Client) { _ = c.Identify(ctx, "u2", klime.Traits{"a": 1}) },
		"Client.IdentifySync": func(ctx context.Context, c *klime.Client) { _, _ = c.IdentifySync(ctx, "u2", klime.Traits{"a": 1}) },
		"Client.Group":        func(ctx context.Context, c *klime.Client) { _ = c.Group(ctx, "g1", klime.Traits{"a": 1}) },
		"Client.GroupSync":    func(ctx context.Context, c *klime.Client) { _, _ = c.GroupSync(ctx, "g1", klime.Traits{"a": 1}) },
		"LinkFunc that finds nobody": func(ctx context.Context, _ *klime.Client) {
			klime.LinkFunc(ctx, func() (klime.User, []klime.Group) { return klime.User{}, nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, wire := newClient(t)
			traffic{tracker: klime.NewTracker(client, asUser("u1"))}.serve(func(ctx context.Context) {
				call(trace.ContextWithSpanContext(ctx, spanContext(2)), client)
			})
			events := wire.events(t, client)
			if got := traceOf(events[len(events)-1]); got != "02" {
				t.Errorf("the request has trace %s", got)
			}
		})
	}
}

// A request that the app makes itself has the trace that was met in the other, unless one
// is met in its own handlers.
func TestTraceOfASubrequest(t *testing.T) {
	t.Parallel()
	met := func(ctx context.Context, id byte) {
		klime.SetUser(trace.ContextWithSpanContext(ctx, spanContext(id)), "u1")
	}
	client, wire := newClient(t)
	tracker := klime.NewTracker(client)
	traffic{tracker: tracker, target: "/batch"}.serve(func(ctx context.Context) {
		met(ctx, 2)
		traffic{tracker: tracker, ctx: ctx, target: "/a"}.serve(nil)
		traffic{tracker: tracker, ctx: ctx, target: "/b"}.serve(func(ctx context.Context) { met(ctx, 3) })
	})
	var got []string
	for _, e := range wire.events(t, client) {
		got = append(got, traceOf(e))
	}
	if text := strings.Join(got, ", "); text != "02, 03, 02" {
		t.Errorf("traces %s, want 02, 03, 02", text)
	}
}

// A traceparent that is not valid by W3C Trace Context is none.
func TestTraceparent(t *testing.T) {
	t.Parallel()
	const traceID, spanID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	for header, want := range map[string]string{
		"00-" + traceID + "-" + spanID + "-01":                  "0a remote",
		"00-" + traceID + "-" + spanID + "-00":                  "0a remote",
		"cc-" + traceID + "-" + spanID + "-01-more":             "0a remote", // of a later version
		"00-" + traceID + "-" + spanID + "-01-more":             "none",
		"ff-" + traceID + "-" + spanID + "-01":                  "none",
		"00-" + traceID + "-" + spanID + "-01x":                 "none",
		"cc-" + traceID + "-" + spanID + "-01x":                 "none",
		"00-" + traceID + "-" + spanID + "-0":                   "none",
		"00-" + strings.ToUpper(traceID) + "-" + spanID + "-01": "none",
		"00-" + strings.Repeat("0", 32) + "-" + spanID + "-01":  "none",
		"00-" + traceID + "-0000000000000000-01":                "none",
		"00_" + traceID + "-" + spanID + "-01":                  "none",
		"00-" + traceID + "-" + spanID + "-g1":                  "none",
		"":                                                      "none",
		"-":                                                     "none",
	} {
		client, wire := newClient(t)
		tracker := klime.NewTracker(client, asUser("u1"))
		scope := tracker.Begin(t.Context())
		scope.ReadHeader(func(name string) string {
			if name == "Traceparent" {
				return header
			}
			return ""
		})
		scope.Bind(struct{}{}, nil)
		tracker.Observe(scope, klime.Exchange{Method: "POST", Route: "/reports", Status: 200})
		e := wire.one(t, client)
		if got := traceOf(e); got != want {
			t.Errorf("%q: trace %s, want %s", header, got, want)
		}
		if of, ok := e["context"].(map[string]any)["trace"].(map[string]any); ok {
			if sampled := strings.Contains(header, "-01"); of["sampled"] != sampled || of["traceId"] != traceID || of["spanId"] != spanID {
				t.Errorf("%q: %v", header, of)
			}
		}
	}
}

// A span of this process counts more than a header, whichever is found first. A header
// counts more than the trace of the request around, but where there is none, that stays.
func TestTraceparentBesideASpan(t *testing.T) {
	t.Parallel()
	const header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	under := func(ctx context.Context, id byte) context.Context {
		return trace.ContextWithSpanContext(ctx, spanContext(id))
	}
	outside := func(ctx context.Context) (before, after context.Context) { return under(ctx, 2), nil }
	first := func(ctx context.Context) (before, after context.Context) { return ctx, under(ctx, 2) }
	for name, test := range map[string]struct {
		span    func(ctx context.Context) (before, after context.Context) // around the middleware, and inside it
		headers []string                                                  // of the request, and of one within
		want    string                                                    // the traces of both, from within
	}{
		"around":            {outside, []string{header, ""}, "02, 02"},
		"inside":            {first, []string{header, header}, "0a remote, 02"},
		"inside, unheard":   {first, []string{header, ""}, "02, 02"},
		"none":              {nil, []string{header, ""}, "0a remote, 0a remote"},
		"none, but garbage": {nil, []string{header, "-"}, "0a remote, 0a remote"},
		"none, and within":  {nil, []string{"", header}, "0a remote, none"},
	} {
		client, wire := newClient(t)
		tracker := klime.NewTracker(client, asUser("u1"))
		var serve func(ctx context.Context, depth int)
		serve = func(ctx context.Context, depth int) {
			var inside context.Context
			if test.span != nil && depth == 0 {
				ctx, inside = test.span(ctx)
			}
			scope := tracker.BeginIn(ctx, new(klime.Scope), &http.Request{RequestURI: fmt.Sprint("/", depth)})
			if inside != nil {
				klime.SetEvent(under(scope, 2), "") // the instrumentation stands further in
			}
			scope.ReadHeader(http.Header{"Traceparent": {test.headers[depth]}}.Get)
			scope.Bind(struct{}{}, nil)
			if depth == 0 {
				serve(scope, 1)
			}
			tracker.Observe(scope, klime.Exchange{Method: "POST", Route: "/reports", Status: 200})
		}
		serve(t.Context(), 0)
		var got []string
		for _, e := range wire.events(t, client) {
			got = append(got, traceOf(e))
		}
		if text := strings.Join(got, ", "); text != test.want {
			t.Errorf("%s: traces %s, want %s", name, text, test.want)
		}
	}
}

// Only what is listed of the baggage is sent, if it is of a reasonable size.
func TestBaggage(t *testing.T) {
	t.Parallel()
	var members []baggage.Member
	for key, value := range map[string]string{"tenant.tier": "gold", "secret": "hidden", "long": strings.Repeat("x", 257), "empty": ""} {
		m, err := baggage.NewMemberRaw(key, value)
		if err != nil {
			t.Fatal(err)
		}
		members = append(members, m)
	}
	bag, err := baggage.New(members...)
	if err != nil {
		t.Fatal(err)
	}
	ctx := baggage.ContextWithBaggage(t.Context(), bag)
	for _, tt := range []struct {
		ctx  context.Context //nolint:containedctx // of a request
		keys []string
		want string
	}{
		{ctx, nil, "<nil>"},
		{ctx, []string{"tenant.tier", "long", "empty", "none"}, "map[tenant.tier:gold]"},
		{ctx, []string{"long"}, "<nil>"},
		{t.Context(), []string{"tenant.tier"}, "<nil>"},
	} {
		client, wire := newClient(t)
		traffic{tracker: klime.NewTracker(client, asUser("u1"), klime.Baggage(tt.keys...)), ctx: tt.ctx}.serve(func(ctx context.Context) {
			klime.Track(ctx, "Done", nil)
		})
		for _, e := range wire.events(t, client) {
			if got := fmt.Sprint(e["context"].(map[string]any)["baggage"]); got != tt.want {
				t.Errorf("keys %v, %v: baggage %s, want %s", tt.keys, e["event"], got, tt.want)
			}
		}
	}
}

// An event has the baggage of the context that it is made with, or else the request's,
// as it has a span of one or the other.
func TestBaggageOfARequest(t *testing.T) {
	t.Parallel()
	with := func(ctx context.Context, tier string) context.Context {
		member, err := baggage.NewMemberRaw("tenant.tier", tier)
		if err != nil {
			t.Error(err)
		}
		bag, err := baggage.New(member)
		if err != nil {
			t.Error(err)
		}
		return baggage.ContextWithBaggage(ctx, bag)
	}
	spanned := func(ctx context.Context) context.Context { return trace.ContextWithSpanContext(ctx, spanContext(2)) }
	for _, tt := range []struct {
		name    string
		outside context.Context //nolint:containedctx // of a request
		inside  func(ctx context.Context) context.Context
		want    string // of the app's event and the request's: its trace and its baggage
	}{
		{"under a span outside and another", with(trace.ContextWithSpanContext(t.Context(), spanContext(1)), "gold"), spanned, "02 gold, 01 gold"},
		{"under a span that is met", with(t.Context(), "gold"), spanned, "02 gold, 02 gold"},
		{"own, under a span that is met", t.Context(), func(ctx context.Context) context.Context { return with(spanned(ctx), "silver") }, "02 silver, 02 silver"},
		{"under no span", with(t.Context(), "gold"), nil, "none gold, none gold"},
		{"own, under a span", with(t.Context(), "gold"), func(ctx context.Context) context.Context { return with(spanned(ctx), "silver") }, "02 silver, 02 silver"},
		{"own, under no span", with(t.Context(), "gold"), func(ctx context.Context) context.Context { return with(ctx, "silver") }, "none silver, none gold"},
		{
			"own, under the request's span", trace.ContextWithSpanContext(t.Context(), spanContext(1)),
			func(ctx context.Context) context.Context { return with(ctx, "silver") }, "01 silver, 01 none",
		},
	} {
		client, wire := newClient(t)
		traffic{tracker: klime.NewTracker(client, asUser("u1"), klime.Baggage("tenant.tier")), ctx: tt.outside}.serve(func(ctx context.Context) {
			ctx = stringKeys{context.Background(), map[string]any{klime.ScopeKey: klime.ScopeFrom(ctx)}} // as Gin's
			if tt.inside != nil {
				ctx = tt.inside(ctx)
			}
			klime.Track(ctx, "Done", nil)
		})
		var got []string
		for _, e := range wire.events(t, client) {
			tier := "none"
			if sent, ok := e["context"].(map[string]any)["baggage"].(map[string]any); ok {
				tier = fmt.Sprint(sent["tenant.tier"])
			}
			got = append(got, traceOf(e)+" "+tier)
		}
		if text := strings.Join(got, ", "); text != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, text, tt.want)
		}
	}
}

// peek is a RoundTripper that looks at the contexts of requests.
type peek func(context.Context)

func (look peek) RoundTrip(r *http.Request) (*http.Response, error) {
	look(r.Context())
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
}

// An instrumented HTTPClient finds the span of a request that is made at once, but
// not the baggage: it would tell Klime what is not listed.
func TestBaggageStaysHere(t *testing.T) {
	t.Parallel()
	member, err := baggage.NewMemberRaw("secret", "hidden")
	if err != nil {
		t.Fatal(err)
	}
	bag, err := baggage.New(member)
	if err != nil {
		t.Fatal(err)
	}
	ctx := trace.ContextWithSpanContext(baggage.ContextWithBaggage(t.Context(), bag), spanContext(1))
	var requests int
	client, _ := newClient(t, func(cfg *klime.Config) {
		cfg.HTTPClient = &http.Client{Transport: peek(func(ctx context.Context) {
			requests++
			if got := baggage.FromContext(ctx); got.Len() > 0 {
				t.Errorf("baggage %v", got)
			}
			if got := trace.SpanContextFromContext(ctx); !got.Equal(spanContext(1)) {
				t.Errorf("span %v", got)
			}
		})}
	})
	if err := client.Ping(ctx); err != nil {
		t.Error(err)
	}
	if _, err := client.TrackSync(ctx, "Done", nil, klime.ForUser("u1")); err != nil {
		t.Error(err)
	}
	if requests != 2 {
		t.Errorf("%d requests, want 2", requests)
	}
}

// recorder is a span that keeps its attributes.
type recorder struct {
	noop.Span

	attributes map[attribute.Key]string
}

func (r *recorder) IsRecording() bool { return true }

func (r *recorder) SetAttributes(attributes ...attribute.KeyValue) {
	for _, a := range attributes {
		r.attributes[a.Key] = a.Value.AsString()
	}
}

// A span that begins after the request gets no group that RequireMembership has left out.
func TestAnnotateSpanAfterTheRequest(t *testing.T) {
	t.Parallel()
	client, _ := newClient(t)
	tracker := klime.NewTracker(client, klime.AnnotateSpan(), asUser("u1"), klime.ResolveGroup(answerWith("evil")), klime.RequireMembership())
	span := &recorder{attributes: map[attribute.Key]string{}}
	var later func()
	traffic{tracker: tracker}.serve(func(ctx context.Context) {
		link("u1", "g1", "g2")(ctx)
		later = func() { klime.SetUser(trace.ContextWithSpan(ctx, span), "u1") }
	})
	later()
	if len(span.attributes) != 1 || span.attributes["user.id"] != "u1" {
		t.Errorf("attributes %v", span.attributes)
	}
}

// A trace can be found by its customer, where the app wants that.
func TestAnnotateSpan(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		opts   []klime.Option
		inside bool // the instrumentation stands further in
		do     func(context.Context)
		want   string
	}{
		"resolved":   {opts: []klime.Option{klime.AnnotateSpan(), asUser("u1"), klime.ResolveGroup(answerWith("g1"))}, want: "map[klime.group.id:g1 user.id:u1]"},
		"not wanted": {opts: []klime.Option{asUser("u1")}, want: "map[]"},
		"nobody":     {opts: []klime.Option{klime.AnnotateSpan()}, want: "map[]"},
		"said":       {opts: []klime.Option{klime.AnnotateSpan()}, do: func(ctx context.Context) { klime.SetUser(ctx, "u1") }, want: "map[user.id:u1]"},
		"silenced": {opts: []klime.Option{klime.AnnotateSpan(), asUser("u1")}, do: func(ctx context.Context) {
			klime.Silence(ctx)
			klime.SetUser(ctx, "u2")
		}, want: "map[]"},
		"further in":         {opts: []klime.Option{klime.AnnotateSpan(), asUser("u1")}, inside: true, want: "map[]"},
		"further in, said":   {opts: []klime.Option{klime.AnnotateSpan()}, inside: true, do: func(ctx context.Context) { klime.SetUser(ctx, "u1") }, want: "map[user.id:u1]"},
		"further in, linked": {opts: []klime.Option{klime.AnnotateSpan()}, inside: true, do: func(ctx context.Context) { klime.Link(ctx, klime.User{ID: "u1"}, klime.Group{ID: "g1"}) }, want: "map[klime.group.id:g1 user.id:u1]"},
		"further in, said in part": { // the rest is resolved at the end, when there is no span
			opts: []klime.Option{klime.AnnotateSpan(), klime.ResolveGroup(answerWith("g1"))}, inside: true,
			do: func(ctx context.Context) { klime.SetUser(ctx, "u1") }, want: "map[user.id:u1]",
		},
		"further in, an event": {
			opts: []klime.Option{klime.AnnotateSpan(), asUser("u1")}, inside: true,
			do: func(ctx context.Context) { klime.Track(ctx, "Done", nil, klime.ForUser("u2")) }, want: "map[user.id:u1]",
		},
	} {
		client, _ := newClient(t)
		span := &recorder{attributes: map[attribute.Key]string{}}
		ctx := t.Context()
		if !tt.inside {
			ctx = trace.ContextWithSpan(ctx, span)
		}
		traffic{tracker: klime.NewTracker(client, tt.opts...), ctx: ctx}.serve(func(ctx context.Context) {
			if tt.inside {
				ctx = trace.ContextWithSpan(ctx, span)
			}
			if tt.do != nil {
				tt.do(ctx)
			}
		})
		if got := fmt.Sprint(span.attributes); got != tt.want {
			t.Errorf("%s: attributes %s, want %s", name, got, tt.want)
		}
	}
}

// The app's own name is sent with each event.
func TestApp(t *testing.T) {
	for name, tt := range map[string]struct {
		env  map[string]string
		want string
	}{
		"nothing":    {nil, "<nil>"},
		"name":       {map[string]string{"OTEL_SERVICE_NAME": "shop"}, "map[name:shop]"},
		"attributes": {map[string]string{"OTEL_RESOURCE_ATTRIBUTES": " service.name=shop , service.version=1.2%2B3,deployment.environment.name=production,team=a"}, "map[environment:production name:shop version:1.2+3]"},
		"both":       {map[string]string{"OTEL_SERVICE_NAME": "shop", "OTEL_RESOURCE_ATTRIBUTES": "service.name=other"}, "map[name:shop]"},
		"of old":     {map[string]string{"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=staging"}, "map[environment:staging]"},
		"blank":      {map[string]string{"OTEL_SERVICE_NAME": " ", "OTEL_RESOURCE_ATTRIBUTES": "service.name=%20shop%20,service.version=%20,deployment.environment.name=%09,deployment.environment=staging"}, "map[environment:staging name:shop]"},
		"spaces":     {map[string]string{"OTEL_SERVICE_NAME": " my shop\n"}, "map[name:my shop]"},
		"malformed":  {map[string]string{"OTEL_RESOURCE_ATTRIBUTES": "service.name,=,service.version=%zz,,"}, "<nil>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("OTEL_SERVICE_NAME", "")
			t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "")
			for key, value := range tt.env {
				t.Setenv(key, value)
			}
			client, wire := newClient(t, func(cfg *klime.Config) { cfg.App = klime.FromEnv().App })
			trackDone(t, client, "u1")
			if got := fmt.Sprint(wire.one(t, client)["context"].(map[string]any)["app"]); got != tt.want {
				t.Errorf("app %s, want %s", got, tt.want)
			}
		})
	}
}

// Whatever a client sends as traceparent, the event is sent, and names a trace or
// none.
func FuzzTraceparent(f *testing.F) {
	f.Add("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	f.Add("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x")
	client, _ := newClient(f, func(cfg *klime.Config) { cfg.BeforeSend = func(*klime.Event) bool { return false } })
	tracker := klime.NewTracker(client, asUser("u1"))
	f.Fuzz(func(t *testing.T, header string) {
		scope := tracker.Begin(t.Context())
		scope.ReadHeader(func(string) string { return header })
		if err := client.Track(scope, "Done", nil, klime.ForUser("u1")); err != nil && !errors.Is(err, klime.ErrClosed) {
			t.Error(err)
		}
	})
}
