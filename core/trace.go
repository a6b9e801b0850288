package klime

import (
	"context"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/trace"
)

// telemetry is what an event takes from OpenTelemetry.
type telemetry struct {
	baggage baggage.Baggage
	span    spanRef
}

// spanRef is what an event says about a span. Each request holds one, and a
// [trace.SpanContext] would be twice as large. The zero value stands for no span.
type spanRef struct {
	trace           trace.TraceID
	span            trace.SpanID
	sampled, remote bool
	continues       bool // it continues a caller's trace: its parent is remote, as far as the span tells
	inside          bool // of a fallback: it is from inside the request, not from a header
}

// refer sets r to the span in ctx, and reports whether there is one with a valid context.
func (r *spanRef) refer(ctx context.Context) bool {
	span := trace.SpanFromContext(ctx)
	c := span.SpanContext()
	if !c.IsValid() {
		return false
	}
	child, tells := span.(interface{ Parent() trace.SpanContext }) // spans of OpenTelemetry's SDK do
	*r = spanRef{
		trace: c.TraceID(), span: c.SpanID(), sampled: c.IsSampled(), remote: c.IsRemote(), continues: tells && child.Parent().IsRemote(),
	}
	return true
}

// known reports whether there is a span.
func (r *spanRef) known() bool { return r.trace.IsValid() }

// read reads the telemetry in ctx.
func (t *telemetry) read(ctx context.Context, keys []string) {
	t.span.refer(ctx)
	t.baggage = baggageIn(ctx, keys)
}

// baggageIn reads the baggage in ctx, if there are keys to send.
func baggageIn(ctx context.Context, keys []string) (b baggage.Baggage) {
	if len(keys) > 0 {
		b = baggage.FromContext(ctx)
	}
	return b
}

// addTelemetry adds what an event that the app makes with ctx takes from OpenTelemetry:
// ctx's current span and baggage. What ctx lacks is that of the request. A *gin.Context
// lacks both, as it finds only values with string keys. The scope is the client's own.
func (d *draft) addTelemetry(ctx context.Context, s *Scope) {
	t, keys := &d.telemetry, s.baggageKeys()
	d.baggage = keys
	t.read(orBackground(ctx), keys)
	if s == nil || t.span.known() && (len(keys) == 0 || t.baggage.Len() > 0) {
		return
	}
	request := s.telemetry()
	if !t.span.known() {
		t.span = request.span
	}
	if t.baggage.Len() == 0 {
		t.baggage = request.baggage
	}
}

// toKlime returns ctx for a request to Klime. It removes the baggage, all of which an
// instrumented Config.HTTPClient would send; the span stays.
func toKlime(ctx context.Context) context.Context {
	return baggage.ContextWithoutBaggage(orBackground(ctx))
}

// telemetry returns the telemetry of the request itself: of the span under which it
// began, or else the fallback.
func (s *Scope) telemetry() telemetry {
	r := s.request()
	r.mu.Lock()
	t := r.fallback
	r.mu.Unlock()
	s.completeTelemetry(&t)
	return t
}

// completeTelemetry turns the request's fallback into its telemetry.
func (s *Scope) completeTelemetry(t *telemetry) {
	underSpan := t.span.refer(s.root.parent)
	if underSpan || t.baggage.Len() == 0 {
		t.baggage = baggageIn(s.root.parent, s.baggageKeys())
	}
}

// baggageKeys returns the keys of the baggage members to send.
func (s *Scope) baggageKeys() []string {
	if s == nil {
		return nil
	}
	return s.root.tracker.baggage
}

// noteSpan remembers the span in ctx if it is the first one inside a request that did
// not begin under a span: then the instrumentation's middleware stands further in.
func (s *Scope) noteSpan(ctx context.Context) {
	if s == nil || s.isWork() || !trace.SpanContextFromContext(ctx).IsValid() || s.beganUnderSpan() {
		return // work may go on for long: each part has a span of its own
	}
	var inside telemetry
	inside.read(ctx, s.baggageKeys())
	inside.span.inside = true
	s.update(func(r *request) {
		if !r.fallback.span.inside {
			r.fallback = inside
		}
	})
}

// noteTraceparent remembers the trace in the request's header. It is used if there is no
// span in this process.
func (s *Scope) noteTraceparent(traceparent string) {
	remote := parseTraceparent(traceparent)
	if !remote.known() || s.beganUnderSpan() {
		return
	}
	s.update(func(r *request) {
		if !r.fallback.span.inside {
			r.fallback.span = remote
		}
	})
}

func (s *Scope) beganUnderSpan() bool {
	return trace.SpanContextFromContext(s.root.parent).IsValid()
}

// RecordError records a handler's error on the span under which the request began, if there
// is one. It is for adapters that turn the error into an answer themselves, so that the
// instrumentation further out does not see it.
func (s *Scope) RecordError(err error) {
	if s != nil {
		trace.SpanFromContext(s.parent).RecordError(err)
	}
}

// annotate writes whose request it is on the span in ctx, for [AnnotateSpan].
func (s *Scope) annotate(ctx context.Context, id identity) {
	if s == nil || !s.root.tracker.annotateSpan {
		return
	}
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	if id.user != "" {
		span.SetAttributes(attribute.String(spanUserID, id.user))
	}
	if id.group != "" {
		span.SetAttributes(attribute.String(spanGroupID, id.group))
	}
}

// The attributes that [AnnotateSpan] sets. The first is from OpenTelemetry's semantic
// conventions, version 1.37.0 (registry, user attributes), which have none for a
// customer.
const (
	spanUserID  = "user.id"
	spanGroupID = "klime.group.id"
)

// parseTraceparent reads the header traceparent of W3C Trace Context (level 1, section
// 3.2). It returns the zero value if the header is not valid.
func parseTraceparent(header string) spanRef {
	const (
		length            = len("00-00000000000000000000000000000000-0000000000000000-00")
		traceAt, spanAt   = 3, 36
		flagsAt           = 53
		lowerHex, sampled = "0123456789abcdef", 1
	)
	later := len(header) > length && header[length] == '-' && header[:2] != "00" // a later version may add fields
	if len(header) != length && !later || header[:2] == "ff" {
		return spanRef{}
	}
	for i := range length {
		dash := i == traceAt-1 || i == spanAt-1 || i == flagsAt-1
		if dash && header[i] != '-' || !dash && strings.IndexByte(lowerHex, header[i]) < 0 {
			return spanRef{}
		}
	}
	ref := spanRef{remote: true}
	_, _ = hex.Decode(ref.trace[:], []byte(header[traceAt:spanAt-1])) // cannot fail: the digits were checked above
	_, _ = hex.Decode(ref.span[:], []byte(header[spanAt:flagsAt-1]))
	ref.sampled = strings.IndexByte(lowerHex, header[length-1])&sampled != 0
	if !ref.trace.IsValid() || !ref.span.IsValid() {
		return spanRef{}
	}
	return ref
}

// append appends context.trace and context.baggage, unless the event's own context has
// them. The IDs are hexadecimal, as in W3C Trace Context, so that the event and its trace
// can be matched.
func (t *telemetry) append(b []byte, keys []string, own map[string]any) []byte {
	if t.span.known() {
		if _, taken := own["trace"]; !taken {
			b = t.span.append(b)
		}
	}
	if len(keys) > 0 {
		if _, taken := own["baggage"]; !taken {
			b = t.appendBaggage(b, keys)
		}
	}
	return b
}

func (r *spanRef) append(b []byte) []byte {
	b = hex.AppendEncode(append(b, `,"trace":{"traceId":"`...), r.trace[:])
	b = hex.AppendEncode(append(b, `","spanId":"`...), r.span[:])
	b = strconv.AppendBool(append(b, `","sampled":`...), r.sampled)
	if r.remote {
		b = append(b, `,"remote":true`...)
	}
	return append(b, '}')
}

// maxBaggageValue is the longest value of a baggage member that is sent, in bytes.
const maxBaggageValue = 256

func (t *telemetry) appendBaggage(b []byte, keys []string) []byte {
	start := len(b)
	b = append(b, `,"baggage":{`...)
	for _, key := range keys {
		value := t.baggage.Member(key).Value()
		if value == "" || len(value) > maxBaggageValue || !utf8.ValidString(value) {
			continue
		}
		b = appendString(appendKey(b, key), value)
	}
	if b[len(b)-1] == '{' {
		return b[:start]
	}
	return append(b, '}')
}
