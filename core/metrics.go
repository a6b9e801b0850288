package klime

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
	"weak"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// metrics gives the client's figures to OpenTelemetry. The zero value gives
// nothing. Names and units follow OpenTelemetry's conventions; each attribute has a
// small, fixed set of values.
type metrics struct {
	figures  *figures  // nil without a provider
	panicked sync.Once // logs the first panic
}

// figures is what the provider asks for its values. It goes on asking after Shutdown:
// what has happened since it last asked must not be missing from its sums. But it does not
// keep a client that nobody uses any more in memory.
type figures struct {
	client weak.Pointer[Client] // before Shutdown its own goroutines keep it alive

	mu     sync.Mutex
	last   Stats
	closed bool // by Shutdown
}

func (f *figures) read() (s Stats, closed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.client.Value(); c != nil {
		f.last = c.Stats()
	}
	return f.last, f.closed
}

func (f *figures) close() {
	f.read()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
}

// The attributes of metrics.
const (
	reasonKey  = attribute.Key("klime.drop.reason")
	outcomeKey = attribute.Key("klime.request.outcome")
)

// meter returns a meter of the app's provider, nil if there is no provider.
func (c *Client) meter() metric.Meter {
	if c.cfg.MeterProvider == nil {
		return nil
	}
	return c.cfg.MeterProvider.Meter("github.com/klimeapp/klime-go/core", metric.WithInstrumentationVersion(Version))
}

// logMetricsError logs errors of the provider. The client works without the
// metrics that could not be made.
func (c *Client) logMetricsError(errs ...error) {
	if err := errors.Join(errs...); err != nil {
		c.cfg.Logger.Warn("klime: metrics are not complete", slog.Any("error", err))
	}
}

// survive is deferred around calls of the app's provider: its panic, over a nil
// pointer in the interface, say, must not end the app. Only the first panic is
// logged, as each request may bring another.
func (m *metrics) survive(c *Client) {
	if v := recover(); v != nil {
		c.panics.Add(1)
		m.panicked.Do(func() {
			c.cfg.Logger.LogAttrs(context.Background(), slog.LevelWarn, "klime: the MeterProvider panicked; metrics are not complete",
				panicAttrs(v)...)
		})
	}
}

// onRequest returns a function that measures a request to Klime, nil if there is no
// provider.
func (m *metrics) onRequest(c *Client) func(items int, took time.Duration, failure *delivery.SendError) {
	defer m.survive(c)
	meter := c.meter()
	if meter == nil {
		return nil
	}
	size, err := meter.Int64Histogram("klime.delivery.batch.size", metric.WithUnit(unitEvents),
		metric.WithDescription("Events of a request"), metric.WithExplicitBucketBoundaries(1, 2, 5, 10, 20, 50, 100))
	duration, err2 := meter.Float64Histogram("klime.delivery.request.duration", metric.WithUnit("s"),
		metric.WithDescription("Duration of requests to Klime"),
		metric.WithExplicitBucketBoundaries(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10))
	if err != nil || err2 != nil {
		c.logMetricsError(err, err2)
		return nil
	}
	return func(items int, took time.Duration, failure *delivery.SendError) {
		defer m.survive(c)
		ctx := context.Background()
		size.Record(ctx, int64(items))
		duration.Record(ctx, took.Seconds(), metric.WithAttributes(outcomeKey.String(failure.Verdict())))
	}
}

const unitEvents = "{event}"

// figure is one of a client's Stats, as OpenTelemetry is told of it.
type figure struct {
	name, unit, description string
	value                   int64
}

// sums are the figures that only rise, but for events dropped, which are told by reason.
func (s *Stats) sums() []figure {
	return []figure{
		{"klime.event.accepted", unitEvents, "Events that were valid and taken in", signed(s.Accepted)},
		{"klime.event.sent", unitEvents, "Events that Klime has accepted", signed(s.Sent)},
		{"klime.event.failed", unitEvents, "Events that Klime refused, or given up after too many attempts", signed(s.Failed)},
		{"klime.event.invalid", unitEvents, "Events, properties and IDs of handlers and requests that were not valid", signed(s.Invalid)},
		{"klime.event.late", unitEvents, "Events that Shutdown refused: they came after it had begun, or still waited then", signed(s.Late)},
		{"klime.event.recovered", unitEvents, "Accepted events that other processes left in the spool", signed(s.Recovered)},
		{"klime.event.not_linked", unitEvents, "Events without their group: no Link in the request", signed(s.NotLinked)},
		{"klime.event.not_member", unitEvents, "Events without their group: it is not among the linked", signed(s.NotMember)},
		{"klime.request.anonymous", "{request}", "Requests not recorded as nobody was known", signed(s.Anonymous)},
		{"klime.delivery.retries", "{request}", "Requests that repeated events of a failed or refused one", signed(s.Retries)},
		{"klime.callback.panics", "{panic}", "Panics of the app's code that klime calls", signed(s.Panics)},
	}
}

// amounts are the figures of what a client holds, and of its state.
func (s *Stats) amounts() []figure {
	return []figure{
		{"klime.queue.length", unitEvents, "Events held in memory alone: queued, in flight or waiting for a retry", int64(s.Queued)},
		{"klime.queue.size", "By", "Bytes of these", int64(s.QueuedBytes)},
		{"klime.spool.length", unitEvents, "Events on disk", int64(s.Spooled)},
		{"klime.spool.size", "By", "Bytes of these", int64(s.SpooledBytes)},
		{"klime.spool.down", "{client}", "Clients whose spool does not work", boolToInt(s.SpoolDown)},
		{"klime.delivery.halted", "{client}", "Clients whose sending is stopped", boolToInt(s.Halted)},
		{"klime.rollup.keys", "{key}", "Users, groups, methods and routes being counted, or waiting for room", int64(s.RollUpKeys)},
		{"klime.link.known", "{link}", "Facts of Link that are remembered", int64(s.Links)},
	}
}

// observe registers a callback with the provider that reads the client's Stats.
func (m *metrics) observe(c *Client) {
	defer m.survive(c)
	meter := c.meter()
	if meter == nil {
		return
	}
	dropped, err := meter.Int64ObservableCounter("klime.event.dropped", metric.WithUnit(unitEvents),
		metric.WithDescription("Events given up before they were sent"))
	errs, observed := []error{err}, []metric.Observable{dropped}
	var sums, amounts []metric.Int64Observable
	for _, f := range new(Stats).sums() {
		i, err := meter.Int64ObservableCounter(f.name, metric.WithUnit(f.unit), metric.WithDescription(f.description))
		sums, errs, observed = append(sums, i), append(errs, err), append(observed, i)
	}
	for _, f := range new(Stats).amounts() {
		i, err := meter.Int64ObservableUpDownCounter(f.name, metric.WithUnit(f.unit), metric.WithDescription(f.description))
		amounts, errs, observed = append(amounts, i), append(errs, err), append(observed, i)
	}
	f := &figures{client: weak.Make(c)}
	m.figures = f
	_, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s, closed := f.read()
		for i, f := range s.sums() {
			o.ObserveInt64(sums[i], f.value)
		}
		for reason, n := range s.Dropped {
			o.ObserveInt64(dropped, signed(n), metric.WithAttributes(reasonKey.String(string(reason))))
		}
		if closed {
			return nil // what it holds ends with it: a new client may have the same provider
		}
		for i, f := range s.amounts() {
			o.ObserveInt64(amounts[i], f.value)
		}
		return nil
	}, observed...)
	c.logMetricsError(append(errs, err)...)
}

// close is called at the end of Shutdown.
func (m *metrics) close() {
	if m.figures != nil {
		m.figures.close()
	}
}

// signed converts n to the type that OpenTelemetry takes.
func signed(n uint64) int64 { return int64(n) } //nolint:gosec // nobody counts that far

func boolToInt(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
