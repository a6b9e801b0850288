package pathpattern

import (
	"strings"
	"unicode/utf8"
)

// Normalize translates the pattern of any router into one dialect, so that a route is
// written alike whatever the framework:
//
//	/orgs/{org}/reports/{id}    parameters are in braces, without their constraints
//	/files/*                    * stands for the rest of the path
//
// It knows the patterns of net/http (with method and host), gin, chi, fiber,
// gorilla/mux, httprouter and goa. A trailing slash is dropped. What is not a path
// becomes "".
func Normalize(pattern string) string {
	if isPlain(pattern) {
		return pattern
	}
	return rebuild(pattern)
}

// isPlain reports whether a pattern is a path without parameters, which is already
// normalized.
func isPlain(pattern string) bool {
	var last byte
	for i := range len(pattern) {
		switch c := pattern[i]; {
		case c == '{', c == ':', c == '*', c == '+', c == '/' && last == '/':
			return false
		default:
			last = c
		}
	}
	return strings.HasPrefix(pattern, "/") && (last != '/' || len(pattern) == 1)
}

func rebuild(pattern string) string {
	slash := strings.IndexByte(pattern, '/')
	if slash < 0 {
		return ""
	}
	pattern = pattern[slash:] // without the method and the host
	var b strings.Builder
	b.Grow(len(pattern) + 8)
	for pattern != "" {
		var segment string
		segment, pattern = cutSegment(pattern[1:])
		if segment = normalizeSegment(segment); segment != "" {
			b.WriteByte('/')
			b.WriteString(segment)
		}
	}
	if b.Len() == 0 {
		return "/"
	}
	return b.String()
}

// cutSegment splits s at the first slash that is not within braces: the constraint of
// a parameter may contain slashes.
func cutSegment(s string) (segment, rest string) {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '{':
			depth++
		case '}':
			depth--
		case '/':
			if depth <= 0 {
				return s[:i], s[i:]
			}
		}
	}
	return s, ""
}

func normalizeSegment(s string) string {
	switch {
	case s == "" || s == "{$}":
		return ""
	case s[0] == '*' || s == "+" || takesTheRest(s):
		return "*"
	case s[0] == ':':
		return normalizeBraces(literalColons(normalizeColons(s)))
	default:
		return normalizeBraces(literalColons(s))
	}
}

// takesTheRest reports whether a segment is a parameter in braces for the rest of the path:
// {path...}, or {*path}.
func takesTheRest(s string) bool {
	return s[0] == '{' && closing(s, 0, '{', '}') == len(s)-1 && (strings.HasSuffix(s, "...}") || strings.HasPrefix(s, "{*"))
}

// normalizeBraces drops the constraints of parameters in braces: {id:[0-9]{2}}.json
// becomes {id}.json.
func normalizeBraces(s string) string {
	var b strings.Builder
	for {
		start := strings.IndexByte(s, '{')
		end := closing(s, start, '{', '}')
		if end < 0 {
			return b.String() + s
		}
		if name, _, _ := strings.Cut(s[start+1:end], ":"); isName(name) {
			b.WriteString(s[:start] + "{" + name + "}")
		} else {
			b.WriteString(s[:end+1])
		}
		s = s[end+1:]
	}
}

// normalizeColons puts parameters in braces: :id becomes {id}, and :from-:to<int>?
// becomes {from}-{to}.
func normalizeColons(s string) string {
	var b strings.Builder
	// A dash may belong to a parameter's name, but not if there are several
	// parameters: then it stands between them.
	isNameByte := isWordByte
	if strings.Count(s, ":") == 1 {
		isNameByte = func(c byte) bool { return c == '-' || isWordByte(c) }
	}
	for {
		colon := strings.IndexByte(s, ':')
		if colon < 0 {
			return b.String() + s
		}
		end := colon + 1
		if end == len(s) || !isWordByte(s[end]) || colon > 0 && s[colon-1] == '\\' { // a colon without a name, or an escaped one
			b.WriteString(s[:end])
			s = s[end:]
			continue
		}
		for end < len(s) && isNameByte(s[end]) {
			end++
		}
		b.WriteString(s[:colon] + "{" + s[colon+1:end] + "}")
		s = strings.TrimPrefix(cutConstraint(s[end:]), "?")
	}
}

// literalColons drops the backslash with which Fiber escapes a colon that begins no
// parameter. In a segment that begins with a colon, escaped or not, it stays: without
// it, the colon would look like a parameter's.
func literalColons(s string) string {
	for at := strings.Index(s, `\:`); at > 0 && s[0] != ':'; at = strings.Index(s, `\:`) {
		s = s[:at] + s[at+1:]
	}
	return s
}

func isWordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= utf8.RuneSelf
}

// isName reports whether s may name a parameter.
func isName(s string) bool {
	for i := range len(s) {
		if s[i] != '-' && !isWordByte(s[i]) {
			return false
		}
	}
	return s != ""
}

// cutConstraint drops the <constraint> (Fiber) or (constraint) (beego) with which s begins,
// if any.
func cutConstraint(s string) string {
	end := -1
	switch {
	case strings.HasPrefix(s, "<"):
		end = closing(s, 0, '<', '>')
	case strings.HasPrefix(s, "("):
		end = closing(s, 0, '(', ')')
	}
	constraint := s[:end+1]
	if strings.Count(constraint, "{") != strings.Count(constraint, "}") {
		return s // malformed, and its braces may belong to what follows
	}
	return s[end+1:]
}

// closing returns the index of the byte that closes the pair opened at start, or a
// negative number if there is none or start is negative.
func closing(s string, start int, open, end byte) int {
	depth := 0
	for i := max(start, 0); i < len(s); i++ {
		switch s[i] {
		case open:
			depth++
		case end:
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}
