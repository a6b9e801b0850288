package ingest

import (
	"bytes"
	"encoding/json"
	"maps"
	"time"
	"unicode/utf8"
)

// Traits are merged key by key. The values stay JSON, so that no digit is lost and
// every caller gets values of its own.
type Traits map[string]Trait

// Trait is a value as it was sent, and the timestamp of the event that sent it.
type Trait struct {
	Value json.RawMessage
	At    time.Time
}

// facts are the traits of one user or group. A map that a snapshot shares is not
// changed any more: the next merge copies it first. Otherwise a merge costs only what
// is merged, whatever is known already: one user with very many traits would slow
// down everything.
type facts struct {
	Traits

	bytes  int  // of all traits
	shared bool // with a snapshot
}

// merge adds the traits of e, and returns by how many bytes the facts have grown.
// For each key the newest event wins, whatever the order of arrival. Among equal
// timestamps the last to arrive wins.
func (f *facts) merge(e *Event) (grown int) {
	// Neither fails: the event was validated.
	all, _ := parseFields(e.Raw)
	sent, _ := parseFields(all["traits"])
	switch {
	case len(sent) == 0:
		return 0
	case f.Traits == nil:
		f.Traits = make(Traits, len(sent))
	case f.shared:
		f.Traits = maps.Clone(f.Traits)
	}
	f.shared = false
	for key, value := range sent {
		old, known := f.Traits[key]
		if known && e.Timestamp.Before(old.At) {
			continue
		}
		f.Traits[key] = Trait{value, e.Timestamp}
		grown += len(value) - len(old.Value)
		if !known {
			grown += traitBytes + len(key)
		}
	}
	f.bytes += grown
	return grown
}

// share returns the traits for a snapshot.
func (f *facts) share() Traits {
	f.shared = true
	return f.Traits
}

// Decode returns the values as encoding/json decodes them.
func (t Traits) Decode() map[string]any {
	m := make(map[string]any, len(t))
	for key, trait := range t {
		var v any
		_ = json.Unmarshal(trait.Value, &v) // cannot fail: the event was validated
		m[key] = v
	}
	return m
}

// Text returns a trait as a person would write it: a string without quotes, and
// anything else as JSON. It is "" for null, and for a trait that does not exist.
func (t Traits) Text(key string) string {
	var s *string
	value := t[key].Value
	if n := len(value); n > 1 && value[0] == '"' && bytes.IndexByte(value, '\\') < 0 && utf8.Valid(value) {
		return string(value[1 : n-1]) // the usual case: nothing to decode
	}
	if err := json.Unmarshal(value, &s); err != nil {
		return string(value)
	}
	if s == nil {
		return ""
	}
	return *s
}
