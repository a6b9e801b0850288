package inspector

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// field is a property of an event, or a trait of identify() or group().
type field struct{ event, name string }

// seenAs tells in how many events a field has one type.
type seenAs struct {
	typ   string
	count int
	last  int // the Seq of the newest of these events
}

// fields are the fields of the remembered events, as far as kinds hold them. The keys
// of the last three maps are names of events.
type fields struct {
	types map[field][]seenAs
	names map[string][]string // of the event's fields
	rest  map[string]bool     // the event has more fields than these
	links map[string]string   // to a list of such events
}

func (f *figures) fields() *fields {
	all := &fields{
		types: make(map[field][]seenAs), names: make(map[string][]string), rest: make(map[string]bool), links: make(map[string]string),
	}
	for i := range f.snap.Kinds {
		k := &f.snap.Kinds[i]
		event := nameOf(k.Type, k.Name)
		if k.Rest {
			all.rest[event] = true
		}
		if len(k.Fields) > 0 && all.links[event] == "" {
			all.links[event] = kindLink(k)
		}
		for _, x := range k.Fields {
			all.add(field{event, x.Name}, seenAs{x.Type, k.Count, k.Last})
		}
	}
	return all
}

func (all *fields) add(key field, s seenAs) {
	types := all.types[key]
	if types == nil {
		all.names[key.event] = append(all.names[key.event], key.name)
	}
	for i := range types {
		if types[i].typ == s.typ {
			types[i].count += s.count
			types[i].last = max(types[i].last, s.last)
			return
		}
	}
	all.types[key] = append(types, s)
}

// tooMany finds events whose properties or traits seem to have names built from data.
func (all *fields) tooMany() Finding {
	x := Finding{
		Kind: "many_property_names", Severity: severityWarning, Title: "Very many property names",
		Advice: "A name that is built from data cannot be counted, and so many are not all compared. " +
			"Use fixed names, and put what varies into values.",
	}
	for _, event := range slices.Sorted(maps.Keys(all.names)) {
		names := all.names[event]
		if len(names) <= manyFields {
			continue
		}
		detail := number(len(names))
		if all.rest[event] {
			detail += " or more"
		}
		slices.Sort(names)
		x.example(event, detail+", such as "+strings.Join(names[:3], ", "), all.links[event])
	}
	return x
}

// conflicts finds properties and traits that have different JSON types in different
// events.
func (all *fields) conflicts() Finding {
	x := Finding{
		Kind: "type_conflicts", Severity: severityWarning, Title: "Properties and traits of several types",
		Advice: "A value that is a number here and a string there cannot be summed, compared or charted.",
	}
	var several []field
	for key, types := range all.types {
		if len(types) > 1 {
			several = append(several, key)
		}
	}
	slices.SortFunc(several, func(a, b field) int {
		return cmp.Or(strings.Compare(a.event, b.event), strings.Compare(a.name, b.name))
	})
	for _, key := range several {
		types := all.types[key]
		slices.SortFunc(types, func(a, b seenAs) int { return strings.Compare(a.typ, b.typ) })
		detail, rarest := make([]string, len(types)), types[0]
		for i, s := range types {
			detail[i] = fmt.Sprintf("%s in %d", s.typ, s.count)
			if s.count < rarest.count {
				rarest = s
			}
		}
		x.example(key.event+" · "+key.name, strings.Join(detail, ", "), fmt.Sprintf("/events?seq=%d", rarest.last))
	}
	return x
}
