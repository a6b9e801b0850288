package klime_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
)

// BeforeSend may add to any event, also one without properties or traits.
func TestBeforeSendAdds(t *testing.T) {
	t.Parallel()
	change := func(c *klime.Config) {
		c.BeforeSend = func(e *klime.Event) bool {
			if e.Type == klime.TrackEvent {
				e.Properties["env"] = "test"
			} else {
				e.Traits["env"] = "test"
			}
			e.Context["region"] = "eu"
			return true
		}
	}
	bubble(t, change, func(t *testing.T, recorder *klimetest.Recorder, c *klime.Client) {
		ctx := t.Context()
		for _, err := range []error{
			c.Track(ctx, "Done", nil, klime.ForUser("jane")),
			c.Identify(ctx, "jane", nil),
			c.Group(ctx, "acme", nil, klime.ForUser("jane")),
			c.Flush(ctx),
		} {
			if err != nil {
				t.Error(err)
			}
		}
		for _, e := range recorder.Events() {
			if e.Properties["env"] != "test" && e.Traits["env"] != "test" || e.Context["region"] != "eu" {
				t.Errorf("event %+v", e)
			}
		}
		if n := len(recorder.Events()); n != 3 {
			t.Errorf("%d events", n)
		}
	})
}

// BeforeSend may keep the event, and read it while that is sent.
func TestBeforeSendKeepsTheEvent(t *testing.T) {
	t.Parallel()
	var kept *klime.Event
	client, wire := newClient(t, userMode, func(cfg *klime.Config) {
		cfg.BeforeSend = func(e *klime.Event) bool {
			e.Timestamp, e.GroupID = time.Time{}, "g1"
			kept = e
			return true
		}
	})
	trackDone(t, client, "u1")
	if e := wire.one(t, client); who(e) != "u1/" || e["timestamp"] == nil {
		t.Errorf("sent %v", e)
	}
	if !kept.Timestamp.IsZero() || kept.GroupID != "g1" {
		t.Errorf("kept %+v", kept)
	}
}

// Every digit of a number survives BeforeSend.
func TestBeforeSendKeepsDigits(t *testing.T) {
	t.Parallel()
	var seen klime.Event
	change := func(c *klime.Config) { c.BeforeSend = func(e *klime.Event) bool { seen = *e; return true } }
	bubble(t, change, func(t *testing.T, _ *klimetest.Recorder, c *klime.Client) {
		p := klime.Properties{"u": uint64(math.MaxUint64 - 1), "i": int64(math.MinInt64), "f": 1e300, "h": 0.1, "n": json.Number("1e999")}
		if err := c.Track(t.Context(), "Done", p, klime.ForUser("jane")); err != nil {
			t.Fatal(err)
		}
		want := klime.Properties{"u": json.Number("18446744073709551614"), "i": int64(math.MinInt64), "f": 1e300, "h": 0.1, "n": json.Number("1e999")}
		for key, value := range want {
			if seen.Properties[key] != value {
				t.Errorf("%s: %#v, want %#v", key, seen.Properties[key], value)
			}
		}
	})
}

// That is told, once and only of what its type does not have. Where there is no log, nothing
// is told.
func TestBeforeSendMisplaces(t *testing.T) {
	t.Parallel()
	properties := func(e *klime.Event) { e.Properties = klime.Properties{"region": "eu"} }
	traits := func(e *klime.Event) { e.Traits = klime.Traits{"region": "eu"} }
	track := func(ctx context.Context, c *klime.Client) error {
		return c.Track(ctx, "Done", nil, klime.ForUser("u1"))
	}
	identify := func(ctx context.Context, c *klime.Client) error { return c.Identify(ctx, "u1", named("Jane")) }
	for name, test := range map[string]struct {
		do     func(ctx context.Context, c *klime.Client) error
		change func(*klime.Event)
		told   int
		want   string // what is sent under "properties" and "traits"
	}{
		"properties of a track":     {track, properties, 0, "map[region:eu] <nil>"},
		"traits of a track":         {track, traits, 1, "<nil> <nil>"},
		"properties of an identify": {identify, properties, 1, "<nil> map[name:Jane]"},
		"traits of an identify":     {identify, traits, 0, "<nil> map[region:eu]"},
		"empty traits of a track":   {track, func(e *klime.Event) { e.Traits = klime.Traits{} }, 0, "<nil> <nil>"},
	} {
		for _, logs := range []bool{true, false} {
			log := new(syncBuffer)
			client, wire := newClient(t, func(cfg *klime.Config) {
				if logs {
					log = logTo(cfg)
				}
				cfg.BeforeSend = func(e *klime.Event) bool { test.change(e); return true }
			})
			if err := test.do(t.Context(), client); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			e := wire.one(t, client)
			if got := fmt.Sprint(e["properties"], " ", e["traits"]); got != test.want {
				t.Errorf("%s: sent %s, want %s", name, got, test.want)
			}
			if n := strings.Count(log.String(), "left out"); logs && n != test.told {
				t.Errorf("%s: told %d times: %s", name, n, log)
			}
		}
	}
}

// What an event's type does not have is left out, and takes the place of nothing.
func TestBeforeSendAddsWhatATypeHasNot(t *testing.T) {
	t.Parallel()
	var log *syncBuffer
	client, wire := newClient(t, func(cfg *klime.Config) {
		log = logTo(cfg)
		cfg.BeforeSend = func(e *klime.Event) bool {
			if e.Properties == nil {
				e.Properties = klime.Properties{}
			}
			if e.Traits == nil {
				e.Traits = klime.Traits{}
			}
			e.Properties["region"], e.Traits["region"] = "eu", "eu"
			return true
		}
	})
	for _, err := range []error{
		client.Link(t.Context(), klime.User{ID: "u1", Traits: named("Jane")}, klime.Group{ID: "g1", Traits: named("Acme")}),
		client.Track(t.Context(), "Done", klime.Properties{"name": "x"}, klime.ForUser("u1")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	events := wire.events(t, client)
	if len(events) != 3 {
		t.Fatalf("sent %q", summary(events))
	}
	for i, name := range []string{"Jane", "Acme", "x"} {
		has, hasNot := "traits", "properties"
		if events[i]["type"] == "track" {
			has, hasNot = hasNot, has
		}
		got, _ := events[i][has].(map[string]any)
		if _, both := events[i][hasNot]; both || got["name"] != name || got["region"] != "eu" {
			t.Errorf("%v: %v", events[i]["type"], events[i])
		}
	}
	if got := strings.Count(log.String(), "left out"); got != 1 {
		t.Errorf("said %d times: %s", got, log)
	}
}

func TestNilContexts(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, _ *klimetest.Recorder, c *klime.Client) {
		//nolint:staticcheck // nil is what this is about
		for name, err := range map[string]error{
			"Track": c.Track(nil, "Done", nil, klime.ForUser("jane")),
			"Flush": c.Flush(nil),
			"Ping":  c.Ping(nil),
			"Sync": func() error {
				_, err := c.TrackSync(nil, "Done", nil, klime.ForUser("jane"))
				return err
			}(),
			"Shutdown": c.Shutdown(nil),
		} {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// What BeforeSend takes out of the context stays out, except for the library's own name.
func TestBeforeSendTakesAwayTheApp(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t, func(cfg *klime.Config) {
		cfg.App = klime.App{Name: "internal-name"}
		cfg.BeforeSend = func(e *klime.Event) bool {
			clear(e.Context)
			return true
		}
	})
	trackDone(t, client, "u1")
	got, _ := wire.one(t, client)["context"].(map[string]any)
	if len(got) != 1 || got["library"] == nil {
		t.Errorf("context %v", got)
	}
}
