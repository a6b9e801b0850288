package ingest

import (
	"encoding/json"
	"fmt"
)

// Codes of events that are rejected while the rest of their batch is accepted.
const (
	CodeEventTooLarge    = "event_too_large" // more than MaxEventBytes
	CodeInvalidEvent     = "invalid_event"   // not an object
	CodeInvalidField     = "invalid_field"   // a field of the wrong JSON type, or a number out of range
	CodeMissingType      = "missing_type"
	CodeUnknownType      = "unknown_type" // neither track, identify nor group
	CodeMissingMessageID = "missing_message_id"
	CodeMissingTimestamp = "missing_timestamp"
	CodeInvalidTimestamp = "invalid_timestamp" // not RFC 3339, a profile of ISO 8601
	CodeMissingEvent     = "missing_event"     // track without a name
	CodeMissingIdentity  = "missing_identity"  // track with neither userId nor groupId
	CodeMissingUserID    = "missing_user_id"   // identify without a user
	CodeMissingGroupID   = "missing_group_id"  // group without a group
	CodeRejected         = "rejected"          // see Server.ServeRejecting
)

// eventError is why one event of a batch was rejected. Index points into the batch.
type eventError struct {
	Index   int    `json:"index"`
	Message string `json:"message"`
	Code    string `json:"code"`
}

func invalid(code, format string, args ...any) *eventError {
	return &eventError{Code: code, Message: fmt.Sprintf(format, args...)}
}

// parseEvent checks one element of a batch and reports the first thing wrong
// with it: its size, then the JSON types of its fields, then what every event
// needs, then what its type needs. Fields that are null or "" count as absent,
// and unknown fields are accepted.
func parseEvent(raw json.RawMessage) (*Record, *eventError) {
	if len(raw) > MaxEventBytes {
		return nil, invalid(CodeEventTooLarge, "an event may have %d bytes, this one has %d", MaxEventBytes, len(raw))
	}
	f, ok := parseFields(raw)
	if !ok {
		return nil, invalid(CodeInvalidEvent, "an event must be an object")
	}

	r := &Record{Event: Event{Raw: raw}}
	e := &r.Event
	var timestamp string
	for _, field := range []struct {
		name string
		into *string
	}{
		{"type", &e.Type},
		{"messageId", &e.MessageID},
		{"timestamp", &timestamp},
		{"event", &e.Event},
		{"userId", &e.UserID},
		{"groupId", &e.GroupID},
	} {
		if *field.into, ok = f.text(field.name); !ok {
			return nil, invalid(CodeInvalidField, "%s must be a string", field.name)
		}
	}
	objects := make(map[string]map[string]any, 3)
	for _, name := range []string{"properties", "traits", "context"} {
		if objects[name], ok = f.object(name); !ok {
			return nil, invalid(CodeInvalidField, "%s must be an object whose numbers fit 64-bit floating point", name)
		}
	}

	if e.MessageID == "" {
		return nil, invalid(CodeMissingMessageID, "messageId is missing")
	}
	if timestamp == "" {
		return nil, invalid(CodeMissingTimestamp, "timestamp is missing")
	}
	// Unlike time.Parse, UnmarshalText accepts only strict RFC 3339.
	if err := e.Timestamp.UnmarshalText([]byte(timestamp)); err != nil {
		return nil, invalid(CodeInvalidTimestamp, "timestamp must be like 2006-01-02T15:04:05.999Z")
	}
	e.Timestamp = e.Timestamp.UTC()
	if year := e.Timestamp.Year(); year < 0 || year > 9999 { // its offset leads there, and RFC 3339 cannot express it
		return nil, invalid(CodeInvalidTimestamp, "timestamp must be in the years 0000 to 9999 of UTC")
	}
	if err := e.checkType(); err != nil {
		return nil, err
	}
	r.examine(objects["properties"], objects["traits"], objects["context"])
	return r, nil
}

// examine notes what is shown of many events at once, so that these need not be decoded
// again.
func (r *Record) examine(properties, traits, context map[string]any) {
	if r.Type == TypeTrack {
		r.Usage = usageOf(properties)
		r.kind = kindOf(r.Type, r.Event.Event, properties)
	} else {
		r.kind = kindOf(r.Type, "", traits)
	}
	library, _ := context["library"].(map[string]any)
	r.Library.Name, _ = library["name"].(string)
	r.Library.Version, _ = library["version"].(string)
	trace, _ := context["trace"].(map[string]any)
	r.TraceID, _ = trace["traceId"].(string)
}

// checkType checks what an event needs because of its type.
func (e *Event) checkType() *eventError {
	switch e.Type {
	case TypeTrack:
		// Klime has no anonymous events.
		if e.Event == "" {
			return invalid(CodeMissingEvent, "a track event needs a name in event")
		}
		if e.UserID == "" && e.GroupID == "" {
			return invalid(CodeMissingIdentity, "a track event needs a userId, a groupId or both")
		}
	case TypeIdentify:
		if e.UserID == "" {
			return invalid(CodeMissingUserID, "an identify event needs a userId")
		}
	case TypeGroup:
		if e.GroupID == "" {
			return invalid(CodeMissingGroupID, "a group event needs a groupId")
		}
	case "":
		return invalid(CodeMissingType, "type is missing")
	default:
		return invalid(CodeUnknownType, "type must be track, identify or group")
	}
	return nil
}

// fields are the members of a JSON object under their exact names. A struct would not
// do: encoding/json matches struct fields without regard to case, and would take USERID
// for userId.
type fields map[string]json.RawMessage

// parseFields reports false for anything but an object.
func parseFields(raw json.RawMessage) (fields, bool) {
	var f fields
	err := json.Unmarshal(raw, &f)
	return f, err == nil && f != nil // for null there is no error, but f is nil
}

// text returns a string field: "" if it is absent or null, false if it is something
// else.
func (f fields) text(name string) (string, bool) {
	raw, ok := f[name]
	if !ok {
		return "", true
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err == nil
}

// object returns an object field: nil if it is absent or null, false if it is something
// else or holds a number outside the range of float64.
func (f fields) object(name string) (map[string]any, bool) {
	raw, ok := f[name]
	if !ok {
		return nil, true
	}
	var m map[string]any
	err := json.Unmarshal(raw, &m)
	return m, err == nil
}
