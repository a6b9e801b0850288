package klime_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
)

// sink is a Klime that fails at random, and counts how often it has taken each
// event, by its property n.
type sink struct {
	good atomic.Bool // no more faults

	mu     sync.Mutex
	random *rand.Rand
	taken  []uint8
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var batch struct {
		Batch []struct {
			Properties struct{ N int } `json:"properties"`
		} `json:"batch"`
	}
	if err := json.NewDecoder(r.Body).Decode(&batch); err != nil {
		return // the client has gone
	}
	fault := 0
	s.mu.Lock()
	if !s.good.Load() {
		fault = s.random.IntN(20)
	}
	s.mu.Unlock()
	rejected := -1
	switch fault {
	case 1:
		<-r.Context().Done()
		return
	case 2, 3, 4:
		w.WriteHeader([]int{500, 503, 429}[fault-2])
		return
	case 5:
		w.WriteHeader(http.StatusBadRequest)
		return
	case 6:
		rejected = 0
	}
	s.mu.Lock()
	for i, e := range batch.Batch {
		for len(s.taken) <= e.Properties.N {
			s.taken = append(s.taken, 0)
		}
		if i != rejected {
			s.taken[e.Properties.N]++
		}
	}
	s.mu.Unlock()
	switch {
	case fault == 7:
		panic(http.ErrAbortHandler) // taken, but the answer is lost
	case rejected == 0 && len(batch.Batch) > 0:
		fmt.Fprintf(w, `{"accepted":%d,"failed":1,"errors":[{"index":0,"code":"x"}]}`, len(batch.Batch)-1)
	}
}

// soakTime is how long TestSoak runs: 2 s, or what KLIME_SOAK says.
func soakTime() time.Duration {
	d, err := time.ParseDuration(os.Getenv("KLIME_SOAK"))
	if err != nil {
		return 2 * time.Second
	}
	return d
}

// Under random faults every event is delivered at least once or reported, and
// the sums are equal in the end. KLIME_SOAK=10m go test -run TestSoak ./core
// runs it for longer.
func TestSoak(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	faulty := &sink{random: rand.New(rand.NewPCG(seed, 0))}
	server := httptest.NewServer(faulty)
	t.Cleanup(server.Close)

	var mu sync.Mutex
	reported := map[int64]bool{}
	halts, untold := 0, 0
	client, err := klime.New(klime.Config{
		WriteKey: "key", Endpoint: server.URL,
		QueueSize: 2000, RetryDelay: time.Millisecond, Timeout: 500 * time.Millisecond, FlushInterval: 10 * time.Millisecond,
		OnError: func(err error, events []klime.Event) {
			mu.Lock()
			defer mu.Unlock()
			for _, e := range events {
				n, _ := e.Properties["n"].(int64)
				reported[n] = true
			}
			more := 0
			if _, text, ok := strings.Cut(err.Error(), "(and "); ok {
				_, _ = fmt.Sscanf(text, "%d more)", &more)
			}
			untold += more // there were too many at once to keep each
			if len(events) == 0 && more == 0 {
				halts++
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(soakTime())
	var tracked atomic.Int64
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			for time.Now().Before(deadline) {
				for range 10 {
					n := tracked.Add(1) - 1
					if err := client.Track(t.Context(), "Done", klime.Properties{"n": n}, klime.ForUser("jane")); err != nil {
						t.Error(err)
					}
				}
				time.Sleep(20 * time.Millisecond) // the rate of an app; nothing is timed by it
			}
		})
	}
	running.Wait()
	faulty.good.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := client.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	checkSum(t, client)
	stats := client.Stats()
	delivered, repeated, lost := 0, 0, 0
	for n := range tracked.Load() {
		times := uint8(0)
		if int(n) < len(faulty.taken) {
			times = faulty.taken[n]
		}
		switch {
		case times > 1:
			repeated++
			delivered++
		case times == 1:
			delivered++
		case !reported[n]:
			lost++
		}
	}
	if lost > untold || stats.Accepted != uint64(tracked.Load()) {
		t.Errorf("%d events neither delivered nor reported", lost)
	}
	t.Logf("seed %d: tracked %d, delivered %d (%d more than once), reported %d and %d by number, lost %d, halts %d; %+v",
		seed, tracked.Load(), delivered, repeated, len(reported), untold, max(lost-untold, 0), halts, stats)
}
