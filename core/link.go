package klime

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"time"
)

// User is a person, by a stable ID such as a database key. E-mail addresses
// change and are poor IDs.
type User struct {
	ID     string // as text, the same wherever the user is named
	Traits Traits // nil or empty leaves the user's traits as they are
}

// Group is a customer: a company, organisation, team or account, by a stable
// ID. Names and domains change and are poor IDs.
type Group struct {
	ID     string // as text, the same wherever the group is named
	Traits Traits // nil or empty leaves the group's traits as they are
}

// Link says who the user is and which groups the user belongs to. It may be called
// in every request: each fact is sent once per Config.LinkTTL, and again by the next
// call after its traits have changed or it could not be delivered. A fact that Klime
// has refused, that was given up after Config.MaxAttempts, or that Config.BeforeSend has
// dropped, waits a minute unless its traits change. If the traits of a group could not be
// delivered with one user, a Link of another user sends its own after half a minute. A Group
// without an ID is ignored if its traits are all zero values, such as "" and nil; in user mode
// all groups are.
//
// Link also says whose request ctx belongs to: the user's and, if there is just one
// group, that group's. With several groups, name the active one with [SetGroup] or a
// GroupID option. Only the middlewares of this client learn of it.
//
// Give a user the same traits wherever you call Link: two places that disagree
// change them back and forth. So do two users who are linked with different traits
// of one group. After 10 such changes the log says so. Until the group's traits have
// stayed the same for 10 minutes, they are then sent only by a Link that is new, or whose
// own traits have changed.
//
// In a request, Link is about the user who is signed in. For others, use [Client.Identify]
// and [Client.Group], or a context that is not a request's.
//
// The error joins those of [Client.Track], one for each fact, and [ErrMissingGroup] for a
// group whose ID is wrong; the other groups are linked all the same. It is [ErrMissingUser]
// if the user's ID is wrong: then nothing is linked. In a silenced request nothing is sent,
// and Link returns nil.
func (c *Client) Link(ctx context.Context, u User, groups ...Group) error {
	scope, silent := c.scopeOf(ctx)
	return c.link(ctx, scope, silent, u, groups)
}

func (c *Client) link(ctx context.Context, scope *Scope, silent bool, u User, groups []Group) error {
	if c == nil || silent {
		return nil
	}
	scope.noteSpan(ctx)
	if !isID(u.ID) {
		return noID(ErrMissingUser, u.ID)
	}
	if c.inUserMode() {
		groups = nil
	}
	var errs []error
	groups, err := linkable(groups)
	if err != nil {
		errs = append(errs, err)
	}
	scope.link(ctx, u.ID, groups)

	now := c.links.now()
	if len(u.Traits) > 0 {
		if err := c.linkOnce(ctx, scope, now, u.ID, "", u.Traits); err != nil {
			errs = append(errs, err)
		}
	}
	for _, g := range groups {
		if err := c.linkOnce(ctx, scope, now, u.ID, g.ID, g.Traits); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (c *Client) hintUnstableTraits() {
	c.hint(slog.LevelWarn, "the traits given to Link change on every call, and are sent every time; leave out the one that changes")
}

func (c *Client) hintDisputedTraits() {
	c.hint(slog.LevelWarn, "users of one group are linked with different traits of it, and change them back and forth; "+
		"give a group only traits that are the same for all of its users")
}

// linkable leaves out groups without an ID. A zero Group stands for none, such as that of
// a user without a company, and so does one with nothing but zero traits, as a session
// without a company gives them. One with other traits or a wrong ID is a mistake.
func linkable(groups []Group) ([]Group, error) {
	isNone := func(g Group) bool { return !isID(g.ID) }
	if !slices.ContainsFunc(groups, isNone) {
		return groups, nil
	}
	var err error
	if i := slices.IndexFunc(groups, func(g Group) bool { return isNone(g) && (g.ID != "" || !g.Traits.areZero()) }); i >= 0 {
		err = noID(ErrMissingGroup, groups[i].ID)
	}
	return slices.DeleteFunc(slices.Clone(groups), isNone), err
}

// areZero reports whether no trait says anything.
func (t Traits) areZero() bool {
	for _, value := range t {
		if value != nil && !reflect.ValueOf(value).IsZero() {
			return false
		}
	}
	return true
}

// linkOnce sends a fact unless it is known as sent: that the user belongs to the
// group or, if group is empty, who the user is.
func (c *Client) linkOnce(ctx context.Context, scope *Scope, now time.Duration, user, group string, t Traits) error {
	token, fresh := c.links.reserve(now, user, group, t)
	if !fresh {
		return nil
	}
	d := draft{Event: Event{Type: GroupEvent, UserID: user, GroupID: group, Traits: t}, token: token}
	if group == "" {
		d.Type = IdentifyEvent
	}
	sent := false
	defer func() {
		if !sent { // also if BeforeSend or the span of ctx has panicked, or ended the goroutine
			c.links.forget(token)
		}
	}()
	d.addTelemetry(ctx, scope)
	err := c.send(ctx, &d, nil)
	sent = err == nil || errors.Is(err, ErrNotDurable)
	if sent && d.filtered {
		c.links.pause(token, now+refusedPause)
	}
	return err
}

// link makes the request the user's, and the group's if there is just one.
func (s *Scope) link(ctx context.Context, user string, groups []Group) {
	if s == nil {
		return
	}
	ids := s.client().interner()
	s.update(func(r *request) {
		if !r.hasUser || r.declared.user != user {
			active := r.declared.group
			isAmong := r.hasGroup && slices.ContainsFunc(groups, func(g Group) bool { return g.ID == active })
			r.declareUser(ids.keep(user))
			if isAmong { // SetGroup has named the active one before
				r.declareGroup(active)
			}
		}
		r.members.begin(r.declared.user)
		r.members.add(groups, ids)
	})
	s.annotateDeclared(ctx)
}
