package klime

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// hints tells the log what is most likely a mistake in how a middleware is set
// up, each at most once.
type hints struct {
	route, panicked, circular, nobody, wrongType, foreign sync.Once

	known   atomic.Bool  // somebody was recognised
	unknown atomic.Int64 // requests without anybody, until somebody is
}

// alwaysAnonymous is how many requests without a user, and none with one, look
// like a mistake.
const alwaysAnonymous = 50

func (h *hints) noRoute(c *Client) {
	if c == nil {
		return
	}
	h.route.Do(func() {
		c.cfg.Logger.Warn("klime: a request's route is not known, it is recorded without; " +
			"the Middleware of the adapter's package says when that is, and what to do")
	})
}

func (h *hints) resolverPanicked(c *Client) {
	if c == nil {
		return
	}
	h.panicked.Do(func() {
		c.cfg.Logger.Warn("klime: a function given to UserID, GroupID, Route or Link panicked, its answer is left out")
	})
}

func (h *hints) circularResolver(c *Client) {
	if c == nil {
		return
	}
	h.circular.Do(func() {
		c.cfg.Logger.Warn("klime: a function given to UserID or GroupID asks klime whose request it is, or tracks an event; " +
			"it gets no answer")
	})
}

func (h *hints) foreignOption(c *Client) {
	if c == nil {
		return
	}
	h.foreign.Do(func() {
		c.cfg.Logger.Warn("klime: a UserID, GroupID or Route option is of another framework's package, it finds nothing here")
	})
}

func (h *hints) noID(c *Client, kind string) {
	if c == nil {
		return
	}
	h.wrongType.Do(func() {
		c.cfg.Logger.Warn("klime: a function given to UserID or GroupID returns what can be no ID, such requests are anonymous",
			slog.String("type", kind))
	})
}

func (h *hints) attributed() {
	if !h.known.Load() {
		h.known.Store(true)
	}
}

func (h *hints) anonymous(c *Client) {
	if c == nil || h.known.Load() || h.unknown.Add(1) < alwaysAnonymous {
		return
	}
	h.nobody.Do(func() {
		c.cfg.Logger.Warn("klime: no request has had a user so far, and nothing was recorded; "+
			`use the UserID option, klime.SetUser, or the context value "userId"`,
			slog.Int64("requests", h.unknown.Load()))
	})
}

// complaintInterval is the time between two complaints in the log.
const complaintInterval = 10 * time.Second

// complaints counts what goes wrong where nobody can be given an error.
type complaints struct {
	total  atomic.Uint64
	lastAt atomic.Int64 // Unix nanoseconds
}

// complain counts an error that has no caller, and logs some.
func (c *Client) complain(err error) {
	if c == nil || err == nil || errors.Is(err, ErrQueueFull) || errors.Is(err, ErrClosed) {
		return // the latter two are in Stats by themselves
	}
	total := c.complaints.total.Add(1)
	if value := (*valueError)(nil); errors.As(err, &value) {
		err = fmt.Errorf("%w: %s", ErrNotEncodable, value.kind) // its text could repeat what the value holds
	}
	now := time.Now().UnixNano()
	last := c.complaints.lastAt.Load()
	if now-last < int64(complaintInterval) || !c.complaints.lastAt.CompareAndSwap(last, now) {
		return
	}
	c.cfg.Logger.Warn("klime: not recorded", slog.Any("error", err), slog.Uint64("total", total))
}

func (c *Client) countAnonymous() {
	if c != nil {
		c.anonymous.Add(1)
	}
}
