package inspector_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/klimeapp/klime-go/internal/inspector"
)

// BenchmarkPages measures pages that show 50,000 events of 200 customers and 5,000
// users, while nothing changes, and right after a batch has arrived.
func BenchmarkPages(b *testing.B) {
	l := newLocal(b, inspector.Options{})
	events := make([]object, 0, 50_000)
	start := time.Now()
	for i := range cap(events) {
		user, org := fmt.Sprintf("usr_%d", i*7%5000), fmt.Sprintf("org_%d", i*7%5000%200)
		e := object{
			"messageId": fmt.Sprintf("6f0c8a1e-3b1d-4f6e-9a0b-%012d", i), "userId": user,
			"timestamp": start.Add(-time.Duration(i) * 40 * time.Second).UTC().Format(time.RFC3339Nano),
			"context":   object{"library": object{"name": "go-sdk", "version": "0.1.0"}, "trace": object{"traceId": fmt.Sprintf("%032d", i)}},
		}
		switch {
		case i < 5000:
			e["type"], e["groupId"], e["traits"] = "group", org, object{"name": "Customer " + org, "plan": "pro"}
		case i%3 == 0:
			e["type"], e["event"], e["properties"] = "track", fmt.Sprintf("Report %c Generated", 'A'+i%20), object{"kind": "revenue", "rows": i}
		default:
			e["type"], e["event"] = "track", "API Called"
			e["properties"] = object{"method": "GET", "route": fmt.Sprintf("/r%d", i%30), "status": 200 + i%4*100, "durationMs": i % 900, "responseBytes": i}
		}
		events = append(events, e)
	}
	l.post(events...)
	n := 0
	for _, path := range []string{
		"/customers", "/customers?q=org_1&sort=active7", "/customer?id=org_1", "/users", "/user?id=usr_1", "/events", "/events?q=nothing", "/events?seq=49999",
		"/health", "/api/customers", "/api/events", "/api/timeline?customer=org_1",
	} {
		for _, fresh := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/fresh=%t", path, fresh), func(b *testing.B) {
				var times []time.Duration
				for b.Loop() {
					if fresh {
						n++
						l.post(object{"type": "track", "messageId": fmt.Sprint("n", n), "userId": "usr_1", "timestamp": now(), "event": "Report Generated"})
					}
					began := time.Now()
					if code := l.serve("GET", path).Code; code != 200 {
						b.Fatal(code)
					}
					times = append(times, time.Since(began))
				}
				slices.Sort(times)
				b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "ms/median")
			})
		}
	}
}
