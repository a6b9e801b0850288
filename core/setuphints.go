package klime

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
)

// setupHints log what is most likely a mistake in the setup of a middleware, each kind at
// most once.
type setupHints struct {
	route, circular, nobody, foreign, linkless, inside, outside atomic.Bool

	known   atomic.Int64 // requests with a known user or group
	unknown atomic.Int64 // requests without
}

// alwaysAnonymous anonymous requests look like a mistake, if there are also that many
// for each request with a known user or group.
const alwaysAnonymous = 50

// manyAttributed requests with a known user or group show that the setup works: from
// then on there is no such hint.
const manyAttributed = 10_000

// hint logs what is most likely a mistake in the app, unless Config.NoHints is set.
func (c *Client) hint(level slog.Level, text string, attrs ...slog.Attr) {
	if c != nil && !c.cfg.NoHints {
		c.cfg.Logger.LogAttrs(context.Background(), level, "klime: "+text, attrs...)
	}
}

// hintOnce is hint for what is told once.
func (c *Client) hintOnce(told *atomic.Bool, text string, attrs ...slog.Attr) {
	if !told.Swap(true) { // under no lock, as the app's Logger may come here again
		c.hint(slog.LevelWarn, text, attrs...)
	}
}

func (h *setupHints) noRoute(c *Client) {
	c.hintOnce(&h.route, "a request's route is not known, so its event has none; "+
		"the docs of the adapter's package say when that happens, and what to do")
}

func (h *setupHints) circularResolver(c *Client) {
	c.hintOnce(&h.circular, "a function given to UserID or GroupID asks klime whose request it is, or tracks an event; "+
		"for that klime asks it again, a hundred times and more; let it read the session")
}

func (h *setupHints) foreignOption(c *Client) {
	c.hintOnce(&h.foreign, "a UserID, GroupID or Route option is of another framework's package; it finds nothing here")
}

func (h *setupHints) answeredOutside(c *Client) {
	c.hintOnce(&h.outside, "a handler has left an error and no answer; if a middleware outside of Middleware answers, "+
		"the status is not known: put Middleware outside of that one")
}

func (h *setupHints) withoutLink(c *Client) {
	c.hintOnce(&h.linkless, "RequireMembership leaves out the group of requests without a Link of their user; "+
		"it needs a Link in front of every request")
}

// hintInside looks for options that have no effect, as t is inside outer.
func (t *Tracker) hintInside(outer *Tracker) {
	unheard := func(c Captured) bool { return !slices.Contains(outer.capture, c) }
	if t.rollUp != nil && t.rollUp != outer.rollUp || t.sampleRate < 1 && t.sampleRate != outer.sampleRate ||
		slices.ContainsFunc(t.capture, unheard) {
		t.client.hintOnce(&t.setupHints.inside, "RollUp, Sample or Capture is given to a Middleware inside another one "+
			"of the same client, where it has no effect; give it to the outermost")
	}
}

// attributed counts a request with a known user or group. It stops at manyAttributed,
// where the count no longer matters, so that processors do not contend for it.
func (h *setupHints) attributed() {
	if h.known.Load() < manyAttributed {
		h.known.Add(1)
	}
}

// anonymous counts a request without, and logs a hint if there are hardly any others.
func (h *setupHints) anonymous(c *Client) {
	known := h.known.Load()
	if known >= manyAttributed {
		return
	}
	unknown := h.unknown.Add(1)
	if unknown < alwaysAnonymous || known > unknown/alwaysAnonymous {
		return
	}
	note(&c.seen.nobodyTold)
	c.hintOnce(&h.nobody, "almost no request so far has had a user"+howToNameUsers, slog.Int64("requests", unknown))
}

const howToNameUsers = ", and without one nothing is recorded: use the UserID option, " +
	`klime.SetUser or Link (after Middleware), or the context value "userId"; if the user is known only behind a middleware ` +
	"further in, put Middleware once more behind that one"
