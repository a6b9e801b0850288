package delivery

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// canned answers every request in the same way.
type canned struct {
	status int
	body   []byte
}

func (c canned) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: c.status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(c.body))}, nil
}

// Whatever an answer says: a rejection is of one event of the request, and no event has
// two. Only events that the answer names are rejected, unless it says that none was
// accepted. All events that a plain reading names are rejected. What is kept of the
// answer is short and without the key.
func FuzzAnswer(f *testing.F) {
	for _, body := range []string{
		`{"status":"ok","accepted":5,"failed":0}`,
		`{"status":"ok","accepted":4,"failed":1,"errors":[{"index":2,"message":"bad","code":"invalid_event"}]}`,
		`{"errors":[{"index":0},{"index":0},{"index":7},{"index":-1},{"index":"1"},{"index":1.5},{},null,3]}`,
		`{"accepted":0,"failed":5}`, `{"failed":7,"message":"wk-secret","errors":[{"index":1}]}`, `{"accepted":5,"failed":5}`,
		`{"message":"your key is wk-secret","errors":[{"index":1,"code":"wk-secret","message":"wk-secret"}]}`,
		`{"errors":{"index":1}}`, `{"error":["x"],"message":7}`, `<html>502</html>`, ``, `null`, `[1]`, `{"errors":[{"index":1}`,
	} {
		f.Add(200, []byte(body))
		f.Add(400, []byte(body))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		const events, key = 5, "wk-secret"
		status = 200 + abs(status)%400
		client := &http.Client{Transport: canned{status, body}}
		result, err := NewHTTP(client, "http://localhost/v1/batch", key, "test").Send(t.Context(), make(Batch, events))
		failure := asSendError(err)
		kept := result.Rejected
		if failure != nil {
			if failure.StatusCode != status || status < 300 && !errors.Is(err, errWebPage) {
				t.Fatalf("status %d: %v", status, err)
			}
			kept = failure.Rejected
			checkText(t, failure.Message, key)
			_ = failure.Error()
		} else if result.Accepted+result.Failed != events || result.Failed != len(kept) {
			t.Errorf("%+v of %d events", result, events)
		}
		named := map[int]bool{}
		for _, r := range kept {
			if r.Index < 0 || r.Index >= events || named[r.Index] {
				t.Errorf("names event %d of %d, or twice", r.Index, events)
			}
			if result.Failed < events && !bytes.Contains(body, strconv.AppendInt(nil, int64(r.Index), 10)) {
				t.Errorf("names event %d, of which the answer says nothing: %s", r.Index, body)
			}
			named[r.Index] = true
			checkText(t, r.Message, key)
			checkText(t, r.Code, key)
		}
		var plain struct {
			Errors []struct {
				Index *int `json:"index"`
			} `json:"errors"`
		}
		if json.Unmarshal(body, &plain) != nil {
			return
		}
		for _, e := range plain.Errors {
			if e.Index != nil && *e.Index >= 0 && *e.Index < events && !named[*e.Index] {
				t.Errorf("event %d is named, and taken as accepted: %s", *e.Index, body)
			}
		}
	})
}

func checkText(t *testing.T, text, key string) {
	t.Helper()
	if strings.Contains(text, key) || utf8.RuneCountInString(text) > maxMessage+1 {
		t.Errorf("kept %.400q", text)
	}
}

// Whatever a server asks for, nobody waits longer than documented, or for a time that
// is past. Plain seconds and dates are understood.
func FuzzRetryAfter(f *testing.F) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for _, value := range []string{
		"7", "0", "-1", "+7", "007", "300", "301", "9223372036854775807", "9223372036854775808", "1e3", "1.5", " 7", "", "soon", "7,7",
		now.Add(90 * time.Second).Format(http.TimeFormat), now.Add(-time.Hour).Format(http.TimeFormat), now.AddDate(900, 0, 0).Format(time.RFC850),
		now.Add(time.Minute).Format(time.ANSIC), "Mon, 31 Feb 2026 10:00:00 GMT",
	} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		got := parseRetryAfter(value, now)
		if got < 0 || got > maxRetryAfter {
			t.Fatalf("%q: %v", value, got)
		}
		want := time.Duration(0)
		if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
			want = time.Duration(max(0, min(seconds, 300))) * time.Second
		} else if date, err := http.ParseTime(value); err == nil && date.After(now) {
			want = min(date.Sub(now), maxRetryAfter)
		}
		if got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	})
}

func abs(n int) int {
	if n < 0 {
		return -(n + 1)
	}
	return n
}
