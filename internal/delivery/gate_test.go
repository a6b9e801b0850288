package delivery

import (
	"testing"
	"time"
)

// The delay doubles up to 16 s, unless the first is longer.
func TestBackoff(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		first time.Duration
		n     int
		want  time.Duration
	}{
		{time.Second, 1, time.Second},
		{time.Second, 2, 2 * time.Second},
		{time.Second, 5, 16 * time.Second},
		{time.Second, 1000, 16 * time.Second},
		{3 * time.Second, 4, 16 * time.Second},
		{time.Hour, 3, time.Hour},
	} {
		if got := backoff(tt.first, tt.n); got != tt.want {
			t.Errorf("retry %d, first after %v: after %v, want %v", tt.n, tt.first, got, tt.want)
		}
	}
}
