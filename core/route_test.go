package klime

import (
	"fmt"
	"testing"
	"unsafe"
)

// The table answers as [pathpattern.Normalize] does, is bounded, and keeps no memory
// that the framework may reuse.
func TestRouteTable(t *testing.T) {
	t.Parallel()
	table := newRouteTable()
	for range 2 {
		if got := table.lookup("/reports/:id").text; got != "/reports/{id}" {
			t.Errorf("got %q", got)
		}
	}
	if got := table.lookup("").text; got != "" {
		t.Errorf("got %q of nothing", got)
	}
	for i := range maxRoutes + 100 {
		if got, want := table.lookup(fmt.Sprintf("/raw/%d/", i)).text, fmt.Sprintf("/raw/%d", i); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	if got := table.size.Load(); got > maxRoutes {
		t.Errorf("%d routes kept, want at most %d", got, maxRoutes)
	}
}

// A pattern may lie in memory that the framework uses again: what is remembered
// of it is a copy.
func TestRouteTableCopies(t *testing.T) {
	t.Parallel()
	const pattern = "/reports"
	memory := []byte(pattern)
	table := newRouteTable()
	kept := table.lookup(unsafe.String(&memory[0], len(memory)))
	copy(memory, "/foreign")
	table.known.Range(func(known, found any) bool {
		if r := found.(*route); known != pattern || r.pattern != pattern || r.text != pattern {
			t.Errorf("remembers %v as %q, %q", known, r.pattern, r.text)
		}
		return true
	})
	if again := table.lookup(pattern); again != kept || kept.text != pattern || table.size.Load() != 1 {
		t.Errorf("route %q, then %q, %d remembered", kept.text, again.text, table.size.Load())
	}
}
