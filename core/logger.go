package klime

import (
	"context"
	"log/slog"
	"sync/atomic"
)

// steady is a slog.Handler whose panics are harmless, and counted.
type steady struct {
	slog.Handler

	panics *atomic.Uint64
}

func (h steady) survive() {
	if recover() != nil {
		h.panics.Add(1)
	}
}

func (h steady) Enabled(ctx context.Context, level slog.Level) (enabled bool) {
	defer h.survive()
	return h.Handler.Enabled(ctx, level)
}

func (h steady) Handle(ctx context.Context, r slog.Record) error {
	defer h.survive()
	return h.Handler.Handle(ctx, r) //nolint:wrapcheck // slog drops it
}

func (h steady) WithAttrs(attrs []slog.Attr) slog.Handler {
	return steady{h.Handler.WithAttrs(attrs), h.panics}
}

func (h steady) WithGroup(name string) slog.Handler {
	return steady{h.Handler.WithGroup(name), h.panics}
}
