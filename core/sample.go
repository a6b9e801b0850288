package klime

import (
	"encoding/binary"
	"hash/fnv"
	"math"
)

// inSample decides whether an API call is recorded, at a rate from 0 to less than 1. It goes
// by the trace ID, so that the events of one trace are recorded together. Without a span,
// or if the trace came with the request, it goes by the event's random ID: a caller could
// choose its trace ID.
func inSample(rate float64, span spanRef, messageID string) bool {
	var hash uint64
	if span.known() && !span.remote && !span.continues {
		hash = binary.BigEndian.Uint64(span.trace[:8]) ^ binary.BigEndian.Uint64(span.trace[8:])
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

// ownTrace returns the span, or the zero value if the span continues the trace in the
// request's header, which the caller has chosen.
func ownTrace(span spanRef, x *Exchange) spanRef {
	if parseTraceparent(x.header("Traceparent")).trace == span.trace {
		return spanRef{}
	}
	return span
}
