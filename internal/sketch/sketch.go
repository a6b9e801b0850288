// Package sketch estimates percentiles of durations in little memory, however many there
// are.
package sketch

import (
	"math"
	"math/bits"
	"slices"
	"time"
)

// Sketch is a histogram of durations, from which percentiles are estimated. Each power
// of two is divided into 16 buckets of the same width, so the middle of a bucket is off
// by at most 1/32, or 3.1 %, and by 32 ns below a microsecond. Count, mean and maximum
// are exact. The zero value is ready.
//
// It maps durations to buckets like HdrHistogram (hdrhistogram.org), which is called
// log-linear, but keeps only buckets that have counted something.
type Sketch struct {
	count   uint64
	sum     time.Duration
	longest time.Duration
	buckets []bucket // sorted by index
}

// bucket counts the durations in one interval.
type bucket struct {
	index uint16
	count uint32 // stops at the largest value
}

const (
	subBits   = 4 // number the 16 buckets of a power of two
	unitShift = 6 // durations are counted in units of 64 ns
)

// Add counts a duration. A negative one counts as zero.
func (s *Sketch) Add(d time.Duration) {
	d = max(d, 0)
	s.count++
	s.sum += d
	s.longest = max(s.longest, d)
	if b := s.bucket(bucketOf(d)); b.count < math.MaxUint32 {
		b.count++
	}
}

// bucket returns the bucket with that index, which it adds if there is none.
func (s *Sketch) bucket(index uint16) *bucket {
	at, found := slices.BinarySearchFunc(s.buckets, index, func(b bucket, index uint16) int { return int(b.index) - int(index) })
	if !found {
		s.buckets = slices.Insert(s.buckets, at, bucket{index: index})
	}
	return &s.buckets[at]
}

// bucketOf returns the index of a duration's bucket. It is made of the power of two and
// the 4 bits that follow the highest one.
func bucketOf(d time.Duration) uint16 {
	units := uint64(d) >> unitShift //nolint:gosec // not negative
	shift := max(bits.Len64(units)-subBits-1, 0)
	return uint16(shift<<subBits) + uint16(units>>shift) //nolint:gosec // 64 powers of 16 buckets at most
}

// middle is the duration in the middle of a bucket, which stands for all in it.
func (b *bucket) middle() time.Duration {
	shift := max(int(b.index>>subBits)-1, 0)
	low := time.Duration(int(b.index)-shift<<subBits) << (shift + unitShift)
	return low + time.Duration(1)<<(shift+unitShift)/2
}

// Count returns how many durations were counted.
func (s *Sketch) Count() uint64 { return s.count }

// Max returns the longest duration, 0 if nothing was counted.
func (s *Sketch) Max() time.Duration { return s.longest }

// Mean returns the average, 0 if nothing was counted.
func (s *Sketch) Mean() time.Duration {
	if s.count == 0 {
		return 0
	}
	return s.sum / time.Duration(s.count) //nolint:gosec // an amount of requests
}

// Percentile returns a duration that p percent of the durations do not exceed, 0 if
// nothing was counted.
func (s *Sketch) Percentile(p uint64) time.Duration {
	rank := (s.count*p + 99) / 100 // rounded up; the shortest duration has rank 1
	for _, b := range s.buckets {
		if uint64(b.count) >= rank {
			return min(b.middle(), s.longest)
		}
		rank -= uint64(b.count)
	}
	return s.longest
}
