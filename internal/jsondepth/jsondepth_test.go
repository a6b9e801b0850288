package jsondepth_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/klimeapp/klime-go/internal/jsondepth"
)

func TestOf(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]int{
		`1`: 0, `"[[{"`: 0, `[]`: 1, `{}`: 1, `[[],[[]],[]]`: 3, `{"a\"{[":[{"b":[]}]}`: 4, `["\\",[]]`: 2, `["\\\"[",{}]`: 2,
	} {
		if got := jsondepth.Of([]byte(raw)); got != want {
			t.Errorf("%s: %d levels, want %d", raw, got, want)
		}
	}
}

// FuzzOf compares with what the JSON decodes to.
func FuzzOf(f *testing.F) {
	for _, raw := range []string{`null`, `{"a":[1,{"b":"]"}]}`, `["\\",[[]]]`, `{"\"[":{}}`} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var v any
		if json.Unmarshal(raw, &v) != nil {
			return
		}
		// A key that comes again hides the value of the one before.
		if got, want := jsondepth.Of(raw), levels(v); got < want || got > want && !hasObject(v) {
			t.Errorf("%s: %d levels, want %d", raw, got, want)
		}
	})
}

func levels(v any) int {
	deepest := 0
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			deepest = max(deepest, levels(e))
		}
	case map[string]any:
		for _, e := range v {
			deepest = max(deepest, levels(e))
		}
	default:
		return 0
	}
	return deepest + 1
}

func hasObject(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return true
	case []any:
		return slices.ContainsFunc(v, hasObject)
	}
	return false
}
