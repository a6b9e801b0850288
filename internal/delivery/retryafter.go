package delivery

import (
	"net/http"
	"strconv"
	"time"
)

// parseRetryAfter reads a Retry-After header (RFC 9110, section 10.2.3): seconds
// or a date. It returns 0 for a value that is negative, past or neither, and for a number
// beyond 64 bits: that is most likely a server's negative one, which overflowed.
func parseRetryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
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

// dateOf returns when an answer was made by the server's clock, to which a date in the same
// answer refers, or else by ours.
func dateOf(answer http.Header) time.Time {
	if date, err := http.ParseTime(answer.Get("Date")); err == nil {
		return date
	}
	return time.Now()
}
