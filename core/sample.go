package klime

import (
	"encoding/binary"
	"hash/fnv"
	"math"

	"go.opentelemetry.io/otel/trace"
)

// inSample decides whether an API call is recorded, at a rate from 0 to less than 1. It goes
// by the trace, so that the events of one trace are recorded together, or without one by
// the event's random ID.
func inSample(rate float64, own trace.TraceID, messageID string) bool {
	var hash uint64
	if own.IsValid() {
		hash = binary.BigEndian.Uint64(own[:8]) ^ binary.BigEndian.Uint64(own[8:])
	} else {
		h := fnv.New64a()
		_, _ = h.Write([]byte(messageID))
		hash = h.Sum64()
	}
	hash ^= hash >> 30 // the finalizer of SplitMix64, which mixes the bits
	hash *= 0xbf58476d1ce4e5b9
	hash ^= hash >> 27
	hash *= 0x94d049bb133111eb
	hash ^= hash >> 31
	return float64(hash) < rate*math.MaxUint64
}

// ownTrace returns the trace of a span, the zero value if there is none or it came with the
// request: then the caller has chosen it.
func ownTrace(span *spanRef, x *Exchange) trace.TraceID {
	if span.remote || span.continues || parseTraceparent(x.header("Traceparent")).trace == span.trace {
		return trace.TraceID{}
	}
	return span.trace
}
