package klime

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/klimeapp/klime-go/internal/delivery"
)

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
