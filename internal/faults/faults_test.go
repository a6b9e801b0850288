package faults_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/core/spool"
	"github.com/klimeapp/klime-go/nethttp"
)

// experiment is a way to run a client.
type experiment struct {
	name  string
	lives int  // of its process; all but the last are cut short by Shutdown
	cut   bool // the last one too
	whole bool // it goes on until requests have met every fault
	pad   int  // bytes of an event, at most
	spool spool.Options
	tune  func(*klime.Config, *rand.Rand)
	never []klime.DropReason // for which no event may be dropped
}

// experiments are all ways to run a client that promise something of their own.
func experiments() []experiment {
	small := func(c *klime.Config, _ *rand.Rand) { c.QueueSize = 40 }
	return []experiment{
		{name: "memory", lives: 1, whole: true, pad: 1000, never: []klime.DropReason{klime.DropQueueFull, klime.DropShutdown}},
		{name: "memory, Shutdown amid faults", lives: 3, cut: true, pad: 1000, never: []klime.DropReason{klime.DropQueueFull}},
		{name: "small queue", lives: 1, pad: 1000, tune: func(c *klime.Config, random *rand.Rand) {
			c.QueueSize = 40
			c.Overflow = []klime.Overflow{klime.DropOldest, klime.DropNewest, klime.Block}[random.IntN(3)]
		}, never: []klime.DropReason{klime.DropShutdown}},
		{name: "three attempts", lives: 1, pad: 1000, tune: func(c *klime.Config, _ *rand.Rand) { c.MaxAttempts = 3 },
			never: []klime.DropReason{klime.DropQueueFull, klime.DropShutdown}},
		{name: "spool, overflow", lives: 3, pad: 1000, tune: small,
			spool: spool.Options{},
			never: []klime.DropReason{klime.DropQueueFull, klime.DropShutdown, klime.DropSpoolFull, klime.DropSpoolLost}},
		{name: "spool, write-ahead", lives: 3, pad: 1000, tune: small,
			spool: spool.Options{WriteAhead: true},
			never: []klime.DropReason{klime.DropQueueFull, klime.DropShutdown, klime.DropSpoolFull, klime.DropSpoolLost}},
		{name: "spool, full, drops the oldest", lives: 2, pad: 60_000, tune: small,
			spool: spool.Options{MaxBytes: 1 << 20}, never: []klime.DropReason{klime.DropSpoolLost}},
		{name: "spool, full, rejects", lives: 2, pad: 60_000, tune: small,
			spool: spool.Options{MaxBytes: 1 << 20, WhenFull: spool.Reject, WriteAhead: true}, never: []klime.DropReason{klime.DropSpoolLost}},
	}
}

// Whatever the network and Klime do, the account balances for every event: what was
// acknowledged has arrived, or was told to OnError; what came twice is the same;
// what was refused has not come; Stats add up at every moment.
//
// KLIME_SEED repeats a run (but for what time and the scheduler decide), KLIME_FAULTS
// is how long to go on, such as 60s; without it each experiment runs once.
func TestFaults(t *testing.T) {
	seed, given := fromEnv(t, "KLIME_SEED", func(s string) (uint64, error) { return strconv.ParseUint(s, 10, 64) })
	if !given {
		seed = uint64(time.Now().UnixNano())
	}
	patience, _ := fromEnv(t, "KLIME_FAULTS", time.ParseDuration)
	all := experiments()
	sums := make([]result, len(all))
	met := map[fault]int{}
	end := time.Now().Add(patience)
	for round := uint64(0); round == 0 || time.Now().Before(end); round++ {
		for i, e := range all {
			t.Run(strings.ReplaceAll(e.name, ", ", "-"), func(t *testing.T) {
				t.Logf("KLIME_SEED=%d", seed+round)
				sum, weather := e.run(t, seed+round)
				sums[i].add(sum)
				for f, n := range weather {
					met[f] += n
				}
				if t.Failed() {
					t.Logf("again: KLIME_SEED=%d go test -count=1 -run '%s' ./internal/faults", seed+round, t.Name())
				}
			})
		}
		if t.Failed() {
			break
		}
	}
	t.Log("\n" + table(all, sums, met))
	for _, f := range dealt() {
		if met[f] == 0 && !slices.ContainsFunc(sums, func(r result) bool { return r.runs == 0 }) {
			t.Errorf("no request has met this: %s", f)
		}
	}
}

func fromEnv[T any](t *testing.T, name string, parse func(string) (T, error)) (value T, given bool) {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return value, false
	}
	value, err := parse(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return value, true
}

func table(all []experiment, sums []result, met map[fault]int) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 1, ' ', tabwriter.AlignRight|tabwriter.Debug)
	fmt.Fprintln(w, "experiment\truns\tacknowledged\tdelivered\trepeats\treported\tlost\tpeak heap\t")
	for i, e := range all {
		s := sums[i]
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%.1f MiB\t\n", e.name, s.runs, s.acknowledged, s.delivered, s.duplicates, s.reported, s.lost, float64(s.heap)/(1<<20))
	}
	_ = w.Flush()
	fmt.Fprint(&b, "requests that met")
	separator := " "
	for _, f := range append(dealt(), halting, calm) {
		fmt.Fprintf(&b, "%s%s: %d", separator, f, met[f])
		separator = ", "
	}
	return b.String()
}

// run is one run of an experiment.
func (e *experiment) run(t *testing.T, seed uint64) (result, map[fault]int) {
	before := runtime.NumGoroutine()
	var sum result
	var met map[fault]int
	t.Run("run", func(t *testing.T) { sum, met = e.live(t, seed) })
	eventually(t, "all goroutines have ended", func() bool { return runtime.NumGoroutine() <= before })
	return sum, met
}

// live is all lives of a process.
func (e *experiment) live(t *testing.T, seed uint64) (result, map[fault]int) {
	random := rand.New(rand.NewPCG(seed, 3))
	weather, klimeServer, books := newWeather(seed), newServer(), newAccount()
	network, url := newNetwork(t, weather, klimeServer, random.IntN(2) == 0)
	onDisk := strings.HasPrefix(e.name, "spool")
	books.firm = e.spool.WriteAhead
	dir := filepath.Join(t.TempDir(), "spool")
	stopMeter := meter()
	sent := uint64(0)
	for life := range e.lives {
		cfg := klime.Config{
			WriteKey: "key", Endpoint: url, HTTPClient: &http.Client{Transport: network}, OnError: books.onError,
			FlushInterval: 5 * time.Millisecond, RetryDelay: 2 * time.Millisecond, Timeout: 150 * time.Millisecond,
		}
		if e.tune != nil {
			e.tune(&cfg, random)
		}
		if onDisk {
			cfg.Spool = reopen(t, dir, e.spool)
		}
		client, err := klime.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		books.newLife()
		books.givesUp = cfg.MaxAttempts > 0
		weather.change()
		if cutShort := life < e.lives-1 || e.cut; cutShort {
			e.cutShort(t, client, books, weather, random, life)
		} else {
			e.recover(t, client, books, weather, random, life)
		}
		s := client.Stats()
		eventually(t, "OnError is told of all", func() bool { return books.toldInLife() >= int(s.Failed+droppedOf(s))-books.syncFail })
		books.closeLife(t, s)
		sent += s.Sent
		for _, reason := range e.never {
			if n := s.Dropped[reason]; n > 0 {
				t.Errorf("%d events dropped, as %s: %+v", n, reason, s)
			}
		}
		if last := life == e.lives-1; last && s.Spooled > 0 && !e.cut {
			t.Errorf("%d events are left on disk", s.Spooled)
		}
	}
	sum := books.compare(t, klimeServer)
	sum.heap = stopMeter()
	if sent > uint64(sum.delivered+sum.duplicates) {
		t.Errorf("%d events counted as sent, %d have arrived", sent, sum.delivered)
	}
	if sum.lost > 0 {
		t.Errorf("%d of %d acknowledged events are lost", sum.lost, sum.acknowledged)
	}
	if sum.acknowledged == 0 || sum.delivered == 0 {
		t.Errorf("nothing happened: %+v", sum)
	}
	return sum, weather.counted()
}

// reopen opens the spool, as soon as an earlier life has let go of it.
func reopen(t *testing.T, dir string, options spool.Options) *spool.Spool {
	t.Helper()
	var s *spool.Spool
	eventually(t, "the folder is free", func() bool {
		var err error
		s, err = spool.Open(dir, options)
		if err != nil && !errors.Is(err, spool.ErrInUse) {
			t.Fatal(err)
		}
		return err == nil
	})
	return s
}

// recover lets the faults end, and expects that all is delivered then.
func (e *experiment) recover(t *testing.T, client *klime.Client, books *account, weather *weather, random *rand.Rand, life int) {
	t.Helper()
	app := e.start(t, client, books, weather, random.Uint64(), life)
	app.requests.Wait()
	app.calls.Wait()
	weather.stay(calm)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := client.Flush(ctx)
	if halted := (*klime.DeliveryError)(nil); errors.As(err, &halted) { // by an answer that was under way; a second one probes
		err = client.Flush(ctx)
	}
	if err != nil {
		t.Errorf("Flush: %v", err)
	}
	if err := client.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// cutShort shuts down amid the faults, or when nothing works any more, after the
// requests have ended as a server would see to, and before the app's own goroutines have.
func (e *experiment) cutShort(t *testing.T, client *klime.Client, books *account, weather *weather, random *rand.Rand, life int) {
	t.Helper()
	app := e.start(t, client, books, weather, random.Uint64(), life)
	app.requests.Wait()
	if last := []fault{"", serverError, connectionRefused, halting, hang}[random.IntN(5)]; last != "" {
		weather.stay(last)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(50+random.IntN(250))*time.Millisecond)
	defer cancel()
	_ = client.Shutdown(ctx) // its error is about what OnError is told
	app.calls.Wait()
}

// app is what makes events: requests through the middleware with links in them and
// calls that wait for an answer, and goroutines that call the client.
type app struct{ requests, calls sync.WaitGroup }

func (e *experiment) start(t *testing.T, client *klime.Client, books *account, weather *weather, seed uint64, life int) *app {
	t.Helper()
	a := &app{}
	handler := handlerOf(client)
	stop := time.Now().Add(300 * time.Millisecond)
	goesOn := func(until time.Time) bool {
		if time.Now().Before(until) {
			return true
		}
		if !e.whole || weather.complete() || time.Now().After(until.Add(time.Minute)) {
			return false
		}
		time.Sleep(20 * time.Millisecond) // at leisure: a slow machine must not fill the queue
		return true
	}
	maker := func(number int) (*rand.Rand, func(i int) (string, klime.Properties)) {
		random := rand.New(rand.NewPCG(seed, uint64(number)))
		return random, func(i int) (string, klime.Properties) {
			key, n := fmt.Sprintf("%d-%d-%d", life, number, i), random.IntN(e.pad)
			return key, klime.Properties{"key": key, "pad": strings.Repeat("x", n), "length": n}
		}
	}
	for number := range 2 {
		random, next := maker(number)
		a.requests.Go(func() {
			for i := 0; goesOn(stop); i++ {
				key, p := next(i)
				r := httptest.NewRequest(http.MethodPost, "/reports/"+strconv.Itoa(i), http.NoBody)
				handler.ServeHTTP(httptest.NewRecorder(), r.WithContext(context.WithValue(r.Context(), marksKey{}, p)))
				books.offer(acknowledged, key) // an automatic event's caller is told nothing
				pause(random)
			}
		})
	}
	a.requests.Go(func() { // facts of users and groups
		random, next := maker(2)
		for i := 0; goesOn(stop); i++ {
			key, p := next(i)
			member := klime.Traits{"key": key + "-group", "pad": p["pad"], "length": p["length"]}
			err := client.Link(context.Background(), klime.User{ID: key, Traits: klime.Traits(p)}, klime.Group{ID: key, Traits: member})
			f := acknowledged
			if err != nil && !errors.Is(err, klime.ErrNotDurable) {
				f = unknown // it is one of the two
			}
			books.called(err, f, key, key+"-group")
			pause(random)
		}
	})
	a.requests.Go(func() { // answers waited for
		_, next := maker(3)
		for i := 0; i < 20 && goesOn(stop); i++ {
			key, p := next(i)
			_, err := client.TrackSync(context.Background(), "Paid", p, klime.ForUser("u1"))
			f := acknowledged
			if err != nil {
				f = unknown
				books.mu.Lock()
				books.syncFail++
				books.mu.Unlock()
			}
			books.offer(f, key)
		}
	})
	a.requests.Go(func() { // at every moment
		for goesOn(stop) {
			balanced(t, client.Stats())
			time.Sleep(time.Millisecond)
		}
	})
	for number := range 8 {
		random, next := maker(4 + number)
		a.calls.Go(func() {
			for i := 0; goesOn(stop.Add(100 * time.Millisecond)); i++ {
				key, p := next(i)
				if number < 2 && i == 5 {
					p["poison"] = true
				}
				err := client.Track(context.Background(), "Report Generated", p, klime.ForUser("u1"))
				f := fateOf(err)
				if f == 0 {
					t.Errorf("Track: %v", err)
				}
				books.called(err, f, key)
				pause(random)
			}
		})
	}
	return a
}

// pause is some 0.5 ms.
func pause(random *rand.Rand) { time.Sleep(time.Duration(random.IntN(1_000_000))) }

type marksKey struct{}

// handlerOf is an app of one route, whose requests carry the marks of their event.
func handlerOf(client *klime.Client) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /reports/{id}", func(_ http.ResponseWriter, r *http.Request) {
		klime.SetUser(r.Context(), "u1")
		p, _ := r.Context().Value(marksKey{}).(klime.Properties)
		for key, value := range p {
			klime.SetProperty(r.Context(), key, value)
		}
	})
	return nethttp.Middleware(client)(mux)
}

// meter watches the heap until it is told to stop, and returns the most.
func meter() (stop func() uint64) {
	runtime.GC()
	end, most := make(chan struct{}), make(chan uint64)
	go func() {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		look := time.NewTicker(10 * time.Millisecond)
		defer look.Stop()
		peak := uint64(0)
		for {
			metrics.Read(sample)
			peak = max(peak, sample[0].Value.Uint64())
			select {
			case <-look.C:
			case <-end:
				most <- peak
				return
			}
		}
	}()
	return func() uint64 {
		close(end)
		return <-most
	}
}

// eventually waits until it is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in 30 s: %s", what)
		}
	}
}
