package inspector

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/klimeapp/klime-go/internal/jsondepth"
)

// show returns the first n characters of s. Characters that cannot be seen, or would
// disturb the rest of the page, such as those that change the direction of text, are
// written as escapes, and spaces if there is nothing else. The result is safe only
// because html/template escapes it.
func show(n int, s string) string { return visible(n, s, false) }

func visible(n int, s string, lines bool) string {
	var b strings.Builder
	marks, blank := 0, !strings.ContainsFunc(s, isSeen)
	var last rune
	for _, r := range s {
		if n == 0 {
			b.WriteRune('…')
			break
		}
		n--
		if marks++; !unicode.Is(unicode.M, r) || !isSeen(r) {
			marks = 0
		}
		switch {
		case marks > maxMarks:
		case isSeen(r), r == ' ' && !blank, lines && (r == '\n' || r == '\t'), r == colourful && isPictograph(last):
			b.WriteRune(r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		last = r
	}
	return b.String()
}

// isSeen reports whether a character by itself leaves a mark on the page. Some do not though
// they are letters (U+3164, HANGUL FILLER), symbols or accents (U+FE0F, VARIATION SELECTOR-16).
func isSeen(r rune) bool {
	const brailleBlank = '\u2800'
	return unicode.IsPrint(r) && r != ' ' && r != brailleBlank &&
		!unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// colourful is a selector that makes an emoji of a pictograph: ❤ with it is ❤️.
const colourful = '\ufe0f'

// isPictograph reports whether a character may be one.
func isPictograph(r rune) bool { return r >= 0x2600 && r < 0x27c0 || r >= 0x1f000 && r < 0x1fb00 }

// maxMarks is how many accents a letter may have: more would cover the lines above.
const maxMarks = 3

// clock writes a time in UTC, as in the JSON.
func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000") }

func ago(now, t time.Time) string {
	switch d := now.Sub(t); {
	case d >= time.Second:
		return roughly(d) + " ago"
	case d < -time.Minute:
		return "in the future"
	default:
		return "just now"
	}
}

// roughly writes a duration in its largest unit, rounded down.
func roughly(d time.Duration) string {
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}} {
		if d >= unit.length {
			return fmt.Sprintf("%d %s", d/unit.length, unit.name)
		}
	}
	return fmt.Sprintf("%d s", d/time.Second)
}

// number writes an integer with commas.
func number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func millis(ms float64) string {
	switch {
	case ms >= 10_000:
		return strconv.FormatFloat(ms/1000, 'f', 1, 64) + " s"
	case ms >= 100:
		return strconv.FormatFloat(ms, 'f', 0, 64) + " ms"
	case ms >= 1:
		return strconv.FormatFloat(ms, 'f', 1, 64) + " ms"
	default:
		return strconv.FormatFloat(ms, 'f', 2, 64) + " ms"
	}
}

func percent(share float64) string {
	if share > 0 && share < 0.001 {
		return "<0.1 %"
	}
	return strconv.FormatFloat(share*100, 'f', 1, 64) + " %"
}

func bytesOf(n int) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return number(n>>20) + " MiB"
	case n >= 1<<20:
		return strconv.FormatFloat(float64(n)/(1<<20), 'f', 1, 64) + " MiB"
	case n >= 1<<10:
		return strconv.Itoa(n>>10) + " KiB"
	default:
		return strconv.Itoa(n) + " B"
	}
}

// compact returns JSON without white space, or "" if there is none.
func compact(raw json.RawMessage) string {
	if len(raw) == 0 {
		return ""
	}
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return ""
	}
	return b.String()
}

// The limits for indented JSON. Beyond them, the indentation could take far more space
// than the JSON.
const (
	maxDepth    = 40
	maxIndented = 64 << 10
)

// indented returns indented JSON, or raw itself if it is too large or too deep.
func indented(raw json.RawMessage) string {
	if len(raw) > maxIndented || jsondepth.Of(raw) > maxDepth {
		return string(raw)
	}
	var b bytes.Buffer
	if json.Indent(&b, raw, "", "  ") != nil {
		return string(raw)
	}
	return b.String()
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if strings.HasSuffix(what, "ch") {
		what += "e"
	}
	return number(n) + " " + what + "s"
}

// skew writes how wrong a clock is. The minutes beside the hours tell a time zone from
// a wrong clock.
func skew(d time.Duration) string {
	d = d.Round(time.Minute)
	if minutes := d % time.Hour / time.Minute; d >= time.Hour && d < 24*time.Hour && minutes > 0 {
		return fmt.Sprintf("%d h %d min", d/time.Hour, minutes)
	}
	return roughly(d)
}
