package klime

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/klimeapp/klime-go/internal/throttle"
)

// The shortest time between two log lines of a kind.
const (
	invalidLogInterval = 10 * time.Second
	nobodyLogInterval  = time.Hour // of nobody's events: most are tracked on pages that need no sign-in
)

// invalidEvents counts errors that no caller can be given: see Stats.Invalid.
type invalidEvents struct {
	total  atomic.Uint64
	logged [invalidKinds]throttle.Throttle
}

// invalidKinds is how many kinds there are, see invalidKind.
const invalidKinds = 7

// invalidKind tells errors apart that have different causes in the app.
func invalidKind(err error) int {
	for kind, known := range [invalidKinds - 1]error{
		ErrMissingUser, ErrMissingGroup, ErrMissingIdentity, ErrMissingEvent, ErrEventTooLarge, ErrNotEncodable,
	} {
		if errors.Is(err, known) {
			return kind
		}
	}
	return invalidKinds - 1
}

// noteInvalid counts an error that cannot be returned to a caller, and logs it unless it
// has just logged another of its kind. event is the name of the event, if it has one.
func (c *Client) noteInvalid(err error, event string) {
	if c == nil || err == nil || errors.Is(err, ErrQueueFull) || errors.Is(err, ErrSpoolFull) ||
		errors.Is(err, ErrClosed) || errors.Is(err, ErrNotDurable) {
		return // the event was valid, and what happened to it is counted elsewhere
	}
	total := c.invalid.total.Add(1)
	interval := invalidLogInterval
	if errors.Is(err, ErrMissingIdentity) {
		interval = nobodyLogInterval
	}
	if c.invalid.logged[invalidKind(err)].Allows(interval, time.Now()) {
		attrs := []slog.Attr{slog.Any("error", plainError(err)), slog.Uint64("total", total)}
		if event != "" {
			attrs = append(attrs, slog.String("event", shortened(event)))
		}
		c.cfg.Logger.LogAttrs(context.Background(), slog.LevelWarn, "klime: not recorded", attrs...)
	}
}

// plainError removes from err what it may quote from the value of a property. The keys
// that lead to the value stand before that.
func plainError(err error) error {
	value := (*valueError)(nil)
	if !errors.As(err, &value) {
		return err
	}
	keys, _, found := strings.Cut(err.Error(), value.kind+": ")
	if !found { // the value's own error has panicked
		keys = ErrNotEncodable.Error() + ": "
	}
	return errors.New(keys + value.kind)
}
