package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/klimeapp/klime-go/examples/internal/demo"
	"github.com/klimeapp/klime-go/examples/internal/demotest"
	"github.com/klimeapp/klime-go/internal/ingest"
)

const timeout = 30 * time.Second

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	os.Exit(m.Run())
}

// start starts the example as main does, on free ports. Stop ends it in order.
func start(t *testing.T, opts demo.Options) (*demo.Demo, *telemetry, func()) {
	t.Helper()
	telemetry := new(telemetry)
	opts.Traces = telemetry.start
	d, stop := demotest.Start(t, opts, telemetry.newServer)
	return d, telemetry, func() {
		t.Helper()
		stop()
		if err := telemetry.shutdown(); err != nil {
			t.Error(err)
		}
	}
}

// link is the address of the first link in a page, which is at base, that matches
// pattern.
func link(t *testing.T, page, base, pattern string) string {
	t.Helper()
	found := regexp.MustCompile(`href="(` + pattern + `)"`).FindStringSubmatch(page)
	if found == nil {
		t.Fatalf("no link to %s in %s", pattern, page)
	}
	from, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	to, err := from.Parse(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return to.String()
}

// traceOf is the trace and the span that an event names.
func traceOf(e *ingest.Event) (traceID, spanID string) {
	named, _ := e.Context["trace"].(map[string]any)
	traceID, _ = named["traceId"].(string)
	spanID, _ = named["spanId"].(string)
	return traceID, spanID
}

// compare matches events and exported spans by their IDs. It fails the test if one lacks
// the other, and returns the number of events by name.
func compare(t *testing.T, events []ingest.Event, traces []traceView) (counts map[string]int) {
	t.Helper()
	spans, requests := make(map[string]spanView), make(map[string]spanView)
	for _, trace := range traces {
		for _, s := range trace.Spans {
			spans[trace.ID+s.ID] = s
			if s.Server {
				requests[trace.ID] = s
			}
		}
	}
	counts = make(map[string]int)
	named := make(map[string]bool) // the spans that the event of their request names
	for _, e := range events {
		traceID, spanID := traceOf(&e)
		span, ok := spans[traceID+spanID]
		request := requests[traceID]
		automatic := e.Properties["route"] != nil
		switch {
		case !ok:
			t.Errorf("%s %s names span %q of trace %q, which was not exported", e.Type, e.Event, spanID, traceID)
		case automatic && (!span.Server || span.User != e.UserID || span.Customer != e.GroupID):
			t.Errorf("%s of %s in %q has the span %+v", e.Event, e.UserID, e.GroupID, span)
		case e.Event == "Report Generated" && (request.User != e.UserID || request.Customer != e.GroupID):
			t.Errorf("%s of %s in %s was in the request %+v", e.Event, e.UserID, e.GroupID, request)
		case e.Event == "Report Generated" && e.Properties["via"] == "web" && (span.Name != "generate report" || span.Parent != request.ID):
			t.Errorf("%s names the span %+v", e.Event, span)
		}
		counts[strings.TrimSpace(e.Type+" "+e.Event)]++
		named[traceID+spanID] = named[traceID+spanID] || automatic
	}
	for id, s := range spans {
		quiet := s.User == "" || s.User == "usr_2007" || s.Name == "GET /login" // nobody, staff, or no event of its own
		if s.Server && !quiet && !named[id] {
			t.Errorf("no event names the span %s: %+v", id, s)
		}
	}
	return counts
}

// A customer's event leads to its trace, and a trace leads to the customer.
func TestThereAndBack(t *testing.T) {
	d, telemetry, stop := start(t, demo.Options{NoTraffic: true})
	b := demotest.NewBrowser(t)
	get := func(address string) string {
		t.Helper()
		return b.Do(http.MethodGet, address, "", nil, http.StatusOK)
	}
	get(d.URL + "/login")
	b.Do(http.MethodPost, d.URL+"/login", "email=jane@acme.example&password="+demo.Password, nil, http.StatusSeeOther)
	get(d.URL + "/")
	b.Do(http.MethodPost, d.URL+"/reports", "type=churn", nil, http.StatusSeeOther)
	const caller = "0af7651916cd43dd8448eb211c80319c"
	b.Do(http.MethodGet, d.URL+"/api/orgs/org_1001/reports", "", http.Header{"Traceparent": {"00-" + caller + "-b7ad6b7169203331-01"}}, http.StatusOK)

	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	const n = 7 // identify, group, User Signed In; Page Viewed; Report Generated, API Called; API Called
	if err := d.Klime.Wait(ctx, n); err != nil {
		t.Fatal(err)
	}
	if err := telemetry.provider.ForceFlush(ctx); err != nil {
		t.Fatal(err)
	}
	events := d.Klime.Events()
	counts := compare(t, events, telemetry.receiver.all())
	if want := "map[group:1 identify:1 track API Called:2 track Page Viewed:1 track Report Generated:1 track User Signed In:1]"; fmt.Sprint(counts) != want {
		t.Errorf("events %v, want %s", counts, want)
	}
	if last, _ := traceOf(&events[n-1]); last != caller {
		t.Errorf("the trace is %s, want the caller's, %s", last, caller)
	}

	klime := baseOf(t, telemetry)
	page := get(klime + "/events")
	address := link(t, page, klime, regexp.QuoteMeta(telemetry.receiver.url)+"/traces/"+caller)
	page = get(address)
	for _, want := range []string{"usr_2001", "org_1001", "GET /api/orgs/:org/reports"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s in %s", want, page)
		}
	}
	if page := get(link(t, page, address, regexp.QuoteMeta(klime)+`/customer\?id=org_1001`)); !strings.Contains(page, "Acme Robotics") {
		t.Errorf("no customer in %s", page)
	}
	var want []string
	for _, e := range events {
		if id, _ := traceOf(&e); e.GroupID == "org_1001" && !slices.Contains(want, id) {
			want = append(want, id)
		}
	}
	page = get(link(t, page, address, `/traces\?customer=org_1001`))
	var got []string
	for _, id := range regexp.MustCompile(`<code>([0-9a-f]{32})</code>`).FindAllStringSubmatch(page, -1) {
		got = append(got, id[1])
	}
	if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(want))) || len(want) != 4 {
		t.Errorf("the customer has the traces %q, want %q", got, want)
	}
	stop()
}

func baseOf(t *testing.T, telemetry *telemetry) string {
	t.Helper()
	base, _, ok := strings.Cut(telemetry.receiver.CustomerURL("x"), "/customer?")
	if !ok {
		t.Fatal("customers have no links")
	}
	return base
}

// With the sample users too, every event has its trace and every trace its event, up to
// the last one when everything stops.
func TestTraffic(t *testing.T) {
	d, telemetry, stop := start(t, demo.Options{Pace: time.Millisecond})
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	if err := d.Klime.Wait(ctx, 150); err != nil {
		t.Fatal(err)
	}
	stop()
	counts := compare(t, d.Klime.Events(), telemetry.receiver.all())
	for _, name := range []string{"identify", "group", "track API Called", "track Page Viewed", "track Report Generated", "track Report Exported"} {
		if counts[name] == 0 {
			t.Errorf("no %s among %v", name, counts)
		}
	}
}

// A body that is too large is not read to its end, where its signature would be found wrong.
func TestBodiesAreBounded(t *testing.T) {
	d, _, stop := start(t, demo.Options{NoTraffic: true})
	demotest.NewBrowser(t).Do(http.MethodPost, d.URL+"/webhooks/billing", "{"+strings.Repeat(" ", demo.MaxBody)+"}", nil, http.StatusBadRequest)
	stop()
}

// The receiver refuses what is not an OTLP export, and answers 404 for unknown traces.
func TestReceiver(t *testing.T) {
	_, telemetry, stop := start(t, demo.Options{NoTraffic: true})
	b := demotest.NewBrowser(t)
	address := telemetry.receiver.url
	b.Do(http.MethodPost, address+"/v1/traces", "a=b", nil, http.StatusUnsupportedMediaType)
	b.Do(http.MethodGet, address+"/traces/0af7651916cd43dd8448eb211c80319c", "", nil, http.StatusNotFound)
	if page := b.Do(http.MethodGet, address+"/", "", nil, http.StatusSeeOther); !strings.Contains(page, "/traces") {
		t.Errorf("got %s", page)
	}
	stop()
}
