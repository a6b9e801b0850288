package klime

import (
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// User is a person, by a stable ID such as a database key. E-mail addresses
// change and are poor IDs.
type User struct {
	ID     string // as text, the same wherever the user is named
	Traits Traits // none: nothing is said of the user
}

// Group is a customer: a company, organisation, team or account, by a stable
// ID. Names and domains change and are poor IDs.
type Group struct {
	ID     string // as text, the same wherever the group is named
	Traits Traits // none: nothing is said of the group
}

// Link says who the user is and which groups the user belongs to. It may stand
// in front of every request: each fact is sent once for as long as
// Config.LinkTTL, and again at once when its traits change or when it could
// not be delivered; one that Klime has refused, or Config.BeforeSend has dropped,
// waits a minute. The request that ctx belongs to becomes the user's, and the
// group's if it is just one; with several, say which one is active with [SetGroup]
// or a GroupID option. That holds for the middlewares of this client; another's
// learn nothing of it. A zero Group is none. In user mode groups are left out.
//
// Give a user the same traits wherever you link: two places with different ones
// take turns at changing them. So do two users who are linked with different traits
// of one group; after 10 turns, they have no more until nothing has changed for 10
// minutes, and the log says so.
//
// Link is about who is signed in. Of others, tell with [Client.Identify] and
// [Client.Group].
func (c *Client) Link(ctx context.Context, u User, groups ...Group) error {
	scope, silent := c.scopeOf(ctx)
	return c.link(ctx, scope, silent, u, groups)
}

func (c *Client) link(ctx context.Context, scope *Scope, silent bool, u User, groups []Group) error {
	if c == nil || silent {
		return nil
	}
	scope.noteSpan(ctx)
	if isBlank(u.ID) {
		return ErrMissingUser
	}
	if c.cfg.Mode == UserMode {
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
		if err := c.linkOnce(ctx, now, u.ID, "", u.Traits); err != nil {
			errs = append(errs, err)
		}
	}
	for _, g := range groups {
		if err := c.linkOnce(ctx, now, u.ID, g.ID, g.Traits); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// linkable leaves out groups without an ID: a zero Group is none, such as that of
// a user without a company; one with traits is a mistake.
func linkable(groups []Group) ([]Group, error) {
	isNone := func(g Group) bool { return isBlank(g.ID) }
	if !slices.ContainsFunc(groups, isNone) {
		return groups, nil
	}
	var err error
	if slices.ContainsFunc(groups, func(g Group) bool { return isNone(g) && (g.ID != "" || len(g.Traits) > 0) }) {
		err = ErrMissingGroup
	}
	return slices.DeleteFunc(slices.Clone(groups), isNone), err
}

// linkOnce sends a fact unless it is known as sent: of the user's group, or without
// one of the user.
func (c *Client) linkOnce(ctx context.Context, now time.Duration, user, group string, t Traits) error {
	token, fresh := c.links.claim(now, user, group, t)
	if !fresh {
		return nil
	}
	d := draft{Event: Event{Type: GroupEvent, UserID: user, GroupID: group, Traits: t}}
	if group == "" {
		d.Type = IdentifyEvent
	}
	err := c.send(ctx, &d, token)
	switch {
	case err != nil && !errors.Is(err, ErrNotDurable):
		c.links.forget(token)
	case d.filtered:
		c.links.pause(token, now+refusedPause)
	}
	return err
}

// link makes the request the user's.
func (s *Scope) link(ctx context.Context, user string, groups []Group) {
	if s == nil {
		return
	}
	ids := s.client().interner()
	s.update(func(known *state) {
		if known.declared.user != user {
			known.declared.user = ids.keep(user)
		}
		user, known.hasUser = known.declared.user, true
		known.members.add(user, "")
		for i := range groups {
			group := groups[i].ID
			if known.members.active == group {
				continue
			}
			group = ids.keep(group)
			known.members.add(user, group)
			known.members.active = group
		}
		if len(groups) > 1 {
			known.members.active = ""
		}
	})
	s.annotateDeclared(ctx)
}

// maxLinks is how many facts a generation of the cache holds, and maxLinkedGroups of
// how many groups it knows the traits. With two generations it takes some 10 MB when
// full.
const (
	maxLinks        = 50_000
	maxLinkedGroups = 10_000
)

// linkCache knows which facts were sent: for a pair of user and group (or a
// user alone), which traits last; and of a group, which traits last with any user.
// It is bounded: facts that were not asked for in a long time are forgotten, at the
// cost of sending them again.
type linkCache struct {
	fingerprint

	ttl      time.Duration
	began    time.Time // from which it counts its time: half the cost of the calendar's
	restless func()    // told when a pair's traits change all the time
	torn     func()    // told when the users of a group change its traits by turns

	mu     sync.Mutex
	pairs  generations
	groups generations // the traits that were sent of each
}

// generations hold links. What was not asked for since the last ones are too many
// is forgotten.
type generations struct {
	most             int // of one generation
	recent, previous map[uint64]link
}

func (g *generations) find(token uint64) (_ link, known, isRecent bool) {
	if l, ok := g.recent[token]; ok {
		return l, true, true
	}
	l, ok := g.previous[token]
	return l, ok, false
}

func (g *generations) put(token uint64, l link, isRecent bool) {
	if !isRecent && len(g.recent) >= g.most {
		g.previous, g.recent = g.recent, make(map[uint64]link)
	}
	g.recent[token] = l
}

// link is what was last sent of a pair.
type link struct {
	traits  uint64        // their hash
	expires time.Duration // the cache's time
	changes int32         // of the traits, in a row
	paused  bool          // it was not taken, and is sent again only when it has expired
}

// manyChanges of a pair's traits in a row are most likely a mistake, such as a
// trait that is the time of the request.
const manyChanges = 10

// changePeriod is how soon one change follows the other, to be in a row. When a
// group's users have changed its traits by turns so often, they do not for as long.
const changePeriod = 10 * time.Minute

// refusedPause is how long a fact that Klime has refused is not sent again,
// unless its traits change: one that stands in front of every request must not
// have sending halted for all. Nor must BeforeSend be asked for every request.
const refusedPause = time.Minute

func newLinkCache(ttl time.Duration, restless func()) *linkCache {
	return &linkCache{
		fingerprint: fingerprint{maphash.MakeSeed()},
		ttl:         ttl, began: time.Now(), restless: sync.OnceFunc(restless), torn: func() {},
		pairs:  generations{most: maxLinks, recent: map[uint64]link{}},
		groups: generations{most: maxLinkedGroups, recent: map[uint64]link{}},
	}
}

// now is the cache's time.
func (l *linkCache) now() time.Duration { return time.Since(l.began) }

// claim reports whether the fact is to be sent, and if so takes it as sent:
// of callers at the same time only one sends. The token stands for the pair.
func (l *linkCache) claim(now time.Duration, user, group string, t Traits) (token uint64, fresh bool) {
	ofGroup := l.text(group)
	token = mix(l.text(user), ofGroup) | 1 // never 0
	traits := l.traits(t)
	var hint func()
	defer func() {
		if hint != nil {
			hint()
		}
	}()
	l.mu.Lock()
	defer l.mu.Unlock()
	last, known, isRecent := l.pairs.find(token)
	// No traits say no more than that the pair is linked.
	valid := known && now < last.expires
	changed := len(t) > 0 && traits != last.traits
	about := group != "" && len(t) > 0 // the group's traits
	switch {
	case valid && !changed && about && !last.paused && l.isOutdated(now, ofGroup, traits):
		last = link{traits: traits, expires: now + l.ttl}
		fresh = true
	case valid && !changed && isRecent:
		if last.changes > 0 && len(t) > 0 {
			last.changes = 0
			l.pairs.recent[token] = last
		}
		return token, false
	case valid && !changed:
		last.changes = 0
	case valid:
		if sent := last.expires - l.ttl; now-sent > changePeriod {
			last.changes = 0
		}
		last = link{traits: traits, expires: now + l.ttl, changes: last.changes + 1}
		if last.changes == manyChanges {
			hint = l.restless
		}
		fresh = true
	default:
		last = link{traits: traits, expires: now + l.ttl}
		fresh = true
	}
	l.pairs.put(token, last, isRecent)
	if fresh && about && l.changeGroup(now, ofGroup, traits) {
		hint = l.torn
	}
	return token, fresh
}

// isOutdated reports whether a group's traits were sent otherwise since, with another
// user. Where that goes on, it is the users who differ, and not the group that changes.
func (l *linkCache) isOutdated(now time.Duration, group, traits uint64) bool {
	last, known, _ := l.groups.find(group)
	if !known || last.traits == traits || now >= last.expires {
		return false
	}
	return last.changes < manyChanges || now-(last.expires-l.ttl) > changePeriod
}

// changeGroup notes the traits that are sent of a group. It reports whether they have
// changed too often.
func (l *linkCache) changeGroup(now time.Duration, group, traits uint64) (tooOften bool) {
	last, known, isRecent := l.groups.find(group)
	known = known && now < last.expires
	switch {
	case known && last.traits == traits: // it has as long as before
	case known && now-(last.expires-l.ttl) <= changePeriod:
		last = link{traits: traits, expires: now + l.ttl, changes: last.changes + 1}
		tooOften = last.changes == manyChanges
	default:
		last = link{traits: traits, expires: now + l.ttl}
	}
	l.groups.put(group, last, isRecent)
	return tooOften
}

// len is how many pairs are known.
func (l *linkCache) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.pairs.recent)
	for token := range l.pairs.previous {
		if _, again := l.pairs.recent[token]; !again {
			n++
		}
	}
	return n
}

// forget makes the next claim of the pair fresh.
func (l *linkCache) forget(token uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.pairs.recent, token)
	delete(l.pairs.previous, token)
}

// pause makes the next claim of the pair fresh from then on.
func (l *linkCache) pause(token uint64, until time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, generation := range [...]map[uint64]link{l.pairs.recent, l.pairs.previous} {
		if last, ok := generation[token]; ok {
			last.expires, last.paused = until, true
			generation[token] = last
		}
	}
}

// settle learns how the event of a pair ended.
func (l *linkCache) settle(token uint64, outcome delivery.Outcome) {
	switch outcome {
	case delivery.Sent:
	case delivery.Failed:
		l.pause(token, l.now()+refusedPause)
	case delivery.Evicted, delivery.Undone, delivery.SpoolBusy, delivery.SpoolFull, delivery.SpoolLost:
		l.forget(token)
	}
}
