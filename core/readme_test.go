package klime_test

import (
	"context"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
)

// tableOf reads the properties that a document lists, with their types: rows that
// begin with names in backquotes.
func tableOf(t *testing.T, file, head string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), head)
	table, _, _ := strings.Cut(rest, "\n\n")
	if !found {
		t.Fatalf("%s has no table %q", file, head)
	}
	listed := map[string]string{}
	row := regexp.MustCompile("(?m)^\\| (`[^|]*`) \\| (\\w+) \\|")
	for _, match := range row.FindAllStringSubmatch(table, -1) {
		for name := range strings.SplitSeq(match[1], ", ") {
			listed[strings.Trim(name, "`")] = match[2]
		}
	}
	return listed
}

// The documents list just the properties that there are, with their types.
func TestPropertiesAreDocumented(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	observe := func(x klime.Exchange, opts ...klime.Option) {
		x.Start = time.Now().Add(-1234567 * time.Nanosecond)
		traffic{tracker: klime.NewTracker(client, append(opts, asUser("u1"))...), exchange: x}.serve(nil)
	}
	referrer := http.Header{"Referer": {"https://app.example/"}, "Upgrade": {"websocket"}}.Get
	observe(klime.Exchange{Path: "/reports", Header: referrer}, klime.Capture(klime.Path, klime.Referrer))
	observe(klime.Exchange{Aborted: true})
	observe(klime.Exchange{GRPCStatus: "0"})
	observe(klime.Exchange{Status: 101, Header: referrer})
	for range 100 { // some of which are taken
		observe(klime.Exchange{}, klime.Sample(0.5))
	}
	observe(klime.Exchange{}, klime.RollUp(time.Minute))

	found := map[string]map[string]string{"requests": {}, "roll-ups": {}}
	for _, e := range wire.events(t, client) {
		table := found["requests"]
		if e["event"] == "API Usage Recorded" {
			table = found["roll-ups"]
		}
		for name, value := range e["properties"].(map[string]any) {
			table[name] = kindOf(value)
		}
	}
	for name, listed := range map[string]map[string]string{
		"requests": tableOf(t, "../docs/tracking.md", "| property | type | |"),
		"roll-ups": tableOf(t, "../docs/cost.md", "| property of `API Usage Recorded` | type | |"),
	} {
		var wrong []string
		for property, kind := range found[name] {
			said := listed[property]
			same := said == kind || said == "number" && kind == "integer" || said == "time" && kind == "string"
			if !same {
				wrong = append(wrong, property+" is "+kind+", documented is "+said)
			}
		}
		for property := range listed {
			if _, ok := found[name][property]; !ok {
				wrong = append(wrong, property+" is documented, and not recorded")
			}
		}
		slices.Sort(wrong)
		if len(wrong) > 0 {
			t.Errorf("%s:\n%s", name, strings.Join(wrong, "\n"))
		}
	}
}

func kindOf(value any) string {
	switch v := value.(type) {
	case string:
		return "string"
	case bool:
		return "boolean"
	case float64:
		if v == float64(int64(v)) {
			return "integer"
		}
		return "number"
	default:
		return "unknown"
	}
}

// A single-page app serves its shell for every path: one page view a load.
func TestSinglePageApp(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	tracker := klime.NewTracker(client, asUser("u1"))
	for _, answer := range []struct{ path, contentType string }{
		{"/reports/7", "text/html"}, {"/app.js", "text/javascript"}, {"/app.css", "text/css"}, {"/logo.svg", "image/svg+xml"},
		{"/font.woff2", "font/woff2"}, {"/api/reports", "application/json"}, {"/manifest.json", "application/manifest+json"},
	} {
		traffic{tracker: tracker, exchange: klime.Exchange{Method: http.MethodGet, Route: "/*", Path: answer.path, ContentType: answer.contentType}}.serve(nil)
	}
	if got := namesOf(wire.events(t, client)); !slices.Equal(got, []string{"Page Viewed", "API Called"}) {
		t.Errorf("events %q", got)
	}
}

// GraphQL has one route: its operations have names.
func TestGraphQL(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	tracker := klime.NewTracker(client, asUser("u1"))
	for _, operation := range []string{"Report Generated", ""} {
		traffic{tracker: tracker, exchange: klime.Exchange{Route: "/graphql"}}.serve(func(ctx context.Context) { klime.SetEvent(ctx, operation) })
	}
	if got := namesOf(wire.events(t, client)); !slices.Equal(got, []string{"Report Generated", "API Called"}) {
		t.Errorf("events %q", got)
	}
}
