package klime_test

import (
	"encoding/json"
	"math"
	"testing"

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

// Every digit of a number survives BeforeSend.
func TestBeforeSendKeepsDigits(t *testing.T) {
	t.Parallel()
	var seen klime.Event
	change := func(c *klime.Config) { c.BeforeSend = func(e *klime.Event) bool { seen = *e; return true } }
	bubble(t, change, func(t *testing.T, _ *klimetest.Recorder, c *klime.Client) {
		p := klime.Properties{"u": uint64(math.MaxUint64 - 1), "i": int64(math.MinInt64), "f": 1e300, "h": 0.1}
		if err := c.Track(t.Context(), "Done", p, klime.ForUser("jane")); err != nil {
			t.Fatal(err)
		}
		want := klime.Properties{"u": json.Number("18446744073709551614"), "i": int64(math.MinInt64), "f": 1e300, "h": 0.1}
		for key, value := range want {
			if seen.Properties[key] != value {
				t.Errorf("%s: %#v, want %#v", key, seen.Properties[key], value)
			}
		}
	})
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
