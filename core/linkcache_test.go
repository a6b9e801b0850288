package klime

import (
	"strconv"
	"testing"
	"time"
)

// The cache is bounded, and forgets first what was not asked for in the
// longest time.
func TestLinkCacheIsBounded(t *testing.T) {
	t.Parallel()
	cache := newLinkCache(time.Hour, func() {})
	now := cache.now()
	fresh := 0 // times the fact that is always asked for had to be sent
	for i := range 5 * maxLinks {
		cache.claim(now, strconv.Itoa(i), "", nil)
		if i%1000 == 0 {
			if _, isFresh := cache.claim(now, "always", "", nil); isFresh {
				fresh++
			}
		}
		if held := len(cache.recent) + len(cache.previous); held > 2*maxLinks {
			t.Fatalf("%d facts held, at most %d allowed", held, 2*maxLinks)
		}
	}
	if fresh != 1 {
		t.Errorf("a fact that is asked for all the time was sent %d times", fresh)
	}
	if _, isFresh := cache.claim(now, "0", "", nil); !isFresh {
		t.Error("the oldest fact is still known")
	}
	if _, isFresh := cache.claim(now, strconv.Itoa(5*maxLinks-1), "", nil); isFresh {
		t.Error("the newest fact is forgotten")
	}
}

// To be asked for does not make a fact live longer than its TTL.
func TestLinkCacheTTLIsFromTheSending(t *testing.T) {
	t.Parallel()
	cache := newLinkCache(time.Hour, func() {})
	start := cache.now()
	sent := 0
	for minute := range 121 {
		if _, fresh := cache.claim(start+time.Duration(minute)*time.Minute, "u1", "g1", Traits{"a": 1}); fresh {
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
	cache := newLinkCache(time.Hour, func() {})
	now := cache.now()
	token, _ := cache.claim(now, "u1", "", nil)
	if token == 0 {
		t.Error("a token of 0 stands for none")
	}
	cache.previous, cache.recent = cache.recent, map[uint64]link{}
	cache.forget(token)
	if _, fresh := cache.claim(now, "u1", "", nil); !fresh {
		t.Error("still known")
	}
}

// Traits that change on every call are most likely a mistake, and said so once.
func TestRestlessTraits(t *testing.T) {
	t.Parallel()
	told := 0
	cache := newLinkCache(time.Hour, func() { told++ })
	now := cache.now()
	for i := range 5 {
		_, _ = cache.claim(now, "jane", "", Traits{"plan": i}) // now and then
		_, _ = cache.claim(now, "jane", "", Traits{"plan": i})
	}
	for i := range 100 {
		if _, fresh := cache.claim(now, "john", "", Traits{"seenAt": i}); !fresh {
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
