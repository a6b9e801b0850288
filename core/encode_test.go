package klime

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/trace"
)

// library is what every event carries as its context.
const library = `"library":{"name":"go-sdk","version":"` + Version + `"}`

// morning is when the events of these tests happened.
func morning() time.Time { return time.Date(2026, 11, 23, 10, 0, 0, 123_456_789, time.UTC) }

// encodeDraft encodes with a fresh encoder.
func encodeDraft(d *draft) (string, error) {
	var enc encoder
	b, err := enc.encode(d, nil)
	return string(b), err
}

// encodeValue encodes an event whose one property is value.
func encodeValue(value any) (string, error) {
	d := draft{Event: Event{MessageID: "m", Event: "E", UserID: "u", Timestamp: morning(), Properties: Properties{"p": value}}}
	return encodeDraft(&d)
}

// property decodes the property of encodeValue.
func propertyOf(t *testing.T, encoded string) any {
	t.Helper()
	event := readJSON(t, []byte(encoded)).(map[string]any)
	return event["properties"].(map[string]any)["p"]
}

// throughJSON is value as encoding/json carries it.
func throughJSON(t *testing.T, value any) any {
	t.Helper()
	b, err := json.Marshal(value)
	if err != nil {
		t.Fatalf("json.Marshal(%v): %v", value, err)
	}
	return readJSON(t, b)
}

// readJSON reads every number that float64 can hold as one, any other (1e400 is
// JSON) by its digits.
func readJSON(t *testing.T, b []byte) any {
	t.Helper()
	var value any
	decoder := json.NewDecoder(bytes.NewReader(b))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil || !json.Valid(b) { // Decode stops after the first value
		t.Fatalf("not JSON: %v\n%s", err, b)
	}
	return floats(value)
}

func floats(value any) any {
	switch v := value.(type) {
	case json.Number:
		if f, err := v.Float64(); err == nil {
			return f
		}
	case map[string]any:
		for key := range v {
			v[key] = floats(v[key])
		}
	case []any:
		for i := range v {
			v[i] = floats(v[i])
		}
	}
	return value
}

// What an event's own context names takes the place of what we would name: no key is twice
// in it.
func TestEncodeContextKeysOnce(t *testing.T) {
	t.Parallel()
	d := draft{
		Event: Event{Event: "E", UserID: "u", Timestamp: morning(), Context: map[string]any{
			"app": "own", "trace": "own", "baggage": "own", "library": "other",
		}},
		telemetry: telemetry{span: spanRef{trace: [16]byte{1}, span: [8]byte{1}}},
		baggage:   []string{"plan"},
	}
	member, _ := baggage.NewMember("plan", "pro")
	d.telemetry.baggage, _ = baggage.New(member)
	enc := encoder{app: `,"app":{"name":"shop"}`}
	b, err := enc.encode(&d, nil)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"app": `"own"`, "trace": `"own"`, "baggage": `"own"`, "library": `{"name":"go-sdk"`} {
		if key = `"` + key + `":`; strings.Count(string(b), key) != 1 || !strings.Contains(string(b), key+want) {
			t.Errorf("%s want once, as %s: %s", key, want, b)
		}
	}
}

// An event without a messageId gets one of its own.
func TestEncodeMakesMessageIDs(t *testing.T) {
	t.Parallel()
	d := draft{Event: Event{Event: "E", UserID: "u", Timestamp: morning()}}
	first, _ := encodeDraft(&d)
	second, _ := encodeDraft(&d)
	if first == second {
		t.Error("two events have the same messageId")
	}
}

// One event of each kind as it stands on the wire. A field without a value is
// absent.
func TestEncodeWireFormat(t *testing.T) {
	t.Parallel()
	span := spanRef{
		trace:   trace.TraceID{0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c},
		span:    trace.SpanID{0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31},
		sampled: true,
	}
	const head = `{"type":"track","messageId":"m1",`
	const at = `"timestamp":"2026-11-23T10:00:00.123Z"`
	track := func(change func(*draft)) draft {
		d := draft{Event: Event{MessageID: "m1", Event: "Report Generated", UserID: "u1", Timestamp: morning()}}
		change(&d)
		return d
	}
	tests := []struct {
		name string
		in   draft
		want string
	}{
		{
			"track with all",
			track(func(d *draft) { d.GroupID = "g1"; d.Properties = Properties{"reportType": "revenue"} }),
			head + `"event":"Report Generated","userId":"u1","groupId":"g1",` + at + `,"properties":{"reportType":"revenue"},"context":{` + library + `}}`,
		},
		{
			"track without properties",
			track(func(*draft) {}),
			head + `"event":"Report Generated","userId":"u1",` + at + `,"context":{` + library + `}}`,
		},
		{
			"empty properties are left out",
			track(func(d *draft) { d.Properties = Properties{} }),
			head + `"event":"Report Generated","userId":"u1",` + at + `,"context":{` + library + `}}`,
		},
		{
			"an organisation's event",
			track(func(d *draft) { d.UserID, d.GroupID = "", "g1" }),
			head + `"event":"Report Generated","groupId":"g1",` + at + `,"context":{` + library + `}}`,
		},
		{
			"identify",
			draft{Event: Event{Type: IdentifyEvent, MessageID: "m2", UserID: "u1", Timestamp: morning(), Traits: Traits{"email": "jane@acme.com"}}},
			`{"type":"identify","messageId":"m2","userId":"u1",` + at + `,"traits":{"email":"jane@acme.com"},"context":{` + library + `}}`,
		},
		{
			"identify without traits",
			draft{Event: Event{Type: IdentifyEvent, MessageID: "m2", UserID: "u1", Timestamp: morning(), Traits: Traits{}}},
			`{"type":"identify","messageId":"m2","userId":"u1",` + at + `,"context":{` + library + `}}`,
		},
		{
			"group that only links",
			draft{Event: Event{Type: GroupEvent, MessageID: "m3", UserID: "u1", GroupID: "g1", Timestamp: morning()}},
			`{"type":"group","messageId":"m3","userId":"u1","groupId":"g1",` + at + `,"context":{` + library + `}}`,
		},
		{
			"group that only has traits",
			draft{Event: Event{Type: GroupEvent, MessageID: "m3", GroupID: "g1", Timestamp: morning(), Traits: Traits{"name": "Acme Inc"}}},
			`{"type":"group","messageId":"m3","groupId":"g1",` + at + `,"traits":{"name":"Acme Inc"},"context":{` + library + `}}`,
		},
		{
			"a time of elsewhere is sent in UTC, its milliseconds cut and not rounded",
			track(func(d *draft) {
				d.Timestamp = time.Date(2026, 3, 1, 1, 30, 0, 999_999_999, time.FixedZone("CET", 3600))
			}),
			head + `"event":"Report Generated","userId":"u1","timestamp":"2026-03-01T00:30:00.999Z","context":{` + library + `}}`,
		},
		{
			"a full second keeps its three digits",
			track(func(d *draft) { d.Timestamp = time.Date(2026, 3, 1, 1, 30, 0, 0, time.UTC) }),
			head + `"event":"Report Generated","userId":"u1","timestamp":"2026-03-01T01:30:00.000Z","context":{` + library + `}}`,
		},
		{
			"context beside the library's own",
			track(func(d *draft) { d.Context = map[string]any{"ip": "192.0.2.1"} }),
			head + `"event":"Report Generated","userId":"u1",` + at + `,"context":{` + library + `,"ip":"192.0.2.1"}}`,
		},
		{
			"the library's own context stays",
			track(func(d *draft) { d.Context = map[string]any{"library": "mine"} }),
			head + `"event":"Report Generated","userId":"u1",` + at + `,"context":{` + library + `}}`,
		},
		{
			"under a span",
			track(func(d *draft) { d.telemetry.span = span }),
			head + `"event":"Report Generated","userId":"u1",` + at + `,"context":{` + library +
				`,"trace":{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331","sampled":true}}}`,
		},
		{
			"under a span that is not sampled",
			track(func(d *draft) { d.telemetry.span = span; d.telemetry.span.sampled = false }),
			head + `"event":"Report Generated","userId":"u1",` + at + `,"context":{` + library +
				`,"trace":{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331","sampled":false}}}`,
		},
		{
			"the app's own trace wins",
			track(func(d *draft) { d.telemetry.span = span; d.Context = map[string]any{"trace": "own"} }),
			head + `"event":"Report Generated","userId":"u1",` + at + `,"context":{` + library + `,"trace":"own"}}`,
		},
		{
			"quotes in every field",
			draft{Event: Event{MessageID: `"`, Event: `\`, UserID: "\n", GroupID: "\x00", Timestamp: morning(), Properties: Properties{`"`: `"`}}},
			`{"type":"track","messageId":"\"","event":"\\","userId":"\n","groupId":"\u0000",` + at + `,"properties":{"\"":"\""},"context":{` + library + `}}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := encodeDraft(&tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if !json.Valid([]byte(got)) {
				t.Error("not JSON")
			}
		})
	}
}

// What is not a year of ISO 8601 Klime could not read.
func TestEncodeRefusesTimestamps(t *testing.T) {
	t.Parallel()
	for _, at := range []time.Time{time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC)} {
		d := draft{Event: Event{Event: "E", UserID: "u", Timestamp: at}}
		if _, err := encodeDraft(&d); !errors.Is(err, ErrNotEncodable) {
			t.Errorf("%v: error %v, want ErrNotEncodable", at, err)
		}
	}
}

type (
	namedString string
	namedInt    int
	namedMap    map[string]any
	namedSlice  []any
	textKey     int
)

func (k textKey) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "key-%d", int(k)), nil }

type marshals struct {
	text string
	err  error
}

func (m marshals) MarshalJSON() ([]byte, error) { return []byte(m.text), m.err }

type panics struct{}

func (panics) MarshalJSON() ([]byte, error) { panic("secret of jane@acme.com") }

type pointerPanics struct{ name string }

func (p *pointerPanics) MarshalJSON() ([]byte, error) { return []byte(`"` + p.name + `"`), nil }

// nested returns value inside of so many objects.
func nested(depth int, value any) any {
	for range depth {
		value = map[string]any{"in": value}
	}
	return value
}

// Every value is carried as encoding/json would carry it.
func TestEncodeValues(t *testing.T) {
	t.Parallel()
	text := "text"
	tests := map[string]any{
		"nil":                      nil,
		"string":                   "plain",
		"empty string":             "",
		"quotes and controls":      "a\"b\\c/d\b\f\n\r\t\x00\x1f\x7f",
		"HTML":                     "<script>&amp;",
		"line separators":          "\u2028\u2029",
		"beyond the BMP":           "😀é",
		"invalid UTF-8":            "a\xffb\xc0\xafc\xed\xa0\x80",
		"cut rune":                 "é"[:1],
		"a true U+FFFD":            "\ufffd",
		"true":                     true,
		"int":                      -42,
		"int8":                     int8(math.MinInt8),
		"int16":                    int16(math.MaxInt16),
		"int32":                    int32(math.MinInt32),
		"int64":                    int64(math.MinInt64),
		"uint":                     uint(7),
		"uint8":                    uint8(255),
		"uint16":                   uint16(65535),
		"uint32":                   uint32(math.MaxUint32),
		"uint64":                   uint64(math.MaxUint64),
		"float32":                  float32(0.1),
		"float64":                  0.1,
		"float without a fraction": 1e20,
		"large float":              math.MaxFloat64,
		"small float":              math.SmallestNonzeroFloat64,
		"negative zero":            math.Copysign(0, -1),
		"duration":                 time.Second,
		"bytes":                    []byte("bytes"),
		"nil slice":                []any(nil),
		"nil strings":              []string(nil),
		"nil map":                  map[string]any(nil),
		"empty slice":              []any{},
		"empty strings":            []string{},
		"empty map":                map[string]any{},
		"strings":                  []string{"a", "\"", "\xff"},
		"slice":                    []any{1, "two", nil, []any{true}},
		"map":                      map[string]any{"a": 1, "b": map[string]any{"c": nil}, "\xff": 2},
		"map of strings":           map[string]string{"a": "b"},
		"map of ints":              map[int]string{1: "b"},
		"map of text keys":         map[textKey]int{3: 4},
		"nested deep":              nested(1000, "]"),
		"brackets in a string":     nested(40, `"\`+strings.Repeat("[{", 2000)),
		"struct": struct {
			A int `json:"a"`
			b int
			C string `json:"c,omitempty"`
		}{1, 2, ""},
		"pointer":                     &text,
		"typed nil":                   (*string)(nil),
		"typed nil marshaler":         (*pointerPanics)(nil),
		"nil error":                   error(nil),
		"named string":                namedString("x"),
		"named int":                   namedInt(3),
		"named map":                   namedMap{"a": 1},
		"named slice":                 namedSlice{1},
		"Properties within":           Properties{"a": Properties{"b": 1}},
		"Traits within":               Traits{"a": 1},
		"raw message":                 json.RawMessage(` { "a" : [ 1 ] } `),
		"nil raw message":             json.RawMessage(nil),
		"number":                      json.Number("12.50"),
		"number beyond float64":       json.RawMessage("[1e2222,-1e2222]"),
		"empty number":                json.Number(""),
		"marshaler":                   marshals{text: `{"a":1}`},
		"map 31 deep":                 nested(31, "x"),
		"map 32 deep":                 nested(32, "x"),
		"map 33 deep":                 nested(33, "x"),
		"map 200 deep":                nested(200, "x"),
		"slice in map beyond 32 deep": nested(40, []any{1, map[string]any{"a": nil}}),
	}
	for name, value := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			encoded, err := encodeValue(value)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := propertyOf(t, encoded), throughJSON(t, value); !reflect.DeepEqual(got, want) {
				t.Errorf("got %#v, want %#v", got, want)
			}
		})
	}
}

// A value that JSON cannot hold is the call's error; whatever the value's own
// code does, the caller lives on.
func TestEncodeRefusesValues(t *testing.T) {
	t.Parallel()
	cyclicMap := map[string]any{}
	cyclicMap["again"] = cyclicMap
	branching := map[string]any{}
	branching["a"], branching["b"], branching["c"] = branching, branching, branching
	cyclicSlice := []any{nil}
	cyclicSlice[0] = cyclicSlice
	cyclicNamed := Properties{}
	cyclicNamed["in"] = map[string]any{"again": cyclicNamed}
	type node struct{ Next *node }
	cyclicPointer := &node{}
	cyclicPointer.Next = cyclicPointer
	failure := errors.New("own failure")

	tests := map[string]any{
		"NaN":                      math.NaN(),
		"Inf":                      math.Inf(1),
		"-Inf":                     math.Inf(-1),
		"float32 NaN":              float32(math.NaN()),
		"channel":                  make(chan int),
		"func":                     func() {},
		"nil func":                 (func())(nil),
		"complex":                  1i,
		"channel within":           map[string]any{"a": []any{make(chan int)}},
		"NaN beyond 32 deep":       nested(40, math.NaN()),
		"cyclic map":               cyclicMap,
		"cyclic map of many paths": branching,
		"cyclic slice":             cyclicSlice,
		"cyclic named map":         cyclicNamed,
		"cyclic pointer":           cyclicPointer,
		"MarshalJSON panics":       panics{},
		"panics beyond 32 deep":    nested(40, panics{}),
		"panics in a struct":       struct{ P panics }{},
		"MarshalJSON fails":        marshals{err: failure},
		"MarshalJSON, no JSON":     marshals{text: `{"a":`},
		"MarshalJSON, two values":  marshals{text: `1,"x":2`},
		"MarshalJSON, nothing":     marshals{},
		"bad raw message":          json.RawMessage(`"},{"type":"track"`),
		"empty raw message":        json.RawMessage{},
		"bad number":               json.Number("1}"),
		"nested too deep":          nested(1001, "]"),
		"raw, nested too deep":     json.RawMessage(strings.Repeat("[", 1001) + strings.Repeat("]", 1001)),
		"time out of range":        time.Date(20_000, 1, 1, 0, 0, 0, 0, time.UTC),
		"map with struct keys":     map[struct{ A int }]int{{1}: 1},
	}
	for name, value := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			encoded, err := encodeValue(value)
			if !errors.Is(err, ErrNotEncodable) {
				t.Errorf("error %v, want ErrNotEncodable", err)
			}
			if encoded != "" {
				t.Errorf("encoded all the same: %s", encoded)
			}
			d := draft{Event: Event{Event: "E", UserID: "u", Context: map[string]any{"p": value}}}
			if _, err := encodeDraft(&d); !errors.Is(err, ErrNotEncodable) {
				t.Errorf("in context: error %v, want ErrNotEncodable", err)
			}
		})
	}
	if _, err := encodeValue(marshals{err: failure}); !errors.Is(err, failure) {
		t.Errorf("error %v does not wrap what MarshalJSON returned", err)
	}
	if _, err := encodeValue(make(chan int)); err == nil || !strings.Contains(err.Error(), `"p"`) {
		t.Errorf("error %v does not name the property", err)
	}
}

// A buffer in which an encoding has failed is as good as new.
func TestEncodeAfterFailure(t *testing.T) {
	t.Parallel()
	var enc encoder
	good := func() *draft {
		return &draft{Event: Event{MessageID: "m", Event: "E", UserID: "u", Timestamp: morning()}}
	}
	want, err := enc.encode(good(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []any{panics{}, math.NaN(), strings.Repeat("x", maxEventBytes)} {
		d := good()
		d.Properties = Properties{"p": bad}
		if _, err := enc.encode(d, nil); err == nil {
			t.Fatal("no error")
		}
		got, err := enc.encode(good(), nil)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("after a failure: %s, %v; want %s", got, err, want)
		}
	}
}

// The result is the caller's: it is not changed by the next event, and has no
// spare room that would be counted nowhere.
func TestEncodeOwnsItsResult(t *testing.T) {
	t.Parallel()
	var enc encoder
	first, err := enc.encode(&draft{Event: Event{MessageID: "first", Event: "E", UserID: "u"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	before := string(first)
	if _, err := enc.encode(&draft{Event: Event{MessageID: "other", Event: "F", UserID: "v"}}, nil); err != nil {
		t.Fatal(err)
	}
	if string(first) != before {
		t.Errorf("changed to %s", first)
	}
	if cap(first) > len(first)+len(first)/4+64 {
		t.Errorf("%d bytes with a capacity of %d", len(first), cap(first))
	}
}

// Klime's limit is 200 × 1024 bytes of JSON, and the last byte is allowed.
func TestEncodeSizeLimit(t *testing.T) {
	t.Parallel()
	empty, err := encodeValue("")
	if err != nil {
		t.Fatal(err)
	}
	room := 200*1024 - len(empty)
	exact, err := encodeValue(strings.Repeat("x", room))
	if err != nil || len(exact) != 200*1024 {
		t.Errorf("an event of 200 KiB: %d bytes, %v", len(exact), err)
	}
	if _, err := encodeValue(strings.Repeat("x", room+1)); !errors.Is(err, ErrEventTooLarge) {
		t.Errorf("one byte more: error %v, want ErrEventTooLarge", err)
	}
	if _, err := encodeValue(strings.Repeat("\x00", room/6+1)); !errors.Is(err, ErrEventTooLarge) {
		t.Errorf("it is the JSON that counts: error %v, want ErrEventTooLarge", err)
	}

	huge := strings.Repeat("x", 10<<20)
	parts := make([]any, 1000)
	texts := make([]string, 1000)
	for i := range parts {
		parts[i], texts[i] = huge, huge
	}
	tests := map[string]draft{
		"property":     {Event: Event{Event: "E", UserID: "u", Properties: Properties{"p": huge}}},
		"property key": {Event: Event{Event: "E", UserID: "u", Properties: Properties{huge: 1}}},
		"slice":        {Event: Event{Event: "E", UserID: "u", Properties: Properties{"p": parts}}},
		"strings":      {Event: Event{Event: "E", UserID: "u", Properties: Properties{"p": texts}}},
		"struct":       {Event: Event{Event: "E", UserID: "u", Properties: Properties{"p": struct{ A string }{huge}}}},
		"trait":        {Event: Event{Type: IdentifyEvent, UserID: "u", Traits: Traits{"p": huge}}},
		"name":         {Event: Event{Event: huge, UserID: "u"}},
		"user":         {Event: Event{Event: "E", UserID: huge}},
		"messageId":    {Event: Event{Event: "E", UserID: "u", MessageID: huge}},
		"context":      {Event: Event{Event: "E", UserID: "u", Context: map[string]any{"p": huge}}},
	}
	for name, d := range tests {
		if _, err := encodeDraft(&d); !errors.Is(err, ErrEventTooLarge) || errors.Is(err, ErrNotEncodable) {
			t.Errorf("10 MB in %s: error %.200v, want ErrEventTooLarge", name, err)
		} else if len(err.Error()) > 1000 {
			t.Errorf("10 MB in %s: the error is %d bytes long", name, len(err.Error()))
		}
	}
}

// Of an event that is too large, the error names the value that is so by itself, and none
// if there is no such value.
func TestEncodeNamesWhatIsTooLarge(t *testing.T) {
	t.Parallel()
	huge, half := strings.Repeat("x", maxEventBytes), strings.Repeat("x", maxEventBytes/2)
	halves := func() map[string]any { return map[string]any{"a": half, "b": half, "c": 1} }
	for want, d := range map[string]Event{
		`: "p"`:                  {Properties: Properties{"p": huge, "a": 1, "b": 1, "c": 1}},
		`: "p": "q"`:             {Properties: Properties{"p": map[string]any{"q": huge}, "a": 1}},
		`: "p": [1]`:             {Properties: Properties{"p": []any{half, huge, 1}, "a": 1}},
		`: "l"`:                  {Properties: Properties{"l": []string{half, half, "x"}, "a": 1}},
		`: context "p"`:          {Context: map[string]any{"p": huge, "a": 1, "b": 1}},
		"":                       {Properties: halves()},
		`: "o"`:                  {Properties: Properties{"o": halves()}},
		`: "` + huge[:64] + `…"`: {Properties: Properties{huge: 1, "a": 1}},
	} {
		d.Event, d.UserID = "E", "u"
		_, err := encodeDraft(&draft{Event: d})
		if !errors.Is(err, ErrEventTooLarge) || err.Error() != "klime: event exceeds 200 KiB"+want {
			t.Errorf("%.200v, want it to end with %q", err, want)
		}
	}
}

// Refusing what is too large costs no more than about what is allowed.
func TestEncodeHugeIsCheap(t *testing.T) {
	if raceEnabled {
		t.Skip("memory is counted without the race detector")
	}
	huge := strings.Repeat("x", 10<<20)
	many := make([]string, 1000)
	for i := range many {
		many[i] = huge
	}
	for name, value := range map[string]any{"string": huge, "strings": many} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _ = encodeValue(value)
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 8*maxEventBytes { // append doubles as it grows
			t.Errorf("%s: %d bytes allocated", name, got)
		}
	}
}

// What is allocated is memory for many events.
func TestEncodeAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("allocations are counted without the race detector")
	}
	var enc encoder
	properties := Properties{
		"a": "text", "b": 1, "c": 2.5, "d": true, "e": []string{"x", "y"}, "f": map[string]any{"g": int64(1), "h": []any{nil, "i"}},
	}
	d := draft{Event: Event{Event: "Report Generated", UserID: "u1", GroupID: "g1", Timestamp: morning(), Properties: properties}}
	if got := testing.AllocsPerRun(200, func() { _, _ = enc.encode(&d, nil) }); got > 0 {
		t.Errorf("track: %v allocations, want at most 0", got)
	}
	x := Exchange{Method: "GET", Route: "/reports/{id}", Status: 200, took: time.Second}
	request := requestProperties{exchange: &x, route: newRoute(x.Route), extra: []property{{"k", []byte(`"k":1`)}}}
	automatic := draft{automatic: true, Event: Event{Event: apiCalled, UserID: "u1", GroupID: "g1", Timestamp: morning()}}
	if got := testing.AllocsPerRun(200, func() { _, _ = enc.encode(&automatic, &request) }); got > 0 {
		t.Errorf("request: %v allocations, want at most 0", got)
	}
}

func TestAppendMillis(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0:                                   "0",
		-time.Second:                        "0",
		999 * time.Nanosecond:               "0",
		time.Microsecond:                    "0.001",
		10 * time.Microsecond:               "0.01",
		1500 * time.Microsecond:             "1.5",
		time.Millisecond:                    "1",
		time.Hour:                           "3600000",
		2*time.Second + 34*time.Microsecond: "2000.034",
	} {
		if got := string(appendMillis(nil, d)); got != want {
			t.Errorf("appendMillis(%v) = %s, want %s", d, got, want)
		}
	}
}

// TestAppendFloat holds that no float is written differently from encoding/json, whichever
// way it takes.
func TestAppendFloat(t *testing.T) {
	t.Parallel()
	check := func(f float64) {
		got, err := appendFloat(nil, f)
		want, err2 := json.Marshal(f)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		if got := bytes.ReplaceAll(got, []byte("e-0"), []byte("e-")); !bytes.Equal(got, want) {
			t.Errorf("%v is written as %s, want %s", f, got, want)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		scale := math.Pow10(random.IntN(9))
		f := float64(random.Int64N(1+random.Int64N(1e16))) / scale
		for _, near := range []float64{f, -f, math.Nextafter(f, 0), math.Nextafter(f, math.Inf(1))} {
			check(near)
		}
	}
	for _, f := range []float64{0, 0.001, 0.0005, 0.0015, 1e12, 999_999_999_999.999, 999_999_999_999.9995, math.MaxFloat64} {
		check(f)
	}
}

func FuzzEncodeEvent(f *testing.F) {
	f.Add("m", "Report Generated", "u1", "g1", "key", "text", 1.5, int64(1), true, int64(1_700_000_000), []byte(`{"a":1}`))
	f.Add("", "\"", "\xff", "\x00", "library", "\u2028", math.Copysign(0, -1), int64(-1), false, int64(-1), []byte(`nonsense`))
	f.Add("", "E", "", "", "trace", "", 1e-7, int64(math.MinInt64), false, int64(1)<<60, []byte(nil))
	f.Fuzz(func(t *testing.T, id, event, user, group, key, text string, float float64, integer int64, flag bool, at int64, raw []byte) {
		value := map[string]any{"float": float, "integer": integer, "flag": flag, "list": []any{text, []string{key}, nil}}
		if json.Valid(raw) {
			value["raw"] = json.RawMessage(raw)
		}
		properties := Properties{key: text, "nested:" + key: value}
		d := draft{Event: Event{
			MessageID: id, Event: event, UserID: user, GroupID: group, Timestamp: time.Unix(at, 0),
			Properties: properties, Context: map[string]any{key: text},
		}}
		encoded, err := encodeDraft(&d)
		year := time.Unix(at, 0).UTC().Year()
		unencodable := math.IsNaN(float) || math.IsInf(float, 0) || year < 0 || year > 9999
		switch {
		case errors.Is(err, ErrEventTooLarge):
			return
		case unencodable:
			if !errors.Is(err, ErrNotEncodable) {
				t.Fatalf("error %v, want ErrNotEncodable", err)
			}
			return
		case err != nil:
			t.Fatal(err)
		}
		got := readJSON(t, []byte(encoded)).(map[string]any)
		for field, want := range map[string]string{"event": event, "userId": user, "groupId": group, "messageId": id} {
			value, present := got[field].(string)
			if want == "" && field != "messageId" && present {
				t.Errorf("%s is there without a value", field)
			}
			if want != "" && value != throughJSON(t, want) {
				t.Errorf("%s is %q, want %q", field, value, want)
			}
		}
		if want := throughJSON(t, map[string]any(properties)); !reflect.DeepEqual(got["properties"], want) {
			t.Errorf("properties %#v\nwant %#v", got["properties"], want)
		}
		own := got["context"].(map[string]any)["library"].(map[string]any)
		if own["name"] != "go-sdk" || own["version"] != Version {
			t.Errorf("context.library is %v", own)
		}
	})
}

// Times are sent in UTC with milliseconds, like all timestamps at Klime.
func TestEncodeTimes(t *testing.T) {
	t.Parallel()
	berlin := time.FixedZone("CET", 3600)
	for want, at := range map[string]time.Time{
		`"2026-11-23T10:00:00.123Z"`: time.Date(2026, 11, 23, 11, 0, 0, 123456789, berlin),
		`"2026-11-23T10:00:00.000Z"`: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC),
		`"0001-01-01T00:00:00.000Z"`: {},
	} {
		if got, err := appendValue(nil, at, 0); err != nil || string(got) != want {
			t.Errorf("%v: %s, %v", at, got, err)
		}
	}
	at := time.Date(2026, 11, 23, 11, 0, 0, 123456789, berlin)
	const want = `"2026-11-23T10:00:00.123Z"`
	for _, tt := range []struct {
		value any
		want  string
	}{
		{&at, want},
		{(*time.Time)(nil), "null"},
		{[]time.Time{at, at}, "[" + want + "," + want + "]"},
		{[]time.Time{}, "[]"},
		{[]time.Time(nil), "null"},
		{map[string]time.Time{"a": at}, `{"a":` + want + "}"},
		{map[string]time.Time(nil), "null"},
		{Properties{"a": at}, `{"a":` + want + "}"},
		{Properties(nil), "null"},
		{Traits{"a": []any{&at}}, `{"a":[` + want + "]}"},
		{[]map[string]any{{"a": at}, nil}, `[{"a":` + want + "},null]"},
	} {
		if got, err := appendValue(nil, tt.value, 0); err != nil || string(got) != tt.want {
			t.Errorf("%#v: %s, %v", tt.value, got, err)
		}
	}
	late := time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, value := range []any{late, &late, []time.Time{late}} {
		if _, err := appendValue(nil, value, 0); err == nil {
			t.Errorf("%v: no error", value)
		}
	}
}

// Events share memory, and nothing else: none is changed by what is encoded or appended
// after it, whatever their sizes.
func TestEncodeSharesMemory(t *testing.T) {
	t.Parallel()
	enc := new(encoder)
	random := rand.New(rand.NewPCG(1, 2))
	draftOf := func(size int) *draft {
		return &draft{automatic: size%2 == 0, Event: Event{
			MessageID: "m", Event: apiCalled, UserID: strings.Repeat("u", 1+size%50), GroupID: strings.Repeat("x", size), Timestamp: morning(),
		}}
	}
	var running sync.WaitGroup
	for range 4 {
		sizes := make([]int, 500)
		for i := range sizes {
			switch sizes[i] = random.IntN(1000); i % 50 {
			case 0:
				sizes[i] = 2 * maxBlockBytes
			case 1:
				sizes[i] = maxEventBytes
			}
		}
		running.Go(func() {
			var bodies [][]byte
			for _, size := range sizes {
				body, err := enc.encode(draftOf(size), nil)
				if tooLarge := size == maxEventBytes; (err != nil) != tooLarge || tooLarge && !errors.Is(err, ErrEventTooLarge) {
					t.Errorf("%d bytes: %v", size, err)
				}
				bodies = append(bodies, body)
				_ = append(body, "somebody else's"...)
			}
			for i, size := range sizes {
				if want, err := new(encoder).encode(draftOf(size), nil); err == nil && !bytes.Equal(bodies[i], want) {
					t.Errorf("%d bytes became %.100q", size, bodies[i])
				}
			}
		})
	}
	running.Wait()
}

// With a BeforeSend, which drops some events, an event must not hold others.
func TestEncodeApart(t *testing.T) {
	t.Parallel()
	client, err := New(Config{WriteKey: "wk", BeforeSend: func(*Event) bool { return true }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Shutdown(t.Context()) }()
	for _, automatic := range []bool{false, true} {
		d := &draft{automatic: automatic, Event: Event{MessageID: "m", Event: apiCalled, UserID: "u1", Timestamp: morning()}}
		if _, err := client.encoder.encode(d, nil); err != nil {
			t.Fatal(err)
		}
		at, ok := client.encoder.states.Get().(*encodeState) // with the race detector, the pool drops at random
		if ok && (at.explicit.block != nil || at.automatic.block != nil) {
			t.Errorf("automatic %v: events share memory", automatic)
		}
	}
}

// An event that is kept holds little more than itself, also where the garbage
// collector has emptied the pool since the one before: QueueBytes would be no bound.
func TestEncodeKeepsLittle(t *testing.T) { //nolint:paralleltest // it measures
	if raceEnabled {
		t.Skip("the pool drops at random")
	}
	d := &draft{Event: Event{MessageID: "m", Event: apiCalled, UserID: "u1", Timestamp: morning()}}
	var before, after runtime.MemStats
	for i, each := range []int{1, 2, 20, 1, 2, 20} { // events until the pool is emptied
		d.automatic = i < 3
		const pools = 50
		size := 0
		runtime.ReadMemStats(&before)
		for range pools {
			enc := new(encoder)
			for range each {
				body, err := enc.encode(d, nil)
				if err != nil {
					t.Fatal(err)
				}
				size += len(body)
			}
		}
		runtime.ReadMemStats(&after)
		perPool := int(after.TotalAlloc-before.TotalAlloc)/pools - int(unsafe.Sizeof(encoder{}))
		if perPool > 3*1024+3*size/pools {
			t.Errorf("%d events of %d bytes (automatic: %v) take %d", each, size/pools/each, d.automatic, perPool)
		}
	}
}

// Timestamps are as appendTime has them, whichever second came before.
func TestEncodeTimestamps(t *testing.T) {
	t.Parallel()
	var enc encoder
	at := morning()
	for i := range 3000 {
		at = at.Add(time.Duration(i%7*i%13) * 50 * time.Millisecond)
		if i%100 == 0 {
			at = at.Add(-time.Hour)
		}
		d := draft{queued: at, Event: Event{Timestamp: at.In(time.FixedZone("", 5400))}}
		if i%3 == 0 {
			d.queued = at.Add(time.Minute)
		}
		got, err := enc.appendTimestamp(nil, &d)
		if want, _ := appendTime(nil, at); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%v became %s: %v", at, got, err)
		}
	}
}
