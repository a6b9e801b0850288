package ingest

import (
	"bytes"
	"encoding/json"
	"time"
)

// The types of events.
const (
	TypeTrack    = "track"
	TypeIdentify = "identify"
	TypeGroup    = "group"
)

// Event is an accepted event.
type Event struct {
	Type       string // TypeTrack, TypeIdentify or TypeGroup
	MessageID  string
	Event      string // the name of a track event
	UserID     string
	GroupID    string
	Timestamp  time.Time // when it happened, in UTC
	ReceivedAt time.Time // when it arrived, in UTC

	// Decoded as encoding/json decodes into any: numbers are float64. Nil where
	// the event has none.
	Properties map[string]any
	Traits     map[string]any
	Context    map[string]any

	// Raw is the event as it was sent, with every field and digit.
	Raw json.RawMessage
}

// record is a stored event. It never changes once stored, so that it may be
// read without a lock. Properties, Traits and Context are decoded from Raw only
// when asked for: that keeps memory near the bytes that were sent, and gives
// every caller maps of its own.
type record struct {
	event Event
	seq   int // order of arrival
}

func (r *record) decode() Event {
	e := r.event
	e.Raw = bytes.Clone(e.Raw)
	// None of this fails: the event was validated before it was stored.
	f, _ := parseFields(e.Raw)
	e.Properties, _ = f.object("properties")
	e.Traits, _ = f.object("traits")
	e.Context, _ = f.object("context")
	return e
}

func decodeAll(records []*record) []Event {
	events := make([]Event, len(records))
	for i, r := range records {
		events[i] = r.decode()
	}
	return events
}
