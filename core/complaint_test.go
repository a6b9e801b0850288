package klime_test

import (
	"context"
	"math"
	"strings"
	"testing"

	klime "github.com/klimeapp/klime-go/core"
)

// The first error of each kind is logged, with the event that it is about.
func TestComplaints(t *testing.T) {
	t.Parallel()
	var log *syncBuffer
	client, _ := newClient(t, func(cfg *klime.Config) { log = logTo(cfg) })
	traffic{tracker: klime.NewTracker(client, asUser("u1"))}.serve(func(ctx context.Context) {
		for range 3 {
			klime.SetProperty(ctx, "ratio", math.Inf(1))
			klime.Track(ctx, "", nil)
			klime.Track(ctx, "Rate Changed", klime.Properties{"rate": math.NaN(), "mail": "jane@acme.com"})
			klime.Track(ctx, "File Sent "+strings.Repeat("x", 100), klime.Properties{"content": strings.Repeat("x", 300<<10)})
			klime.Link(ctx, klime.User{}, klime.Group{ID: "g1"})
		}
	})
	for _, want := range []string{
		`property \"ratio\"`, "missing event name", "exceeds 200 KiB", `event="File Sent xxxxxxxxxx`, "missing user ID",
	} {
		if strings.Count(log.String(), want) != 1 {
			t.Errorf("%s: not once in the log:\n%s", want, log)
		}
	}
	if strings.Contains(log.String(), "Rate Changed") { // of the same kind as the property
		t.Errorf("told twice:\n%s", log)
	}
	if strings.Contains(log.String(), "acme") || strings.Contains(log.String(), strings.Repeat("x", 65)) {
		t.Errorf("the log says too much:\n%s", log)
	}
	if n := client.Stats().Invalid; n != 15 {
		t.Errorf("%d counted", n)
	}
}
