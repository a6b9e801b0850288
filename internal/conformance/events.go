package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
)

// seen is the event that a request of jane without a body should make, derived from
// the answer that the client sees.
func seen(method, route string, got answer) string {
	name := "API Called"
	if method == http.MethodGet && got.status < 400 && strings.HasPrefix(got.header.Get("Content-Type"), "text/html") {
		name = "Page Viewed"
	}
	return fmt.Sprintf(`{"type":"track","event":%q,"userId":"jane","properties":`+
		`{"method":%q,"route":%q,"status":%d,"requestBytes":0,"responseBytes":%d}}`, name, method, route, got.status, len(got.body))
}

// compare fails unless exactly these events have arrived, in this order.
func compare(tb testing.TB, server *klimetest.Server, client *klime.Client, want []string) {
	tb.Helper()
	if err := client.Flush(context.WithoutCancel(tb.Context())); err != nil {
		tb.Fatal(err)
	}
	var got []any
	for _, e := range server.Events() {
		got = append(got, simplify(tb, e))
	}
	var wanted []any
	for _, text := range want {
		var e any
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			tb.Fatalf("%v in %s", err, text)
		}
		wanted = append(wanted, e)
	}
	unexpected, missing := without(got, wanted), without(wanted, got)
	switch {
	case len(unexpected)+len(missing) > 0:
		tb.Errorf("events differ (%d, want %d)\nunexpected:%s\nmissing:%s", len(got), len(wanted), pretty(unexpected), pretty(missing))
	case !reflect.DeepEqual(got, wanted):
		tb.Errorf("events in another order:%s\nwant:%s", pretty(got), pretty(wanted))
	}
	if n := server.Rejected(); n != 0 {
		tb.Errorf("%d events rejected", n)
	}
}

// simplify returns an event as plain JSON without what varies from run to run:
// messageId, timestamp, durationMs, openMs and the library's name. An event of a request
// that has neither durationMs nor openMs is marked as untimed.
func simplify(tb testing.TB, e klime.Event) any {
	tb.Helper()
	if e.MessageID == "" || time.Since(e.Timestamp) > time.Hour {
		tb.Errorf("message ID %q, timestamp %v", e.MessageID, e.Timestamp)
	}
	out := map[string]any{"type": e.Type.String()}
	for key, value := range map[string]string{"event": e.Event, "userId": e.UserID, "groupId": e.GroupID} {
		if value != "" {
			out[key] = value
		}
	}
	times := 0
	for _, key := range []string{"durationMs", "openMs"} {
		if ms, ok := e.Properties[key]; ok {
			times++
			if ms, ok := ms.(float64); !ok || ms < 0 || ms > 60_000 {
				tb.Errorf("%s: %v", key, ms)
			}
			delete(e.Properties, key)
		}
	}
	if _, ofRequest := e.Properties["method"]; ofRequest && times == 0 {
		out["untimed"] = true
	} else if times > 1 {
		tb.Errorf("%s: both durationMs and openMs", e.Event)
	}
	if len(e.Properties) > 0 {
		out["properties"] = map[string]any(e.Properties)
	}
	if len(e.Traits) > 0 {
		out["traits"] = map[string]any(e.Traits)
	}
	delete(e.Context, "library")
	if len(e.Context) > 0 {
		out["context"] = e.Context
	}
	return out
}

// without returns the events that are not among others, each of which stands for one.
func without(events, others []any) []any {
	others = slices.Clone(others)
	return slices.DeleteFunc(slices.Clone(events), func(e any) bool {
		i := slices.IndexFunc(others, func(other any) bool { return reflect.DeepEqual(e, other) })
		if i >= 0 {
			others = slices.Delete(others, i, i+1)
		}
		return i >= 0
	})
}

// pretty shows events, each on a line of its own.
func pretty(events []any) string {
	if len(events) == 0 {
		return " none"
	}
	var b strings.Builder
	for _, e := range events {
		text, _ := json.Marshal(e)
		fmt.Fprintf(&b, "\n  %s", text)
	}
	return b.String()
}
