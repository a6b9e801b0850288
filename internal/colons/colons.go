// Package colons rewrites parameters that begin in the middle of a segment. To Gin and
// Fiber, /user_:name has one; to other routers that colon is an ordinary character.
package colons

import "strings"

// Braces puts the parameters that begin within a segment in braces: of
// /user_:name and /v:version<int>/x it makes /user_{name} and /v{version}/x. What
// begins a segment is left, and so is a colon that nameOf does not know for a
// parameter's: given what follows in the segment, it returns the name, "" for none.
func Braces(pattern string, nameOf func(after string) string) string {
	if !within(pattern) {
		return pattern
	}
	var b strings.Builder
	b.Grow(len(pattern) + 8)
	for {
		segment, rest, more := strings.Cut(pattern, "/")
		if strings.HasPrefix(segment, ":") {
			b.WriteString(segment)
		} else {
			braces(&b, segment, nameOf)
		}
		if !more {
			return b.String()
		}
		b.WriteByte('/')
		pattern = rest
	}
}

// within reports whether a colon does not begin a segment.
func within(pattern string) bool {
	for i := 1; i < len(pattern); i++ {
		if pattern[i] == ':' && pattern[i-1] != '/' {
			return true
		}
	}
	return false
}

func braces(b *strings.Builder, segment string, nameOf func(after string) string) {
	for {
		text, after, found := strings.Cut(segment, ":")
		b.WriteString(text)
		if !found {
			return
		}
		segment = after
		name := nameOf(after)
		if name == "" || strings.HasSuffix(text, `\`) {
			b.WriteByte(':')
			continue
		}
		b.WriteString("{" + name + "}")
		segment = after[len(name):]
		if _, behind, ok := strings.Cut(segment, ">"); ok && segment[0] == '<' {
			segment = behind // Fiber's rule
		}
		segment = strings.TrimPrefix(segment, "?")
	}
}
