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

// takes decides by the trace, so that all services that see a request decide
// alike, or else by the event's random ID. A trace that came with the request is
// the client's choice, and not gone by.
func (s sampler) takes(span spanRef, messageID string) bool {
	if span.known() && !span.remote && !span.continues {
		return s.below(binary.BigEndian.Uint64(span.trace[:8]) ^ binary.BigEndian.Uint64(span.trace[8:]))
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(messageID))
	return s.below(h.Sum64())
}

// below spreads a hash evenly and compares it with the rate.
func (s sampler) below(hash uint64) bool {
	hash ^= hash >> 30 // the finalizer of SplitMix64
	hash *= 0xbf58476d1ce4e5b9
	hash ^= hash >> 27
	hash *= 0x94d049bb133111eb
	hash ^= hash >> 31
	return float64(hash) < s.rate*math.MaxUint64 || s.rate == 1
}

// ownTrace is the span, unless its trace is one that the client has chosen:
// instrumentation goes on with the trace that a request came with.
func ownTrace(span spanRef, x *Exchange) spanRef {
	if parseTraceparent(x.header("Traceparent")).trace == span.trace {
		return spanRef{}
	}
	return span
}
