package klime_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/internal/delivery"
)

// meter keeps what is measured, by the instrument's name and the values of its
// attributes.
type meter struct {
	noop.Meter

	mu        sync.Mutex
	callbacks []metric.Callback
	values    map[string]float64 // the last of a gauge, the sum of all others
	broken    bool
	panics    []string // the methods that do
}

func (m *meter) explode(method string) {
	if slices.Contains(m.panics, method) {
		panic("the provider's bug")
	}
}

// provider has one meter.
type provider struct {
	noop.MeterProvider

	m *meter
}

func (p provider) Meter(string, ...metric.MeterOption) metric.Meter { return p.m }

func (m *meter) fault() error {
	if m.broken {
		return errors.New("no instruments today")
	}
	return nil
}

type counter struct {
	noop.Int64ObservableCounter

	name string
}

func (m *meter) Int64ObservableCounter(name string, _ ...metric.Int64ObservableCounterOption) (metric.Int64ObservableCounter, error) {
	return counter{name: name}, m.fault()
}

type gauge struct {
	noop.Int64ObservableGauge

	name string
}

func (m *meter) Int64ObservableGauge(name string, _ ...metric.Int64ObservableGaugeOption) (metric.Int64ObservableGauge, error) {
	return gauge{name: name}, m.fault()
}

type amount struct {
	noop.Int64ObservableUpDownCounter

	name string
}

func (m *meter) Int64ObservableUpDownCounter(
	name string, _ ...metric.Int64ObservableUpDownCounterOption,
) (metric.Int64ObservableUpDownCounter, error) {
	return amount{name: name}, m.fault()
}

type sizes struct {
	noop.Int64Histogram

	m    *meter
	name string
}

func (s sizes) Record(_ context.Context, n int64, _ ...metric.RecordOption) {
	s.m.explode("Record")
	s.m.add(s.name, float64(n))
}

func (m *meter) Int64Histogram(name string, _ ...metric.Int64HistogramOption) (metric.Int64Histogram, error) {
	m.explode("Int64Histogram")
	return sizes{m: m, name: name}, m.fault()
}

type durations struct {
	noop.Float64Histogram

	m    *meter
	name string
}

func (d durations) Record(_ context.Context, _ float64, opts ...metric.RecordOption) {
	set := metric.NewRecordConfig(opts).Attributes()
	d.m.add(d.name+" "+set.Encoded(attribute.DefaultEncoder()), 1)
}

func (m *meter) Float64Histogram(name string, _ ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	return durations{m: m, name: name}, m.fault()
}

func (m *meter) add(name string, n float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[name] += n
}

func (m *meter) RegisterCallback(f metric.Callback, _ ...metric.Observable) (metric.Registration, error) {
	m.explode("RegisterCallback")
	m.callbacks = append(m.callbacks, f)
	return noop.Registration{}, m.fault()
}

// collect asks all clients for their figures, as OpenTelemetry does.
func (m *meter) collect(t *testing.T) {
	t.Helper()
	for _, f := range m.callbacks {
		if err := f(t.Context(), observer{m: m}); err != nil {
			t.Fatal(err)
		}
	}
}

type observer struct {
	noop.Observer

	m *meter
}

func (o observer) ObserveInt64(i metric.Int64Observable, n int64, opts ...metric.ObserveOption) {
	var name string
	switch i := i.(type) {
	case counter:
		name = i.name
	case gauge:
		name = i.name
	case amount:
		name = i.name
	}
	set := metric.NewObserveConfig(opts).Attributes()
	o.m.mu.Lock()
	defer o.m.mu.Unlock()
	name = strings.TrimSpace(name + " " + set.Encoded(attribute.DefaultEncoder()))
	if _, last := i.(gauge); last {
		delete(o.m.values, name)
	}
	o.m.values[name] += float64(n)
}

// failed is a spool on a disk that has failed, with two events of another process.
type failed struct{ delivery.Spool }

func (failed) Attach(*slog.Logger) (delivery.Storage, error) {
	return delivery.Storage{Spool: failed{}}, nil
}

func (failed) Kept() (records, size int, last uint64, err error) { return 2, 300, 2, errDisk }
func (failed) Reopen() (lost, writable bool, err error)          { return false, false, errDisk }
func (failed) Close() error                                      { return nil }

var errDisk = errors.New("disk on fire")

// What OpenTelemetry is told is what Stats tells.
func TestMetrics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, testMetrics)
}

func testMetrics(t *testing.T) {
	t.Helper()
	m := &meter{values: map[string]float64{}}
	client, wire := newClient(t, func(cfg *klime.Config) {
		cfg.MeterProvider = provider{m: m}
		cfg.BeforeSend = func(e *klime.Event) bool { return e.Event != "Dropped" }
		cfg.QueueSize = 3
		cfg.Spool = failed{}
		cfg.MaxAttempts = 1
	})
	tracker := klime.NewTracker(client, klime.RollUp(3600e9))
	klime.Track(tracker.Begin(t.Context()), "Nobody's", nil)
	traffic{tracker: tracker}.serve(nil)
	traffic{tracker: tracker}.serve(func(ctx context.Context) { klime.SetUser(ctx, "u1") })
	if err := client.Link(t.Context(), klime.User{ID: "u1"}, klime.Group{ID: "g1"}); err != nil {
		t.Fatal(err)
	}
	track := func(name string) {
		if err := client.Track(t.Context(), name, nil, klime.ForUser("u1")); err != nil {
			t.Fatal(err)
		}
	}
	track("Dropped")
	_ = client.Flush(t.Context())
	wire.answers(always(http.StatusServiceUnavailable, "down"))
	track("Lost")
	_ = client.Flush(t.Context())
	wire.answers(nil)
	track("Sent")
	_ = client.Flush(t.Context())
	wire.answers(always(http.StatusUnauthorized, "who are you"))
	for range 5 {
		track("Waiting")
	}
	_ = client.Flush(t.Context())
	traffic{tracker: tracker}.serve(func(ctx context.Context) { klime.SetUser(ctx, "u1") })

	synctest.Wait() // for the requests under way
	s := client.Stats()
	m.collect(t)
	number := func(is bool) float64 {
		if is {
			return 1
		}
		return 0
	}
	want := map[string]float64{
		"klime.event.accepted": float64(s.Accepted), "klime.event.sent": float64(s.Sent), "klime.event.failed": float64(s.Failed),
		"klime.event.invalid": float64(s.Invalid), "klime.event.late": float64(s.Late), "klime.event.recovered": float64(s.Recovered), "klime.event.not_linked": float64(s.NotLinked), "klime.event.not_member": float64(s.NotMember),
		"klime.request.anonymous": float64(s.Anonymous), "klime.delivery.retries": float64(s.Retries), "klime.callback.panics": float64(s.Panics),
		"klime.queue.length": float64(s.Queued), "klime.queue.size": float64(s.QueuedBytes), "klime.spool.length": float64(s.Spooled), "klime.spool.size": float64(s.SpooledBytes), "klime.spool.down": number(s.SpoolDown), "klime.delivery.halted": number(s.Halted),
		"klime.rollup.keys": float64(s.RollUpKeys), "klime.link.known": float64(s.Links),
	}
	for reason, n := range s.Dropped {
		want["klime.event.dropped klime.drop.reason="+string(reason)] = float64(n)
	}
	m.mu.Lock()
	got := maps.Clone(m.values)
	m.mu.Unlock()
	requests := 0.0
	for name, n := range got {
		if strings.HasPrefix(name, "klime.delivery.request.duration klime.request.outcome=") {
			requests += n
			delete(got, name)
		}
	}
	if got["klime.delivery.batch.size"] < float64(s.Sent) || requests < 3 {
		t.Errorf("batches of %v events in %v requests", got["klime.delivery.batch.size"], requests)
	}
	delete(got, "klime.delivery.batch.size")
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("measured\n     %v\nwant %v", got, want)
	}
	if s.Sent == 0 || s.Failed == 0 || s.Dropped[klime.DropQueueFull] == 0 || s.Dropped[klime.DropBeforeSend] == 0 || !s.Halted ||
		s.Anonymous == 0 || s.RollUpKeys == 0 || s.Links == 0 || s.Invalid == 0 || s.Queued == 0 ||
		s.Recovered == 0 || s.Spooled == 0 || !s.SpoolDown {
		t.Errorf("the test does not show all: %+v", s)
	}
	_ = client.Shutdown(t.Context())
	_ = client.Shutdown(t.Context())
	m.values = map[string]float64{}
	m.collect(t) // as when the provider is shut down in its turn
	s = client.Stats()
	if dropped := m.values["klime.event.dropped klime.drop.reason=shutdown"]; s.Dropped[klime.DropShutdown] == 0 || dropped != float64(s.Dropped[klime.DropShutdown]) {
		t.Errorf("dropped at Shutdown: %v, measured %v", s.Dropped, dropped)
	}
	if _, held := m.values["klime.queue.length"]; held {
		t.Error("a client that is shut down tells of its queue")
	}
}

// Several clients may have one provider: none of them hides what another is told.
func TestMetricsOfSeveralClients(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &meter{values: map[string]float64{}}
		for _, status := range []int{http.StatusOK, http.StatusUnauthorized, http.StatusOK} {
			client, wire := newClient(t, func(cfg *klime.Config) { cfg.MeterProvider = provider{m: m} })
			wire.answers(always(status, "{}"))
			trackDone(t, client, "u1")
			_ = client.Flush(t.Context())
		}
		m.collect(t)
		if halted, accepted := m.values["klime.delivery.halted"], m.values["klime.event.accepted"]; halted != 1 || accepted != 3 {
			t.Errorf("%v clients halted, %v events accepted", halted, accepted)
		}
	})
}

// A provider that fails costs the figures, and nothing else.
func TestMetricsThatFail(t *testing.T) {
	t.Parallel()
	var none *provider // as of an app that has metrics switched off
	panics := func(on ...string) metric.MeterProvider {
		return provider{m: &meter{values: map[string]float64{}, panics: on}}
	}
	for name, test := range map[string]struct {
		provider metric.MeterProvider
		logged   string
		panics   uint64
	}{
		"errors":             {provider{m: &meter{values: map[string]float64{}, broken: true}}, "no instruments today", 0},
		"a nil pointer":      {none, "nil *provider pointer", 2},
		"no meter":           {provider{}, "nil pointer", 2},
		"panics in New":      {panics("Int64Histogram", "RegisterCallback"), "panic=string at=", 2},
		"panics in requests": {panics("Record"), "panic=string at=", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log *syncBuffer
			client, wire := newClient(t, func(cfg *klime.Config) {
				log = logTo(cfg)
				cfg.MeterProvider = test.provider
			})
			trackDone(t, client, "u1")
			wire.one(t, client)
			shutDown(t, client)
			if got := log.String(); !strings.Contains(got, "metrics are not complete") || !strings.Contains(got, test.logged) ||
				strings.Contains(got, "the provider's bug") { // it may hold data
				t.Errorf("log %q", got)
			}
			if n := client.Stats().Panics; n != test.panics {
				t.Errorf("%d panics counted, want %d", n, test.panics)
			}
		})
	}
}
