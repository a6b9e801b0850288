package klime

import (
	"strconv"
	"strings"
	"testing"
	"unsafe"
)

// Some frameworks reuse the memory of their strings for the next request: what is
// kept of an ID is a copy, of one that comes again the same.
func TestInterner(t *testing.T) {
	t.Parallel()
	ids := newInterner()
	for _, in := range []*interner{nil, ids} {
		memory := []byte("u1" + strings.Repeat("-", maxInternLen))
		for _, reused := range []string{unsafe.String(&memory[0], 2), unsafe.String(&memory[0], len(memory))} {
			want := strings.Clone(reused)
			var kept []string
			for _, v := range []any{reused, customerID(reused), textID{reused}, keeps{reused}} {
				kept = append(kept, in.keep(idString(v)))
			}
			copy(memory, "xx")
			for i, id := range kept {
				if id != want {
					t.Errorf("ID %d became %q", i, id)
				}
			}
			copy(memory, "u1")
		}
	}
	if a, b := ids.keep("u1"), ids.keep(strings.Clone("u1")); unsafe.StringData(a) != unsafe.StringData(b) {
		t.Error("an ID that comes again is copied again")
	}
	for i := range 10 * internSlots { // whatever falls into the same slot
		if id := strconv.Itoa(i); ids.keep(id) != id {
			t.Fatalf("%s became another", id)
		}
	}
}
