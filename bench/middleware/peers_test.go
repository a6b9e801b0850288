package middleware

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/getsentry/sentry-go"
	"github.com/prometheus/client_golang/prometheus"
	slokprometheus "github.com/slok/go-http-metrics/metrics/prometheus"
	slok "github.com/slok/go-http-metrics/middleware"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/klimeapp/klime-go/bench/internal/measure"
)

var errPeerNotSent = errors.New("a peer has not recorded each request once")

// spans is OpenTelemetry's SDK as an app would set it up, with every request sampled. Its
// exporter only counts the spans.
type spans struct {
	provider *sdktrace.TracerProvider
	exported atomic.Int64
}

func newSpans(b *testing.B) *spans {
	b.Helper()
	s := &spans{}
	s.provider = sdktrace.NewTracerProvider(sdktrace.WithBatcher(s), sdktrace.WithSampler(sdktrace.AlwaysSample()))
	b.Cleanup(func() { _ = s.provider.Shutdown(context.Background()) })
	return s
}

func (s *spans) ExportSpans(_ context.Context, batch []sdktrace.ReadOnlySpan) error {
	s.exported.Add(int64(len(batch)))
	return nil
}

func (s *spans) Shutdown(context.Context) error { return nil }

func (s *spans) subject(serve func()) measured {
	drain := func() { _ = s.provider.ForceFlush(context.Background()) }
	return measured{measure.Subject{Op: serve, Drain: drain}, func(requests int) error {
		if s.exported.Load() != int64(requests) {
			return errPeerNotSent
		}
		return nil
	}}
}

// transactions is a transport for Sentry that only counts the events.
type transactions struct{ sent atomic.Int64 }

func (*transactions) Flush(time.Duration) bool              { return true }
func (*transactions) FlushWithContext(context.Context) bool { return true }
func (*transactions) Configure(sentry.ClientOptions)        {}
func (*transactions) Close()                                {}
func (t *transactions) SendEvent(*sentry.Event)             { t.sent.Add(1) }

// newTransactions makes Sentry record every request as a transaction.
func newTransactions(b *testing.B) *transactions {
	b.Helper()
	t := &transactions{}
	client, err := sentry.NewClient(sentry.ClientOptions{
		Dsn: "http://key@127.0.0.1/1", EnableTracing: true, TracesSampleRate: 1, Transport: t,
	})
	if err != nil {
		b.Fatal(err)
	}
	hub := sentry.CurrentHub()
	hub.BindClient(client)
	b.Cleanup(func() { hub.BindClient(nil) })
	return t
}

func (t *transactions) subject(serve func()) measured {
	return measured{measure.Subject{Op: serve}, func(requests int) error {
		if t.sent.Load() != int64(requests) {
			return errPeerNotSent
		}
		return nil
	}}
}

// counters is slok's middleware with its Prometheus recorder, in its own registry.
type counters struct {
	registry   *prometheus.Registry
	middleware slok.Middleware
}

func newCounters() counters {
	registry := prometheus.NewRegistry()
	return counters{registry, slok.New(slok.Config{
		Recorder: slokprometheus.NewRecorder(slokprometheus.Config{Registry: registry}),
	})}
}

func (c counters) subject(serve func()) measured {
	return measured{measure.Subject{Op: serve}, func(requests int) error {
		families, err := c.registry.Gather()
		if err != nil {
			return err
		}
		for _, family := range families {
			if family.GetName() == "http_request_duration_seconds" &&
				family.GetMetric()[0].GetHistogram().GetSampleCount() == uint64(requests) {
				return nil
			}
		}
		return errPeerNotSent
	}}
}
