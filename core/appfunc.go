package klime

import (
	"context"
	"log/slog"
	"sync/atomic"
)

// appFunc is a function of the app that klime calls in requests. All its panics are
// counted, but only the first is logged: an app may leave it to klime that a session
// is missing.
type appFunc struct {
	client *Client
	name   string

	toldPanic, toldType, toldBinary atomic.Bool
}

// panicked notes that the function panicked with v. The caller must be deferred. A nil
// f notes nothing.
func (f *appFunc) panicked(v any) {
	if f == nil || f.client == nil {
		return
	}
	f.client.panics.Add(1)
	if !f.toldPanic.Swap(true) {
		f.client.cfg.Logger.LogAttrs(context.Background(), slog.LevelError,
			"klime: a function given to klime panicked; its answer is ignored, and its next panics are only counted",
			append([]slog.Attr{slog.String("function", f.name)}, panicAttrs(v)...)...)
	}
}
