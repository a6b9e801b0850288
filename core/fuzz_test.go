package klime

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Any event of any type that can be encoded is JSON that is read back as the same
// event, and encoded from that once more it still is.
func FuzzEncodeDecode(f *testing.F) {
	f.Add(0, "m", "Report Generated", "u1", "g1", int64(1_700_000_000_123), []byte(`{"rows":12345678901234567890,"share":0.1,"tags":["a",null,{"b":true}]}`))
	f.Add(1, "m", "", "u1", "", int64(0), []byte(`{"email":"jane@acme.test","name":"Jane \u2028 <&>","deep":{"er":[[[1e-7]]]}}`))
	f.Add(2, "m", "", "", "g1", int64(-1), []byte(`{"":"","library":{"name":"mine"},"n":-0.0,"big":1e308}`))
	f.Add(0, "m", "\xff\x00", "u", "", int64(253402300799999), []byte(`{}`))
	f.Fuzz(func(t *testing.T, kind int, id, name, user, group string, at int64, said []byte) {
		var values map[string]any
		decoder := json.NewDecoder(bytes.NewReader(said))
		decoder.UseNumber()
		if decoder.Decode(&values) != nil || id == "" {
			return
		}
		exact(values)
		d := draft{Event: Event{
			Type: []EventType{TrackEvent, IdentifyEvent, GroupEvent}[abs(kind)%3], MessageID: id, UserID: user, GroupID: group, Timestamp: time.UnixMilli(at),
			Context: map[string]any{"said": values},
		}}
		if d.Type == TrackEvent {
			d.Event.Event, d.Properties = name, values
		} else {
			d.Traits = values
		}
		encoded, err := encodeDraft(&d)
		if errors.Is(err, ErrEventTooLarge) || errors.Is(err, ErrNotEncodable) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid([]byte(encoded)) {
			t.Fatalf("not JSON: %s", encoded)
		}
		once := decodeEvent([]byte(encoded))
		type fields struct {
			kind                  EventType
			id, name, user, group string
			at                    int64
			properties, traits    any
		}
		content := func(m map[string]any) any {
			if len(m) == 0 {
				return nil // not sent
			}
			return wholeNumbers(m)
		}
		clean := func(s string) string { return throughJSON(t, s).(string) }
		got := fields{once.Type, once.MessageID, once.Event, once.UserID, once.GroupID, once.Timestamp.UnixMilli(), content(once.Properties), content(once.Traits)}
		want := fields{d.Type, clean(id), clean(d.Event.Event), clean(user), clean(group), at, content(d.Properties), content(d.Traits)}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v\nas %s", got, want, encoded)
		}
		again, err := encodeDraft(&draft{Event: once})
		if err != nil {
			t.Fatalf("what was read back: %v", err)
		}
		if twice := decodeEvent([]byte(again)); !reflect.DeepEqual(once, twice) {
			t.Errorf("once  %+v\ntwice %+v", once, twice)
		}
	})
}

// wholeNumbers makes floats that are whole the integers that JSON cannot tell from
// them. From 1e21 on, they are written with an exponent, which no integer has.
func wholeNumbers(value any) any {
	switch v := value.(type) {
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1e21 {
			return exact(json.Number(strconv.FormatFloat(v, 'f', -1, 64)))
		}
	case map[string]any:
		m := map[string]any{}
		for key, value := range v {
			m[key] = wholeNumbers(value)
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = wholeNumbers(v[i])
		}
		return list
	}
	return value
}

// Whatever patterns an app gives: each is in the table, once, or reported; their order does
// not depend on the app's, and of those that match the first is the one meant.
func FuzzPatternTable(f *testing.F) {
	f.Add("GET /reports/{id}\n/reports/new\n/reports/*\n/*", "GET", "/reports/new")
	f.Add("/a/{b}\n/a/{c}\nGET /a/{b}", "POST", "/a/b")
	f.Add("/v{n}.json\n/v1{x}\n/{all}\n/{rest...}\n/+", "GET", "/v1.json")
	f.Add("no slash\n/{\nFETCH /a\n/a b", "GET", "/a")
	f.Fuzz(func(t *testing.T, table, method, path string) {
		texts := strings.Split(table, "\n")
		if len(texts) > 20 {
			return
		}
		parsed, err := parseRules("SkipRoutes", texts)
		patterns := distinct(parsed)
		if err != nil && !errors.Is(err, ErrInvalidOption) {
			t.Errorf("error %v", err)
		}
		shapes := map[string]bool{}
		for _, text := range texts {
			if p, err := parseRule(text); err == nil {
				shapes[p.Shape()] = true
			}
		}
		if err == nil && len(parsed) != len(texts) || len(patterns) != len(shapes) {
			t.Errorf("%d patterns of %q, %v", len(patterns), texts, err)
		}
		slices.Reverse(texts)
		others, _ := parseRules("SkipRoutes", texts)
		others = distinct(others)
		if !slices.EqualFunc(patterns, others, func(p, q *rule) bool { return p.Shape() == q.Shape() }) {
			t.Errorf("%q: the order depends on the app's", texts)
		}
		first := firstOf(patterns, method, nil, path)
		for i, p := range patterns {
			for _, q := range patterns[i+1:] {
				if bySpecificity(p, q) >= 0 || bySpecificity(q, p) <= 0 {
					t.Errorf("%q does not go before %q", p.text, q.text)
				}
			}
			if p.MatchesPath(method, path) && (first == nil || bySpecificity(first, p) > 0) {
				t.Errorf("%s %q: %q matches, and is not the one meant", method, path, p.text)
			}
		}
	})
}

func abs(n int) int {
	if n < 0 {
		return -(n + 1)
	}
	return n
}
