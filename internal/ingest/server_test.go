package ingest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klimeapp/klime-go/internal/ingest"
)

func TestRequests(t *testing.T) {
	const good = "Bearer key"
	const js = "application/json"
	for _, tt := range []struct {
		name         string
		method, path string
		key, media   string
		body         string
		status       int
		code         string
	}{
		{"empty batch tests the key", "POST", "/v1/batch", good, js, `{"batch":[]}`, 200, ""},
		{"no Content-Type", "POST", "/v1/batch", good, "", `{"batch":[]}`, 200, ""},
		{"charset", "POST", "/v1/batch", good, "Application/JSON; charset=utf-8", `{"batch":[]}`, 200, ""},
		{"malformed parameter", "POST", "/v1/batch", good, "application/json; charset", `{"batch":[]}`, 200, ""},
		{"a kind of JSON", "POST", "/v1/batch", good, "application/vnd.klime+json", `{"batch":[]}`, 200, ""},
		{"scheme in any case", "POST", "/v1/batch", "bearer key", js, `{"batch":[]}`, 200, ""},
		{"unknown members beside the batch", "POST", "/v1/batch", good, js, `{"sentAt":{"a":[1]},"batch":[],"BATCH":7}`, 200, ""},
		{"white space", "POST", "/v1/batch", good, js, " \n{ \"batch\" : [ ] } \n", 200, ""},

		{"no key", "POST", "/v1/batch", "", js, `{"batch":[]}`, 401, "unauthorized"},
		{"empty key", "POST", "/v1/batch", "Bearer ", js, `{"batch":[]}`, 401, "unauthorized"},
		{"scheme alone", "POST", "/v1/batch", "Bearer", js, `{"batch":[]}`, 401, "unauthorized"},
		{"wrong key", "POST", "/v1/batch", "Bearer kez", js, `{"batch":[]}`, 401, "unauthorized"},
		{"longer key", "POST", "/v1/batch", "Bearer keykey", js, `{"batch":[]}`, 401, "unauthorized"},
		{"wrong scheme", "POST", "/v1/batch", "Basic key", js, `{"batch":[]}`, 401, "unauthorized"},
		{"key before body", "POST", "/v1/batch", "", "text/csv", `nonsense`, 401, "unauthorized"},

		{"not JSON by type", "POST", "/v1/batch", good, "text/plain", `{"batch":[]}`, 415, "unsupported_media_type"},
		{"no type at all", "POST", "/v1/batch", good, ";", `{"batch":[]}`, 415, "unsupported_media_type"},

		{"empty body", "POST", "/v1/batch", good, js, ``, 400, "invalid_json"},
		{"not JSON", "POST", "/v1/batch", good, js, `{"batch":[}`, 400, "invalid_json"},
		{"cut short", "POST", "/v1/batch", good, js, `{"batch":[{"type":"tra`, 400, "invalid_json"},
		{"more than one value", "POST", "/v1/batch", good, js, `{"batch":[]}{"batch":[]}`, 400, "invalid_json"},
		{"nested past all reason", "POST", "/v1/batch", good, js, `{"batch":[` + strings.Repeat("[", 1e6) + strings.Repeat("]", 1e6) + `]}`, 400, "invalid_json"},
		{"an array", "POST", "/v1/batch", good, js, `[]`, 400, "invalid_batch"},
		{"an array like a batch", "POST", "/v1/batch", good, js, `["batch",[]]`, 400, "invalid_batch"},
		{"null", "POST", "/v1/batch", good, js, `null`, 400, "invalid_batch"},
		{"no batch", "POST", "/v1/batch", good, js, `{}`, 400, "invalid_batch"},
		{"batch in another case", "POST", "/v1/batch", good, js, `{"Batch":[]}`, 400, "invalid_batch"},
		{"batch is null", "POST", "/v1/batch", good, js, `{"batch":null}`, 400, "invalid_batch"},
		{"batch is an object", "POST", "/v1/batch", good, js, `{"batch":{}}`, 400, "invalid_batch"},
		{"batch is a number out of range", "POST", "/v1/batch", good, js, `{"batch":1e999}`, 400, "invalid_batch"},

		{"batch by GET", "GET", "/v1/batch", good, "", "", 405, "method_not_allowed"},
		{"elsewhere", "POST", "/v1/batch/", good, js, `{"batch":[]}`, 404, "not_found"},
		{"root", "GET", "/", "", "", "", 404, "not_found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := ingest.New(ingest.Options{WriteKey: "key"})
			w := serve(s, tt.method, tt.path, tt.body, "Authorization", tt.key, "Content-Type", tt.media)
			if w.Code != tt.status {
				t.Fatalf("status %d, want %d: %s", w.Code, tt.status, w.Body)
			}
			if tt.status == 200 {
				return
			}
			var a answer
			if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
				t.Fatal(err)
			}
			if a.Status != "error" || a.Code != tt.code || a.Message == "" {
				t.Errorf("answer %s, want an error with a message and code %s", w.Body, tt.code)
			}
			if got := w.Header().Get("Content-Type"); got != js {
				t.Errorf("Content-Type %q", got)
			}
		})
	}
}

// A compressed batch is refused as such, not as bad JSON.
func TestCompressed(t *testing.T) {
	for encoding, status := range map[string]int{
		"": 200, "identity": 200, "Identity, identity": 200, "gzip": 415, "br": 415, "identity, gzip": 415, "X": 415,
	} {
		w := serve(ingest.New(ingest.Options{}), "POST", "/v1/batch", `{"batch":[]}`, "Authorization", "Bearer key", "Content-Encoding", encoding)
		if w.Code != status || status == 415 && !strings.Contains(w.Body.String(), "must not be compressed") {
			t.Errorf("%q: status %d, want %d: %s", encoding, w.Code, status, w.Body)
		}
	}
}

func TestAllow(t *testing.T) {
	if got, want := serve(ingest.New(ingest.Options{}), "DELETE", "/v1/batch", "").Header().Get("Allow"), "POST, OPTIONS"; got != want {
		t.Errorf("allowed: %q, want %q", got, want)
	}
}

// Any web page may send events, as the browser SDK does, and read the answer, also if
// the batch is refused.
func TestOtherOrigins(t *testing.T) {
	s := ingest.New(ingest.Options{WriteKey: "key"})
	preflight := serve(s, "OPTIONS", "/v1/batch", "", "Origin", "https://app.example", "Access-Control-Request-Method", "POST",
		"Access-Control-Request-Headers", "authorization,content-type")
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "POST",
		"Access-Control-Allow-Headers": "Authorization, Content-Type", "Access-Control-Allow-Credentials": "",
	} {
		if got := preflight.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if preflight.Code != 204 {
		t.Errorf("preflight: status %d", preflight.Code)
	}
	for key, status := range map[string]int{"Bearer key": 200, "Bearer other": 401} {
		w := serve(s, "POST", "/v1/batch", batch(), "Authorization", key, "Origin", "https://app.example")
		if w.Code != status || w.Header().Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: status %d, %v", key, w.Code, w.Header())
		}
	}
	if w := serve(s, "GET", "/", ""); w.Header().Get("Access-Control-Allow-Origin") != "" {
		t.Error("other paths are open to other origins")
	}
}

func TestBatchRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := ingest.New(ingest.Options{BatchRate: 3})
		taken := func(n int) (ok int) {
			for range n {
				w := serve(s, "POST", "/v1/batch", batch(), "Authorization", "Bearer key")
				switch w.Code {
				case 200:
					ok++
				case 429:
					if w.Header().Get("Retry-After") != "1" {
						t.Errorf("Retry-After: %q", w.Header().Get("Retry-After"))
					}
				default:
					t.Errorf("status %d", w.Code)
				}
			}
			return ok
		}
		if got := taken(10); got != 3 {
			t.Errorf("%d batches at once, want 3", got)
		}
		time.Sleep(400 * time.Millisecond) // in the bubble's time
		if got := taken(10); got != 1 {
			t.Errorf("%d batches after 0.4 s, want 1", got)
		}
		time.Sleep(time.Hour)
		if got := taken(10); got != 3 {
			t.Errorf("%d batches after an hour, want 3", got)
		}
		if c := s.Counts(); c.Batches != 7 || c.Refused != 0 || c.Deferred != 23 || len(s.Snapshot().Problems) != 0 {
			t.Errorf("counts %+v, %d problems noted", c, len(s.Snapshot().Problems))
		}
	})
}

// The number of batches read at the same time is bounded: a slow sender takes a place,
// and others wait for it. A sender that goes away meanwhile is no longer served.
func TestBatchesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := ingest.New(ingest.Options{BatchesAtOnce: 1})
		slow, finish := io.Pipe()
		var wg sync.WaitGroup
		wg.Go(func() {
			r := httptest.NewRequest("POST", "/v1/batch", slow)
			r.Header.Set("Authorization", "Bearer key")
			s.ServeHTTP(httptest.NewRecorder(), r)
		})
		synctest.Wait()
		wg.Go(func() { post(t, s, event("identify", "1", "09:00", "userId", `"ann"`)) })
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			r := httptest.NewRequestWithContext(ctx, "POST", "/v1/batch", strings.NewReader(batch()))
			r.Header.Set("Authorization", "Bearer key")
			s.ServeHTTP(httptest.NewRecorder(), r)
			if ctx.Err() == nil {
				t.Error("answered while another was read")
			}
		})
		time.Sleep(time.Minute) // in the bubble's time
		if c := s.Counts(); c.Batches != 0 {
			t.Errorf("counts %+v while the first is read", c)
		}
		_, _ = finish.Write([]byte(batch()))
		_ = finish.Close()
		wg.Wait()
		if c := s.Counts(); c.Batches != 2 || c.Accepted != 1 {
			t.Errorf("counts %+v, want two batches", c)
		}
	})
}

func TestAnswerIsExact(t *testing.T) {
	s := ingest.New(ingest.Options{})
	good := event("track", "1", "09:00", "event", `"Opened"`, "userId", `"ann"`)
	for _, tt := range []struct{ body, want string }{
		{batch(), `{"status":"ok","accepted":0,"failed":0}`},
		{batch(good), `{"status":"ok","accepted":1,"failed":0}`},
		{batch(good, `7`), `{"status":"ok","accepted":1,"failed":1,"errors":[{"index":1,"message":"an event must be an object","code":"invalid_event"}]}`},
		{`7`, `{"status":"error","message":"the body must be an object with an array \"batch\"","code":"invalid_batch"}`},
	} {
		got := strings.TrimSpace(serve(s, "POST", "/v1/batch", tt.body, "Authorization", "Bearer any").Body.String())
		if got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.body, got, tt.want)
		}
	}
}

func TestAnyKey(t *testing.T) {
	s := ingest.New(ingest.Options{})
	for key, want := range map[string]int{"Bearer a": 200, "Bearer b": 200, "Bearer ": 401, "": 401} {
		if got := serve(s, "POST", "/v1/batch", batch(), "Authorization", key).Code; got != want {
			t.Errorf("%q: status %d, want %d", key, got, want)
		}
	}
}

func TestEventRules(t *testing.T) {
	const when = `"timestamp":"2026-11-23T10:00:00.123Z"`
	const head = `"messageId":"m",` + when
	const track = `{"type":"track","event":"Opened","userId":"u",` + head
	for _, tt := range []struct {
		name, event, code string
	}{
		{"track of a user", track + `}`, ""},
		{"track of a group", `{"type":"track","event":"Billed","groupId":"g",` + head + `}`, ""},
		{"track of both", track + `,"groupId":"g"}`, ""},
		{"identify", `{"type":"identify","userId":"u","traits":{"a":1},` + head + `}`, ""},
		{"identify without traits", `{"type":"identify","userId":"u",` + head + `}`, ""},
		{"group with traits only", `{"type":"group","groupId":"g","traits":{"a":1},` + head + `}`, ""},
		{"group with link only", `{"type":"group","groupId":"g","userId":"u",` + head + `}`, ""},
		{"group with neither", `{"type":"group","groupId":"g",` + head + `}`, ""},
		{"unknown fields", track + `,"anonymousId":7,"integrations":[],"USERID":false}`, ""},
		{"empty objects", track + `,"properties":{},"traits":{},"context":{}}`, ""},
		{"null is absent", track + `,"groupId":null,"properties":null,"traits":null,"context":null}`, ""},
		{"empty group is absent", track + `,"groupId":""}`, ""},
		{"time zone", `{"type":"identify","userId":"u","messageId":"m","timestamp":"2026-11-23T10:00:00+05:30"}`, ""},
		{"deep properties", track + `,"properties":` + strings.Repeat(`{"a":`, 5000) + `1` + strings.Repeat(`}`, 5000) + `}`, ""},

		{"null", `null`, "invalid_event"},
		{"number", `1`, "invalid_event"},
		{"string", `"track"`, "invalid_event"},
		{"array", `[]`, "invalid_event"},

		{"no type", `{"event":"Opened","userId":"u",` + head + `}`, "missing_type"},
		{"empty type", `{"type":"","userId":"u",` + head + `}`, "missing_type"},
		{"unknown type", `{"type":"page","userId":"u",` + head + `}`, "unknown_type"},
		{"type in another case", `{"type":"Track","event":"Opened","userId":"u",` + head + `}`, "unknown_type"},
		{"type not a string", `{"type":1,"userId":"u",` + head + `}`, "invalid_field"},

		{"no messageId", `{"type":"identify","userId":"u",` + when + `}`, "missing_message_id"},
		{"null messageId", `{"type":"identify","userId":"u","messageId":null,` + when + `}`, "missing_message_id"},
		{"empty messageId", `{"type":"identify","userId":"u","messageId":"",` + when + `}`, "missing_message_id"},
		{"messageId not a string", `{"type":"identify","userId":"u","messageId":7,` + when + `}`, "invalid_field"},

		{"no timestamp", `{"type":"identify","userId":"u","messageId":"m"}`, "missing_timestamp"},
		{"empty timestamp", `{"type":"identify","userId":"u","messageId":"m","timestamp":""}`, "missing_timestamp"},
		{"seconds", `{"type":"identify","userId":"u","messageId":"m","timestamp":1763892000}`, "invalid_field"},
		{"no time zone", `{"type":"identify","userId":"u","messageId":"m","timestamp":"2026-11-23T10:00:00"}`, "invalid_timestamp"},
		{"a date", `{"type":"identify","userId":"u","messageId":"m","timestamp":"2026-11-23"}`, "invalid_timestamp"},
		{"no such day", `{"type":"identify","userId":"u","messageId":"m","timestamp":"2026-02-29T10:00:00Z"}`, "invalid_timestamp"},
		{"words", `{"type":"identify","userId":"u","messageId":"m","timestamp":"yesterday"}`, "invalid_timestamp"},
		{"the year 10000 in UTC", `{"type":"identify","userId":"u","messageId":"m","timestamp":"9999-12-31T23:00:00-12:00"}`, "invalid_timestamp"},
		{"before the year 0 in UTC", `{"type":"identify","userId":"u","messageId":"m","timestamp":"0000-01-01T00:00:00+12:00"}`, "invalid_timestamp"},
		{"the last year", `{"type":"identify","userId":"u","messageId":"m","timestamp":"9999-12-31T23:00:00Z"}`, ""},

		{"track without a name", `{"type":"track","userId":"u",` + head + `}`, "missing_event"},
		{"track with an empty name", `{"type":"track","event":"","userId":"u",` + head + `}`, "missing_event"},
		{"event not a string", `{"type":"track","event":{},"userId":"u",` + head + `}`, "invalid_field"},
		{"anonymous track", `{"type":"track","event":"Opened",` + head + `}`, "missing_identity"},
		{"track with empty IDs", `{"type":"track","event":"Opened","userId":"","groupId":null,` + head + `}`, "missing_identity"},
		{"USERID is not userId", `{"type":"track","event":"Opened","USERID":"u","groupid":"g",` + head + `}`, "missing_identity"},
		{"identify without a user", `{"type":"identify","groupId":"g",` + head + `}`, "missing_user_id"},
		{"group without a group", `{"type":"group","userId":"u",` + head + `}`, "missing_group_id"},
		{"userId not a string", `{"type":"identify","userId":42,` + head + `}`, "invalid_field"},
		{"groupId not a string", `{"type":"group","groupId":["g"],` + head + `}`, "invalid_field"},

		{"properties an array", track + `,"properties":[]}`, "invalid_field"},
		{"properties a string", track + `,"properties":""}`, "invalid_field"},
		{"traits a string", `{"type":"identify","userId":"u","traits":"vip",` + head + `}`, "invalid_field"},
		{"context a number", track + `,"context":1}`, "invalid_field"},
		{"a number that no float64 holds", track + `,"properties":{"n":1e999}}`, "invalid_field"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := ingest.New(ingest.Options{})
			// A valid event on either side shows that the index is right, and that both are stored.
			status, a := send(t, s, batch(
				event("identify", "before", "09:00", "userId", `"ann"`),
				tt.event,
				event("identify", "after", "09:00", "userId", `"ann"`)))
			if status != 200 || a.Status != "ok" {
				t.Fatalf("status %d, answer %+v", status, a)
			}
			if tt.code == "" {
				if a.Accepted != 3 || a.Failed != 0 || a.Errors != nil {
					t.Errorf("answer %+v, want all accepted", a)
				}
				return
			}
			if a.Accepted != 2 || a.Failed != 1 || len(a.Errors) != 1 {
				t.Fatalf("answer %+v, want one of three refused", a)
			}
			if e := a.Errors[0]; e.Index != 1 || e.Code != tt.code || e.Message == "" {
				t.Errorf("error %+v, want index 1, code %s and a message", e, tt.code)
			}
			if got := len(s.Events()); got != 2 {
				t.Errorf("%d events stored, want 2", got)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	sized := func(size int) string {
		e := event("track", "1", "09:00", "event", `"Opened"`, "userId", `"ann"`, "properties", `{"pad":"%s"}`)
		return fmt.Sprintf(e, strings.Repeat("x", size-len(e)+len("%s")))
	}
	many := func(n int) string {
		var events []string
		for i := range n {
			events = append(events, event("identify", fmt.Sprint(i), "09:00", "userId", `"ann"`))
		}
		return batch(events...)
	}
	padded := func(size int) string {
		return batch() + strings.Repeat(" ", size-len(batch()))
	}
	for _, tt := range []struct {
		name      string
		body      string
		status    int
		code      string // of the batch
		accepted  int
		eventCode string // of the event at index 0
	}{
		{"largest event", batch(sized(200 * 1024)), 200, "", 1, ""},
		{"white space around an event is not its own", batch(" \n" + sized(200*1024) + " \n"), 200, "", 1, ""},
		{"event too large", batch(sized(200*1024 + 1)), 200, "", 0, "event_too_large"},
		{"most events", many(100), 200, "", 100, ""},
		{"too many events", many(101), 400, "too_many_events", 0, ""},
		{"largest batch", padded(10 * 1024 * 1024), 200, "", 0, ""},
		{"batch too large", padded(10*1024*1024 + 1), 413, "batch_too_large", 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := ingest.New(ingest.Options{})
			status, a := send(t, s, tt.body)
			if status != tt.status || a.Code != tt.code || a.Accepted != tt.accepted {
				t.Fatalf("status %d, answer %+v; want status %d, code %q, %d accepted", status, a, tt.status, tt.code, tt.accepted)
			}
			if tt.eventCode != "" && (len(a.Errors) != 1 || a.Errors[0].Code != tt.eventCode) {
				t.Errorf("errors %+v, want code %s", a.Errors, tt.eventCode)
			}
			if got := len(s.Events()); got != tt.accepted {
				t.Errorf("%d events stored, want %d", got, tt.accepted)
			}
		})
	}
}

// A sender can read the answer even if its body was not read to the end.
func TestTooLargeOverTheWire(t *testing.T) {
	server := httptest.NewServer(ingest.New(ingest.Options{}))
	defer server.Close()
	body := strings.NewReader(strings.Repeat(" ", ingest.MaxBatchBytes+1))
	r, err := http.NewRequest(http.MethodPost, server.URL+"/v1/batch", body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer key")
	res, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d", res.StatusCode)
	}
}

func TestEvents(t *testing.T) {
	raw := `{"type":"track", "messageId":"6f0c", "event":"Report Generated", "userId":"user_123", "groupId":"acme_inc",
		"timestamp":"2026-11-23T11:00:00.123+01:00", "properties":{"rows":12345678901234567890, "tags":["a", null]},
		"context":{"library":{"name":"go-sdk", "version":"0.1.0"}}, "future":true}`
	s := ingest.New(ingest.Options{})
	before := time.Now()
	post(t, s, event("identify", "1", "09:00", "userId", `"ann"`, "traits", `{}`), raw)

	events := s.Events()
	if len(events) != 2 {
		t.Fatalf("%d events, want 2", len(events))
	}
	if e := events[0]; e.Type != ingest.TypeIdentify || e.Traits == nil || e.Properties != nil || e.Context != nil {
		t.Errorf("first event %+v, want an identify with empty traits and nothing else", e)
	}
	got := events[1]
	if got.ReceivedAt.Before(before) || got.ReceivedAt.After(time.Now()) {
		t.Errorf("received at %v", got.ReceivedAt)
	}
	got.ReceivedAt = time.Time{}
	want := ingest.Event{
		Type:       ingest.TypeTrack,
		MessageID:  "6f0c",
		Event:      "Report Generated",
		UserID:     "user_123",
		GroupID:    "acme_inc",
		Timestamp:  time.Date(2026, 11, 23, 10, 0, 0, 123e6, time.UTC),
		Properties: map[string]any{"rows": 12345678901234567890.0, "tags": []any{"a", nil}},
		Context:    map[string]any{"library": map[string]any{"name": "go-sdk", "version": "0.1.0"}},
		Raw:        json.RawMessage(raw),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
}

func FuzzBatch(f *testing.F) {
	for _, body := range []string{
		``, `null`, `[]`, `{"batch":null}`, `{"batch":[]}`, `{"batch":[null,1,"x",[],{}]}`, `{"BATCH":[],"batch":[{}],"batch":[]}`,
		batch(event("track", "1", "09:00", "event", `"Opened"`, "userId", `"ann"`, "groupId", `"acme"`, "properties", `{"a":[1e999]}`)),
		batch(event("identify", "1", "09:00", "userId", `"ann"`, "traits", `{"a":null,"name":"\ud800"}`), event("identify", "1", "09:00", "userId", `"ann"`)),
		batch(event("group", "2", "09:00", "groupId", `"acme"`, "userId", `"ann"`, "traits", `{"b":{"c":"\u0000"}}`)),
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		s := ingest.New(ingest.Options{})
		status, a := send(t, s, string(body))
		switch status {
		case http.StatusOK:
			var top map[string]json.RawMessage
			if err := json.Unmarshal(body, &top); err != nil {
				t.Fatalf("accepted, but %v", err)
			}
			var raw []json.RawMessage
			if err := json.Unmarshal(top["batch"], &raw); err != nil {
				t.Fatalf("accepted, but %v", err)
			}
			if a.Status != "ok" || a.Accepted+a.Failed != len(raw) || len(a.Errors) != a.Failed {
				t.Fatalf("answer %+v to %d elements", a, len(raw))
			}
		case http.StatusBadRequest:
			if a.Status != "error" || a.Code == "" || a.Message == "" {
				t.Fatalf("answer %+v", a)
			}
		default:
			t.Fatalf("status %d", status)
		}
		c := s.Counts()
		if got := len(s.Events()); got != c.Accepted || c.Accepted+c.Repeated != a.Accepted || c.Rejected != a.Failed {
			t.Fatalf("%d events, counts %+v, answer %+v", got, c, a)
		}
		for _, customer := range s.Customers() {
			if got := len(s.Timeline(customer.ID)); got != customer.EventCount {
				t.Fatalf("%q: %d events in the timeline, %d counted", customer.ID, got, customer.EventCount)
			}
		}
		s.Users()
		if snap := s.Snapshot(); len(snap.Records) != c.Accepted || len(snap.Problems) < c.Rejected {
			t.Fatalf("snapshot of %d records and %d problems, counts %+v", len(snap.Records), len(snap.Problems), c)
		}
	})
}
