// Package idlook recognises poor IDs: printed nils, characters that cannot be seen, names,
// URLs, e-mail addresses, domains. The client's warnings and klime-local's Health both ask it, so they agree.
package idlook

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Look is what an ID looks like that it should not be.
type Look int

// The looks of IDs.
const (
	Fine        Look = iota
	Placeholder      // a missing value that was printed, or a pointer
	Padded           // it begins or ends with a space
	Name             // it has spaces
	Hidden           // it has characters that cannot be seen
	URL
	Email
	Domain // perhaps with a port or a path
)

// Of says what an ID looks like.
func Of(id string) Look {
	lower := strings.ToLower(id)
	switch lower {
	case "0", "-1", "null", "nil", "<nil>", "(null)", "undefined", "none", "n/a", "unknown", "anonymous", "nan", "true", "false", "{}", "[]",
		"[object object]", "<no value>",
		"00000000-0000-0000-0000-000000000000":
		return Placeholder
	}
	switch {
	case strings.HasPrefix(id, "%!"), strings.HasPrefix(id, "&{"), strings.HasPrefix(id, "map["):
		return Placeholder // of package fmt
	case isPointer(id):
		return Placeholder
	case strings.TrimSpace(id) != id:
		return Padded
	case strings.ContainsAny(id, " \t\n"):
		return Name
	case hasHidden(id):
		return Hidden
	case strings.Contains(id, "://"):
		return URL
	case !strings.Contains(id, "."):
		return Fine
	case strings.Contains(id, "@") && isDomain(id[strings.LastIndexByte(id, '@')+1:]):
		return Email
	case isSite(lower):
		return Domain
	default:
		return Fine
	}
}

// hasHidden reports whether id has characters that cannot be seen. Most IDs are ASCII, and
// this is asked for each event.
func hasHidden(id string) bool {
	for i := range len(id) {
		if c := id[i]; c < ' ' || c > '~' {
			return strings.ContainsFunc(id[i:], isHidden)
		}
	}
	return false
}

// isHidden reports whether r is a character that nobody sees: of control, of format (such as
// marks of direction, copied along from dialogs), without ink, or a space (of ' ' it is not asked: that makes a name).
// Joiners are none, as scripts such as Persian and emoji need them, nor are signs around numbers,
// which are drawn.
func isHidden(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Z, unicode.Other_Default_Ignorable_Code_Point) &&
		!unicode.In(r, unicode.Join_Control, unicode.Prepended_Concatenation_Mark)
}

// isPointer reports whether id is a pointer as package fmt prints most of them on 64-bit
// machines. With more or fewer digits it may be an ID, such as one of Dgraph, or an address
// of Ethereum.
func isPointer(id string) bool {
	const fewest, most = 9, 12
	digits, isHex := strings.CutPrefix(id, "0x")
	return isHex && fewest <= len(digits) && len(digits) <= most && strings.Trim(digits, "0123456789abcdef") == ""
}

// isSite reports whether id, in lower case, is where a company's web site may be.
func isSite(id string) bool {
	host, _, _ := strings.Cut(id, "/")
	host, port, hasPort := strings.Cut(host, ":")
	if !isDomain(host) || hasPort && !isPort(port) {
		return false
	}
	dot := strings.LastIndexByte(host, '.')
	return strings.HasPrefix(host, "www.") || isCommonTLD(host[dot+1:]) || len(host)-dot == len(".za") && isSecondLevel(host[:dot])
}

func isPort(s string) bool {
	const most = len("65535")
	return s != "" && len(s) <= most && strings.Trim(s, "0123456789") == ""
}

// isDomain reports whether s is made of letters, digits and hyphens with dots
// between, and only letters after the last dot.
func isDomain(s string) bool {
	dot := strings.LastIndexByte(s, '.')
	if dot <= 0 || len(s)-dot < len(".io") {
		return false
	}
	inHost := func(r rune) bool { return isLetter(r) || '0' <= r && r <= '9' || r == '-' || r == '.' }
	return strings.TrimFunc(s[:dot], inHost) == "" && strings.TrimFunc(s[dot+1:], isLetter) == ""
}

// isCommonTLD tells a domain from a name such as jane.doe.
func isCommonTLD(tld string) bool {
	switch tld {
	case "com", "net", "org", "io", "co", "ai", "app", "dev", "cloud", "tech", "inc", "biz", "info", "example", "edu", "gov", "mil", "xyz",
		"agency", "consulting", "solutions",
		"de", "fr", "uk", "nl", "ch", "at", "eu", "se", "no", "dk", "fi", "es", "it", "pl", "us", "ca", "au", "nz", "in", "jp", "br",
		"ae", "ar", "be", "bg", "cl", "cn", "cz", "ee", "gr", "hk", "hr", "ie", "il", "kr", "lt", "mx", "pt",
		"ru", "sg", "sk", "tr", "tv", "tw", "ua", "vn", "za":
		return true
	default:
		return false
	}
}

// isSecondLevel reports whether s, a domain without its country, ends in what many
// countries have below theirs, as acme.co does of acme.co.ke.
func isSecondLevel(s string) bool {
	dot := strings.LastIndexByte(s, '.')
	switch s[dot+1:] {
	case "ac", "co", "com", "edu", "gov", "net", "org":
		return dot > 0
	default:
		return false
	}
}

func isLetter(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || r >= utf8.RuneSelf }
