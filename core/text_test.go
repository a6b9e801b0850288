package klime

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// Each place in a string of each length is looked at.
func TestAppendStringEscapes(t *testing.T) {
	t.Parallel()
	for length := range 34 {
		for place := range length {
			for _, c := range []byte{0, 0x1f, '"', '\\', 0x80, 0xff} {
				s := []byte(strings.Repeat("~", length))
				s[place] = c
				got := appendString(nil, string(s))
				if !json.Valid(got) || !utf8.Valid(got) {
					t.Errorf("%q became %q", s, got)
				}
			}
		}
	}
}

func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "a", `"\`, "\x00\x1f\x7f", "é😀\u2028", "\xff", "a\xc0\xaf", "\xed\xa0\x80", "<&>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > maxEventBytes {
			t.Skip()
		}
		var got, want string
		encoded := appendString([]byte("before"), s)
		if err := json.Unmarshal(encoded[len("before"):], &got); err != nil {
			t.Fatalf("%q became %s: %v", s, encoded, err)
		}
		b, _ := json.Marshal(s)
		if err := json.Unmarshal(b, &want); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%q became %q, with encoding/json %q", s, got, want)
		}
	})
}
