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
	Rest   bool    // of events of that name whose fields there was no room for: it has none
	Count  int     // of the remembered events
	Last   int     // the Seq of the newest

	shape   string  // the fields, as one text
	library Library // of the newest
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

// What all kinds hold at most, and those of one name. Where properties are named
// by data, each event is a kind of its own: its fields would take many times its
// JSON, and leave no room for those of other names.
const (
	maxKindFields = 50_000
	maxNameFields = 5_000
)

// callKey is what events of one call and name have in common.
type callKey struct{ typ, name string }

type kindKey struct {
	call  callKey
	rest  bool
	shape string
}

func (k *Kind) call() callKey { return callKey{k.Type, k.Name} }
func (k *Kind) key() kindKey  { return kindKey{k.call(), k.Rest, k.shape} }

// kinds are those of the remembered events.
type kinds struct {
	all    map[kindKey]*Kind
	fields map[callKey]int // of those in all
	sum    int             // of fields
}

func newKinds() kinds { return kinds{all: make(map[kindKey]*Kind), fields: make(map[callKey]int)} }

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
	var shape strings.Builder
	for _, name := range names {
		field := Field{name, typeOf(m[name])}
		k.Fields = append(k.Fields, field)
		shape.WriteString(field.Type)
		shape.WriteByte(' ')
		shape.WriteString(field.Name)
		shape.WriteByte('\x00')
	}
	k.shape = shape.String()
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

// share counts r with the others of its kind, or if there is no room for one more,
// with the rest of its name.
func (all *kinds) share(r *Record) {
	k, known := all.all[r.kind.key()]
	if !known && !all.fits(r.kind) {
		r.kind = &Kind{Type: r.kind.Type, Name: r.kind.Name, Rest: true}
		k, known = all.all[r.kind.key()]
	}
	if known {
		r.kind = k
	} else {
		all.all[r.kind.key()] = r.kind
		all.grow(r.kind, len(r.kind.Fields))
	}
	r.kind.Count++
	r.kind.Last = r.Seq
	r.Type = r.kind.Type // one copy for all
	if r.Type == TypeTrack {
		r.Event.Event = r.kind.Name
	}
	if r.Library == r.kind.library {
		r.Library = r.kind.library
	} else {
		r.kind.library = r.Library
	}
}

func (all *kinds) fits(k *Kind) bool {
	n := len(k.Fields)
	return n == 0 || all.sum+n <= maxKindFields && all.fields[k.call()]+n <= maxNameFields
}

func (all *kinds) unshare(r *Record) {
	if r.kind.Count--; r.kind.Count == 0 {
		delete(all.all, r.kind.key())
		all.grow(r.kind, -len(r.kind.Fields))
	}
}

// grow counts fields that have come, or gone.
func (all *kinds) grow(k *Kind, fields int) {
	all.sum += fields
	if all.fields[k.call()] += fields; all.fields[k.call()] == 0 {
		delete(all.fields, k.call())
	}
}
