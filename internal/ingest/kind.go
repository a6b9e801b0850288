package ingest

import (
	"slices"
	"strings"
)

// Kind is what events have in common: the call, the name, and the JSON type of
// each property, or trait. It is counted as events come and go, so that nobody
// need look at all of them for it.
type Kind struct {
	Type   string
	Name   string  // of track events
	Fields []Field // sorted by name, the first maxFields
	Count  int     // of the remembered events
	Last   int     // the Seq of the newest

	key string
}

// Field is a property or trait. Its type is string, number, boolean, array or
// object; null is like absent, and no field.
type Field struct{ Name, Type string }

// What a Kind holds at most. Events with more are odd, and would take many times
// the memory of their JSON.
const (
	maxFields    = 200
	maxFieldName = 200 // bytes; longer names are left out
)

func kindOf(typ, name string, m map[string]any) *Kind {
	names := make([]string, 0, len(m))
	for name, value := range m {
		if typeOf(value) != "" && len(name) <= maxFieldName {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	names = names[:min(len(names), maxFields)]
	k := &Kind{Type: typ, Name: name, Fields: make([]Field, 0, len(names))}
	var key strings.Builder
	for _, name := range names {
		field := Field{name, typeOf(m[name])}
		k.Fields = append(k.Fields, field)
		key.WriteString(field.Type)
		key.WriteByte(' ')
		key.WriteString(field.Name)
		key.WriteByte('\x00')
	}
	key.WriteString(typ)
	key.WriteByte(' ')
	key.WriteString(name)
	k.key = key.String()
	return k
}

func typeOf(value any) string {
	switch value.(type) {
	case string:
		return "string"
	case float64:
		return "number"
	case bool:
		return "boolean"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	default:
		return ""
	}
}

// share counts r with the others of its kind.
func (s *Server) share(r *Record) {
	if known, ok := s.kinds[r.kind.key]; ok {
		r.kind = known
	} else {
		s.kinds[r.kind.key] = r.kind
	}
	r.kind.Count++
	r.kind.Last = r.Seq
}

func (s *Server) unshare(r *Record) {
	if r.kind.Count--; r.kind.Count == 0 {
		delete(s.kinds, r.kind.key)
	}
}
