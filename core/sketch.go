package klime

import (
	"math"
	"slices"
	"time"
)

// sketch remembers durations well enough for their percentiles, in little
// memory: each falls into a bucket that is growth times as wide as the one
// before, so that a percentile is off by at most (growth-1)/(growth+1), which is
// less than 5 %. Count, sum and maximum are exact.
//
// It is the logarithmic mapping of DDSketch (Masson, Rim, Lee: "DDSketch: a fast
// and fully-mergeable quantile sketch", VLDB 2019), over microseconds.
type sketch struct {
	count   uint64
	sum     time.Duration
	longest time.Duration
	buckets []bucket // sorted by index
}

// bucket i counts durations of more than growth^(i-1) and up to growth^i
// microseconds. The last one, of more than nine hours, counts all beyond.
type bucket struct {
	index uint8
	count uint64
}

const growth = 1.1

func (s *sketch) add(d time.Duration) {
	d = max(d, 0)
	s.count++
	s.sum += d
	s.longest = max(s.longest, d)
	index := bucketOf(d)
	at, found := slices.BinarySearchFunc(s.buckets, index, func(b bucket, index uint8) int { return int(b.index) - int(index) })
	if !found {
		s.buckets = slices.Insert(s.buckets, at, bucket{index: index})
	}
	s.buckets[at].count++
}

func bucketOf(d time.Duration) uint8 {
	micros := float64(d) / float64(time.Microsecond)
	if micros <= 1 {
		return 0
	}
	return uint8(min(math.Ceil(math.Log(micros)/math.Log(growth)), math.MaxUint8))
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
		if b.count >= rank {
			middle := 2 * math.Pow(growth, float64(b.index)) / (growth + 1)
			return min(time.Duration(middle*float64(time.Microsecond)), s.longest)
		}
		rank -= b.count
	}
	return s.longest
}
