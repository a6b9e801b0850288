package e2e

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
)

// browserReport is what Klime's browser SDK has told its caller.
type browserReport struct {
	Answers  []browserAnswer // passed to onSuccess
	Failures []struct {      // passed to onError
		Message string
		Events  int
	}
	Returned []browserAnswer // by Sync calls
	Thrown   []struct {      // by Sync calls
		Name, Message string
		Events        int
	}
	Logged []struct{ Level, Message string }
}

// browserAnswer is an answer of Klime, as the SDK returns it.
type browserAnswer struct {
	Status   string           `json:"status"`
	Accepted int              `json:"accepted"`
	Failed   int              `json:"failed"`
	Errors   []browserRefusal `json:"errors,omitempty"`
}

type browserRefusal struct {
	Index   int    `json:"index"`
	Code    string `json:"code"`
	Message string `json:"message,omitempty"`
}

func runBrowserSDK(t *testing.T, k *localKlime, key, scenario string) browserReport {
	t.Helper()
	var report browserReport
	runNode(t, k, key, &report, []string{"@klime/browser"}, "browser-sdk.mjs", scenario)
	return report
}

// TestBrowserSDK makes the calls of the SDK's README with the SDK and with our client, and
// compares the requests and what Klime makes of them.
func TestBrowserSDK(t *testing.T) {
	foreign, ours := startKlime(t), startKlime(t)
	report := runBrowserSDK(t, foreign, writeKey, "readme")
	readmeCalls(t, newClient(t, ours))

	t.Run("requests", func(t *testing.T) {
		theirs := checkRequests(t, foreign.recorded(), writeKey)
		checkSameShape(t, theirs, checkRequests(t, ours.recorded(), writeKey))
	})
	t.Run("stored", func(t *testing.T) {
		checkSameStored(t, foreign, ours)
	})
	t.Run("customers", func(t *testing.T) { // both may be the same and wrong
		checkIs(t, "customers", customersOf(foreign), readmeCustomers())
		checkIs(t, "users", usersOf(foreign), readmeUsers())
	})
	t.Run("answers", func(t *testing.T) {
		one := browserAnswer{Status: "ok", Accepted: 1}
		checkIs(t, "answers", report.Answers, []browserAnswer{{Status: "ok", Accepted: 24}, one})
		checkIs(t, "answers to Sync calls", report.Returned, []browserAnswer{one, one, one, one})
		if len(report.Thrown) != 1 || report.Thrown[0].Message != "Client is shutdown" {
			t.Errorf("thrown: %+v", report.Thrown)
		}
		if len(report.Failures)+len(report.Logged) > 0 {
			t.Errorf("failures: %+v, logged: %+v", report.Failures, report.Logged)
		}
	})
}

// readmeCalls makes the calls of the scenario readme in clients/scenarios.mjs with our
// client.
func readmeCalls(t *testing.T, c *klime.Client) {
	t.Helper()
	ctx, ok := t.Context(), must(t)

	// Quick Start
	ok(c.Identify(ctx, "user_123", klime.Traits{"email": "user@example.com", "name": "Stefan"}))
	ok(c.Track(ctx, "Button Clicked", klime.Properties{"buttonName": "Sign up", "plan": "pro"}, klime.ForUser("user_123")))
	ok(c.Group(ctx, "org_456", klime.Traits{"name": "Acme Inc", "plan": "enterprise"}, klime.ForUser("user_123")))
	ok(c.Group(ctx, "org_456", nil, klime.ForUser("user_123")))

	// Methods
	ok(c.Track(ctx, "Events Received", klime.Properties{"count": 100, "source": "webhook"}, klime.ForGroup("org_456")))
	ok(c.Group(ctx, "org_456", klime.Traits{"plan": "enterprise", "employeeCount": 50}))

	// Installation Prompt
	ok(c.Identify(ctx, "usr_abc123", klime.Traits{"email": "jane@acme.com", "name": "Jane Smith"}))
	ok(c.Track(ctx, "Report Generated", klime.Properties{"report_type": "revenue"}, klime.ForUser("usr_abc123")))
	ok(c.Group(ctx, "org_456", klime.Traits{"name": "Acme Inc", "plan": "enterprise"}, klime.ForUser("usr_abc123")))

	// A user of two groups
	ok(c.Group(ctx, "org_789", klime.Traits{"name": "Globex"}, klime.ForUser("user_123")))
	ok(c.Track(ctx, "Teammate Invited", klime.Properties{"role": "member"}, klime.ForUser("user_123"), klime.InGroup("org_789")))

	// Events before anything is known about their user and group
	ok(c.Track(ctx, "Feature Used", klime.Properties{"feature": "export", "format": "csv"}, klime.ForUser("usr_early")))
	ok(c.Track(ctx, "Import Finished", klime.Properties{"rows": 7}, klime.ForGroup("org_late")))
	ok(c.Group(ctx, "org_late", klime.Traits{"name": "Late Ltd"}, klime.ForUser("usr_early")))
	ok(c.Identify(ctx, "usr_early", klime.Traits{"email": "early@late.example"}))

	// A group without a group() call
	ok(c.Track(ctx, "Cron Finished", klime.Properties{"job": "nightly"}, klime.ForGroup("org_unknown")))

	// Without properties and traits
	ok(c.Track(ctx, "Dashboard Opened", nil, klime.ForUser("usr_abc123")))
	ok(c.Track(ctx, "Dashboard Closed", nil, klime.ForUser("usr_abc123")))
	ok(c.Track(ctx, "Dashboard Shared", klime.Properties{}, klime.ForUser("usr_abc123")))
	ok(c.Identify(ctx, "usr_bare", nil))
	ok(c.Identify(ctx, "usr_bare", klime.Traits{}))
	ok(c.Group(ctx, "org_bare", nil))

	// Traits are merged
	ok(c.Identify(ctx, "user_123", klime.Traits{"name": "Stefan K.", "admin": true}))

	// Every kind of value
	ok(c.Track(ctx, "Values Recorded", klime.Properties{
		"text":    "Zoë 😀 \"quoted\" \\ / <b>&amp;</b> \u2028 \u0007 \n\t",
		"empty":   "",
		"yes":     true,
		"no":      false,
		"nothing": nil,
		"zero":    0,
		"integer": -42,
		"decimal": 0.1,
		"largest": 1<<53 - 1,
		"huge":    1e21,
		"tiny":    1e-7,
		"date":    time.Date(2026, time.January, 2, 3, 4, 5, 678e6, time.UTC),
		"list":    []any{1, "two", nil, map[string]any{"three": 3}, []string{}},
		"object":  map[string]any{"a": map[string]any{"b": map[string]any{"c": struct{}{}}}},
	}, klime.ForUser("usr_values")))
	ok(c.Flush(ctx))

	// What the SDK has Sync calls for
	ok(c.Track(ctx, "Invoice Paid", klime.Properties{"amount": 12.5}, klime.ForUser("user_123"), klime.InGroup("org_456")))
	ok(c.Flush(ctx))
	ok(c.Identify(ctx, "usr_sync", klime.Traits{"email": "sync@globex.example"}))
	ok(c.Flush(ctx))
	ok(c.Group(ctx, "org_789", klime.Traits{"plan": "pro"}, klime.ForUser("usr_sync")))
	ok(c.Flush(ctx))
	ok(c.Track(ctx, "Invoice Sent", nil, klime.ForGroup("org_789")))
	ok(c.Flush(ctx))

	ok(c.Track(ctx, "Session Ended", klime.Properties{"seconds": 90}, klime.ForUser("usr_abc123")))
	ok(c.Shutdown(ctx))

	if err := c.Track(ctx, "Called Late", klime.Properties{}, klime.ForUser("user_123")); !errors.Is(err, klime.ErrClosed) {
		t.Errorf("after Shutdown: %v", err)
	}
}

// readmeCustomers are the customers that follow from those calls by Klime's rules.
func readmeCustomers() []customer {
	return []customer{
		{
			ID: "org_456", Users: []string{"user_123", "usr_abc123"}, Events: 8,
			Traits: object{"name": "Acme Inc", "plan": "enterprise", "employeeCount": 50},
			Timeline: []string{
				"Button Clicked", "Events Received", "Report Generated",
				"Dashboard Opened", "Dashboard Closed", "Dashboard Shared", "Invoice Paid", "Session Ended",
			},
		},
		{
			ID: "org_789", Users: []string{"user_123", "usr_sync"}, Events: 3,
			Traits:   object{"name": "Globex", "plan": "pro"},
			Timeline: []string{"Button Clicked", "Teammate Invited", "Invoice Sent"},
		},
		{ID: "org_bare", Users: []string{}, Traits: object{}, Timeline: []string{}},
		{
			ID: "org_late", Users: []string{"usr_early"}, Events: 2,
			Traits:   object{"name": "Late Ltd"},
			Timeline: []string{"Feature Used", "Import Finished"},
		},
	}
}

func readmeUsers() []user {
	return []user{
		{"user_123", object{"email": "user@example.com", "name": "Stefan K.", "admin": true}, []string{"org_456", "org_789"}, 3},
		{"usr_abc123", object{"email": "jane@acme.com", "name": "Jane Smith"}, []string{"org_456"}, 5},
		{"usr_bare", object{}, []string{}, 0},
		{"usr_early", object{"email": "early@late.example"}, []string{"org_late"}, 1},
		{"usr_sync", object{"email": "sync@globex.example"}, []string{"org_789"}, 0},
		{"usr_values", object{}, []string{}, 1},
	}
}

// TestBrowserSDKVolume leaves batching to the clients, with their defaults.
func TestBrowserSDKVolume(t *testing.T) {
	foreign, ours := startKlime(t), startKlime(t)
	report := runBrowserSDK(t, foreign, writeKey, "volume")

	client := newClient(t, ours, func(cfg *klime.Config) { *cfg = klime.Config{Endpoint: cfg.Endpoint, WriteKey: cfg.WriteKey} })
	ctx, ok := t.Context(), must(t)
	ok(client.Group(ctx, "org_1", klime.Traits{"name": "Acme Inc"}, klime.ForUser("user_1")))
	for n := 1; n <= 250; n++ {
		ok(client.Track(ctx, "Row Added", klime.Properties{"n": n}, klime.ForUser("user_1")))
	}
	ok(client.Shutdown(ctx))

	accepted := 0
	for _, answer := range report.Answers {
		accepted += answer.Accepted
	}
	checkIs(t, "accepted", accepted, 251)
	checkIs(t, "failures", len(report.Failures), 0)
	for _, k := range []*localKlime{foreign, ours} {
		checkRequests(t, k.recorded(), writeKey)
		seen := make(map[any]bool)
		for _, e := range k.Timeline("org_1") {
			seen[e.Properties["n"]] = true
		}
		checkIs(t, "different rows", len(seen), 250)
		checkIs(t, "repeated", k.Counts().Repeated, 0)
	}
	checkSame(t, "users", usersOf(foreign), usersOf(ours))
	checkSame(t, "accepted events", foreign.Counts().Accepted, ours.Counts().Accepted)
}

// TestBrowserSDKInvalid makes calls that break Klime's rules. The SDK sends them and is
// told which were rejected, our client rejects them itself, and the stored events are the
// same.
func TestBrowserSDKInvalid(t *testing.T) {
	foreign, ours := startKlime(t), startKlime(t)
	report := runBrowserSDK(t, foreign, writeKey, "refused")
	for _, answer := range report.Answers {
		for i := range answer.Errors {
			if answer.Errors[i].Message == "" {
				t.Errorf("no message: %+v", answer.Errors[i])
			}
			answer.Errors[i].Message = ""
		}
	}
	checkIs(t, "answers", report.Answers, []browserAnswer{{Status: "ok", Accepted: 1, Failed: 4, Errors: []browserRefusal{
		{Index: 0, Code: "missing_identity"},
		{Index: 1, Code: "missing_event"},
		{Index: 3, Code: "missing_user_id"},
		{Index: 4, Code: "missing_group_id"},
	}}})
	checkIs(t, "requests", len(foreign.recorded()), 1)

	ctx, client := t.Context(), newClient(t, ours)
	for _, call := range []struct{ got, want error }{
		{client.Track(ctx, "No Identity Given", klime.Properties{"n": 1}), klime.ErrMissingIdentity},
		{client.Track(ctx, "", klime.Properties{"n": 2}, klime.ForUser("user_1")), klime.ErrMissingEvent},
		{client.Track(ctx, "Report Generated", klime.Properties{"n": 3}, klime.ForUser("user_1")), nil},
		{client.Identify(ctx, "", klime.Traits{"n": 4}), klime.ErrMissingUser},
		{client.Group(ctx, "", klime.Traits{"n": 5}, klime.ForUser("user_1")), klime.ErrMissingGroup},
		{client.Shutdown(ctx), nil},
	} {
		if !errors.Is(call.got, call.want) {
			t.Errorf("our client says %v, want %v", call.got, call.want)
		}
	}
	checkSame(t, "events", eventsOf(foreign.Events()), eventsOf(ours.Events()))
}

// TestBrowserSDKEventLimit sends events of about 200 KB, the limit for an event. The SDK
// measures UTF-16 units, so an event with letters outside ASCII can pass its check and
// still be too large for Klime: then only that event is rejected.
func TestBrowserSDKEventLimit(t *testing.T) {
	const limit = 200 * 1024
	foreign, ours := startKlime(t), startKlime(t)
	report := runBrowserSDK(t, foreign, writeKey, "limit")
	if len(report.Answers) != 1 || report.Answers[0].Accepted != 2 || len(report.Answers[0].Errors) != 1 ||
		report.Answers[0].Errors[0].Index != 2 || report.Answers[0].Errors[0].Code != "event_too_large" {
		t.Errorf("answers: %+v", report.Answers)
	}
	checkIs(t, "warnings", len(report.Logged), 2) // about the event not sent, and the event rejected

	ctx, ok, client := t.Context(), must(t), newClient(t, ours)
	track := func(pad string) error {
		return client.Track(ctx, "File Saved", klime.Properties{"pad": pad}, klime.ForUser("user_1"))
	}
	ok(track(""))
	ok(client.Flush(ctx))
	rest := limit - len(ours.Events()[0].Raw)
	ok(track(strings.Repeat("x", rest)))
	for _, pad := range []string{strings.Repeat("x", rest+1), strings.Repeat("é", 150_000)} {
		if err := track(pad); !errors.Is(err, klime.ErrEventTooLarge) {
			t.Errorf("our client says %v", err)
		}
	}
	ok(client.Shutdown(ctx))

	for _, k := range []*localKlime{foreign, ours} {
		events := k.Events()
		if len(events) != 2 || len(events[1].Raw) != limit {
			t.Errorf("%d events, the last of %d bytes", len(events), len(events[len(events)-1].Raw))
		}
	}
}

// TestBrowserSDKRetry makes requests fail in ways after which both clients must send the
// same events again. Klime counts them once.
func TestBrowserSDKRetry(t *testing.T) {
	for _, tt := range []struct {
		name     string
		first    func(next http.Handler) http.Handler
		wait     time.Duration
		repeated int
	}{
		{"429 with Retry-After", tooManyRequests, time.Second, 0},
		{"answer lost", loseAnswer, 0, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			foreign, ours := startKlime(t, once(tt.first)), startKlime(t, once(tt.first))
			report := runBrowserSDK(t, foreign, writeKey, "one")
			checkIs(t, "answers", report.Answers, []browserAnswer{{Status: "ok", Accepted: 2}})

			ctx, ok, client := t.Context(), must(t), newClient(t, ours)
			ok(client.Track(ctx, "Report Generated", klime.Properties{"n": 1}, klime.ForUser("user_1")))
			ok(client.Track(ctx, "Report Generated", klime.Properties{"n": 2}, klime.ForUser("user_1")))
			ok(client.Flush(ctx)) // Shutdown alone would not wait for Retry-After
			ok(client.Shutdown(ctx))

			for _, k := range []*localKlime{foreign, ours} {
				requests := k.recorded()
				if len(requests) != 2 || !bytes.Equal(requests[0].body, requests[1].body) {
					t.Fatalf("%d requests: %s", len(requests), toJSON(t, checkRequests(t, requests, writeKey)))
				}
				const early = 10 * time.Millisecond // Node's timers count whole milliseconds
				if waited := requests[1].at.Sub(requests[0].at); waited < tt.wait-early {
					t.Errorf("retried after %v, asked for %v", waited, tt.wait)
				}
				checkIs(t, "repeated", k.Counts().Repeated, tt.repeated)
			}
			checkSameStored(t, foreign, ours)
		})
	}
}

func tooManyRequests(http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, `{"status":"error","message":"slow down","code":"rate_limited"}`)
	})
}

// loseAnswer lets Klime accept the batch, and then drops the connection.
func loseAnswer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r)
		panic(http.ErrAbortHandler)
	})
}

// TestBrowserSDKRefused checks that the SDK takes refusals of the local Klime as final: it
// does not send the events again, and tells the caller.
func TestBrowserSDKRefused(t *testing.T) {
	breakBody := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Body = io.NopCloser(io.LimitReader(r.Body, 20))
			next.ServeHTTP(w, r)
		})
	}
	for _, tt := range []struct {
		name   string
		key    string
		front  func(http.Handler) http.Handler
		status int
	}{
		{"400", writeKey, breakBody, http.StatusBadRequest},
		{"401", "another-key", func(next http.Handler) http.Handler { return next }, http.StatusUnauthorized},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := startKlime(t, tt.front)
			queued := runBrowserSDK(t, k, tt.key, "one")
			if len(queued.Failures) != 1 || queued.Failures[0].Events != 2 {
				t.Errorf("failures: %+v", queued.Failures)
			}
			if len(queued.Logged) != 1 || !strings.Contains(queued.Logged[0].Message, "Permanent error ("+tt.name+")") {
				t.Errorf("logged: %+v", queued.Logged)
			}
			direct := runBrowserSDK(t, k, tt.key, "oneSync")
			if len(direct.Thrown) != 1 || direct.Thrown[0].Name != "SendError" || direct.Thrown[0].Events != 1 {
				t.Errorf("thrown: %+v", direct.Thrown)
			}
			requests := k.recorded()
			checkRequests(t, requests, tt.key)
			checkIs(t, "requests", len(requests), 2)
			for _, r := range requests {
				checkIs(t, "status", r.status, tt.status)
			}
			checkIs(t, "stored", len(k.Events()), 0)
		})
	}

	t.Run("401 to ours", func(t *testing.T) {
		client := newClient(t, startKlime(t), func(cfg *klime.Config) { cfg.WriteKey = "another-key" })
		if err := client.Track(t.Context(), "Report Generated", nil, klime.ForUser("user_1")); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), programTimeout)
		defer cancel()
		var refused *klime.DeliveryError
		if err := client.Flush(ctx); !errors.As(err, &refused) || refused.StatusCode != http.StatusUnauthorized {
			t.Errorf("Flush: %v", err)
		}
	})
}
