package klime_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	klime "github.com/klimeapp/klime-go/core"
)

// What the log says of what Klime accepts, and is most likely a mistake.
func TestEventHints(t *testing.T) {
	t.Parallel()
	identify := func(id string, traits klime.Traits) func(*testing.T, *klime.Client) {
		return func(t *testing.T, c *klime.Client) {
			t.Helper()
			if err := c.Identify(t.Context(), id, traits); err != nil {
				t.Error(err)
			}
		}
	}
	group := func(id string, traits klime.Traits, opts ...klime.EventOption) func(*testing.T, *klime.Client) {
		return func(t *testing.T, c *klime.Client) {
			t.Helper()
			if err := c.Group(t.Context(), id, traits, opts...); err != nil {
				t.Error(err)
			}
		}
	}
	track := func(opts ...klime.EventOption) func(*testing.T, *klime.Client) {
		return func(t *testing.T, c *klime.Client) {
			t.Helper()
			if err := c.Track(t.Context(), "Done", nil, opts...); err != nil {
				t.Error(err)
			}
		}
	}
	tests := map[string]struct {
		do    func(*testing.T, *klime.Client)
		times int    // 1 if 0, spread over an hour
		want  string // in the only line of the log; "" for no line
	}{
		"a database key":        {do: identify("42", named("Jane"))},
		"a prefixed key":        {do: group("org_abc123", named("Acme"))},
		"a UUID":                {do: identify("6f0c1b7e-3f1a-4c1e-9d51-0a1b2c3d4e5f", nil)},
		"an ID with a version":  {do: identify("v1.2", nil)},
		"a name with a dot":     {do: identify("jane.doe", nil)},
		"a template's nothing":  {do: identify("<no value>", nil), want: "user IDs look like a missing value"},
		"a trait by a person":   {do: identify("u1", klime.Traits{"jane@acme.com": []int{1}}), want: `trait="\"?\""`},
		"an Auth0 ID":           {do: identify("auth0|5f7c8ec7c33c6c004bbafe82", nil)},
		"an e-mail address":     {do: identify("jane@acme.com", nil), want: "user IDs look like e-mail addresses"},
		"a name":                {do: group("Acme Inc", nil), want: "group IDs look like names"},
		"a space too many":      {do: identify("usr_1 ", nil), want: "user IDs begin or end with a space"},
		"a zero-width space":    {do: identify("usr_\u200b1", nil), want: "user IDs have characters that cannot be seen"},
		"of a group too":        {do: group("\ufefforg_1", nil), want: "group IDs have characters that cannot be seen"},
		"a domain":              {do: group("Acme.com", nil), want: "group IDs look like domains"},
		"a URL":                 {do: group("https://acme.com/", nil), want: "group IDs look like URLs"},
		"of a track event too":  {do: track(klime.ForUser("jane@acme.com")), want: "user IDs look like e-mail addresses"},
		"null":                  {do: identify("null", nil), want: "user IDs look like a missing value"},
		"undefined":             {do: identify("undefined", nil), want: "user IDs look like a missing value"},
		"zero":                  {do: group("0", nil), want: "group IDs look like a missing value"},
		"of JavaScript":         {do: group("[object Object]", nil), want: "group IDs look like a missing value"},
		"of package fmt":        {do: group("%!d(string=acme)", nil), want: "group IDs look like a missing value"},
		"a struct printed":      {do: identify("&{42 Jane}", nil), want: "user IDs look like a missing value"},
		"a pointer printed":     {do: identify("0xc000012345", nil), want: "user IDs look like a missing value or a pointer"},
		"the nil UUID":          {do: identify("00000000-0000-0000-0000-000000000000", nil), want: "user IDs look like a missing value"},
		"the name as ID":        {do: identify("jane", named("jane")), want: "user IDs equal the trait name"},
		"the group's as ID":     {do: group("acme", named("acme"), klime.ForUser("jane")), want: "group IDs equal the trait name"},
		"the group named alike": {do: group("g1", named("u1"), klime.ForUser("u1"))},
		"told once":             {do: identify("jane@acme.com", nil), times: 5, want: "user IDs look like e-mail addresses"},
		"an object as trait":    {do: identify("u1", klime.Traits{"address": map[string]any{"city": "Bern"}}), want: `trait="\"address\""`},
		"a list as trait":       {do: identify("u1", klime.Traits{"tags": []string{"a"}}), want: "a trait is a list or an object"},
		"a struct as trait":     {do: identify("u1", klime.Traits{"a": struct{ B int }{1}}), want: "a trait is a list or an object"},
		"the longest trait":     {do: identify("u1", klime.Traits{"bio": strings.Repeat("x", 1000)})},
		"a long trait":          {do: identify("u1", klime.Traits{"bio": strings.Repeat("x", 1001)}), want: "a trait is very long"},
		"a long text of a type": {do: identify("u1", klime.Traits{"bio": label(strings.Repeat("x", 1001))}), want: "a trait is very long"},
		"a long text elsewhere": {do: identify("u1", klime.Traits{"bio": ptr(strings.Repeat("x", 1001))}), want: "a trait is very long"},
		"an encoded object":     {do: identify("u1", klime.Traits{"a": json.RawMessage("\n{}")}), want: "a trait is a list or an object"},
		"an encoded list":       {do: identify("u1", klime.Traits{"a": json.RawMessage("[1]")}), want: "a trait is a list or an object"},
		"the name, of a type":   {do: identify("jane", klime.Traits{"name": label("jane")}), want: "user IDs equal the trait name"},
		"the name, elsewhere":   {do: group("acme", klime.Traits{"name": ptr("acme")}), want: "group IDs equal the trait name"},
		"a number for a name":   {do: identify("42", klime.Traits{"name": 42})},
		"encoded as they are": {do: identify("u1", klime.Traits{
			"a": json.RawMessage(`"x"`), "b": json.RawMessage(" 1"), "c": json.RawMessage("null"), "d": ptr("x"), "e": label("x"), "f": []byte("x"),
		})},
		"traits as they are": {do: identify("u1", klime.Traits{
			"a": "x", "b": 1, "c": true, "d": 1.5, "e": time.Unix(0, 0), "f": nil, "g": int8(1), "h": (*string)(nil),
		})},
		"users without name":      {do: identify("u1", klime.Traits{"email": "jane@acme.com"}), times: 10, want: "given no user the trait name"},
		"users without e-mail":    {do: identify("u1", named("Jane")), times: 10, want: "given no user the trait email"},
		"users with both":         {do: identify("u1", klime.Traits{"name": "Jane", "email": "jane@acme.com"}), times: 10},
		"few without":             {do: identify("u1", klime.Traits{"role": "admin"}), times: 9},
		"groups without name":     {do: group("g1", klime.Traits{"plan": "pro"}), times: 10, want: "given no group the trait name"},
		"groups with a name":      {do: group("g1", named("Acme")), times: 10},
		"users never linked":      {do: track(klime.ForUser("u1")), times: 100, want: "your dashboard will stay empty"},
		"groups never told":       {do: track(klime.ForGroup("g1")), times: 100, want: "or client.Group for companies"},
		"a group that was told":   {do: both(group("g1", named("Acme")), track(klime.ForGroup("g1"))), times: 9},
		"users beside a group":    {do: both(group("g1", named("Acme")), track(klime.ForUser("u1"))), times: 9, want: "your dashboard will stay empty"},
		"few users never linked":  {do: track(klime.ForUser("u1")), times: 99},
		"many users at once":      {do: both(track(klime.ForUser("u1")), repeat(10, track(klime.ForUser("u1"))))},
		"users of a linked group": {do: both(group("g1", named("Acme"), klime.ForUser("u1")), track(klime.ForUser("u1"))), times: 9},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log *syncBuffer
			synctest.Test(t, func(t *testing.T) {
				var client *klime.Client
				client, _ = newClient(t, func(cfg *klime.Config) { log = logTo(cfg) })
				traffic{tracker: klime.NewTracker(client)}.serve(klime.Skip)
				for range max(tt.times, 1) {
					tt.do(t, client)
					time.Sleep(59 * time.Minute / time.Duration(max(tt.times, 1)))
				}
			})
			lines := strings.Count(log.String(), "\n")
			if tt.want == "" && lines != 0 || tt.want != "" && (lines != 1 || !strings.Contains(log.String(), tt.want)) {
				t.Errorf("log %q, want a line with %q", log.String(), tt.want)
			}
			for _, secret := range []string{"jane", "acme", "Acme Inc", "Bern"} {
				if strings.Contains(log.String(), secret) {
					t.Errorf("the log tells %q: %q", secret, log.String())
				}
			}
		})
	}
}

// label is a type of the app.
type label string

func ptr[T any](v T) *T { return &v }

func both(do, then func(*testing.T, *klime.Client)) func(*testing.T, *klime.Client) {
	return func(t *testing.T, c *klime.Client) {
		t.Helper()
		do(t, c)
		for range 20 {
			then(t, c)
		}
	}
}

func repeat(n int, do func(*testing.T, *klime.Client)) func(*testing.T, *klime.Client) {
	return func(t *testing.T, c *klime.Client) {
		t.Helper()
		for range n {
			do(t, c)
		}
	}
}

// A mistake that goes on is told once an hour.
func TestEventHintsAreRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log *syncBuffer
		client, _ := newClient(t, func(cfg *klime.Config) { log = logTo(cfg) })
		for range 3 * 60 {
			if err := client.Identify(t.Context(), "jane@acme.com", nil); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Minute)
		}
		if n := strings.Count(log.String(), "e-mail addresses"); n != 3 {
			t.Errorf("told %d times in three hours, want 3", n)
		}
	})
}

// That nobody is linked is told once, as another process may do that, and never to a worker,
// which has no requests.
func TestEmptyDashboardIsToldOnce(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ requests, want int }{{0, 0}, {1, 1}} {
		synctest.Test(t, func(t *testing.T) {
			var log *syncBuffer
			client, _ := newClient(t, func(cfg *klime.Config) { log = logTo(cfg) })
			for range tt.requests {
				traffic{tracker: klime.NewTracker(client)}.serve(klime.Skip)
			}
			for range 3 * 60 {
				remind(client.NewContext(t.Context(), "u1", ""))
				time.Sleep(time.Minute)
			}
			if n := strings.Count(log.String(), "your dashboard will stay empty"); n != tt.want {
				t.Errorf("after %d requests told %d times in three hours, want %d", tt.requests, n, tt.want)
			}
		})
	}
}

func TestNoHints(t *testing.T) {
	t.Parallel()
	var log *syncBuffer
	client, _ := newClient(t, func(cfg *klime.Config) {
		log = logTo(cfg)
		cfg.NoHints = true
	})
	for range 200 {
		trackDone(t, client, "jane@acme.com")
	}
	if log.String() != "" {
		t.Errorf("log %q", log.String())
	}
}

// What BeforeSend makes of an ID is what counts: that is what is sent.
func TestEventHintsAreOfWhatIsSent(t *testing.T) {
	t.Parallel()
	var log *syncBuffer
	client, wire := newClient(t, func(cfg *klime.Config) {
		log = logTo(cfg)
		cfg.BeforeSend = func(e *klime.Event) bool {
			e.UserID = fmt.Sprintf("%x", e.UserID)
			return true
		}
	})
	if err := client.Identify(t.Context(), "jane@acme.com", named("Jane")); err != nil {
		t.Error(err)
	}
	if wire.one(t, client); log.String() != "" {
		t.Errorf("log %q", log.String())
	}
}

// In user mode nobody is linked, and nothing is missing.
func TestEventHintsInUserMode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log *syncBuffer
		client, _ := newClient(t, userMode, func(cfg *klime.Config) { log = logTo(cfg) })
		traffic{tracker: klime.NewTracker(client)}.serve(klime.Skip)
		for range 200 {
			trackDone(t, client, "u1")
			time.Sleep(time.Minute)
		}
		if log.String() != "" {
			t.Errorf("log %q", log.String())
		}
	})
}
