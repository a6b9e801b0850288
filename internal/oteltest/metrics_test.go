package oteltest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
)

// measured is what OpenTelemetry was told: values by name and attribute, and of
// each instrument the row that docs/opentelemetry.md must have.
type measured struct {
	values map[string]float64 // of a histogram "name count" and "name sum"
	rows   map[string]string
}

func read(t *testing.T, reader *sdkmetric.ManualReader) measured {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	m := measured{map[string]float64{}, map[string]string{}}
	for _, scope := range all.ScopeMetrics {
		check(t, "scope", scope.Scope.Name+" "+scope.Scope.Version, "github.com/klimeapp/klime-go/core "+klime.Version)
		for _, i := range scope.Metrics {
			m.add(t, i)
		}
	}
	return m
}

func (m measured) add(t *testing.T, i metricdata.Metrics) {
	t.Helper()
	var kind string
	var attributes []string
	of := func(set attribute.Set) string {
		for _, a := range set.ToSlice() {
			if name := "`" + string(a.Key) + "`"; !slices.Contains(attributes, name) {
				attributes = append(attributes, name)
			}
		}
		return i.Name + " " + set.Encoded(attribute.DefaultEncoder())
	}
	switch data := i.Data.(type) {
	case metricdata.Sum[int64]:
		kind = "counter"
		if !data.IsMonotonic {
			kind = "up-down counter"
		}
		if data.Temporality != metricdata.CumulativeTemporality {
			t.Errorf("%s is no counter: %+v", i.Name, data)
		}
		for _, p := range data.DataPoints {
			m.values[of(p.Attributes)] = float64(p.Value)
		}
	case metricdata.Gauge[int64]:
		kind = "gauge"
		for _, p := range data.DataPoints {
			m.values[of(p.Attributes)] = float64(p.Value)
		}
	case metricdata.Histogram[int64]:
		kind = "histogram"
		for _, p := range data.DataPoints {
			name := of(p.Attributes)
			m.values[name+"count"], m.values[name+"sum"] = float64(p.Count), float64(p.Sum)
		}
	case metricdata.Histogram[float64]:
		kind = "histogram"
		for _, p := range data.DataPoints {
			name := of(p.Attributes)
			m.values[name+" count"], m.values[name+" sum"] = float64(p.Count), p.Sum
		}
	default:
		t.Errorf("%s is a %T", i.Name, i.Data)
	}
	m.rows[i.Name] = fmt.Sprintf("| %#q | %s | %#q | %s | %s |", i.Name, kind, i.Unit, strings.Join(attributes, ", "), i.Description)
}

// counted is a RoundTripper that counts the requests and their events.
type counted struct {
	http.RoundTripper

	requests, events float64
}

func (c *counted) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var batch struct{ Batch []json.RawMessage }
	if err := json.Unmarshal(body, &batch); err != nil {
		return nil, err
	}
	c.requests++
	c.events += float64(len(batch.Batch))
	time.Sleep(time.Second) // of the bubble: how long each request takes
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	return c.RoundTripper.RoundTrip(r)
}

// measure lets a client go through all that is counted.
func measure(t *testing.T) (measured, klime.Stats, counted) {
	t.Helper()
	fake := klimetest.NewRecorder()
	reader := sdkmetric.NewManualReader()
	cfg := fake.Config()
	seen := &counted{RoundTripper: cfg.HTTPClient.Transport}
	cfg.HTTPClient = &http.Client{Transport: seen}
	cfg.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	cfg.BeforeSend = func(e *klime.Event) bool { return e.Event != "Dropped" }
	cfg.OnSuccess = func(klime.BatchResult) { panic("of the app") }
	cfg.QueueSize = 5
	client, err := klime.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	flush := func() { _ = client.Flush(t.Context()) }
	serve := func(tracker *klime.Tracker, do func(context.Context)) {
		scope := tracker.Begin(t.Context())
		do(scope)
		tracker.Observe(scope, klime.Exchange{Method: http.MethodPost, Route: "/reports", Status: http.StatusOK})
	}
	track := func(name string) {
		t.Helper()
		if err := client.Track(t.Context(), name, nil, klime.ForUser("u1")); err != nil {
			t.Fatal(err)
		}
	}
	counting := klime.NewTracker(client, klime.RollUp(time.Hour))
	judging := klime.NewTracker(client, klime.RequireMembership())

	serve(counting, func(context.Context) {})                                                         // anonymous
	serve(counting, func(ctx context.Context) { klime.Track(ctx, "Nobody's", nil) })                  // invalid, and anonymous
	serve(judging, func(ctx context.Context) { klime.SetUser(ctx, "u1"); klime.SetGroup(ctx, "g1") }) // not linked
	flush()
	serve(judging, func(ctx context.Context) { // not a member
		klime.Link(ctx, klime.User{ID: "u1"}, klime.Group{ID: "g1"})
		klime.SetGroup(ctx, "g2")
	})
	flush()
	track("Dropped")
	fake.Fail(klimetest.Reject(0))
	track("Refused")
	flush()
	fake.Fail(klimetest.Status(http.StatusServiceUnavailable))
	track("Sent at the second attempt")
	flush()
	fake.Fail(klimetest.Status(http.StatusUnauthorized))
	track("Waiting")
	flush()
	for range 6 {
		track("Waiting too") // and the first is pushed out
	}
	serve(counting, func(ctx context.Context) { klime.SetUser(ctx, "u1") }) // of which one is counted
	synctest.Wait()
	m, s, until := read(t, reader), client.Stats(), *seen // Shutdown makes requests of its own
	_ = client.Shutdown(t.Context())
	return m, s, until
}

// What the SDK reads is what Stats and the network have seen, with every series
// there at least once.
func TestMetricsAreStats(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, s, seen := measure(t)
		halted := 0
		if s.Halted {
			halted = 1
		}
		want := map[string]float64{
			"klime.event.accepted ":           float64(s.Accepted),
			"klime.event.sent ":               float64(s.Sent),
			"klime.event.failed ":             float64(s.Failed),
			"klime.event.invalid ":            float64(s.Invalid),
			"klime.event.late ":               float64(s.Late),
			"klime.event.recovered ":          float64(s.Recovered),
			"klime.event.not_linked ":         float64(s.NotLinked),
			"klime.event.not_member ":         float64(s.NotMember),
			"klime.request.anonymous ":        float64(s.Anonymous),
			"klime.delivery.retries ":         float64(s.Retries),
			"klime.callback.panics ":          float64(s.Panics),
			"klime.queue.length ":             float64(s.Queued),
			"klime.queue.size ":               float64(s.QueuedBytes),
			"klime.spool.length ":             float64(s.Spooled),
			"klime.spool.size ":               float64(s.SpooledBytes),
			"klime.spool.down ":               0,
			"klime.delivery.halted ":          float64(halted),
			"klime.rollup.keys ":              float64(s.RollUpKeys),
			"klime.link.known ":               float64(s.Links),
			"klime.delivery.batch.size count": seen.requests,
			"klime.delivery.batch.size sum":   seen.events,
		}
		for reason, n := range s.Dropped {
			want["klime.event.dropped klime.drop.reason="+string(reason)] = float64(n)
		}
		got := maps.Clone(m.values)
		requests, seconds := 0.0, 0.0
		maps.DeleteFunc(got, func(name string, n float64) bool {
			if !strings.HasPrefix(name, "klime.delivery.request.duration klime.request.outcome=") {
				return false
			}
			if strings.HasSuffix(name, " count") {
				requests += n
			} else {
				seconds += n
			}
			return true
		})
		check(t, "measured", got, want)
		const histograms = 2
		check(t, "metrics of Stats, one for each field", len(m.rows)-histograms, reflect.TypeFor[klime.Stats]().NumField())
		check(t, "requests, and seconds of them", []float64{requests, seconds}, []float64{seen.requests, seen.requests})
		for name, n := range m.values {
			// Of what Shutdown drops or refuses nobody reads any more, and a spool needs a disk.
			shown := name != "klime.event.dropped klime.drop.reason=shutdown" && strings.TrimSpace(name) != "klime.event.late" &&
				!strings.Contains(name, "spool") && strings.TrimSpace(name) != "klime.event.recovered"
			if n == 0 && shown {
				t.Errorf("the test does not show %s: %+v", name, s)
			}
		}
	})
}

// The table of docs/opentelemetry.md says what there is.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, s, _ := measure(t)
		text := document(t)
		documented := regexp.MustCompile("(?m)^\\| `klime\\..*$").FindAllString(text, -1)
		check(t, "rows", strings.Join(slices.Sorted(slices.Values(documented)), "\n"), strings.Join(slices.Sorted(maps.Values(m.rows)), "\n"))
		for reason := range s.Dropped {
			if !strings.Contains(text, "`"+string(reason)+"`") {
				t.Errorf("the reason %s is not documented", reason)
			}
		}
		for name := range m.values {
			if _, outcome, ok := strings.Cut(name, "klime.request.outcome="); ok && !strings.Contains(text, "`"+strings.Fields(outcome)[0]+"`") {
				t.Errorf("the outcome %s is not documented", outcome)
			}
		}
	})
}
