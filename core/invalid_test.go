package klime_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	klime "github.com/klimeapp/klime-go/core"
)

// The first error of each kind is logged, with the event that it is about.
func TestInvalid(t *testing.T) {
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

// secretive quotes its own content when it cannot be encoded.
type secretive struct{}

func (secretive) MarshalJSON() ([]byte, error) {
	return nil, errors.New("no JSON of jane@acme.com: \"mail\"")
}

// unspeakable fails to encode, and its error fails to say why.
type unspeakable struct{}

func (unspeakable) MarshalJSON() ([]byte, error) { return nil, unspeakable{} }
func (unspeakable) Error() string                { panic("jane@acme.com") }

// The log says which property cannot be sent and of what type it is, but nothing of it.
func TestInvalidNamesTheKey(t *testing.T) {
	t.Parallel()
	for want, do := range map[string]func(context.Context){
		`property \"owner\": klime_test.secretive"`: func(ctx context.Context) { klime.SetProperty(ctx, "owner", secretive{}) },
		`property \"owner\": \"of\": [1]: klime_test.secretive"`: func(ctx context.Context) {
			klime.SetProperty(ctx, "owner", map[string]any{"of": []any{1, secretive{}}})
		},
		`\"owner\": klime_test.secretive" total=1 event=Sold`: func(ctx context.Context) {
			klime.Track(ctx, "Sold", klime.Properties{"owner": secretive{}})
		},
		`\"owner\": klime_test.secretive" total=1`: func(ctx context.Context) {
			klime.Link(ctx, klime.User{ID: "u1", Traits: klime.Traits{"owner": secretive{}}})
		},
		"cannot be sent as JSON: klime_test.unspeakable": func(ctx context.Context) { klime.SetProperty(ctx, "owner", unspeakable{}) },
		`\"done\": chan int"`:                            func(ctx context.Context) { klime.SetProperty(ctx, "done", make(chan int)) },
	} {
		var log *syncBuffer
		client, _ := newClient(t, func(cfg *klime.Config) { log = logTo(cfg) })
		traffic{tracker: klime.NewTracker(client, asUser("u1"))}.serve(do)
		if text := log.String(); !strings.Contains(text, want) || strings.Contains(text, "acme") {
			t.Errorf("want %s, log:\n%s", want, text)
		}
	}
}
