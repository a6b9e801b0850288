package klime

import (
	"encoding/json"
	"strconv"
	"testing"
	"time"
)

// The cache is bounded, and forgets first what was not asked for in the
// longest time.
func TestLinkCacheIsBounded(t *testing.T) {
	t.Parallel()
	cache := newLinkCache(time.Hour, func() {}, func() {})
	now := cache.now()
	fresh := 0 // times the fact that is always asked for had to be sent
	for i := range 5 * maxLinks {
		cache.reserve(now, strconv.Itoa(i), "", nil)
		if i%1000 == 0 {
			if _, isFresh := cache.reserve(now, "always", "", nil); isFresh {
				fresh++
			}
		}
		if held := cache.pairs.len(); held > 2*maxLinks {
			t.Fatalf("%d facts held, at most %d allowed", held, 2*maxLinks)
		}
	}
	if fresh != 1 {
		t.Errorf("a fact that is asked for all the time was sent %d times", fresh)
	}
	if _, isFresh := cache.reserve(now, "0", "", nil); !isFresh {
		t.Error("the oldest fact is still known")
	}
	if _, isFresh := cache.reserve(now, strconv.Itoa(5*maxLinks-1), "", nil); isFresh {
		t.Error("the newest fact is forgotten")
	}
}

// To be asked for does not make a fact live longer than its TTL.
func TestLinkCacheTTLIsFromTheSending(t *testing.T) {
	t.Parallel()
	cache := newLinkCache(time.Hour, func() {}, func() {})
	start := cache.now()
	sent := 0
	for minute := range 121 {
		if _, fresh := cache.reserve(start+time.Duration(minute)*time.Minute, "u1", "g1", Traits{"a": 1}); fresh {
			sent++
		}
	}
	if sent != 3 {
		t.Errorf("sent %d times in two hours with a TTL of one, want 3", sent)
	}
}

// Forgetting takes a fact out of both generations.
func TestLinkCacheForget(t *testing.T) {
	t.Parallel()
	cache := newLinkCache(time.Hour, func() {}, func() {})
	now := cache.now()
	token, _ := cache.reserve(now, "u1", "", nil)
	if token == 0 {
		t.Error("a token of 0 stands for none")
	}
	cache.pairs.previous, cache.pairs.recent = cache.pairs.recent, map[uint64]sentFact{}
	cache.forget(token)
	if _, fresh := cache.reserve(now, "u1", "", nil); !fresh {
		t.Error("still known")
	}
}

// Where a group's users disagree on its traits, they take turns at changing them a
// few times, and then only now and then. It is said.
func TestDisputedGroups(t *testing.T) {
	t.Parallel()
	told := 0
	cache := newLinkCache(24*time.Hour, func() { t.Error("a pair is unstable") }, func() { told++ })
	start := cache.now()
	sent := 0
	link := func(after time.Duration, user, plan string) bool {
		_, fresh := cache.reserve(start+after, user, "acme", Traits{"plan": plan})
		if fresh {
			sent++
		}
		return fresh
	}
	for i := range 3600 {
		link(time.Duration(i)*time.Second, "jane", "pro")
		link(time.Duration(i)*time.Second, "john", "trial")
	}
	if most := 6 * (manyChanges + 1); sent < 2*manyChanges || sent > most || told == 0 {
		t.Errorf("sent %d times in an hour, at most %d allowed; told %d times", sent, most, told)
	}
	if !link(time.Hour, "jane", "gold") || !link(time.Hour, "john", "gold") {
		t.Error("a change of a user's own was not sent")
	}
	later := time.Hour + changePeriod + time.Second
	if link(later, "jane", "gold") || !link(later, "john", "trial") || !link(later, "jane", "gold") {
		t.Error("when they have agreed for a while, a change was not sent")
	}
}

// What was refused waits, also where another user has linked the group since.
func TestDisputedGroupOfARefusedLink(t *testing.T) {
	t.Parallel()
	cache := newLinkCache(24*time.Hour, func() {}, func() {})
	now := cache.now()
	token, _ := cache.reserve(now, "jane", "acme", Traits{"plan": "pro"})
	_, _ = cache.reserve(now, "john", "acme", Traits{"plan": "trial"})
	cache.pause(token, now+refusedPause)
	if _, fresh := cache.reserve(now+refusedPause/2, "jane", "acme", Traits{"plan": "pro"}); fresh {
		t.Error("sent at once")
	}
	if _, fresh := cache.reserve(now+refusedPause, "jane", "acme", Traits{"plan": "pro"}); !fresh {
		t.Error("not sent again")
	}
}

// The memory of groups is bounded, too.
func TestGroupsAreBounded(t *testing.T) {
	t.Parallel()
	cache := newLinkCache(time.Hour, func() {}, func() {})
	for i := range 5 * maxLinkedGroups {
		cache.reserve(0, "jane", strconv.Itoa(i), Traits{"a": 1})
	}
	if held := cache.groups.len(); held > 2*maxLinkedGroups {
		t.Errorf("%d groups held, at most %d allowed", held, 2*maxLinkedGroups)
	}
}

// A group that is asked for all the time is not forgotten.
func TestGroupsThatAreInUse(t *testing.T) {
	t.Parallel()
	cache := newLinkCache(time.Hour, func() {}, func() {})
	_, _ = cache.reserve(0, "jane", "acme", Traits{"plan": "pro"})
	_, _ = cache.reserve(0, "john", "acme", Traits{"plan": "trial"})
	for i := range 3 * maxLinkedGroups {
		_, _ = cache.reserve(0, "jim", strconv.Itoa(i), Traits{"plan": "pro"})
		_, _ = cache.reserve(0, "john", "acme", Traits{"plan": "trial"})
	}
	if _, fresh := cache.reserve(0, "jane", "acme", Traits{"plan": "pro"}); !fresh {
		t.Error("it is not known that John's traits were sent last")
	}
}

// Traits of a group that did not get through are not those that were sent last: users who are
// linked with the ones before send these again. If others have been sent since, or with
// another user the same, nothing was lost.
func TestLostTraitsOfAGroup(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*linkCache, uint64){
		"forgotten": (*linkCache).forget,
		"paused":    func(c *linkCache, token uint64) { c.pause(token, refusedPause) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cache := newLinkCache(time.Hour, func() {}, func() { t.Error("a group is disputed") })
			link := func(at time.Duration, user, plan string) (token uint64, fresh bool) {
				return cache.reserve(at, user, "acme", Traits{"plan": plan})
			}
			const later = 2 * refusedPause
			_, _ = link(0, "jane", "pro")
			_, _ = link(0, "john", "trial")
			for i := range 2 * manyChanges {
				token, _ := link(0, "jim"+strconv.Itoa(i), "trial")
				lose(cache, token)
				if _, fresh := link(time.Duration(i+1)*later, "john", "trial"); fresh {
					t.Fatal("sent again, though John's were not lost")
				}
			}
			lost, _ := link(0, "jill", "pro")
			lose(cache, lost)
			if _, fresh := link(0, "jane", "pro"); fresh {
				t.Error("sent again at once: so would each of the group's users, while nothing gets through")
			}
			if _, fresh := link(later, "jane", "pro"); !fresh {
				t.Error("lost with Jill, and not sent again with Jane")
			}
			lose(cache, lost)
			if _, fresh := link(2*later, "jane", "pro"); fresh {
				t.Error("sent again, though Jane's were not lost")
			}
		})
	}
}

// Others wait after a loss, however long before it the traits were sent. Changes that were
// long ago then do not count as recent ones.
func TestTraitsLostLate(t *testing.T) {
	t.Parallel()
	cache := newLinkCache(24*time.Hour, func() {}, func() { t.Error("a group is disputed") })
	link := func(user, plan string) (token uint64, fresh bool) {
		return cache.reserve(cache.now(), user, "acme", Traits{"plan": plan})
	}
	var lost uint64
	for range manyChanges / 2 { // one change less than are a dispute
		_, _ = link("jane", "pro")
		lost, _ = link("john", "trial")
	}
	cache.began = cache.began.Add(-time.Hour)
	cache.forget(lost)
	if _, fresh := link("jane", "pro"); fresh {
		t.Error("sent at once")
	}
	cache.began = cache.began.Add(-refusedPause)
	for _, at := range [][2]string{{"jane", "pro"}, {"john", "trial"}} {
		if _, fresh := link(at[0], at[1]); !fresh {
			t.Errorf("%s's were not sent", at[0])
		}
	}
}

// Traits that are sent in place of those that were lost are no change.
func TestLostTraitsAreNoDispute(t *testing.T) {
	t.Parallel()
	cache := newLinkCache(time.Hour, func() {}, func() { t.Error("a group is disputed") })
	for i := range 2 * manyChanges {
		token, _ := cache.reserve(0, strconv.Itoa(i), "acme", Traits{"plan": "pro"})
		cache.forget(token)
	}
}

// One user whose Links are dropped, and who makes requests all the time, does not keep the
// group's other users from sending its traits.
func TestLostTraitsOfABusyUser(t *testing.T) {
	t.Parallel()
	cache := newLinkCache(24*time.Hour, func() {}, func() {})
	link := func(user, plan string) (token uint64, fresh bool) {
		return cache.reserve(cache.now(), user, "acme", Traits{"plan": plan})
	}
	_, _ = link("jane", "pro")
	_, _ = link("jim", "trial")
	for range 2 * refusedPause / time.Second {
		if token, fresh := link("staff", "pro"); fresh {
			cache.pause(token, cache.now()+refusedPause)
		}
		if _, fresh := link("jane", "pro"); fresh {
			return
		}
		cache.began = cache.began.Add(-time.Second)
	}
	t.Error("Jane's were not sent")
}

// A Link that stands in front of every request has nothing to allocate for the usual
// values.
func TestRepeatedLinkAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	type plan string
	cache := newLinkCache(time.Hour, func() {}, func() {})
	traits := Traits{
		"name": "Jane", "plan": plan("pro"), "age": 42, "seats": uint(5), "score": 1.5, "admin": true, "none": nil, "since": time.Now(),
		"number": json.Number("12"), "tags": []string{"a", "b"}, "within": map[string]any{"a": []any{1, "x"}},
	}
	if n := testing.AllocsPerRun(100, func() { cache.reserve(0, "u1", "g1", traits) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// Traits that change on every call are most likely a mistake, and said so once.
func TestUnstableTraits(t *testing.T) {
	t.Parallel()
	told := 0
	cache := newLinkCache(time.Hour, func() { told++ }, func() {})
	now := cache.now()
	for i := range 2 * manyChanges {
		_, _ = cache.reserve(now, "jane", "", Traits{"plan": i}) // now and then
		_, _ = cache.reserve(now, "jane", "", Traits{"plan": i})
		_, _ = cache.reserve(time.Duration(i)*(changePeriod+1), "jim", "", Traits{"plan": i}) // no two soon after each other
	}
	for i := range 100 {
		if _, fresh := cache.reserve(now, "john", "", Traits{"seenAt": i}); !fresh {
			t.Fatal("changed traits were not sent")
		}
		if want := 0; i < manyChanges && told != want {
			t.Fatalf("told after %d changes", i)
		}
	}
	if told != 1 {
		t.Errorf("told %d times", told)
	}
}

// A fact that was forgotten while it was sent is not paused: the next call sends it.
func TestPauseOfAForgottenFact(t *testing.T) {
	t.Parallel()
	cache := newLinkCache(time.Hour, func() {}, func() {})
	token, _ := cache.reserve(0, "jane", "acme", nil)
	cache.forget(token)
	cache.pause(token, time.Minute)
	if _, fresh := cache.reserve(0, "jane", "acme", nil); !fresh {
		t.Error("withheld")
	}
}

// Users without a group have nothing in common that they could disagree on.
func TestUsersWithoutAGroupDoNotDisagree(t *testing.T) {
	t.Parallel()
	cache := newLinkCache(time.Hour, func() {}, func() { t.Error("a group is disputed") })
	link := func(user, plan string) bool {
		_, fresh := cache.reserve(0, user, "", Traits{"plan": plan})
		return fresh
	}
	for i := range 2 * manyChanges {
		link("jane"+strconv.Itoa(i), "pro")
		link("john"+strconv.Itoa(i), "trial")
	}
	if link("jane0", "pro") {
		t.Error("sent again")
	}
}

// A fact that is replaced takes no further place, so that the others are not forgotten.
func TestReplacedFactTakesNoPlace(t *testing.T) {
	t.Parallel()
	g := generations{most: 2, recent: map[uint64]sentFact{}}
	g.put(1, sentFact{})
	for i := range uint64(10) {
		g.put(2, sentFact{traits: i})
		if fact, isRecent := g.find(2); fact.traits != i || !isRecent {
			t.Errorf("%d: %+v, recent: %v", i, fact, isRecent)
		}
		if _, isRecent := g.find(1); !isRecent {
			t.Errorf("%d: the other one is about to be forgotten", i)
		}
	}
}

// Of a group that is forgotten nothing says that other traits were sent since.
func TestForgottenGroupIsNotOutdated(t *testing.T) {
	t.Parallel()
	cache := newLinkCache(time.Hour, func() {}, func() {})
	_, _ = cache.reserve(0, "jane", "acme", Traits{"plan": "pro"})
	cache.groups.forget(cache.hash("acme"))
	if _, fresh := cache.reserve(0, "jane", "acme", Traits{"plan": "pro"}); fresh {
		t.Error("sent again")
	}
}
