package klime_test

import (
	"context"
	"strings"
	"testing"

	klime "github.com/klimeapp/klime-go/core"
)

// A function of the app that panics in a request: its panics are counted, and the first
// is logged with the line that it came from, also without hints, and without the app's data.
func TestPanicsInRequests(t *testing.T) {
	t.Parallel()
	secret := func() string { panic("secret") }
	library := func() string { return strings.Repeat("x", -len(t.Name())) } // panics further in
	var empty []string
	tests := []struct {
		name string
		opt  klime.Option
		link func() (klime.User, []klime.Group)
		want string
	}{
		{"UserID", klime.ResolveUser(func(any) any { return secret() }), nil, "panic=string"},
		{"GroupID", klime.ResolveGroup(func(any) any { return library() }), nil, "panic="},
		{"Route", klime.RouteFrom(func(any) string { return empty[len(t.Name())] }), nil, `panic="runtime error: index out of range`},
		{"ClassifyWith", klime.ClassifyWith(func(klime.Exchange, klime.Kind) klime.Kind { panic(context.Canceled) }), nil, "panic=*errors.errorString"},
		{"Link", klime.Option{}, func() (klime.User, []klime.Group) { return klime.User{ID: secret()}, nil }, "panic=string"},
		{"Link", klime.Option{}, nil, `panic="runtime error: invalid memory address`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var log *syncBuffer
			client, wire := newClient(t, func(cfg *klime.Config) { log, cfg.NoHints = logTo(cfg), true })
			tracker := klime.NewTracker(client, tt.opt)
			var last uint64
			for range 3 {
				traffic{tracker: tracker}.serve(func(ctx context.Context) {
					klime.SetUser(ctx, "u1")
					if tt.name == "Link" {
						klime.LinkFunc(ctx, tt.link)
					}
				})
				panics := client.Stats().Panics
				if panics == last {
					t.Error("a panic was not counted")
				}
				last = panics
			}
			if got := len(wire.events(t, client)); got != 3 {
				t.Errorf("%d events", got)
			}
			line := log.String()
			if strings.Count(line, "\n") != 1 || !strings.Contains(line, "function="+tt.name) || !strings.Contains(line, tt.want) || strings.Contains(line, "secret") {
				t.Errorf("log %s", line)
			}
			if isNil := tt.name == "Link" && tt.link == nil; strings.Contains(line, "core/panic_test.go:") == isNil {
				t.Errorf("where it panicked: %s", line)
			}
		})
	}
}

// posing is an error of the app that poses as one of the runtime.
type posing struct{}

func (posing) RuntimeError() {}
func (posing) Error() string { panic("no session of jane@acme.com") }

// Only the runtime's own errors are asked for their text, and however deep in a library
// the panic is, the app's line is told.
func TestPanicsOfLibraries(t *testing.T) {
	t.Parallel()
	var depths func(int) string
	depths = func(n int) string {
		if n == 0 {
			panic(posing{})
		}
		return strings.TrimFunc("x", func(rune) bool { return depths(n-1) == "" })
	}
	var log *syncBuffer
	client, _ := newClient(t, func(cfg *klime.Config) { log = logTo(cfg) })
	traffic{tracker: klime.NewTracker(client, klime.ResolveUser(func(any) any { return depths(1000) }))}.serve(nil)
	if line := log.String(); !strings.Contains(line, "panic=klime_test.posing at=") || !strings.Contains(line, "panic_test.go:") {
		t.Errorf("log %s", line)
	}
}
