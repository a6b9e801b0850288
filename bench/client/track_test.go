package client

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"

	klime "github.com/klimeapp/klime-go/core"

	"github.com/klimeapp/klime-go/bench/internal/measure"
)

// discard answers each request at once.
type discard struct{}

func (discard) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
	}
	return &http.Response{
		StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}},
		Body:   io.NopCloser(strings.NewReader(`{"status":"ok","accepted":100,"failed":0,"errors":[]}`)),
	}, nil
}

// BenchmarkTrack is only the call, with its six properties. A burst is one batch, which
// also fits into Segment's channel: no client waits for room, and events are delivered
// at the same time.
func BenchmarkTrack(b *testing.B) {
	b.Run("map", func(b *testing.B) { // the caller's own cost
		var kept map[string]any
		measure.Run(b, batch, measure.Subject{Op: func() { kept = properties() }})
		runtime.KeepAlive(kept)
	})
	for _, s := range allSenders() {
		b.Run(s.name, func(b *testing.B) {
			client := s.make(b, "http://127.0.0.1:1", discard{})
			defer client.close()
			measure.Run(b, batch, measure.Subject{Op: client.track, Drain: client.flush})
		})
	}
	b.Run("klime-request", func(b *testing.B) { // as in a handler, with user and group from the request
		client, err := klime.New(klime.Config{
			WriteKey: key, BatchSize: batch, HTTPClient: &http.Client{Transport: discard{}},
		})
		if err != nil {
			b.Fatal(err)
		}
		ctx := klime.NewTracker(client).Begin(context.Background())
		klime.SetUser(ctx, user)
		klime.SetGroup(ctx, customer)
		measure.Run(b, batch, measure.Subject{
			Op:    func() { klime.Track(ctx, event, properties()) },
			Drain: func() { _ = client.Flush(context.Background()) },
		})
		if stats := client.Stats(); stats.Sent != stats.Accepted || stats.Invalid != 0 {
			b.Fatalf("%+v", stats)
		}
		_ = client.Shutdown(context.Background())
	})
}

// gate is a transport that holds batches back while it is closed.
type gate struct{ closed sync.RWMutex }

func (g *gate) Send(_ context.Context, body []byte, events int) (klime.BatchResult, error) {
	g.closed.RLock()
	defer g.closed.RUnlock()
	if bytes.Count(body, []byte(marker)) != events {
		return klime.BatchResult{}, errLost
	}
	return klime.BatchResult{Accepted: events}, nil
}

// BenchmarkTrackParallel calls Track from as many goroutines as there are processors (-cpu
// 1, -cpu 2). Events are delivered between the bursts, so that no sender takes a processor
// from the goroutines. The program holds as much memory as a small server: in one that
// holds nothing, Go collects garbage every few thousand events, on all processors, and
// even making the maps is no faster on two.
func BenchmarkTrackParallel(b *testing.B) {
	const burst, server = 1000, 64 << 20
	held := make([]byte, server)
	defer runtime.KeepAlive(held)
	b.Run("map", func(b *testing.B) {
		measure.Parallel(b, burst, measure.Subject{
			Op:    func() { runtime.KeepAlive(properties()) },
			Drain: func() {},
		})
	})
	b.Run("klime", func(b *testing.B) {
		gate := &gate{}
		client, err := klime.New(klime.Config{
			Transport: gate, BatchSize: batch, QueueSize: 4 * burst * runtime.GOMAXPROCS(0),
		})
		if err != nil {
			b.Fatal(err)
		}
		ctx := context.Background()
		gate.closed.Lock()
		tracked := measure.Parallel(b, burst, measure.Subject{
			Op: func() { _ = client.Track(ctx, event, properties(), klime.ForUser(user), klime.InGroup(customer)) },
			Drain: func() {
				gate.closed.Unlock()
				if err := client.Flush(ctx); err != nil {
					b.Error(err)
				}
				gate.closed.Lock()
			},
		})
		gate.closed.Unlock()
		if stats := client.Stats(); stats.Sent != uint64(tracked) {
			b.Fatalf("%d of %d events sent", stats.Sent, tracked)
		}
		_ = client.Shutdown(ctx)
	})
}
