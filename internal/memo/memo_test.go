package memo_test

import (
	"runtime"
	"strconv"
	"sync"
	"testing"
	"weak"

	"github.com/klimeapp/klime-go/internal/memo"
)

type router struct{ name string }

// Routers that the app has dropped are collected, all but the last few.
func TestBound(t *testing.T) {
	t.Parallel()
	var known memo.Map[*router, int]
	made := make([]weak.Pointer[router], 20*memo.Most)
	for i := range made {
		r := &router{name: strconv.Itoa(i)}
		made[i] = weak.Make(r)
		known.Store(r, i)
		if got, ok := known.Load(r); !ok || got != i || r.name == "" {
			t.Fatalf("router %d: %d, %v", i, got, ok)
		}
	}
	runtime.GC()
	kept := 0
	for _, w := range made {
		if w.Value() != nil {
			kept++
		}
	}
	if kept > memo.Most+1 {
		t.Errorf("%d routers are kept", kept)
	}
	runtime.KeepAlive(&known)
}

func TestLoad(t *testing.T) {
	t.Parallel()
	var known memo.Map[string, *router]
	if got, ok := known.Load("a"); ok || got != nil {
		t.Errorf("an empty map has %v", got)
	}
	r := &router{}
	known.Store("a", r)
	known.Store("a", nil)
	if got, ok := known.Load("a"); !ok || got != nil {
		t.Errorf("%v, %v", got, ok)
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	var known memo.Map[int, int]
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 10 * memo.Most {
				known.Store(i, i)
				if got, ok := known.Load(i); ok && got != i {
					t.Errorf("%d has %d", i, got)
				}
			}
		})
	}
	all.Wait()
}
