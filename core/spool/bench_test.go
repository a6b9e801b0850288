package spool_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/core/spool"
)

// What Track costs with so many concurrent callers: ns/op is the time of one call,
// events/s the rate of all together.
func BenchmarkWriteAhead(b *testing.B) {
	for _, callers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			s, err := spool.Open(b.TempDir(), spool.Options{WriteAhead: true})
			if err != nil {
				b.Fatal(err)
			}
			transport := &flaky{}
			transport.up.Store(true)
			client, err := klime.New(klime.Config{Transport: transport, Spool: s})
			if err != nil {
				b.Fatal(err)
			}
			var waiting sync.WaitGroup
			var failed atomic.Int64
			begin := time.Now()
			for range callers {
				waiting.Go(func() {
					for range b.N {
						if client.Track(context.Background(), "Done", nil, klime.ForUser("u1")) != nil {
							failed.Add(1)
						}
					}
				})
			}
			waiting.Wait()
			b.ReportMetric(float64(b.N*callers)/time.Since(begin).Seconds(), "events/s")
			if failed.Load() > 0 {
				b.Errorf("%d calls failed", failed.Load())
			}
			_ = client.Shutdown(context.Background())
		})
	}
}

// How fast a backlog is written and, by the next process, delivered to a Klime that
// answers at once: ns/op is per event.
func BenchmarkReplay(b *testing.B) {
	dir := b.TempDir()
	transport := &flaky{}
	start := func() *klime.Client {
		s, err := spool.Open(dir, spool.Options{})
		if err != nil {
			b.Fatal(err)
		}
		client, err := klime.New(klime.Config{Transport: transport, Spool: s})
		if err != nil {
			b.Fatal(err)
		}
		return client
	}
	client := start()
	for range b.N {
		if err := client.Track(context.Background(), "Done", klime.Properties{"n": 7, "plan": "pro"}, klime.ForUser("u1")); err != nil {
			b.Fatal(err)
		}
		if client.Stats().Queued > 20_000 { // no faster than the disk
			time.Sleep(time.Millisecond)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if err := client.Shutdown(ctx); err != nil {
		b.Fatal(err)
	}
	transport.up.Store(true)
	client = start()
	b.ResetTimer()
	for client.Stats().Spooled > 0 {
		if err := client.Flush(context.Background()); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	_ = client.Shutdown(context.Background())
}
