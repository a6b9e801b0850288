package klime

import (
	"context"
	"net/http"
	"testing"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/trace"
)

// tracedRequest is a request whose handler tracks an event.
type tracedRequest struct {
	outside, inside context.Context //nolint:containedctx // of the middleware, and of the handler
	header          http.Header
}

func tracedRequests(tb testing.TB) map[string]tracedRequest {
	tb.Helper()
	member, err := baggage.NewMemberRaw("tenant.tier", "gold")
	if err != nil {
		tb.Fatal(err)
	}
	bag, err := baggage.New(member)
	if err != nil {
		tb.Fatal(err)
	}
	none := context.Background()
	span := trace.ContextWithSpanContext(baggage.ContextWithBaggage(none, bag), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled,
	}))
	return map[string]tracedRequest{
		"no span":     {outside: none, inside: none},
		"traceparent": {outside: none, inside: none, header: http.Header{"Traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}},
		"span":        {outside: span, inside: span},
		"span inside": {outside: none, inside: span},
	}
}

// traceOnly is what is done for traces alone, for s and an event of its handler.
func (r *tracedRequest) traceOnly(s *Scope, to []byte) []byte {
	s.own = request{}
	s.parent = r.outside
	s.ReadHeader(r.header.Get)
	s.noteSpan(r.inside)
	var explicit draft
	explicit.addTelemetry(r.inside, s)
	automatic := s.telemetry()
	return automatic.append(explicit.telemetry.append(to, explicit.baggage, nil), explicit.baggage, nil)
}

// serve is all that a request and an event of its handler cost, but for the queue.
func (r *tracedRequest) serve(tb testing.TB, t *Tracker) {
	s := t.Begin(r.outside)
	s.ReadHeader(r.header.Get)
	ctx := context.WithValue(r.inside, scopeKey{}, s)
	scope, silent := t.client.scopeOf(ctx)
	d := draft{Event: Event{Event: "Report Generated"}}
	if _, err := t.client.complete(ctx, scope, silent, &d, []EventOption{ForUser("u1")}); err != nil {
		tb.Fatal(err)
	}
	if _, err := t.client.prepare(&d, nil); err != nil {
		tb.Fatal(err)
	}
}

func newTracedTracker(tb testing.TB) *Tracker {
	tb.Helper()
	client, err := New(Config{WriteKey: "key"})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = client.Shutdown(context.Background()) })
	return NewTracker(client, Baggage("tenant.tier", "other"), AnnotateSpan())
}

// Traces cost no allocation, with a span or without: what is sent of them is in
// the one that the event has anyway.
func TestTraceAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("allocations are counted without the race detector")
	}
	tracker := newTracedTracker(t)
	requests := tracedRequests(t)
	without := requests["no span"]
	want := testing.AllocsPerRun(200, func() { without.serve(t, tracker) })
	for name, r := range requests {
		s := tracker.Begin(t.Context())
		to := make([]byte, 0, 4096)
		if got := testing.AllocsPerRun(200, func() { to = r.traceOnly(s, to[:0]) }); got != 0 {
			t.Errorf("%s: %v allocations for the trace, want none", name, got)
		}
		if sent := len(to) > 0; sent != (name != "no span") {
			t.Errorf("%s: %q", name, to)
		}
		if got := testing.AllocsPerRun(200, func() { r.serve(t, tracker) }); got != want {
			t.Errorf("%s: %v allocations, want %v as without a span", name, got, want)
		}
	}
}

func BenchmarkTrace(b *testing.B) {
	for name, r := range tracedRequests(b) {
		b.Run(name, func(b *testing.B) {
			tracker := newTracedTracker(b)
			b.ReportAllocs()
			for b.Loop() {
				r.serve(b, tracker)
			}
		})
	}
}
