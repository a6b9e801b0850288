package klime

import (
	"math"
	"math/bits"
	"slices"
	"time"
)

// sketch remembers durations well enough for their percentiles, in little
// memory: each power of two is divided into 16 buckets of the same width, so that
// the middle of a bucket is off by at most 1/32, or 3.1 %, and by 32 ns below a
// microsecond. Count, sum and maximum are exact.
//
// It is the log-linear mapping of HdrHistogram (hdrhistogram.org), with buckets
// only where there is something to count.
type sketch struct {
	count   uint64
	sum     time.Duration
	longest time.Duration
	buckets []bucket // sorted by index
}

// bucket counts the durations from one bound up to the next.
type bucket struct {
	index uint16
	count uint32 // the highest stands for more, too
}

func (b *bucket) add(count uint32) { b.count += min(count, math.MaxUint32-b.count) }

const (
	subBits   = 4 // tell the buckets of a power of two apart
	unitShift = 6 // durations are counted in units of 64 ns
)

func (s *sketch) add(d time.Duration) {
	d = max(d, 0)
	s.count++
	s.sum += d
	s.longest = max(s.longest, d)
	s.bucket(bucketOf(d)).add(1)
}

// bucket is the one of that index, new if need be.
func (s *sketch) bucket(index uint16) *bucket {
	at, found := slices.BinarySearchFunc(s.buckets, index, func(b bucket, index uint16) int { return int(b.index) - int(index) })
	if !found {
		s.buckets = slices.Insert(s.buckets, at, bucket{index: index})
	}
	return &s.buckets[at]
}

// merge adds what another sketch has counted.
func (s *sketch) merge(other *sketch) {
	s.count += other.count
	s.sum += other.sum
	s.longest = max(s.longest, other.longest)
	at := 0 // both are sorted
	for _, b := range other.buckets {
		for at < len(s.buckets) && s.buckets[at].index < b.index {
			at++
		}
		if at == len(s.buckets) || s.buckets[at].index != b.index {
			s.buckets = slices.Insert(s.buckets, at, bucket{index: b.index})
		}
		s.buckets[at].add(b.count)
	}
}

// bucketOf is the power of two, and the bits behind its first.
func bucketOf(d time.Duration) uint16 {
	units := uint64(d) >> unitShift //nolint:gosec // not negative
	shift := max(bits.Len64(units)-subBits-1, 0)
	return uint16(shift<<subBits) + uint16(units>>shift) //nolint:gosec // 64 powers of 16 buckets at most
}

// middle is what stands for the durations in a bucket.
func (b *bucket) middle() time.Duration {
	shift := max(int(b.index>>subBits)-1, 0)
	low := time.Duration(int(b.index)-shift<<subBits) << (shift + unitShift)
	return low + time.Duration(1)<<(shift+unitShift)/2
}

// mean is the average, 0 of nothing.
func (s *sketch) mean() time.Duration {
	if s.count == 0 {
		return 0
	}
	return s.sum / time.Duration(s.count) //nolint:gosec // an amount of requests
}

// percentile returns the duration that p percent are not longer than, 0 of
// nothing.
func (s *sketch) percentile(p uint64) time.Duration {
	rank := (s.count*p + 99) / 100 // rounded up, 1 is the shortest
	for _, b := range s.buckets {
		if uint64(b.count) >= rank {
			return min(b.middle(), s.longest)
		}
		rank -= uint64(b.count)
	}
	return s.longest
}
