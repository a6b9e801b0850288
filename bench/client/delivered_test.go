package client

import (
	"testing"
	"time"

	"github.com/klimeapp/klime-go/bench/internal/measure"
)

// BenchmarkDelivered sends events in batches of 100 over loopback to a sink in another
// process, as fast as the client takes them. The sink counts each event. One operation is
// eventsPerRun events.
//
//	events/s   delivered events
//	cpu-s/1M   CPU time of the client's process for a million events
func BenchmarkDelivered(b *testing.B) {
	const eventsPerRun = 50_000
	for _, s := range allSenders() {
		b.Run(s.name, func(b *testing.B) {
			sink := startSink(b)
			client := s.make(b, sink.url, nil)
			defer client.close()
			send := func(events int) {
				for range events {
					client.track()
				}
				client.flush()
			}
			send(50 * batch) // opens connections and warms buffers
			warm, spun := sink.count(), spin()
			before, runs := measure.CPU(), 0
			for b.Loop() {
				send(eventsPerRun)
				runs++
			}
			took, work, events := b.Elapsed(), measure.CPU()-before, runs*eventsPerRun
			spun = (spun + spin()) / 2
			if arrived := sink.count() - warm; warm != 50*batch || arrived != events {
				b.Fatalf("%d of %d events arrived", arrived, events)
			}
			b.ReportMetric(float64(events)/took.Seconds(), "events/s")
			b.ReportMetric(work.Seconds()*1e6/float64(events), "cpu-s/1M")
			b.ReportMetric(float64(spun), "spin-ns")
		})
	}
}

// spin is the mean of several spins.
func spin() time.Duration {
	const times = 50
	var sum time.Duration
	for range times {
		sum += measure.Spin()
	}
	return sum / times
}
