package oteltest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
)

// wire is Klime as far as it sees the headers of requests.
type wire struct {
	mu      sync.Mutex
	headers []http.Header
}

func (w *wire) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.headers = append(w.headers, r.Header.Clone())
}

// told counts the requests, those with a traceparent, and those with more of
// OpenTelemetry's.
func (w *wire) told() (requests, traced, more int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.headers {
		if h.Get("Traceparent") != "" {
			traced++
		}
		if h.Get("Tracestate") != "" || h.Get("Baggage") != "" {
			more++
		}
	}
	return len(w.headers), traced, more
}

// talk makes each kind of request to Klime, under a span and with baggage.
func talk(t *testing.T, client *klime.Client, tracer trace.Tracer) trace.SpanContext {
	t.Helper()
	member, err := baggage.NewMemberRaw("secret", "hidden")
	if err != nil {
		t.Fatal(err)
	}
	bag, err := baggage.New(member)
	if err != nil {
		t.Fatal(err)
	}
	ctx, span := tracer.Start(baggage.ContextWithBaggage(t.Context(), bag), "request")
	defer span.End()
	if err := client.Ping(ctx); err != nil {
		t.Error(err)
	}
	if _, err := client.TrackSync(ctx, "Sent", nil, klime.ForUser("u1")); err != nil {
		t.Error(err)
	}
	if err := client.Track(ctx, "Queued", nil, klime.ForUser("u1")); err != nil {
		t.Error(err)
	}
	if err := client.Flush(ctx); err != nil {
		t.Error(err)
	}
	return span.SpanContext()
}

const requestsOfTalk = 3

// globals makes a provider and propagators the global ones for a test, and has the
// default transport traced.
func globals(t *testing.T, provider trace.TracerProvider) {
	t.Helper()
	propagator, before, transport := otel.GetTextMapPropagator(), otel.GetTracerProvider(), http.DefaultTransport
	t.Cleanup(func() {
		otel.SetTextMapPropagator(propagator)
		otel.SetTracerProvider(before)
		http.DefaultTransport = transport
	})
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))
	otel.SetTracerProvider(provider)
	http.DefaultTransport = otelhttp.NewTransport(transport)
}

// recipe is the one of docs/opentelemetry.md: requests are traced, and carry no
// header of a trace.
func recipe(base http.RoundTripper, provider trace.TracerProvider) *http.Client {
	var cfg klime.Config
	cfg.HTTPClient = &http.Client{Transport: otelhttp.NewTransport(base,
		otelhttp.WithTracerProvider(provider),
		otelhttp.WithPropagators(propagation.NewCompositeTextMapPropagator()))} // none
	return cfg.HTTPClient
}

func TestRecipeIsDocumented(t *testing.T) {
	t.Parallel()
	unindented := func(text string) string { return regexp.MustCompile(`(?m)^\s+`).ReplaceAllString(text, "") }
	code, err := os.ReadFile("delivery_test.go")
	if err != nil {
		t.Fatal(err)
	}
	snippets := regexp.MustCompile("(?s)```go\n(.*?)```\n").FindAllStringSubmatch(document(t), -1)
	for _, snippet := range snippets {
		if !strings.Contains(unindented(string(code)), unindented(snippet[1])) {
			t.Errorf("not in the code as it stands in the document:\n%s", snippet[1])
		}
	}
	check(t, "snippets", len(snippets), 1)
}

// document is docs/opentelemetry.md.
func document(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/opentelemetry.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// No request tells Klime of a trace, whatever the app has made global: not by
// default, and not by the recipe. Without it, an instrumented client does; of the
// baggage not even that one tells.
func TestRequestsTellNoTrace(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	base := http.DefaultTransport
	globals(t, provider)
	for _, tt := range []struct {
		name         string
		client       *http.Client
		traced, made int // requests with a header, and spans of requests
	}{
		{"default", nil, 0, 0},
		{"recipe", recipe(base, provider), 0, requestsOfTalk},
		{"another instrumented client", &http.Client{}, requestsOfTalk, requestsOfTalk},
	} {
		exporter.Reset()
		seen := new(wire)
		server := httptest.NewServer(seen)
		client, err := klime.New(klime.Config{WriteKey: "the-key", Endpoint: server.URL, HTTPClient: tt.client})
		if err != nil {
			t.Fatal(err)
		}
		talk(t, client, provider.Tracer("test"))
		if err := client.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		server.Close()
		requests, traced, more := seen.told()
		made := 0
		for _, s := range exporter.GetSpans() {
			if s.SpanKind == trace.SpanKindClient {
				made++
			}
		}
		check(t, tt.name, []int{requests, traced, more, made}, []int{requestsOfTalk, tt.traced, 0, tt.made})
	}
}

// Traced by the recipe, a request to Klime has one span, and no more comes of it:
// neither an event nor another request. What is sent at once is a child of the
// current span, what was queued a trace of its own.
func TestTracedDelivery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		exporter := tracetest.NewInMemoryExporter()
		provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
		fake := klimetest.NewRecorder()
		cfg := fake.Config()
		cfg.HTTPClient = recipe(cfg.HTTPClient.Transport, provider)
		client, err := klime.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		under := talk(t, client, provider.Tracer("test"))
		time.Sleep(time.Hour) // of the bubble: whatever was to come has come
		if err := client.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		children, roots := 0, 0
		for _, s := range exporter.GetSpans() {
			switch {
			case s.SpanKind != trace.SpanKindClient:
			case s.Parent.SpanID() == under.SpanID():
				children++
			case !s.Parent.IsValid():
				roots++
			}
			if text := fmt.Sprint(s.Attributes, s.Events); strings.Contains(text, cfg.WriteKey) || strings.Contains(text, "u1") {
				t.Errorf("the span tells %s", text)
			}
		}
		check(t, "spans of requests, children and roots", []int{children, roots}, []int{2, 1})
		check(t, "events", len(fake.Events()), 2)
	})
}
