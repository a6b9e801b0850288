package inspector

import (
	"strings"
	"testing"
)

func TestTexts(t *testing.T) {
	for got, want := range map[string]string{
		number(0): "0", number(999): "999", number(1000): "1,000", number(1234567): "1,234,567", number(-1000): "-1,000",
		millis(0.123): "0.12 ms", millis(12.34): "12.3 ms", millis(1234.5): "1234 ms", millis(12_345): "12.3 s",
		percent(0): "0.0 %", percent(0.00001): "<0.1 %", percent(0.0484): "4.8 %", percent(1): "100.0 %",
		bytesOf(100): "100 B", bytesOf(2048): "2 KiB", bytesOf(256 << 20): "256 MiB", bytesOf(3<<20 + 1<<19): "3.5 MiB",
		columns([]int{0, 1, 2}, 2): "M100.0 100v-50.0h80.0V100zM200.0 100v-100.0h80.0V100z", columns(nil, 0): "", share(1, 4): "25.00", share(1, 0): "0",
		show(3, "abcd"): "abc…", show(9, "a\u202eb\x00"): `a\u202eb\u0000`, visible(9, "a\nb", true): "a\nb", show(9, "a\nb"): `a\u000ab`,
		show(9, " "): `\u0020`, show(9, " a b "): " a b ", show(9, "\u3164\u2800"): `\u3164\u2800`, show(9, ""): "",
		show(99, "Z"+strings.Repeat("\u0301", 50)): "Z\u0301\u0301\u0301",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	// Indented, this would be a hundred million characters.
	for _, raw := range []string{strings.Repeat("[", 9000) + strings.Repeat("]", 9000), `["` + strings.Repeat("x", maxIndented) + `"]`} {
		if got := indented([]byte(raw)); got != raw {
			t.Errorf("%d characters have become %d", len(raw), len(got))
		}
	}
}

// What cannot be seen is shown as it is where it changes the picture, and nowhere else.
func TestUnseen(t *testing.T) {
	for _, same := range []string{"❤\ufe0f", "☀\ufe0f", "🌡\ufe0f", "👩🏽", "🇫🇷", "é", "e\u0301", "มี่", "שָׁ"} {
		if got := show(99, same); got != same {
			t.Errorf("got %q, want %q", got, same)
		}
	}
	for in, want := range map[string]string{
		"★\u200d★": `★\u200d★`, "👩\u200d🚀": `👩\u200d🚀`, "\u200d👩": `\u200d👩`, "👩\u200d\xff": "👩\\u200d\ufffd",
		"❤\ufe0f\ufe0f": "❤\ufe0f\\ufe0f", "❤\ufe0e": `❤\ufe0e`, "1\ufe0f": `1\ufe0f`, "a\ufe0f\u20e3": "a\\ufe0f\u20e3",
		"acme\ufe0f": `acme\ufe0f`, "acme\ufe00": `acme\ufe00`, "acme\U000e0100": `acme\U000e0100`, "acme\U000e01ef": `acme\U000e01ef`,
		"ᠠ\u180b": `ᠠ\u180b`, "ᠠ\u180f": `ᠠ\u180f`, "\ufe0f": `\ufe0f`, "\ufe0f \ufe0f": `\ufe0f\u0020\ufe0f`,
		"acme\u200d": `acme\u200d`, "ac\u200cme": `ac\u200cme`, "م\u200bم": `م\u200bم`, "می\u200cخواهم": `می\u200cخواهم`, "क्\u200dष": `क्\u200dष`,
		"e\u0301\u0301\u0301\ufe0f": "e\u0301\u0301\u0301\\ufe0f", "e\u0301\u0301\u0301\ufe0f\u0301": "e\u0301\u0301\u0301\\ufe0f\u0301",
	} {
		if got := show(99, in); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
