package ingest

import (
	"bytes"
	"encoding/json"
	"sync/atomic"
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

	// Decoded as encoding/json decodes into any: numbers are float64. Nil if the
	// event has none.
	Properties map[string]any
	Traits     map[string]any
	Context    map[string]any

	// Raw is the event as it was sent, with every field and digit.
	Raw json.RawMessage
}

// Record is a stored event, and what was found in it when it arrived. Once stored,
// nothing in it changes except the number of repeats, so that it may be read without a
// lock. Properties, Traits and Context are nil: Decode decodes them from Raw. That
// keeps memory near the bytes that were sent, and gives every caller maps of its own.
type Record struct {
	Event

	Seq     int     // order of arrival, from 1
	Usage   *Usage  // nil unless the event is about HTTP requests
	Library Library // the SDK that sent it
	TraceID string  // of context.trace

	kind    *Kind
	repeats atomic.Int64
}

// Library is the SDK that an event names as its sender.
type Library struct{ Name, Version string }

// Repeats returns how often the event has arrived again.
func (r *Record) Repeats() int { return int(r.repeats.Load()) }

// Decode returns the event with its maps. It is a deep copy.
func (r *Record) Decode() Event {
	e := r.Event
	e.Raw = bytes.Clone(e.Raw)
	// None of this can fail: the event was validated before it was stored.
	f, _ := parseFields(e.Raw)
	e.Properties, _ = f.object("properties")
	e.Traits, _ = f.object("traits")
	e.Context, _ = f.object("context")
	return e
}

func decodeAll(records []*Record) []Event {
	events := make([]Event, len(records))
	for i, r := range records {
		events[i] = r.Decode()
	}
	return events
}
