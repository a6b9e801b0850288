package delivery_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	tests := []struct {
		header   string
		from, to time.Duration
	}{
		{"7", 7 * time.Second, 7 * time.Second},
		{time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat), 80 * time.Second, 90 * time.Second},
		{"31536000", 5 * time.Minute, 5 * time.Minute},
		{time.Now().AddDate(1, 0, 0).UTC().Format(http.TimeFormat), 5 * time.Minute, 5 * time.Minute},
		{time.Now().AddDate(-1, 0, 0).UTC().Format(http.TimeFormat), 0, 0},
		{"-5", 0, 0},
		{"0", 0, 0},
		{"99999999999999999999", 0, 0},
		{"-99999999999999999999", 0, 0},
		{"soon", 0, 0},
		{"", 0, 0},
	}
	for _, test := range tests {
		transport := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", test.header)
			w.WriteHeader(http.StatusTooManyRequests)
		})
		_, err := transport.Send(t.Context(), make(delivery.Batch, 1))
		var failure *delivery.SendError
		if !errors.As(err, &failure) || failure.RetryAfter < test.from || failure.RetryAfter > test.to {
			t.Errorf("Retry-After %q: %+v", test.header, failure)
		}
	}
}

// A date is that of the server's clock, which may differ from ours.
func TestRetryAfterByTheServersClock(t *testing.T) {
	t.Parallel()
	for _, off := range []time.Duration{-3 * time.Hour, 0, 3 * time.Hour} {
		transport := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			now := time.Now().Add(off).UTC()
			w.Header().Set("Date", now.Format(http.TimeFormat))
			w.Header().Set("Retry-After", now.Add(90*time.Second).Format(http.TimeFormat))
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		_, err := transport.Send(t.Context(), make(delivery.Batch, 1))
		var failure *delivery.SendError
		if !errors.As(err, &failure) || failure.RetryAfter != 90*time.Second {
			t.Errorf("a clock that is off by %v: %+v", off, failure)
		}
	}
}
