package ingest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/klimeapp/klime-go/internal/ingest"
)

// answer has all fields that an answer to a batch may have.
type answer struct {
	Status   string
	Accepted int
	Failed   int
	Errors   []struct {
		Index   int
		Message string
		Code    string
	}
	Message string
	Code    string
}

func serve(s *ingest.Server, method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// send posts a body with a write key.
func send(tb testing.TB, s *ingest.Server, body string) (int, answer) {
	tb.Helper()
	w := serve(s, "POST", "/v1/batch", body, "Authorization", "Bearer key")
	var a answer
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		tb.Fatalf("the answer is not JSON: %v\n%s", err, w.Body)
	}
	return w.Code, a
}

func batch(events ...string) string {
	return `{"batch":[` + strings.Join(events, ",") + `]}`
}

// post sends valid events in one batch.
func post(tb testing.TB, s *ingest.Server, events ...string) {
	tb.Helper()
	status, a := send(tb, s, batch(events...))
	if status != http.StatusOK || a.Accepted != len(events) || a.Failed != 0 {
		tb.Fatalf("status %d, answer %+v; want %d events accepted", status, a, len(events))
	}
}

// event returns the JSON of an event. Pairs are names and JSON values.
func event(typ, id, clock string, pairs ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"type":%q,"messageId":%q,"timestamp":%q`, typ, id, "2026-11-23T"+clock+":00.000Z")
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&b, `,%q:%s`, pairs[i], pairs[i+1])
	}
	return b.String() + "}"
}

func at(clock string) time.Time {
	t, err := time.Parse("2006-01-02 15:04", "2026-11-23 "+clock)
	if err != nil {
		panic(err)
	}
	return t
}

func names(events []ingest.Event) []string {
	var names []string
	for _, e := range events {
		names = append(names, e.Event)
	}
	return names
}

func customer(s *ingest.Server, id string) (ingest.Customer, bool) {
	for _, c := range s.Customers() {
		if c.ID == id {
			return c, true
		}
	}
	return ingest.Customer{}, false
}
