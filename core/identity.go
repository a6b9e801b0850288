package klime

import (
	"log/slog"
	"sync"
)

// The plain string keys under which web apps keep the signed-in user and group.
const (
	userKey  = "userId"
	groupKey = "groupId"
)

// identity says whose event it is. An ID that is not known is empty.
type identity struct {
	user, group string
	untrusted   bool            // the group comes from a resolver or context value, and the app does not vouch for it
	orphaned    bool            // the app has declared the group, and has signed out since the user that it had named
	checked     membershipCheck // why RequireMembership has left the group out, if it has
}

// distrust leaves out an untrusted group if no user is known, or if the app has turned
// the request away.
func (id *identity) distrust(turnedAway bool) {
	if id.untrusted && (id.user == "" || turnedAway) {
		id.group = ""
	}
}

// complete reports whether both user and group are known.
func (id *identity) complete() bool { return id.user != "" && id.group != "" }

// fill fills in what id lacks from other.
func (id *identity) fill(other identity) {
	if id.user == "" {
		id.user = other.user
	}
	if id.group == "" {
		id.group, id.untrusted = other.group, other.untrusted
	}
}

// inUserMode reports whether c sends no groups.
func (c *Client) inUserMode() bool { return c != nil && c.cfg.Mode == UserMode }

// valuer is the part of a context that holds values.
type valuer interface{ Value(key any) any }

// fillIn fills in what id lacks from the plain values in v. c is told of those that
// cannot be IDs.
func (id *identity) fillIn(v valuer, c *Client) {
	if v == nil {
		return
	}
	if id.user == "" { // with the key as a constant, which is not allocated
		id.user = c.plainID(userKey, ask(func(any) answer { return answerOfAny(v.Value(userKey)) }, v, nil))
	}
	if id.group == "" && !c.inUserMode() {
		id.group, id.untrusted = c.plainID(groupKey, ask(func(any) answer { return answerOfAny(v.Value(groupKey)) }, v, nil)), true
	}
}

// plainID returns the ID that a plain value is, "" if it is none.
func (c *Client) plainID(key string, a answer) string {
	if a.problem != noProblem {
		c.tellNoID(key, a)
	}
	return c.interner().keep(a.known())
}

// plainHints are about plain values that cannot be IDs.
type plainHints struct{ user, group sync.Once }

// leaveOut leaves out, for all middlewares of the client, hints about what t has options
// for: they may see the same request, and the value may then be anything.
func (h *plainHints) leaveOut(t *Tracker) {
	if t.user != nil {
		h.user.Do(func() {})
	}
	if t.group != nil {
		h.group.Do(func() {})
	}
}

func (c *Client) tellNoID(key string, a answer) {
	if c == nil {
		return
	}
	told := &c.plainHints.user
	if key == groupKey {
		told = &c.plainHints.group
	}
	switch a.problem {
	case noProblem, problemForeign, problemPanicked: // a value that panics may be of a request that is over
	case problemWrongType:
		c.hintOnce(told, "a context value that klime reads is of a type that cannot be an ID, and is ignored; "+
			"make it a string, an integer, a fmt.Stringer or an encoding.TextMarshaler",
			slog.String("value", key), slog.String("type", a.id))
	case problemNotUTF8:
		c.hintOnce(told, "a context value that klime reads has bytes that are not UTF-8, and is ignored; "+
			"make it text, such as the String of a UUID", slog.String("value", key))
	}
}
