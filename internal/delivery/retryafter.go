package delivery

import (
	"errors"
	"net/http"
	"strconv"
	"time"
)

// parseRetryAfter reads a Retry-After header (RFC 9110, section 10.2.3): seconds
// or a date. It returns 0 for a value that is negative, past or neither.
func parseRetryAfter(value string, now time.Time) time.Duration {
	// Of a number beyond all bounds ParseInt returns the bound.
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		if seconds <= 0 {
			return 0
		}
		return time.Duration(min(seconds, int64(maxRetryAfter/time.Second))) * time.Second
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(date.Sub(now), 0), maxRetryAfter)
}
