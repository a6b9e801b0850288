package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/examples/internal/demo"
	"github.com/klimeapp/klime-go/examples/internal/demotest"
	"github.com/klimeapp/klime-go/klimetest"
)

// line describes an event in words.
func line(e klime.Event) string {
	words := []string{e.Type.String()}
	if e.Type == klime.TrackEvent {
		words = append(words, e.Event)
	}
	if e.UserID != "" {
		words = append(words, "user", e.UserID)
	}
	words = append(words, e.GroupID)
	for _, facts := range []map[string]any{e.Traits, e.Properties} {
		for _, key := range slices.Sorted(maps.Keys(facts)) {
			words = append(words, fmt.Sprintf("%s=%v", key, facts[key]))
		}
	}
	return strings.Join(words, " ")
}

// told shuts client down and returns what Klime was told.
func told(t *testing.T, server *klimetest.Server, client *klime.Client) []string {
	t.Helper()
	if err := client.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	var lines []string
	for _, e := range server.Events() {
		lines = append(lines, line(e))
	}
	return lines
}

func TestBillingWebhook(t *testing.T) {
	t.Parallel()
	app := demo.NewApp()
	body, signature := app.BillingRequest("org_1002", "business")
	unknown, unknownSignature := app.BillingRequest("org_9999", "business")
	changed := strings.Replace(string(body), "org_1002", "org_1003", 1)
	tests := map[string]struct {
		body, signature string
		want            int
		told            []string
	}{
		"signed": {string(body), signature, 204, []string{
			"group org_1002 name=Blue Harbor Foods plan=business",
			"track Plan Changed org_1002 plan=business",
		}},
		"no signature":                  {string(body), "", 401, nil},
		"bad signature":                 {string(body), strings.Repeat("0", 64), 401, nil},
		"another body":                  {changed, signature, 401, nil},
		"a company that does not exist": {string(unknown), unknownSignature, 404, nil},
		"too large":                     {strings.Repeat(" ", demo.MaxBody+1), signature, 400, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := klimetest.NewServer(t)
			client := server.Client()
			request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhooks/billing", strings.NewReader(test.body))
			request.Header.Set(demo.BillingSignature, test.signature)
			answer := httptest.NewRecorder()
			billing(app, client).ServeHTTP(answer, request)
			if answer.Code != test.want {
				t.Errorf("status %d, want %d", answer.Code, test.want)
			}
			if got := told(t, server, client); !slices.Equal(got, test.told) {
				t.Errorf("told %q, want %q", got, test.told)
			}
		})
	}
}

// However often the job runs on a day, each company has one event for that day.
func TestJobCountsOnceADay(t *testing.T) {
	t.Parallel()
	server := klimetest.NewServer(t)
	client := server.Client()
	job := usage{demo.NewApp(), client}
	morning := time.Date(2026, time.November, 23, 2, 0, 0, 0, time.UTC)
	for _, at := range []time.Time{morning, morning, morning.Add(time.Hour), morning.AddDate(0, 0, 1)} {
		job.run(t.Context(), at)
	}
	aDay := []string{
		"track Usage Summarized org_1001 reports=3",
		"track Usage Summarized org_1002 reports=3",
		"track Usage Summarized org_1003 reports=3",
	}
	if got, want := told(t, server, client), slices.Concat(aDay, aDay); !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
	if got := server.Repeated(); got != 2*len(aDay) {
		t.Errorf("%d repeated, want %d", got, 2*len(aDay))
	}
}

// The whole example: the billing service sends webhooks, and Klime knows the customers,
// without any user.
func TestEverythingArrives(t *testing.T) {
	d, stop := demotest.Start(t, demo.Options{NoPages: true, Pace: time.Millisecond}, newServer)
	const enough = 10 // events: more than the job alone makes
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := d.Klime.Wait(ctx, enough); err != nil {
		t.Fatal(err)
	}
	stop()

	names := make(map[string]int)
	for _, e := range d.Klime.Events() {
		names[e.Event+" "+e.GroupID]++
	}
	plans := names["Plan Changed org_1002"]
	for _, org := range []string{"org_1001", "org_1002", "org_1003"} {
		if n := names["Usage Summarized "+org]; n < 1 || n > 2 { // 2 if the test ran over midnight
			t.Errorf("%d summaries of %s", n, org)
		}
	}
	if plans == 0 || names[" org_1002"] != plans || len(d.Klime.Users()) > 0 {
		t.Errorf("events %v, users %v", names, d.Klime.Users())
	}
	customers := d.Klime.Customers()
	if len(customers) != 1 || customers[0].Traits["plan"] == nil || len(customers[0].Users) > 0 {
		t.Errorf("customers %+v", customers)
	}
}

func TestMain(m *testing.M) { demotest.Main(m, main) }

func TestTerminate(t *testing.T) { demotest.Terminate(t) }
