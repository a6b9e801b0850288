package klime

import (
	"log/slog"
	"sync/atomic"
)

// seen is what the requests of a client have had, for hints at Shutdown to whoever tries
// out an app that is set up in a wrong way.
type seen struct {
	users       atomic.Int32  // requests of a known user, up to someRequests; even those without an event
	group       atomic.Bool   // known of some request
	groupOption atomic.Bool   // some middleware has an option that finds the group
	ofNobody    atomic.Uint64 // requests of nobody, without those in which a handler has named somebody
	nobodyTold  atomic.Bool   // the log has said that hardly any request has a user

	told atomic.Bool
}

// someRequests are enough for a hint: a browser and a crawler make some by themselves, and
// a user's first pages may be without a group.
const someRequests = 5

func (c *Client) noteSeen(id *identity) {
	if c == nil {
		return
	}
	if id.user != "" && c.seen.users.Load() < someRequests {
		c.seen.users.Add(1)
	}
	if id.group != "" {
		note(&c.seen.group)
	}
}

// hintUnseen tells what no request has had, once.
func (c *Client) hintUnseen() {
	if c.seen.told.Swap(true) {
		return
	}
	users, ofNobody := c.seen.users.Load(), c.seen.ofNobody.Load()
	switch {
	case c.seen.group.Load():
	case users == 0 && ofNobody >= someRequests && !c.seen.nobodyTold.Load():
		c.hint(slog.LevelInfo, "no request has had a user"+howToNameUsers, slog.Uint64("requests", ofNobody))
	case users >= someRequests && c.seen.groupOption.Load():
		c.hint(slog.LevelInfo, "no request has had a group, though there is a GroupID option; unless your users have none, "+
			"what it reads is not known where Middleware stands: if a middleware further in finds the group, call klime.SetGroup there")
	}
}
