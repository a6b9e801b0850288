package klime

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klimeapp/klime-go/internal/uuid"
)

const (
	maxEventBytes  = 200 * 1024 // Klime's limit for one event
	maxPooledBytes = 256 * 1024 // a buffer that grew larger is not pooled
	maxDepth       = 32         // of nested maps and slices; deeper values are left to encoding/json

	libraryContext = `"library":{"name":"go-sdk","version":"` + Version + `"}`
)

// encoder turns events into wire JSON. It is safe for concurrent use.
type encoder struct {
	app    string                 // context.app as a JSON member after a comma; "" for none
	apart  bool                   // events share no memory: Config.BeforeSend drops some, and decodes all
	states sync.Pool              // of *encodeState
	second atomic.Pointer[second] // the second that was encoded last
}

// second is a timestamp's JSON up to the decimal point.
type second struct {
	unix int64
	text string
}

// encodeState is the memory in which one event after the other is encoded. Those of
// requests and those of the app are kept apart: the former are evicted first.
type encodeState struct {
	scratch             []byte // reused
	explicit, automatic arena
}

// encode returns the event's JSON. A missing message ID is made up. If r is not nil,
// it replaces the event's properties. (As a field of draft, r would be moved to the
// heap.)
func (enc *encoder) encode(d *draft, r *requestProperties) (body []byte, err error) {
	state, ok := enc.states.Get().(*encodeState)
	if !ok {
		state = new(encodeState)
	}
	var b []byte
	if d.automatic && !enc.apart { // and thus hardly ever large
		if b, err = enc.appendEvent(state.automatic.room(maxSharedBytes), d, r); err == nil {
			body = state.automatic.keep(b)
		}
	} else {
		b, err = enc.appendEvent(state.scratch[:0], d, r)
		switch {
		case err != nil:
		case enc.apart || len(b) > maxSharedBytes:
			body = bytes.Clone(b)
		default:
			body = state.explicit.keep(append(state.explicit.room(len(b)), b...))
		}
		if cap(b) <= maxPooledBytes {
			state.scratch = b
		}
	}
	enc.states.Put(state)
	return body, unencodable(err)
}

// unencodable wraps an error in ErrNotEncodable, unless only the event's size is
// wrong.
func unencodable(err error) error {
	if err == nil || errors.Is(err, ErrEventTooLarge) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrNotEncodable, err)
}

// appendEvent appends the event as JSON, without its empty fields.
func (enc *encoder) appendEvent(b []byte, d *draft, r *requestProperties) ([]byte, error) {
	b = append(b, `{"type":"`...)
	b = append(b, d.Type.String()...)
	b = append(b, `","messageId":"`...)
	if d.MessageID == "" {
		b = uuid.Append(b)
		b = append(b, '"')
	} else {
		b = appendString(b[:len(b)-1], d.MessageID)
	}
	if d.Type == TrackEvent {
		b = appendField(b, `,"event":`, d.Event.Event)
	}
	b = appendField(b, `,"userId":`, d.UserID)
	b = appendField(b, `,"groupId":`, d.GroupID)
	b, err := enc.appendTimestamp(append(b, `,"timestamp":`...), d)
	if err != nil {
		return b, err
	}
	switch {
	case r != nil:
		b = r.append(append(b, `,"properties":`...))
	case d.Type == TrackEvent && len(d.Properties) > 0:
		b = append(b, `,"properties":`...)
		b, err = appendMap(b, d.Properties, 0)
	case d.Type != TrackEvent && len(d.Traits) > 0:
		b = append(b, `,"traits":`...)
		b, err = appendMap(b, d.Traits, 0)
	}
	if err != nil {
		return b, err
	}
	if b, err = enc.appendContext(b, d, r); err != nil {
		return b, err
	}
	b = append(b, '}')
	if len(b) > maxEventBytes {
		return b, ErrEventTooLarge // how large is not known: long values are cut
	}
	return b, nil
}

func appendField(b []byte, prefix, value string) []byte {
	if value == "" {
		return b
	}
	return appendString(append(b, prefix...), value)
}

func (enc *encoder) appendContext(b []byte, d *draft, r *requestProperties) ([]byte, error) {
	b = append(b, `,"context":{`+libraryContext...)
	if enc.app != "" && !d.complete {
		if _, own := d.Context["app"]; !own {
			b = append(b, enc.app...)
		}
	}
	b = d.telemetry.append(b, d.baggage, d.Context)
	if r != nil {
		b = appendField(b, `,"ip":`, r.captured.ip)
		b = appendField(b, `,"userAgent":`, r.captured.userAgent)
	}
	if len(d.Context) == 0 { // cheaper than to range over an empty map
		return append(b, '}'), nil
	}
	for key, value := range d.Context {
		if key == "library" {
			continue
		}
		start := len(b)
		var err error
		if b, err = appendValue(appendKey(b, key), value, 0); err != nil || len(b)-start > maxEventBytes {
			return b, misfit("context "+quoted(key), len(b)-start, err)
		}
	}
	return append(b, '}'), nil
}

// appendTimestamp appends an event's timestamp. Most events fall into the same
// second as the one before, and take its text from enc.second.
func (enc *encoder) appendTimestamp(b []byte, d *draft) ([]byte, error) {
	const upToPoint = len(`"2006-01-02T15:04:05.`)
	t := d.Timestamp
	unix := t.Unix()
	if known := enc.second.Load(); known != nil && known.unix == unix {
		millis := t.Nanosecond() / int(time.Millisecond)
		return append(append(b, known.text...), byte('0'+millis/100%10), byte('0'+millis/10%10), byte('0'+millis%10), 'Z', '"'), nil
	}
	start := len(b)
	b, err := appendTime(b, t)
	if err == nil && unix == d.queued.Unix() { // the time of an At would help no other event
		enc.second.Store(&second{unix, string(b[start : start+upToPoint])})
	}
	return b, err
}
