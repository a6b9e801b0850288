package klime

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// hint logs what is most likely a mistake in the app, unless Config.NoHints is set.
func (c *Client) hint(level slog.Level, text string, attrs ...slog.Attr) {
	if c != nil && !c.cfg.NoHints {
		c.cfg.Logger.LogAttrs(context.Background(), level, "klime: "+text, attrs...)
	}
}

// hintOnce is hint for what is told once.
func (c *Client) hintOnce(told *sync.Once, text string, attrs ...slog.Attr) {
	told.Do(func() { c.hint(slog.LevelWarn, text, attrs...) })
}

// recoveringHandler is a slog.Handler whose panics are recovered and counted. Nothing in
// this library calls With or WithGroup on its Logger.
type recoveringHandler struct {
	slog.Handler

	panics *atomic.Uint64
}

func (h recoveringHandler) Enabled(ctx context.Context, level slog.Level) (enabled bool) {
	defer func() {
		if recover() != nil {
			h.panics.Add(1)
		}
	}()
	return h.Handler.Enabled(ctx, level)
}

func (h recoveringHandler) Handle(ctx context.Context, r slog.Record) error {
	if !delivery.CallApp(func() { _ = h.Handler.Handle(ctx, r) }) { // slog drops the error
		h.panics.Add(1)
	}
	return nil
}
