package klime

import (
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/klimeapp/klime-go/internal/throttle"
)

// complaintInterval is the shortest time between two complaints in the log.
const complaintInterval = 10 * time.Second

// complaints counts errors that no caller can be given.
type complaints struct {
	total  atomic.Uint64
	logged throttle.Throttle
}

// complain counts an error that cannot be returned to a caller, and logs it unless it
// has just logged another.
func (c *Client) complain(err error) {
	if c == nil || err == nil || errors.Is(err, ErrQueueFull) || errors.Is(err, ErrSpoolFull) ||
		errors.Is(err, ErrClosed) || errors.Is(err, ErrNotDurable) {
		return // the event was valid, and what happened to it is counted elsewhere
	}
	total := c.complaints.total.Add(1)
	if c.complaints.logged.Allows(complaintInterval, time.Now()) {
		c.cfg.Logger.Warn("klime: not recorded", slog.Any("error", plainError(err)), slog.Uint64("total", total))
	}
}

// plainError removes from err what it may quote from the value of a property.
func plainError(err error) error {
	if value := (*valueError)(nil); errors.As(err, &value) {
		return fmt.Errorf("%w: %s", ErrNotEncodable, value.kind)
	}
	return err
}
