package klime

import (
	"log/slog"
	"sync/atomic"
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

// fillIn fills in what id lacks from the plain values in v. The client of s is told of
// those that cannot be IDs.
func (id *identity) fillIn(v valuer, s *Scope) {
	if v == nil {
		return
	}
	if id.user == "" { // with the key as a constant, which is not allocated
		id.user = s.plainID(userKey, ask(func(any) answer { return answerOfAny(v.Value(userKey)) }, v, nil))
	}
	if id.group == "" && !s.client().inUserMode() {
		id.group, id.untrusted = s.plainID(groupKey, ask(func(any) answer { return answerOfAny(v.Value(groupKey)) }, v, nil)), true
	}
}

// plainID returns the ID that a plain value is, "" if it is none.
func (s *Scope) plainID(key string, a answer) string {
	if a.problem != noProblem && !s.hasOption(key) { // beside an option, the value may be anything
		s.client().tellNoID(key, a)
	}
	return s.client().interner().keep(a.known())
}

// plainHints are about plain values that cannot be IDs.
type plainHints struct{ user, group atomic.Bool }

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
