package klime_test

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"sync"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
)

// TestRollUpSimulation has random requests counted, by windows of several lengths, while
// Klime fails, the queue is full, and BeforeSend drops some of the sums. For each user,
// group, method and route, all sums together must say exactly what was requested.
func TestRollUpSimulation(t *testing.T) {
	t.Parallel()
	simulate(t, 60, func(t *testing.T, d *dice) {
		w := &rollUpWorld{want: map[string]*sums{}, seen: map[string]map[string]any{}}
		w.service = &service{dice: d, take: w.see}
		client := w.client(t)
		var trackers []*klime.Tracker
		for range 1 + d.below(3) {
			trackers = append(trackers, klime.NewTracker(client, klime.Sample(0.1), klime.RollUp(pick(d, time.Second, 7*time.Second, time.Minute))))
		}
		var running sync.WaitGroup
		for range 1 + d.below(4) {
			running.Go(func() {
				for range 5 + d.below(60) {
					switch d.below(20) {
					case 0, 1:
						w.flushOrTrack(t, client)
					case 2:
						time.Sleep(d.upTo(2 * time.Minute))
					default:
						w.request(pick(d, trackers...))
					}
				}
			})
		}
		running.Wait()
		w.recover()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := client.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		w.check(t)
	})
}

// sums are those of the calls of one user, group, method and route.
type sums struct {
	count, clientErrors, serverErrors, aborted, requestBytes, responseBytes int
	longest, took                                                           float64 // in milliseconds
}

// rollUpWorld knows what was requested, and what became of the sums: each was sent,
// refused by Klime, or dropped by BeforeSend.
type rollUpWorld struct {
	*service

	mu   sync.Mutex
	want map[string]*sums
	seen map[string]map[string]any // events, by message ID
}

func (w *rollUpWorld) client(t *testing.T) *klime.Client {
	t.Helper()
	cfg := w.config()
	cfg.OnError = func(_ error, lost []klime.Event) {
		for i := range lost {
			w.seeEvent(&lost[i])
		}
	}
	if w.once(2) {
		cfg.BeforeSend = func(e *klime.Event) bool {
			time.Sleep(w.upTo(100 * time.Millisecond))
			if w.once(8) {
				w.seeEvent(e)
				return false
			}
			return true
		}
	}
	client, err := klime.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func (w *rollUpWorld) see(e map[string]any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[e["messageId"].(string)] = e
}

func (w *rollUpWorld) seeEvent(e *klime.Event) {
	w.see(map[string]any{
		"messageId": e.MessageID, "event": e.Event, "userId": e.UserID, "groupId": e.GroupID, "properties": map[string]any(e.Properties),
	})
}

// request makes a request, and adds it to what was requested.
func (w *rollUpWorld) request(tracker *klime.Tracker) {
	x := klime.Exchange{
		Method: pick(w.dice, http.MethodGet, http.MethodPost), Route: pick(w.dice, "/reports", "/orgs"), Start: time.Now(),
		Status: pick(w.dice, 200, 201, 400, 404, 499, 500, 503), Aborted: w.once(10),
		RequestBytes: int64(w.below(90)), ResponseBytes: int64(w.below(90)),
	}
	user, group := fmt.Sprint("u", w.below(20)), fmt.Sprint("g", w.below(2))
	traffic{tracker: tracker, exchange: x}.serve(func(ctx context.Context) {
		klime.SetUser(ctx, user)
		klime.SetGroup(ctx, group)
		time.Sleep(w.upTo(3 * time.Second))
	})
	took := float64(time.Since(x.Start)) / float64(time.Millisecond)
	one := sums{count: 1, requestBytes: int(x.RequestBytes), responseBytes: int(x.ResponseBytes), longest: took, took: took}
	switch {
	case x.Status >= 500:
		one.serverErrors = 1
	case x.Status >= 400:
		one.clientErrors = 1
	}
	if x.Aborted {
		one.aborted = 1
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	add(w.want, fmt.Sprint(user, "/", group, " ", x.Method, " ", x.Route), one)
}

// add adds to the sums of a key.
func add(all map[string]*sums, key string, more sums) {
	s := all[key]
	if s == nil {
		s = &sums{}
		all[key] = s
	}
	s.count += more.count
	s.clientErrors += more.clientErrors
	s.serverErrors += more.serverErrors
	s.aborted += more.aborted
	s.requestBytes += more.requestBytes
	s.responseBytes += more.responseBytes
	s.longest = max(s.longest, more.longest)
	s.took += more.took
}

// check compares the sums.
func (w *rollUpWorld) check(t *testing.T) {
	t.Helper()
	got := map[string]*sums{}
	for _, e := range w.seen {
		p, _ := e["properties"].(map[string]any)
		number := func(key string) float64 {
			switch n := p[key].(type) {
			case int64: // in an Event
				return float64(n)
			case float64:
				return n
			default:
				t.Errorf("%s: %v in %v", key, n, e)
				return 0
			}
		}
		switch e["event"] {
		case "Noise":
		case "API Usage Recorded":
			add(got, fmt.Sprint(who(e), " ", p["method"], " ", p["route"]), sums{
				int(number("count")), int(number("clientErrors")), int(number("serverErrors")), int(number("aborted")),
				int(number("requestBytes")), int(number("responseBytes")), number("durationMsMax"), number("durationMsAvg") * number("count"),
			})
		default:
			t.Errorf("event %v", e)
		}
	}
	for key, want := range w.want {
		s := got[key]
		if s == nil {
			t.Errorf("%s: nothing, want %+v", key, *want)
			continue
		}
		s.took, want.took = math.Round(s.took), math.Round(want.took)
		if *s != *want {
			t.Errorf("%s: %+v, want %+v", key, *s, *want)
		}
	}
	if len(got) > len(w.want) {
		t.Errorf("%d keys, want %d", len(got), len(w.want))
	}
}
