package ingest

import (
	"slices"
	"strings"
)

// Kind is what some events have in common: the call, the name, and the JSON type of
// each property or trait. Kinds are counted as events come and go, so that no reader
// has to go through all events.
type Kind struct {
	Type   string
	Name   string  // of track events
	Fields []Field // sorted by name, the first maxFields
	Rest   bool    // stands for events of this name whose fields found no room, and has no fields
	Count  int     // of the remembered events
	Last   int     // the Seq of the newest event

	shape   string  // the fields, as one text
	library Library // of the newest event
}

// Field is a property or trait. Its type is string, number, boolean, array or
// object. A null counts as absent.
type Field struct{ Name, Type string }

// The limits of one Kind. Events with more fields are odd, and would take many times
// the memory of their JSON.
const (
	maxFields    = 200
	maxFieldName = 200 // bytes; longer names are left out
)

// The limits of all kinds together, and of the kinds of one event name. If an app uses
// data as names of properties, each event is a kind of its own. Their fields would take
// many times the memory of their JSON, and leave no room for other names.
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

// kinds are the kinds of the remembered events.
type kinds struct {
	byKey  map[kindKey]*Kind
	fields map[callKey]int // how many fields the kinds of one name have
	sum    int             // of fields in all kinds
}

func newKinds() kinds { return kinds{byKey: make(map[kindKey]*Kind), fields: make(map[callKey]int)} }

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

// add counts r with the others of its kind. If there is no room for another kind, it
// counts r with the rest of its name. Records of a kind share its strings.
func (ks *kinds) add(r *Record) {
	k, known := ks.byKey[r.kind.key()]
	if !known && !ks.fits(r.kind) {
		r.kind = &Kind{Type: r.kind.Type, Name: r.kind.Name, Rest: true}
		k, known = ks.byKey[r.kind.key()]
	}
	if known {
		r.kind = k
	} else {
		ks.byKey[r.kind.key()] = r.kind
		ks.grow(r.kind, len(r.kind.Fields))
	}
	r.kind.Count++
	r.kind.Last = r.Seq
	r.Type = r.kind.Type // all records share one copy
	if r.Type == TypeTrack {
		r.Event.Event = r.kind.Name
	}
	if r.Library == r.kind.library {
		r.Library = r.kind.library
	} else {
		r.kind.library = r.Library
	}
}

func (ks *kinds) fits(k *Kind) bool {
	n := len(k.Fields)
	return n == 0 || ks.sum+n <= maxKindFields && ks.fields[k.call()]+n <= maxNameFields
}

func (ks *kinds) remove(r *Record) {
	if r.kind.Count--; r.kind.Count == 0 {
		delete(ks.byKey, r.kind.key())
		ks.grow(r.kind, -len(r.kind.Fields))
	}
}

// grow counts fields that are added or, if negative, removed.
func (ks *kinds) grow(k *Kind, fields int) {
	ks.sum += fields
	if ks.fields[k.call()] += fields; ks.fields[k.call()] == 0 {
		delete(ks.fields, k.call())
	}
}
