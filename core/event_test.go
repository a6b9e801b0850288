package klime_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
)

// Whose event it is when the options name user or group, in a request of user
// u0 in group g0.
func TestOptionsAndInheritedIdentity(t *testing.T) {
	t.Parallel()
	user, in, group := klime.ForUser("u1"), klime.InGroup("g1"), klime.ForGroup("g1")
	tests := []struct {
		name string
		opts []klime.EventOption
		want string // user/group
	}{
		{"none", nil, "u0/g0"},
		{"the zero option", []klime.EventOption{{}}, "u0/g0"},
		{"ForUser drops the inherited group", []klime.EventOption{user}, "u1/"},
		{"InGroup keeps the inherited user", []klime.EventOption{in}, "u0/g1"},
		{"ForGroup has no user", []klime.EventOption{group}, "/g1"},
		{"ForUser, InGroup", []klime.EventOption{user, in}, "u1/g1"},
		{"InGroup, ForUser", []klime.EventOption{in, user}, "u1/g1"},
		{"InGroup, ForGroup", []klime.EventOption{in, klime.ForGroup("g2")}, "/g2"},
		{"ForGroup, InGroup", []klime.EventOption{klime.ForGroup("g2"), in}, "/g1"},
		{"ForUser twice: the last", []klime.EventOption{user, klime.ForUser("u2")}, "u2/"},
		{"InGroup twice: the last", []klime.EventOption{in, klime.InGroup("g2")}, "u0/g2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client, wire := newClient(t)
			scope := klime.NewTracker(client).Begin(t.Context())
			klime.SetUser(scope, "u0")
			klime.SetGroup(scope, "g0")
			if err := client.Track(scope, "Done", nil, tt.opts...); err != nil {
				t.Fatal(err)
			}
			if got := who(wire.one(t, client)); got != tt.want {
				t.Errorf("event of %s, want %s", got, tt.want)
			}
		})
	}
}

// Options that are accepted for each call, without a request.
func TestOptionsOfEachCall(t *testing.T) {
	t.Parallel()
	track := func(opts ...klime.EventOption) func(*klime.Client, context.Context) error {
		return func(c *klime.Client, ctx context.Context) error { return c.Track(ctx, "Done", nil, opts...) }
	}
	identify := func(id string, opts ...klime.EventOption) func(*klime.Client, context.Context) error {
		return func(c *klime.Client, ctx context.Context) error { return c.Identify(ctx, id, nil, opts...) }
	}
	group := func(id string, opts ...klime.EventOption) func(*klime.Client, context.Context) error {
		return func(c *klime.Client, ctx context.Context) error { return c.Group(ctx, id, nil, opts...) }
	}
	tests := []struct {
		name string
		call func(*klime.Client, context.Context) error
		err  error
		want string // user/group
	}{
		{"track of nobody", track(), klime.ErrMissingIdentity, ""},
		{"track of a user", track(klime.ForUser("u1")), nil, "u1/"},
		{"track in a group", track(klime.InGroup("g1")), nil, "/g1"},
		{"track of a group", track(klime.ForGroup("g1")), nil, "/g1"},
		{"ForUser without ID", track(klime.ForUser("")), klime.ErrMissingUser, ""},
		{"ForUser, not UTF-8", track(klime.ForUser("\xf1")), klime.ErrMissingUser, ""},
		{"ForGroup, not UTF-8", track(klime.ForGroup("g\xf1")), klime.ErrMissingGroup, ""},
		{"InGroup without ID", track(klime.ForUser("u1"), klime.InGroup("")), klime.ErrMissingGroup, ""},
		{"ForGroup without ID", track(klime.ForGroup("")), klime.ErrMissingGroup, ""},
		{"ForUser, ForGroup", track(klime.ForUser("u1"), klime.ForGroup("g1")), klime.ErrInvalidOption, ""},
		{"ForGroup, ForUser", track(klime.ForGroup("g1"), klime.ForUser("u1")), klime.ErrInvalidOption, ""},
		{"ForUser, ForGroup, InGroup", track(klime.ForUser("u1"), klime.ForGroup("g1"), klime.InGroup("g2")), klime.ErrInvalidOption, ""},
		{"track, MessageID, not UTF-8", track(klime.ForUser("u1"), klime.WithMessageID("\xf1")), klime.ErrInvalidOption, ""},
		{"track, MessageID, blank", track(klime.ForUser("u1"), klime.WithMessageID(" ")), klime.ErrInvalidOption, ""},
		{"track, MessageID, empty", track(klime.ForUser("u1"), klime.WithMessageID("")), nil, "u1/"},
		{"identify", identify("u1"), nil, "u1/"},
		{"identify without ID", identify(""), klime.ErrMissingUser, ""},
		{"identify, not UTF-8", identify("\xf1"), klime.ErrMissingUser, ""},
		{"identify, another option", identify("u1", klime.WithContext("locale", "de")), nil, "u1/"},
		{"identify, ForUser", identify("u1", klime.ForUser("u2")), klime.ErrInvalidOption, ""},
		{"identify, ForUser, without ID", identify("", klime.ForUser("u2")), klime.ErrInvalidOption, ""},
		{"identify, InGroup", identify("u1", klime.InGroup("g1")), klime.ErrInvalidOption, ""},
		{"identify, ForGroup", identify("u1", klime.ForGroup("g1")), klime.ErrInvalidOption, ""},
		{"identify, InGroup, of an empty ID", identify("u1", klime.InGroup("")), klime.ErrInvalidOption, ""},
		{"identify, MessageID, not UTF-8", identify("u1", klime.WithMessageID("\xf1")), klime.ErrInvalidOption, ""},
		{"group, MessageID, not UTF-8", group("g1", klime.WithMessageID("\xf1")), klime.ErrInvalidOption, ""},
		{"group", group("g1"), nil, "/g1"},
		{"group without ID", group(""), klime.ErrMissingGroup, ""},
		{"group, ForUser", group("g1", klime.ForUser("u1")), nil, "u1/g1"},
		{"group, ForUser without ID", group("g1", klime.ForUser("")), klime.ErrMissingUser, ""},
		{"group, InGroup", group("g1", klime.InGroup("g2")), klime.ErrInvalidOption, ""},
		{"group, ForGroup", group("g1", klime.ForGroup("g2")), klime.ErrInvalidOption, ""},
		{"group, the zero option", group("g1", klime.EventOption{}), nil, "/g1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client, wire := newClient(t)
			if err := tt.call(client, t.Context()); !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			} else if errors.Is(err, klime.ErrInvalidOption) && !strings.Contains(err.Error(), strings.Split(tt.name, ", ")[1]) {
				t.Errorf("error %v does not name the option", err)
			}
			if tt.err != nil {
				if events := wire.events(t, client); len(events) != 0 {
					t.Errorf("sent all the same: %v", events)
				}
				return
			}
			if got := who(wire.one(t, client)); got != tt.want {
				t.Errorf("event of %s, want %s", got, tt.want)
			}
		})
	}
}

func TestEventNames(t *testing.T) {
	t.Parallel()
	client, _ := newClient(t)
	for _, name := range []string{"", " ", "\t\n"} {
		if err := client.Track(t.Context(), name, nil, klime.ForUser("u1")); !errors.Is(err, klime.ErrMissingEvent) {
			t.Errorf("Track(%q): error %v, want ErrMissingEvent", name, err)
		}
	}
}

func TestOptionsAtMessageIDAndContext(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.FixedZone("", -3600))
	shared := map[string]any{"country": "DE"}
	err := client.Track(t.Context(), "Done", nil, klime.ForUser("u1"), klime.At(at), klime.WithMessageID("job-7"),
		klime.WithContext("library", "mine"), klime.WithContext("locale", "de"), klime.WithContext("locale", "fr"),
		klime.WithContext("geo", shared))
	if err != nil {
		t.Fatal(err)
	}
	shared["country"] = "changed"
	event := wire.one(t, client)
	if got := event["timestamp"]; got != "2026-01-02T04:04:05.678Z" {
		t.Errorf("timestamp %v", got)
	}
	if got := event["messageId"]; got != "job-7" {
		t.Errorf("messageId %v", got)
	}
	values := event["context"].(map[string]any)
	if library, _ := values["library"].(map[string]any); library["name"] != "go-sdk" {
		t.Errorf("context.library is %v", values["library"])
	}
	if values["locale"] != "fr" {
		t.Errorf("context.locale is %v, want the last one", values["locale"])
	}
	if got := values["geo"].(map[string]any)["country"]; got != "DE" {
		t.Errorf("context.geo.country is %v, changed after the call", got)
	}
}

// Options may be kept and given to many calls.
func TestOptionsAreReusable(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	opts := []klime.EventOption{klime.ForUser("u1"), klime.WithContext("locale", "de")}
	for range 2 {
		if err := client.Track(t.Context(), "Done", nil, opts...); err != nil {
			t.Fatal(err)
		}
	}
	events := wire.events(t, client)
	if len(events) != 2 || events[0]["messageId"] == events[1]["messageId"] {
		t.Errorf("events %v, want two of their own", events)
	}
}

// What was given to a call may be changed as soon as it has returned.
func TestCallerKeepsItsMaps(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	properties := klime.Properties{"a": "before", "in": map[string]any{"b": "before"}, "list": []any{"before"}}
	if err := client.Track(t.Context(), "Done", properties, klime.ForUser("u1")); err != nil {
		t.Fatal(err)
	}
	properties["a"] = "after"
	properties["in"].(map[string]any)["b"] = "after"
	properties["list"].([]any)[0] = "after"
	got := wire.one(t, client)["properties"].(map[string]any)
	if got["a"] != "before" || got["in"].(map[string]any)["b"] != "before" || got["list"].([]any)[0] != "before" {
		t.Errorf("properties %v were changed after the call", got)
	}
	if len(properties) != 3 {
		t.Errorf("the caller's map became %v", properties)
	}
}

func TestEventTypeString(t *testing.T) {
	t.Parallel()
	for kind, want := range map[klime.EventType]string{
		klime.TrackEvent: "track", klime.IdentifyEvent: "identify", klime.GroupEvent: "group", 7: "unknown",
	} {
		if got := kind.String(); got != want {
			t.Errorf("EventType(%d) is %q, want %q", int(kind), got, want)
		}
	}
}
