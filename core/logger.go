package klime

import (
	"context"
	"log/slog"
)

// steady is a slog.Handler whose panics are harmless.
type steady struct{ slog.Handler }

func (h steady) Enabled(ctx context.Context, level slog.Level) (enabled bool) {
	defer func() { _ = recover() }()
	return h.Handler.Enabled(ctx, level)
}

func (h steady) Handle(ctx context.Context, r slog.Record) error {
	defer func() { _ = recover() }()
	return h.Handler.Handle(ctx, r) //nolint:wrapcheck // slog drops it
}

func (h steady) WithAttrs(attrs []slog.Attr) slog.Handler { return steady{h.Handler.WithAttrs(attrs)} }

func (h steady) WithGroup(name string) slog.Handler { return steady{h.Handler.WithGroup(name)} }
