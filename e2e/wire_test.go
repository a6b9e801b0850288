package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"testing"

	"github.com/klimeapp/klime-go/internal/ingest"
)

// What may differ between two clients that make the same calls:
//
//   - messageId and timestamp have other values, in the same form;
//   - context.library says which client it is, in the same fields;
//   - empty properties and traits may be {} or left out;
//   - a browser adds fields to the context (see ofBrowsers).
var (
	formOfMessageID = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	formOfTimestamp = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`)
)

// checkRequests checks that each request is valid for Klime, and returns the batches.
func checkRequests(t *testing.T, requests []exchange, key string) [][]map[string]any {
	t.Helper()
	batches := make([][]map[string]any, 0, len(requests))
	for i, r := range requests {
		if r.method != http.MethodPost || r.uri != "/v1/batch" {
			t.Errorf("request %d: %s %s", i, r.method, r.uri)
		}
		for name, want := range map[string]string{"Authorization": "Bearer " + key, "Content-Type": "application/json"} {
			if got := r.header.Values(name); len(got) != 1 || got[0] != want {
				t.Errorf("request %d: %s %q, want %q", i, name, got, want)
			}
		}
		var body map[string]json.RawMessage
		if err := json.Unmarshal(r.body, &body); err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		var batch []map[string]any
		if err := json.Unmarshal(body["batch"], &batch); err != nil || len(body) != 1 {
			t.Fatalf("request %d: not {\"batch\":[{…}]}: %v, %.200s", i, err, r.body)
		}
		if len(batch) == 0 || len(batch) > ingest.MaxBatchEvents {
			t.Errorf("request %d: %d events", i, len(batch))
		}
		for j, event := range batch {
			checkForm(t, fmt.Sprintf("request %d, event %d", i, j), event)
		}
		batches = append(batches, batch)
	}
	return batches
}

// checkForm checks the values that differ from run to run.
func checkForm(t *testing.T, where string, event map[string]any) {
	t.Helper()
	for name, form := range map[string]*regexp.Regexp{"messageId": formOfMessageID, "timestamp": formOfTimestamp} {
		if s, _ := event[name].(string); !form.MatchString(s) {
			t.Errorf("%s: %s is %v, which is not like %s", where, name, event[name], form)
		}
	}
	context, _ := event["context"].(map[string]any)
	library, _ := context["library"].(map[string]any)
	for _, name := range []string{"name", "version"} {
		if s, _ := library[name].(string); s == "" {
			t.Errorf("%s: context.library.%s is %v", where, name, library[name])
		}
	}
}

// checkSameShape checks that two clients have made equal requests for equal calls: the same
// events in each request, and in each event the same fields with the same JSON types.
func checkSameShape(t *testing.T, foreign, ours [][]map[string]any) {
	t.Helper()
	if len(foreign) != len(ours) {
		t.Fatalf("%d requests of the foreign client, %d of ours", len(foreign), len(ours))
	}
	for i := range foreign {
		if len(foreign[i]) != len(ours[i]) {
			t.Fatalf("request %d: %d events of the foreign client, %d of ours", i, len(foreign[i]), len(ours[i]))
		}
		for j := range foreign[i] {
			where := fmt.Sprintf("fields of request %d, event %d (%v)", i, j, foreign[i][j]["type"])
			checkSame(t, where, shapeOf(foreign[i][j]), shapeOf(ours[i][j]))
		}
	}
}

// shapeOf returns the JSON type of each field of an event and of its context, except for
// fields that may differ.
func shapeOf(event map[string]any) map[string]any {
	shape := make(map[string]any, len(event))
	for name, value := range event {
		object, isObject := value.(map[string]any)
		switch {
		case isObject && len(object) == 0 && (name == "properties" || name == "traits"):
		case isObject && name == "context":
			shape[name] = shapeOfContext(object)
		default:
			shape[name] = typeOf(value)
		}
	}
	return shape
}

// ofBrowsers reports whether a field of the context is one that browsers add.
func ofBrowsers(name string) bool {
	return slices.Contains([]string{"locale", "timezone", "userAgent"}, name)
}

func shapeOfContext(context map[string]any) map[string]any {
	shape := make(map[string]any, len(context))
	for name, value := range context {
		object, isObject := value.(map[string]any)
		switch {
		case ofBrowsers(name):
		case isObject:
			shape[name] = shapeOfContext(object)
		default:
			shape[name] = typeOf(value)
		}
	}
	return shape
}

// typeOf names the JSON type of a decoded value.
func typeOf(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case float64:
		return "number"
	case string:
		return "string"
	case []any:
		return "array"
	default:
		return "object"
	}
}

// checkSame compares two values by their JSON.
func checkSame(t *testing.T, what string, foreign, ours any) {
	t.Helper()
	if a, b := toJSON(t, foreign), toJSON(t, ours); a != b {
		t.Errorf("%s differ\nforeign: %s\nours:    %s", what, a, b)
	}
}

// checkIs compares a value with the expected one, by their JSON.
func checkIs(t *testing.T, what string, got, want any) {
	t.Helper()
	if a, b := toJSON(t, got), toJSON(t, want); a != b {
		t.Errorf("%s\ngot:  %s\nwant: %s", what, a, b)
	}
}

// toJSON writes a value with its keys in order.
func toJSON(t *testing.T, value any) string {
	t.Helper()
	b, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
