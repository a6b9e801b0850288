package klime

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"
)

// decodeEvent reads back what encode has written. Every value is a copy, of a type
// that JSON decodes to: integers are int64 (json.Number beyond its range), other
// numbers float64.
func decodeEvent(body []byte) Event {
	var wire struct {
		Type       string         `json:"type"`
		MessageID  string         `json:"messageId"`
		Timestamp  time.Time      `json:"timestamp"`
		Event      string         `json:"event"`
		UserID     string         `json:"userId"`
		GroupID    string         `json:"groupId"`
		Properties map[string]any `json:"properties"`
		Traits     map[string]any `json:"traits"`
		Context    map[string]any `json:"context"`
	}
	_ = decodeJSON(body, &wire) // our own JSON
	for _, m := range []map[string]any{wire.Properties, wire.Traits, wire.Context} {
		exact(m)
	}
	return Event{
		Type:       eventTypeOf(wire.Type),
		MessageID:  wire.MessageID,
		Timestamp:  wire.Timestamp,
		Event:      wire.Event,
		UserID:     wire.UserID,
		GroupID:    wire.GroupID,
		Properties: wire.Properties,
		Traits:     wire.Traits,
		Context:    wire.Context,
	}
}

// decodeJSON decodes the first value in b. It keeps the digits of numbers: an ID or a
// counter may have more of them than a float64.
func decodeJSON(b []byte, v any) error {
	decoder := json.NewDecoder(bytes.NewReader(b))
	decoder.UseNumber()
	return decoder.Decode(v) //nolint:wrapcheck // the callers only ask whether there is one
}

func eventTypeOf(name string) EventType {
	switch name {
	case "identify":
		return IdentifyEvent
	case "group":
		return GroupEvent
	default:
		return TrackEvent
	}
}

// exact replaces each json.Number in value, at any depth, by an int64 or float64. It
// does so within the value's own maps and slices.
func exact(value any) any {
	switch v := value.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		if f, err := v.Float64(); err == nil && strings.ContainsAny(v.String(), ".eE") {
			return f
		}
		return v // an integer beyond int64 keeps its digits
	case map[string]any:
		for key := range v {
			v[key] = exact(v[key])
		}
	case []any:
		for i := range v {
			v[i] = exact(v[i])
		}
	}
	return value
}
