// Package jsondepth tells how deeply JSON is nested. The client refuses to send what
// readers could not take, and klime-local does not indent it.
package jsondepth

// Of returns how many levels deep valid JSON is nested.
func Of(raw []byte) int {
	deepest, depth := 0, 0
	inString := false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest
}
