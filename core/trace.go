package klime

import (
	"context"

	"go.opentelemetry.io/otel/trace"
)

// spanOf returns the span that is current in ctx, an invalid one if none is.
func spanOf(ctx context.Context) trace.SpanContext { return trace.SpanContextFromContext(ctx) }

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
