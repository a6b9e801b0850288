package oteltest_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"testing"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	os.Exit(m.Run())
}

// The request's caller, which is traced elsewhere.
const (
	callerTrace = "0af7651916cd43dd8448eb211c80319c"
	callerSpan  = "b7ad6b7169203331"
)

func traced(flags string) http.Header {
	return http.Header{"Traceparent": {"00-" + callerTrace + "-" + callerSpan + "-" + flags}}
}

// handler is what an app does in a request.
type handler func(klime, spans context.Context, tracer trace.Tracer, client *klime.Client)

// idle leaves everything to the middleware.
func idle(context.Context, context.Context, trace.Tracer, *klime.Client) {}

// busy tells klime of its user, and tracks events under the request's span and
// under one of its own.
func busy(ctx, spans context.Context, tracer trace.Tracer, client *klime.Client) {
	klime.Link(ctx, klime.User{ID: "u1", Traits: klime.Traits{"name": "Jane"}}, klime.Group{ID: "g1"})
	klime.Track(ctx, "Tracked", nil)
	child, span := tracer.Start(spans, "child")
	defer span.End()
	klime.Track(child, "Tracked In Child", nil)
	_, _ = client.TrackSync(child, "Sent In Child", nil)
}

// outcome is what a request has left behind.
type outcome struct {
	events []klime.Event
	spans  tracetest.SpanStubs
}

// request serves one request of the app.
func (f framework) request(t *testing.T, o order, options []klime.Option, header http.Header, do handler) outcome {
	t.Helper()
	fake := klimetest.NewServer(t)
	client := fake.Client()
	exporter := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	a := app{
		client: client, order: o, provider: provider,
		propagator: propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}),
		options:    append([]klime.Option{klime.ResolveUser(func(any) any { return "u1" }), klime.ResolveGroup(func(any) any { return "g1" })}, options...),
		handle:     func(ctx, spans context.Context) { do(ctx, spans, provider.Tracer("test"), client) },
	}
	url, stop := f.serve(t, a)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/reports/42", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(req.Header, header)
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d", resp.StatusCode)
	}
	stop()                                                                                    // by now the span of the request has ended
	flushing, span := sdktrace.NewTracerProvider().Tracer("test").Start(t.Context(), "flush") // what is queued must not take it for its own
	if err := client.Flush(flushing); err != nil {
		t.Fatal(err)
	}
	span.End()
	return outcome{fake.Events(), exporter.GetSpans()}
}

// traces are the spans that the events name: "server", the name of another span,
// "caller", or "none", with what is unusual about them.
func (o outcome) traces() map[string]string {
	found := make(map[string]string)
	for _, e := range o.events {
		name := e.Event
		if e.Type != klime.TrackEvent {
			name = e.Type.String()
		}
		found[name] = o.trace(e)
	}
	return found
}

func (o outcome) trace(e klime.Event) string {
	named, ok := e.Context["trace"].(map[string]any)
	if !ok {
		return "none"
	}
	text := fmt.Sprintf("unknown %v", named)
	for _, s := range o.spans {
		if s.SpanContext.TraceID().String() == named["traceId"] && s.SpanContext.SpanID().String() == named["spanId"] {
			text = s.Name
			if s.SpanKind == trace.SpanKindServer {
				text = "server"
			}
		}
	}
	if named["traceId"] == callerTrace && named["spanId"] == callerSpan {
		text = "caller"
	}
	if named["sampled"] != true {
		text += ", not sampled"
	}
	if remote := named["remote"]; remote != nil {
		text += fmt.Sprintf(", remote %v", remote)
	}
	return text
}

// attributes are those of the server's span, or of the one of that name, that klime
// has written.
func (o outcome) attributes(name string) string {
	for _, s := range o.spans {
		if s.Name != name && (name != "server" || s.SpanKind != trace.SpanKindServer) {
			continue
		}
		set := attribute.NewSet(s.Attributes...)
		user, _ := set.Value("user.id")
		group, _ := set.Value("klime.group.id")
		return user.AsString() + " " + group.AsString()
	}
	return "no such span"
}

// each runs a test for each framework, with the instrumentation in each of these
// places.
func each(t *testing.T, orders []order, test func(*testing.T, framework, order)) {
	t.Helper()
	for _, f := range frameworks() {
		for _, o := range orders {
			t.Run(f.name+"/"+string(o), func(t *testing.T) {
				t.Parallel()
				test(t, f, o)
			})
		}
	}
}

func check(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s\n     %v\nwant %v", what, got, want)
	}
}

// An event names the span under which it was made, wherever the instrumentation
// stands; that of a request the server's span.
func TestEventsNameTheirSpan(t *testing.T) {
	t.Parallel()
	each(t, []order{before, after}, func(t *testing.T, f framework, o order) {
		want := map[string]string{
			"identify": "server", "group": "server", "Tracked": "server", "API Called": "server",
			"Tracked In Child": "child", "Sent In Child": "child",
		}
		if f.blind && o == after { // the first span that klime is shown is the child
			maps.Copy(want, map[string]string{"identify": "none", "group": "none", "Tracked": "none", "API Called": "child"})
		}
		got := f.request(t, o, nil, nil, busy)
		check(t, "without a caller's trace", got.traces(), want)
		if len(got.spans) != 2 {
			t.Errorf("%d spans, want 2", len(got.spans))
		}
		for _, e := range got.events {
			if route := e.Properties["route"]; e.Event == "API Called" && route != "/reports/{id}" {
				t.Errorf("route %v", route)
			}
		}

		for name, span := range want {
			if span == "none" {
				want[name] = "caller, remote true"
			}
		}
		got = f.request(t, o, nil, traced("01"), busy)
		check(t, "with a caller's trace", got.traces(), want)
		for _, s := range got.spans {
			if s.SpanContext.TraceID().String() != callerTrace {
				t.Errorf("span %s is of trace %s, want the caller's", s.Name, s.SpanContext.TraceID())
			}
		}
	})
}

// An app that tells klime nothing has the trace in its events all the same: of its
// own span if the instrumentation stands outside, or else of the caller's.
func TestTraceOfAnIdleApp(t *testing.T) {
	t.Parallel()
	each(t, []order{before, after, nowhere}, func(t *testing.T, f framework, o order) {
		alone, called := "none", "caller, remote true"
		if o == before {
			alone, called = "server", "server"
		}
		check(t, "without a caller's trace", f.request(t, o, nil, nil, idle).traces(), map[string]string{"API Called": alone})
		check(t, "with a caller's trace", f.request(t, o, nil, traced("01"), idle).traces(), map[string]string{"API Called": called})
	})
}

// An app that only describes users and groups shows klime the request's span with that.
func TestTraceOfAnAppThatDescribes(t *testing.T) {
	t.Parallel()
	each(t, []order{before, after}, func(t *testing.T, f framework, o order) {
		traits := klime.Traits{"name": "Jane"}
		for name, describe := range map[string]func(context.Context, *klime.Client) error{
			"identify": func(ctx context.Context, c *klime.Client) error { return c.Identify(ctx, "u2", traits) },
			"group":    func(ctx context.Context, c *klime.Client) error { return c.Group(ctx, "g2", traits) },
		} {
			got := f.request(t, o, nil, traced("01"), func(_, spans context.Context, _ trace.Tracer, c *klime.Client) {
				if err := describe(spans, c); err != nil {
					t.Error(err)
				}
			})
			check(t, name, got.traces(), map[string]string{name: "server", "API Called": "server"})
		}
	})
}

// What nobody samples is not exported, and the events say so.
func TestNotSampled(t *testing.T) {
	t.Parallel()
	each(t, []order{before, after}, func(t *testing.T, f framework, o order) {
		got := f.request(t, o, nil, traced("00"), busy)
		if len(got.spans) != 0 {
			t.Errorf("%d spans, want none", len(got.spans))
		}
		for _, e := range got.events {
			named, _ := e.Context["trace"].(map[string]any)
			if named["traceId"] != callerTrace || named["sampled"] != false {
				t.Errorf("%v %s: %v", e.Type, e.Event, named)
			}
		}
	})
}

// A *gin.Context shows klime the span that the request began with, outside of
// klime's middleware. One that the app has put into c.Request since is seen there,
// or with ContextWithFallback.
func TestWhatAGinContextShows(t *testing.T) {
	t.Parallel()
	itself := func(c *gin.Context) context.Context { return c }
	for _, tt := range []struct {
		name     string
		fallback bool
		of       func(*gin.Context) context.Context
		want     string
	}{
		{"c", false, itself, "server"},
		{"c with ContextWithFallback", true, itself, "inner"},
		{"c.Request.Context()", false, func(c *gin.Context) context.Context { return c.Request.Context() }, "inner"},
	} {
		f := framework{serve: serveGin(tt.fallback, func(c *gin.Context) context.Context {
			span := trace.SpanFromContext(c.Request.Context())
			ctx, inner := span.TracerProvider().Tracer("test").Start(c.Request.Context(), "inner")
			inner.End() // its ID is all that is needed
			c.Request = c.Request.WithContext(ctx)
			return tt.of(c)
		})}
		got := f.request(t, before, nil, nil, func(ctx, _ context.Context, _ trace.Tracer, _ *klime.Client) {
			klime.Track(ctx, "Tracked", nil)
		})
		check(t, tt.name, got.traces(), map[string]string{"Tracked": tt.want, "API Called": "server"})
	}
}

// A trace can be found by its customer, where klime is shown its span.
func TestServerSpanIsAnnotated(t *testing.T) {
	t.Parallel()
	each(t, []order{before, after}, func(t *testing.T, f framework, o order) {
		annotate := []klime.Option{klime.AnnotateSpan()}
		want, idleWant := "u1 g1", "u1 g1"
		if f.blind && o == after {
			want = " "
		}
		if o == after {
			idleWant = " "
		}
		got := f.request(t, o, annotate, nil, busy)
		check(t, "server", got.attributes("server"), want)
		check(t, "child", got.attributes("child"), "u1 g1")
		check(t, "idle", f.request(t, o, annotate, nil, idle).attributes("server"), idleWant)
		check(t, "without the option", f.request(t, o, nil, nil, busy).attributes("server"), " ")
	})
}

// Of the baggage that a request has come with, events have what is listed.
func TestListedBaggage(t *testing.T) {
	t.Parallel()
	each(t, []order{before, after}, func(t *testing.T, f framework, o order) {
		header := http.Header{"Baggage": {"tenant.tier=gold,secret=hidden"}}
		for _, e := range f.request(t, o, []klime.Option{klime.Baggage("tenant.tier", "other")}, header, busy).events {
			want := "map[tenant.tier:gold]"
			if shown := e.Event == "API Called" || e.Event == "Tracked In Child" || e.Event == "Sent In Child"; f.blind && o == after && !shown {
				want = "<nil>"
			}
			check(t, e.Type.String()+" "+e.Event, e.Context["baggage"], want)
		}
		for _, e := range f.request(t, o, nil, header, busy).events {
			check(t, "nothing listed", e.Context["baggage"], nil)
		}
	})
}

// What is counted over many requests is of no trace.
func TestRollUpHasNoTrace(t *testing.T) {
	t.Parallel()
	each(t, []order{before, after, nowhere}, func(t *testing.T, f framework, o order) {
		got := f.request(t, o, []klime.Option{klime.RollUp(3600e9)}, traced("01"), idle)
		check(t, "traces", got.traces(), map[string]string{"API Usage Recorded": "none"})
	})
}
