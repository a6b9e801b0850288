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

// telemetry is what OpenTelemetry's contexts tell of an event.
type telemetry struct {
	baggage baggage.Baggage
	span    spanRef
}

// spanRef is what an event says of a span: half the size of its context, which
// every request would hold. The zero one stands for none.
type spanRef struct {
	trace           trace.TraceID
	span            trace.SpanID
	sampled, remote bool
	continues       bool // the trace of a caller, as far as the span tells
}

// refTo is that of a span, the zero one if it has no valid context.
func refTo(span trace.Span) spanRef {
	c := span.SpanContext()
	if !c.IsValid() {
		return spanRef{}
	}
	child, tells := span.(interface{ Parent() trace.SpanContext }) // as those of OpenTelemetry's SDK
	return spanRef{c.TraceID(), c.SpanID(), c.IsSampled(), c.IsRemote(), tells && child.Parent().IsRemote()}
}

// known reports whether there is a span.
func (r *spanRef) known() bool { return r.trace.IsValid() }

// telemetryIn reads ctx: of baggage only what is sent.
func telemetryIn(ctx context.Context, keys []string) telemetry {
	t := telemetry{span: refTo(trace.SpanFromContext(ctx))}
	if len(keys) > 0 {
		t.baggage = baggage.FromContext(ctx)
	}
	return t
}

// telemetryOf is that of an event which is made with ctx: of the span that is
// current there, and the baggage. Either is else (a *gin.Context finds only values
// of string keys) what the request began with, has met since, or came with.
func telemetryOf(ctx context.Context, s *Scope) telemetry {
	keys := s.baggageKeys()
	t := telemetryIn(orBackground(ctx), keys)
	if s == nil || t.span.known() && (len(keys) == 0 || t.baggage.Len() > 0) {
		return t
	}
	request := s.telemetry()
	if !t.span.known() {
		t.span = request.span
	}
	if t.baggage.Len() == 0 {
		t.baggage = request.baggage
	}
	return t
}

// toKlime is ctx for a request to Klime. An instrumented Config.HTTPClient would
// send the baggage along, listed or not; the span stays.
func toKlime(ctx context.Context) context.Context {
	return baggage.ContextWithoutBaggage(orBackground(ctx))
}

// telemetry is that of the request itself.
func (s *Scope) telemetry() telemetry {
	root := s.root()
	began := telemetryIn(root.parent, root.tracker.baggage)
	if began.span.known() {
		return began
	}
	root.mu.Lock()
	defer root.mu.Unlock()
	met := root.state.met
	if met.baggage.Len() == 0 {
		met.baggage = began.baggage
	}
	return met
}

// baggageKeys is which members of baggage are sent.
func (s *Scope) baggageKeys() []string {
	if s == nil {
		return nil
	}
	return s.root().tracker.baggage
}

// learn remembers the first span under which the app calls, of a request that
// began without: its instrumentation stands further in.
func (s *Scope) learn(ctx context.Context) {
	if s == nil || !trace.SpanContextFromContext(ctx).IsValid() || s.beganUnderSpan() {
		return
	}
	met := telemetryIn(ctx, s.baggageKeys())
	s.update(func(known *state) {
		if !known.metInside {
			known.met, known.metInside = met, true
		}
	})
}

// cameWith remembers the trace that the request came with, where nothing else is
// known: its instrumentation is not in this process.
func (s *Scope) cameWith(traceparent string) {
	remote := parseTraceparent(traceparent)
	if !remote.known() || s.beganUnderSpan() {
		return
	}
	s.update(func(known *state) {
		if !known.metInside {
			known.met.span = remote
		}
	})
}

func (s *Scope) beganUnderSpan() bool {
	return trace.SpanContextFromContext(s.root().parent).IsValid()
}

// annotate writes on ctx's span whose request it is, for [AnnotateSpan].
func (s *Scope) annotate(ctx context.Context, id identity) {
	if s == nil || !s.root().tracker.annotateSpan {
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

// The attributes of [AnnotateSpan]. The first is that of OpenTelemetry's semantic
// conventions, version 1.37.0 (registry, user attributes); they have none for a
// customer.
const (
	spanUserID  = "user.id"
	spanGroupID = "klime.group.id"
)

// parseTraceparent reads the header of W3C Trace Context (level 1, section 3.2),
// the zero one if it is not valid.
func parseTraceparent(header string) spanRef {
	const (
		length            = len("00-00000000000000000000000000000000-0000000000000000-00")
		traceAt, spanAt   = 3, 36
		flagsAt           = 53
		lowerHex, sampled = "0123456789abcdef", 1
	)
	later := len(header) > length && header[length] == '-' && header[:2] != "00" // more fields, of a later version
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
	_, _ = hex.Decode(ref.trace[:], []byte(header[traceAt:spanAt-1])) // the digits were checked
	_, _ = hex.Decode(ref.span[:], []byte(header[spanAt:flagsAt-1]))
	ref.sampled = strings.IndexByte(lowerHex, header[length-1])&sampled != 0
	if !ref.trace.IsValid() || !ref.span.IsValid() {
		return spanRef{}
	}
	return ref
}

// append appends context.trace, by which an event and its trace find each other
// (the IDs are hexadecimal, as in W3C Trace Context), and context.baggage.
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

// maxBaggageValue bounds a member of baggage, in bytes.
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
