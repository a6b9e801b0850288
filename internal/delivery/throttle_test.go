package delivery

import (
	"testing"
	"time"
)

// One line of a kind each 10 s, and no silence for as long as a clock was ahead
// that is then set right.
func TestThrottle(t *testing.T) {
	t.Parallel()
	now := time.Now()
	tests := []struct {
		name string
		at   []time.Duration // when it is asked, after now
		want []bool
	}{
		{"steady", []time.Duration{0, time.Second, logInterval - 1, logInterval, logInterval + time.Second, 2 * logInterval}, []bool{true, false, false, true, false, true}},
		{"two at nearly the same time", []time.Duration{time.Microsecond, 0}, []bool{true, false}},
		{"set back by a year", []time.Duration{365 * 24 * time.Hour, 0, time.Second, logInterval}, []bool{true, true, false, true}},
		{"set back by a little", []time.Duration{9 * time.Second, 0, 19 * time.Second}, []bool{true, false, true}},
		{"set forward", []time.Duration{0, time.Hour, time.Hour + time.Second}, []bool{true, true, false}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var lines throttle
			for i, at := range test.at {
				if got := lines.allows(now.Add(at)); got != test.want[i] {
					t.Errorf("at %v: %v", at, got)
				}
			}
		})
	}
}
