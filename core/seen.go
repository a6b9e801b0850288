package klime

import (
	"log/slog"
	"sync"
	"sync/atomic"
)

// seen is what the requests of a client have had, for hints at Shutdown to whoever tries
// out an app that is set up in a wrong way.
type seen struct {
	user, group atomic.Bool // known of some request, even if that has no event
	groupOption atomic.Bool // some middleware has an option that finds the group

	told sync.Once
}

// someAnonymous requests are more than a browser and a crawler make by themselves.
const someAnonymous = 5

func (c *Client) noteSeen(id *identity) {
	if c == nil {
		return
	}
	if id.user != "" {
		note(&c.seen.user)
	}
	if id.group != "" {
		note(&c.seen.group)
	}
}

// hintUnseen tells what no request has had, once.
func (c *Client) hintUnseen() {
	c.seen.told.Do(func() {
		user, group := c.seen.user.Load(), c.seen.group.Load()
		switch n := c.anonymous.Load(); {
		case !user && !group && n >= someAnonymous && n < alwaysAnonymous: // else the log has said so
			c.hint(slog.LevelInfo, "no request has had a user"+howToNameUsers, slog.Uint64("requests", n))
		case user && !group && c.seen.groupOption.Load():
			c.hint(slog.LevelInfo, "no request has had a group, though there is a GroupID option; unless your users have none, "+
				"what it reads is not known where Middleware stands: if a middleware further in finds the group, call klime.SetGroup there")
		}
	})
}
