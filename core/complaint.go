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

// complaintInterval is the shortest time between two complaints of a kind in the log.
const complaintInterval = 10 * time.Second

// complaints counts errors that no caller can be given.
type complaints struct {
	total  atomic.Uint64
	logged [complaintKinds]throttle.Throttle
}

// complaintKinds is how many kinds there are, see complaintKind.
const complaintKinds = 7

// complaintKind tells errors apart that have different causes in the app.
func complaintKind(err error) int {
	for kind, known := range [complaintKinds - 1]error{
		ErrMissingUser, ErrMissingGroup, ErrMissingIdentity, ErrMissingEvent, ErrEventTooLarge, ErrNotEncodable,
	} {
		if errors.Is(err, known) {
			return kind
		}
	}
	return complaintKinds - 1
}

// complain counts an error that cannot be returned to a caller, and logs it unless it
// has just logged another of its kind. Event is the name of the event, if it has one.
func (c *Client) complain(err error, event string) {
	if c == nil || err == nil || errors.Is(err, ErrQueueFull) || errors.Is(err, ErrSpoolFull) ||
		errors.Is(err, ErrClosed) || errors.Is(err, ErrNotDurable) {
		return // the event was valid, and what happened to it is counted elsewhere
	}
	total := c.complaints.total.Add(1)
	if c.complaints.logged[complaintKind(err)].Allows(complaintInterval, time.Now()) {
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
