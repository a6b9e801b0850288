package klime

import (
	"encoding/binary"
	"hash/fnv"
	"math"
)

// sampler decides which API calls are recorded.
type sampler struct {
	on   bool
	rate float64 // 0 to 1
}

// takes decides by the trace ID, so that the events of one trace are recorded together.
// Without a span, or if the trace came with the request, it decides by the event's random
// ID: a caller could choose its trace ID.
func (s sampler) takes(span spanRef, messageID string) bool {
	if span.known() && !span.remote && !span.continues {
		return s.below(binary.BigEndian.Uint64(span.trace[:8]) ^ binary.BigEndian.Uint64(span.trace[8:]))
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(messageID))
	return s.below(h.Sum64())
}

// below mixes the bits of a hash and compares it with the rate.
func (s sampler) below(hash uint64) bool {
	hash ^= hash >> 30 // the finalizer of SplitMix64
	hash *= 0xbf58476d1ce4e5b9
	hash ^= hash >> 27
	hash *= 0x94d049bb133111eb
	hash ^= hash >> 31
	return float64(hash) < s.rate*math.MaxUint64 || s.rate == 1
}

// ownTrace returns the span, or the zero value if the span continues the trace in the
// request's header, which the caller has chosen.
func ownTrace(span spanRef, x *Exchange) spanRef {
	if parseTraceparent(x.header("Traceparent")).trace == span.trace {
		return spanRef{}
	}
	return span
}
