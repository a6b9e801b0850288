package klime

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// The cache's generations hold so many facts each. Full, it takes some 10 MB.
const (
	maxLinks        = 50_000 // pairs
	maxLinkedGroups = 10_000
)

// linkCache knows which facts were sent. For a pair of user and group (or a user
// alone) it knows the traits that were sent last; for a group, those that were sent
// last with any user. It is bounded: a fact that was not asked for in a long time is
// forgotten, at the cost of sending it again.
type linkCache struct {
	seed       maphash.Seed
	ttl        time.Duration
	began      time.Time // the cache's time counts from here: half the cost of time.Now
	onUnstable func()    // called when a pair's traits change all the time
	onDisputed func()    // called when users of a group change its traits back and forth

	mu     sync.Mutex
	pairs  generations
	groups generations
}

// generations hold facts, each in one of two generations, so that their number is
// bounded. A fact that is asked for moves to the recent one. When that is full, it
// replaces the previous one, whose facts are forgotten.
type generations struct {
	most             int // facts in one generation
	recent, previous map[uint64]sentFact
}

// find returns a fact, and whether it is in the recent generation. One that is not known is
// the zero fact, which has expired.
func (g *generations) find(token uint64) (_ sentFact, isRecent bool) {
	if fact, ok := g.recent[token]; ok {
		return fact, true
	}
	return g.previous[token], false
}

func (g *generations) put(token uint64, fact sentFact) {
	if _, isRecent := g.recent[token]; !isRecent {
		delete(g.previous, token)
		if len(g.recent) >= g.most {
			g.previous, g.recent = g.recent, map[uint64]sentFact{}
		}
	}
	g.recent[token] = fact
}

func (g *generations) forget(token uint64) {
	delete(g.recent, token)
	delete(g.previous, token)
}

func (g *generations) len() int { return len(g.recent) + len(g.previous) }

// sentFact is what was last sent about a pair or a group.
type sentFact struct {
	traits  uint64        // their hash; 0 for none, or of a group if they were lost
	other   uint64        // of a pair, its group; of a group, the token of the pair with which the traits were sent
	expires time.Duration // in the cache's time
	changes int32         // of the traits, in a row
	paused  bool          // refused or dropped: not sent again before it expires, unless its traits change
}

// manyChanges of a pair's traits in a row are most likely a mistake, such as a
// trait that is the time of the request.
const manyChanges = 10

// changePeriod is the longest time between two changes in a row. When users have
// changed a group's traits back and forth manyChanges times, they stop until the
// traits have stayed the same for this long.
const changePeriod = 10 * time.Minute

// refusedPause is how long a fact that Klime has refused, or BeforeSend has dropped,
// is not sent again unless its traits change. A refused Link in every request must
// not halt sending, and BeforeSend must not be asked in each of them.
const refusedPause = time.Minute

// lostPause is how long the other users of a group wait if its traits were lost with one. It
// is shorter, or one who is refused time and again would be the only one who tries.
const lostPause = refusedPause / 2

// newLinkCache returns an empty cache. It calls either function once at most.
func newLinkCache(ttl time.Duration, onUnstable, onDisputed func()) *linkCache {
	return &linkCache{
		seed:       maphash.MakeSeed(),
		ttl:        ttl,
		began:      time.Now(),
		onUnstable: sync.OnceFunc(onUnstable),
		onDisputed: sync.OnceFunc(onDisputed),
		pairs:      generations{most: maxLinks, recent: map[uint64]sentFact{}},
		groups:     generations{most: maxLinkedGroups, recent: map[uint64]sentFact{}},
	}
}

func (l *linkCache) hash(id string) uint64 { return maphash.String(l.seed, id) }

// now returns the cache's time.
func (l *linkCache) now() time.Duration { return time.Since(l.began) }

// reserve reports whether the fact must be sent. If so, it is known as sent from now
// on: of concurrent callers only one sends it. The token stands for the pair.
func (l *linkCache) reserve(now time.Duration, user, group string, t Traits) (token uint64, fresh bool) {
	call := linkCall{traits: hashTraits(l.seed, t)}
	if group != "" {
		call.group = l.hash(group)
	}
	call.token = mix(l.hash(user), call.group) | 1 // never 0
	l.mu.Lock()
	fresh, hint := l.decide(now, &call)
	l.mu.Unlock()
	if hint != nil {
		hint()
	}
	return call.token, fresh
}

// linkCall is a call of Link for one pair, in hashes. Without a group, or without
// traits, that hash is 0.
type linkCall struct{ token, group, traits uint64 }

// decide is reserve, under the lock. The hint, if not nil, is to be called without it.
func (l *linkCache) decide(now time.Duration, call *linkCall) (fresh bool, hint func()) {
	last, isRecent := l.pairs.find(call.token)
	next := sentFact{traits: call.traits, other: call.group, expires: now + l.ttl}
	describesGroup := call.group != 0 && call.traits != 0
	switch {
	case now >= last.expires:
	case call.traits != 0 && call.traits != last.traits: // without traits, only the link counts
		if l.wasSentLately(last, now) {
			next.changes = last.changes
		}
		if next.changes++; next.changes == manyChanges {
			hint = l.onUnstable
		}
	case describesGroup && !last.paused && l.isOutdated(now, call.group, call.traits):
	case isRecent && (last.changes == 0 || call.traits == 0):
		return false, nil // nearly always
	default:
		last.changes = 0
		l.pairs.put(call.token, last)
		return false, nil
	}
	l.pairs.put(call.token, next)
	if describesGroup && l.changeGroup(now, call) {
		hint = l.onDisputed
	}
	return true, hint
}

// wasSentLately reports whether a fact was sent at most changePeriod ago. One that is
// paused counts as sent long ago.
func (l *linkCache) wasSentLately(fact sentFact, now time.Duration) bool {
	return now-(fact.expires-l.ttl) <= changePeriod
}

// isOutdated reports whether other traits of the group were sent since, with another
// user. It is false when that has gone on for too long: then the users disagree, and
// the group does not change.
func (l *linkCache) isOutdated(now time.Duration, group, traits uint64) bool {
	last, isRecent := l.groups.find(group)
	if now >= last.expires {
		return false
	}
	if !isRecent {
		l.groups.put(group, last)
	}
	if last.traits == traits {
		return false
	}
	if last.traits == 0 && now-(last.expires-l.ttl) < lostPause {
		return false // while nothing gets through, not each of the group's users tries
	}
	return last.changes < manyChanges || !l.wasSentLately(last, now)
}

// changeGroup notes the traits that are sent of a group. It reports whether they have
// just changed for the manyChanges-th time.
func (l *linkCache) changeGroup(now time.Duration, call *linkCall) (tooOften bool) {
	last, _ := l.groups.find(call.group)
	known := now < last.expires
	next := sentFact{traits: call.traits, other: call.token, expires: now + l.ttl}
	switch {
	case known && last.traits == call.traits: // it expires when it would have
		next = last
	case known && l.wasSentLately(last, now):
		next.changes = last.changes
		if last.traits != 0 { // else sent in place of what was lost
			next.changes++
			tooOften = next.changes == manyChanges
		}
	}
	l.groups.put(call.group, next)
	return tooOften
}

// loseGroup is told that the last event of a pair was lost. If the traits of its group were
// last sent with it, those that Klime has are not known.
func (l *linkCache) loseGroup(token uint64, pair sentFact) {
	last, _ := l.groups.find(pair.other)
	if last.other != token {
		return
	}
	now := l.now()
	if !l.wasSentLately(last, now) { // by the time of the loss, it would be
		last.changes = 0
	}
	last.traits, last.expires = 0, now+l.ttl
	l.groups.put(pair.other, last)
}

// len returns how many pairs are known.
func (l *linkCache) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pairs.len()
}

// forget makes the pair fresh for the next caller of reserve.
func (l *linkCache) forget(token uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last, _ := l.pairs.find(token)
	l.loseGroup(token, last)
	l.pairs.forget(token)
}

// pause makes the pair fresh from that time on.
func (l *linkCache) pause(token uint64, until time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last, _ := l.pairs.find(token)
	if last == (sentFact{}) {
		return // forgotten meanwhile: the next call sends it
	}
	l.loseGroup(token, last)
	last.expires, last.paused = until, true
	l.pairs.put(token, last)
}

// ended is told how the event of a pair ended.
func (l *linkCache) ended(token uint64, how delivery.Outcome) {
	switch how {
	case delivery.Sent:
	case delivery.Failed:
		l.pause(token, l.now()+refusedPause)
	case delivery.Evicted, delivery.Abandoned, delivery.SpoolBusy, delivery.SpoolFull, delivery.SpoolLost:
		l.forget(token)
	}
}
