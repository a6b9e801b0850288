package klime

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Version is the version of this library, as it stands in context.library.
const Version = "0.1.0"

const (
	maxEventBytes  = 200 * 1024 // of one event, Klime's limit
	maxPooledBytes = 64 * 1024  // a buffer that grew beyond is not kept
	maxDepth       = 32         // of nested values that are walked here; encoding/json takes over

	libraryContext = `"library":{"name":"go-sdk","version":"` + Version + `"}`
)

// encoder turns events into wire JSON. It is safe for concurrent use.
type encoder struct {
	app     string                 // context.app as JSON, after a comma; "" for none
	buffers sync.Pool              // of *[]byte, to encode into
	arenas  sync.Pool              // of *arena, where events of requests stay: see encodeInPlace
	second  atomic.Pointer[second] // the last that was encoded
}

// second is a second of the clock as JSON, up to its point.
type second struct {
	unix int64
	text string
}

// arena is memory that events share, one behind the other. It begins with none and
// grows as more is encoded: the garbage collector empties the pool, and then no
// single event may hold much more than its own size.
type arena struct {
	block []byte // up to what is taken
	next  int    // bytes of the next one
}

const (
	firstArena = 2 * 1024
	arenaBytes = 16 * 1024 // at most
	usualEvent = 1024      // bytes that the event of a request hardly needs
)

// room returns what is free for one more event.
func (a *arena) room() []byte {
	if cap(a.block)-len(a.block) < usualEvent {
		a.block = make([]byte, 0, a.next)
		a.next = min(max(2*a.next, firstArena), arenaBytes)
	}
	return a.block[len(a.block):]
}

// draft is an event with what only the library puts on it.
type draft struct {
	Event

	automatic bool // made by a middleware, and not by the app
	patient   bool // waits for room
	filtered  bool // BeforeSend has dropped it
	queued    time.Time
	telemetry telemetry
	baggage   []string // the keys that are sent
}

// encode returns the event's JSON in a slice of its own, of just its size. A
// missing message ID is made up. The properties of a request, if they are not
// nil, stand in place of the event's. (They come beside the draft so that they need
// not be in the heap.)
func (enc *encoder) encode(d *draft, r *requestProperties) ([]byte, error) {
	if d.automatic {
		return enc.encodeInPlace(d, r)
	}
	buf, ok := enc.buffers.Get().(*[]byte)
	if !ok {
		buf = new([]byte)
	}
	b, err := enc.appendEvent((*buf)[:0], d, r)
	err = unencodable(err)
	var body []byte
	if err == nil {
		body = bytes.Clone(b)
	}
	if cap(b) <= maxPooledBytes {
		*buf = b
		enc.buffers.Put(buf)
	}
	return body, err
}

// unencodable says so, unless it is all right but for its size.
func unencodable(err error) error {
	if err == nil || errors.Is(err, ErrEventTooLarge) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrNotEncodable, err)
}

// encodeInPlace is encode for the events of requests, several of which share the memory
// of one allocation. They are settled in the order in which they were made, or
// nearly so, and then that is free; other events may have to wait for long.
func (enc *encoder) encodeInPlace(d *draft, r *requestProperties) ([]byte, error) {
	a, ok := enc.arenas.Get().(*arena)
	if !ok {
		a = new(arena)
	}
	free := a.room()
	b, err := enc.appendEvent(free, d, r)
	switch {
	case err != nil:
		b, err = nil, unencodable(err)
	case cap(b) == cap(free): // there was room
		a.block = a.block[:len(a.block)+len(b)]
		b = slices.Clip(b)
	default:
		b = bytes.Clone(b) // of just its size
	}
	enc.arenas.Put(a)
	return b, err
}

// appendEvent appends the event. A field without a value is left out.
func (enc *encoder) appendEvent(b []byte, d *draft, r *requestProperties) ([]byte, error) {
	b = append(b, `{"type":"`...)
	b = append(b, d.Type.String()...)
	b = append(b, `","messageId":"`...)
	if d.MessageID == "" {
		b = appendUUID(b)
		b = append(b, '"')
	} else {
		b = appendString(b[:len(b)-1], d.MessageID)
	}
	b = appendField(b, `,"event":`, d.Event.Event)
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
		return b, fmt.Errorf("%w: %d bytes", ErrEventTooLarge, len(b))
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
	if _, own := d.Context["app"]; !own {
		b = append(b, enc.app...)
	}
	b = d.telemetry.append(b, d.baggage, d.Context)
	if r != nil {
		b = appendField(b, `,"ip":`, r.captured.ip)
		b = appendField(b, `,"userAgent":`, r.captured.userAgent)
	}
	if len(d.Context) == 0 { // which costs less than to look for a first key
		return append(b, '}'), nil
	}
	for key, value := range d.Context {
		if key == "library" {
			continue
		}
		var err error
		if b, err = appendValue(appendKey(b, key), value, 0); err != nil {
			return b, fmt.Errorf("context %s: %w", quoted(key), err)
		}
	}
	return append(b, '}'), nil
}

// appendMap appends an object. The order of its keys is not defined.
func appendMap[M ~map[string]any](b []byte, m M, depth int) ([]byte, error) {
	b = append(b, '{')
	for key, value := range m {
		var err error
		if b, err = appendValue(appendKey(b, key), value, depth); err != nil {
			return b, fmt.Errorf("%s: %w", quoted(key), err)
		}
	}
	return append(b, '}'), nil
}

// quoted is a key for an error, which must stay readable.
func quoted(key string) string {
	const enough = 64
	if len(key) > enough {
		key = strings.ToValidUTF8(key[:enough], "") + "…"
	}
	return strconv.Quote(key)
}

// appendValue appends one value, as encoding/json would encode it, but for
// times: see appendTime.
func appendValue(b []byte, value any, depth int) ([]byte, error) {
	if len(b) > maxEventBytes {
		return b, ErrEventTooLarge // no need to go on
	}
	switch v := value.(type) {
	case nil:
		return append(b, "null"...), nil
	case string:
		return appendString(b, v), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case int:
		return strconv.AppendInt(b, int64(v), 10), nil
	case int32:
		return strconv.AppendInt(b, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case uint:
		return strconv.AppendUint(b, uint64(v), 10), nil
	case uint32:
		return strconv.AppendUint(b, uint64(v), 10), nil
	case uint64:
		return strconv.AppendUint(b, v, 10), nil
	case float64:
		return appendFloat(b, v)
	case time.Time:
		return appendTime(b, v)
	case []string:
		if v == nil {
			return append(b, "null"...), nil
		}
		return appendStrings(b, v)
	case map[string]any:
		if v == nil || depth == maxDepth {
			break
		}
		return appendMap(b, v, depth+1)
	case []any:
		if v == nil || depth == maxDepth {
			break
		}
		return appendSlice(b, v, depth+1)
	}
	return appendAny(b, value)
}

// appendAny leaves a value to encoding/json, which also finds cycles. The
// value's own code runs there: its panic must not become the caller's.
func appendAny(b []byte, value any) (_ []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &valueError{fmt.Sprintf("%T", value), fmt.Errorf("panicked: %v", v)}
		}
	}()
	encoded, err := json.Marshal(value)
	if err != nil {
		return b, &valueError{fmt.Sprintf("%T", value), err}
	}
	return append(b, encoded...), nil
}

// valueError is why encoding/json could not encode a value. Its text is for
// the caller: what the value's own code says may repeat what it holds.
type valueError struct {
	kind string // the value's type
	err  error
}

func (e *valueError) Error() string { return e.kind + ": " + e.err.Error() }
func (e *valueError) Unwrap() error { return e.err }

func appendSlice(b []byte, values []any, depth int) ([]byte, error) {
	b = append(b, '[')
	for i, value := range values {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = appendValue(b, value, depth); err != nil {
			return b, fmt.Errorf("[%d]: %w", i, err)
		}
	}
	return append(b, ']'), nil
}

func appendStrings(b []byte, values []string) ([]byte, error) {
	b = append(b, '[')
	for i, value := range values {
		if len(b) > maxEventBytes {
			return b, ErrEventTooLarge
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, value)
	}
	return append(b, ']'), nil
}

// appendFloat appends the shortest number that reads back as f.
func appendFloat(b []byte, f float64) ([]byte, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return b, fmt.Errorf("%v is no JSON number", f)
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(b, f, format, -1, 64), nil
}

// appendTime appends t in ISO 8601, in UTC and with the milliseconds that Klime
// keeps, the form that all of its clients use. (By hand it takes half the time of
// t.AppendFormat.)
func appendTime(b []byte, t time.Time) ([]byte, error) {
	t = t.UTC()
	if year := t.Year(); year < 0 || year > 9999 {
		return b, fmt.Errorf("time of year %d", year) // ISO 8601 has four digits
	}
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	millis := t.Nanosecond() / int(time.Millisecond)
	b = append(b, '"')
	b = append(appendTwoDigits(appendTwoDigits(b, year/100), year%100), '-')
	b = append(appendTwoDigits(b, int(month)), '-')
	b = append(appendTwoDigits(b, day), 'T')
	b = append(appendTwoDigits(b, hour), ':')
	b = append(appendTwoDigits(b, minute), ':')
	b = append(appendTwoDigits(b, second), '.')
	return append(appendTwoDigits(append(b, digit(millis/100)), millis%100), 'Z', '"'), nil
}

// appendTimestamp is appendTime of an event, most of which have the second of the
// one before.
func (enc *encoder) appendTimestamp(b []byte, d *draft) ([]byte, error) {
	const upToPoint = len(`"2006-01-02T15:04:05.`)
	t := d.Timestamp
	unix := t.Unix()
	if known := enc.second.Load(); known != nil && known.unix == unix {
		millis := t.Nanosecond() / int(time.Millisecond)
		b = append(append(b, known.text...), digit(millis/100))
		return append(appendTwoDigits(b, millis%100), 'Z', '"'), nil
	}
	start := len(b)
	b, err := appendTime(b, t)
	if err == nil && unix == d.queued.Unix() { // not one that the app has made up
		enc.second.Store(&second{unix, string(b[start : start+upToPoint])})
	}
	return b, err
}

func appendTwoDigits(b []byte, n int) []byte { return append(b, digit(n/10), digit(n%10)) }

func digit(n int) byte { return byte('0' + n) } //nolint:gosec // 0 to 9

// appendMillis appends d in milliseconds with three decimals.
func appendMillis(b []byte, d time.Duration) []byte {
	micros := max(d, 0).Microseconds()
	b = strconv.AppendInt(b, micros/1000, 10)
	if rest := micros % 1000; rest != 0 {
		b = append(b, '.', byte('0'+rest/100), byte('0'+rest/10%10), byte('0'+rest%10))
	}
	return b
}
