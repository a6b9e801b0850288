package klime

import (
	"context"

	"go.opentelemetry.io/otel/trace"
)

// spanOf returns the span that is current in ctx, or else (a *gin.Context finds
// only values of string keys) the one under which the request began, an
// invalid one if there is none.
func spanOf(ctx context.Context) trace.SpanContext {
	span := trace.SpanContextFromContext(ctx)
	if span.IsValid() {
		return span
	}
	return trace.SpanContextFromContext(ScopeFrom(ctx))
}

// appendTrace appends context.trace, by which an event and its trace find each
// other. The IDs are hexadecimal, as in W3C Trace Context.
func appendTrace(b []byte, span trace.SpanContext) []byte {
	b = append(b, `,"trace":{"traceId":"`...)
	id := span.TraceID()
	for _, c := range id {
		b = append(b, hexDigits[c>>4], hexDigits[c&0xf])
	}
	b = append(b, `","spanId":"`...)
	sid := span.SpanID()
	for _, c := range sid {
		b = append(b, hexDigits[c>>4], hexDigits[c&0xf])
	}
	b = append(b, `","sampled":`...)
	if span.IsSampled() {
		return append(b, `true}`...)
	}
	return append(b, `false}`...)
}
