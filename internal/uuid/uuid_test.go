package uuid

import (
	"encoding/binary"
	"fmt"
	"math"
	"regexp"
	"testing"
)

// UUIDs are of RFC 9562, version 4, and random.
func TestAppend(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	seen := map[string]bool{}
	bits := map[byte]bool{} // of the variant digit: all four must come
	for range 10_000 {
		id := string(Append(nil))
		if !form.MatchString(id) {
			t.Fatalf("%q is no UUIDv4", id)
		}
		if seen[id] {
			t.Fatalf("%q came twice", id)
		}
		seen[id], bits[id[19]] = true, true
	}
	if len(bits) != 4 {
		t.Errorf("variant digits %v, want 8, 9, a and b", bits)
	}
}

func TestHexOf(t *testing.T) {
	t.Parallel()
	for _, v := range []uint64{0, 1, 0x01234567_89abcdef, 0xfedcba98_76543210, 0x9a9a9a9a, math.MaxUint64} {
		got := string(binary.BigEndian.AppendUint64(nil, hexOf(v)))
		if want := fmt.Sprintf("%08x", uint32(v)); got != want {
			t.Errorf("hexOf(%#x) = %s, want %s", v, got, want)
		}
	}
}
