package klime

import (
	"strings"
	"unicode/utf8"
)

// appendString appends s as a JSON string. Bytes that are not valid UTF-8 become
// U+FFFD, as with encoding/json.
func appendString(b []byte, s string) []byte {
	if len(s) > maxEventBytes {
		return append(b, s[:maxEventBytes+1]...) // too large: the event will be refused
	}
	if !isVerbatim(s) {
		return append(appendEscapes(append(b, '"'), s), '"')
	}
	return append(append(append(b, '"'), s...), '"')
}

// isVerbatim reports whether s needs no escapes in a JSON string; most need none. It
// looks at eight bytes at a time: byte by byte, Track takes some 5 % longer. The last
// eight may overlap with those before.
func isVerbatim(s string) bool {
	switch n := len(s); {
	case n >= 8:
		for rest := s; len(rest) > 8; rest = rest[8:] {
			if !areVerbatim(word(rest)) {
				return false
			}
		}
		return areVerbatim(word(s[n-8:]))
	case n >= 4:
		return areVerbatim(uint64(half(s)) | uint64(half(s[n-4:]))<<32)
	case n > 0:
		return areVerbatim(uint64(s[0]) | uint64(s[n/2])<<8 | uint64(s[n-1])<<16 | filling)
	default:
		return true
	}
}

// isUTF8 reports whether s is valid UTF-8. For plain text, isVerbatim says so sooner.
func isUTF8(s string) bool { return isVerbatim(s) || utf8.ValidString(s) }

// isBlank reports whether s is empty or only white space.
func isBlank(s string) bool {
	return (s == "" || s[0] <= ' ' || s[0] >= utf8.RuneSelf) && strings.TrimSpace(s) == ""
}

// word returns the first eight bytes of s, which the compiler reads in one load.
func word(s string) uint64 {
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// half returns the first four bytes of s, which the compiler reads in one load.
func half(s string) uint32 {
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}

const (
	ones    = 0x0101010101010101     // 1 in each byte
	highs   = ones * 0x80            // the high bit of each byte
	filling = ones * ' ' &^ 0xffffff // spaces in the upper five bytes, for a string of up to three
)

// areVerbatim reports whether none of eight bytes is above 127, below ' ', a quote or a
// backslash. Any such byte sets its high bit in one of the four words below.
func areVerbatim(eight uint64) bool {
	quotes, backslashes := eight^ones*'"', eight^ones*'\\'
	return (eight|(eight-ones*' ')|(quotes-ones)|(backslashes-ones))&highs == 0
}

func appendEscapes(b []byte, s string) []byte {
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				b = append(append(b, s[start:i]...), `\ufffd`...)
				start = i + 1
			}
			i += size
			continue
		}
		b = append(b, s[start:i]...)
		b = appendEscaped(b, c)
		i++
		start = i
	}
	return append(b, s[start:]...)
}

const hexDigits = "0123456789abcdef"

func appendEscaped(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\n':
		return append(b, `\n`...)
	case '\r':
		return append(b, `\r`...)
	case '\t':
		return append(b, `\t`...)
	default:
		return append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
	}
}
