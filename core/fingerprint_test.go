package klime

import (
	"hash/maphash"
	"math"
	"testing"
)

// What is not the same on the wire is another value.
func TestTraitsAreToldApart(t *testing.T) {
	t.Parallel()
	seed, seen := maphash.MakeSeed(), map[uint64]any{}
	for _, value := range []any{
		nil, "", "null", false, 0, "0", true, 1, "1", "true", 1.5, "1.5", int64(math.MaxInt64), uint64(math.MaxInt64 + 1), uint64(math.MaxUint64), -1,
		float64(1 << 53), int64(1<<53 + 1), math.Float64frombits(1), math.Float64frombits(2), 1e300, -1e300, int64(math.Float64bits(1.5)),
		[]any{}, map[string]any{}, []any{nil}, []any{[]any{}}, []string{"a"}, "a", []string{"a", "b"}, []string{"b", "a"}, []any{[]string{"a"}, "b"},
		map[string]any{"a": "b"}, map[string]any{"b": "a"}, map[string]any{"a": map[string]any{"b": 1}}, map[string]any{"b": map[string]any{"a": 1}},
	} {
		hash := hashTraits(seed, Traits{"a": value})
		if other, taken := seen[hash]; taken {
			t.Errorf("%#v is %#v", value, other)
		}
		seen[hash] = value
	}
}

// A cycle cannot be sent, and does not go on for ever.
func TestTraitsWithACycle(t *testing.T) {
	t.Parallel()
	cycle := map[string]any{}
	cycle["a"] = []any{cycle}
	_ = hashTraits(maphash.MakeSeed(), Traits{"a": cycle})
}
