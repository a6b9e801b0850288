package delivery_test

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// TestSimulation has random callers use a random service and a random disk, in made-up time,
// through several processes, which are shut down or crash. Whatever happens, no item may be
// lost, end twice, or be sent after its end. What the service has taken counts as sent, and
// what it has not is reported.
//
// KLIME_SIMULATIONS says how many worlds to try. The name of a failed test says which one
// it was. It may take several runs to fail again: what happens at the same moment happens
// in any order.
func TestSimulation(t *testing.T) {
	t.Parallel()
	worlds, err := strconv.Atoi(cmp.Or(os.Getenv("KLIME_SIMULATIONS"), "30"))
	if err != nil {
		t.Fatal(err)
	}
	for seed := range worlds {
		t.Run(strconv.Itoa(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { newWorld(t, uint64(seed)).run() })
		})
	}
}

// world is what outlives a process: the service, the disk, and what happened to the items.
type world struct {
	*testing.T

	dice  *dice
	cfg   delivery.Config // of all its processes, but for what connects them with the world
	harsh bool            // the disk fails at times, or processes crash: items may be sent again
	lossy bool            // the disk loses everything at times

	mu      sync.Mutex
	disk    *memory                  // of the next process; nil without a spool
	left    *estate                  // the disks of earlier ones; nil if it does not have them
	items   []*fate                  // by ID
	untold  map[delivery.Outcome]int // how many items were reported without their bodies, by how they ended
	crashed bool                     // a process has, and could not report all
	weather weather
	manner  manner // how the service treats events that it does not like
}

// fate is what happened to an item.
type fate struct {
	process  *process           // that made it
	oneShot  bool               // it was for SendNow
	accepted bool               // Enqueue said that it would be sent
	durable  bool               // Enqueue said that it was on disk
	refused  error              // why Enqueue said that it would not be sent
	told     []delivery.Outcome // by OnOutcome
	reported []delivery.Outcome // by OnReport
	took     int                // how often the service has taken it, and said so
	unheard  int                // how often it has taken it, and the answer was lost
	turned   bool               // the service has refused it by itself
}

// delivered is how often the service has taken an item.
func (f *fate) delivered() int { return f.took + f.unheard }

func (f *fate) String() string {
	return fmt.Sprintf("told %v, reported %v, taken %d times", f.told, f.reported, f.delivered())
}

func newWorld(t *testing.T, seed uint64) *world {
	d := &dice{random: rand.New(rand.NewPCG(seed, 0))}
	w := &world{T: t, dice: d, manner: manner(d.below(int(manners))), untold: map[delivery.Outcome]int{}}
	w.cfg = config(nil)
	w.cfg.FlushInterval = d.between(100*time.Millisecond, 5*time.Second)
	w.cfg.BatchSize = 1 + d.below(30)
	w.cfg.QueueSize = (1 + d.below(60)) * (1 + d.below(2)*20)
	w.cfg.QueueBytes = 700 + d.below(400*w.cfg.QueueSize)
	w.cfg.Senders = 1 + d.below(4)
	w.cfg.Overflow = delivery.Overflow(d.below(3))
	w.cfg.MaxAttempts = max(0, d.below(8)-4)
	w.cfg.RetryDelay = d.between(100*time.Millisecond, 2*time.Second)
	w.cfg.Timeout = d.between(500*time.Millisecond, 10*time.Second)
	if d.once(2) {
		return w
	}
	w.disk = newMemory()
	w.disk.max = max(0, d.below(400)-200)
	if d.once(2) {
		w.left = &estate{}
	}
	w.harsh, w.lossy = d.once(2), d.once(8)
	w.cfg.WriteAhead = d.once(2)
	if most := 1 + d.below(100); d.once(4) {
		w.cfg.Fits = func(records, _ int, automatic bool) bool {
			return records <= most && (!automatic || records <= most*4/5)
		}
	}
	return w
}

// run lets processes live one after the other, the last one in good weather at its end.
func (w *world) run() {
	w.Logf("%+v, harsh: %v, lossy: %v", w.cfg, w.harsh, w.lossy)
	for range 1 + w.dice.below(3) {
		w.start().live()
	}
	w.start().liveInPeace()
	time.Sleep(time.Minute) // for what Shutdown does not wait for
	w.check()
}

// check checks how the items have ended, when all processes have.
func (w *world) check() {
	lost := 0
	unreported := map[delivery.Outcome]int{}
	for id, f := range w.items {
		w.checkEnds(id, f)
		switch {
		case f.accepted && f.delivered() == 0 && len(f.told)+len(f.reported) == 0:
			lost++
		case f.refused != nil && f.delivered() > 0 && !w.harsh:
			w.Errorf("item %d: taken, though Enqueue said %v", id, f.refused)
		case f.took > 1 && !w.harsh:
			w.Errorf("item %d: %v", id, f)
		case len(f.told) > 0 && f.told[0] != delivery.Sent && len(f.reported) == 0:
			unreported[f.told[0]]++
		}
	}
	for outcome, n := range unreported {
		if n > w.untold[outcome] && !w.crashed {
			w.Errorf("%d items with outcome %d are not reported, and only %d without their bodies", n, outcome, w.untold[outcome])
		}
	}
	untold := 0
	for _, n := range w.untold {
		untold += n
	}
	if lost > untold && !w.lossy {
		w.Errorf("%d items are lost, but only %d reported without their bodies", lost, untold)
	}
}

// checkEnds checks what was told and reported of an item.
func (w *world) checkEnds(id int, f *fate) {
	if len(f.told) > 1 || len(f.told) == 1 && f.told[0] != delivery.Sent && f.took > 0 && !w.harsh {
		w.Errorf("item %d: %v", id, f)
	}
	for _, ends := range [][]delivery.Outcome{f.told, f.reported} {
		for _, end := range ends {
			switch {
			case end == delivery.Sent && f.took == 0:
				w.Errorf("item %d: sent, but not taken", id)
			case end == delivery.Failed && !f.turned && w.cfg.MaxAttempts == 0:
				w.Errorf("item %d: given up, but not refused", id)
			}
		}
	}
}

// idsOf returns the IDs of the events in the body of a request.
func (w *world) idsOf(body []byte) []int {
	ids, err := idsIn(body)
	if err != nil {
		w.Errorf("%v: %.100s", err, body)
	}
	return ids
}

// idOf returns the ID of an event.
func (w *world) idOf(event []byte) int {
	id, err := idIn(event)
	if err != nil {
		w.Errorf("%v: %.100s", err, event)
	}
	return id
}

// idsOnDisk returns the IDs of the events on disk, which nobody uses.
func (w *world) idsOnDisk() map[int]bool {
	ids := map[int]bool{}
	if w.disk != nil {
		for _, r := range w.disk.records {
			ids[w.idOf(r.Body)] = true
		}
	}
	if w.left != nil {
		for _, r := range w.left.records {
			ids[w.idOf(r.Body)] = true
		}
	}
	return ids
}

// dice is a source of chance that goroutines share.
type dice struct {
	mu     sync.Mutex
	random *rand.Rand
}

// below returns a number from 0 to n-1.
func (d *dice) below(n int) int { return int(d.below64(int64(n))) }

func (d *dice) below64(n int64) int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.random.Int64N(n)
}

// once is true once in n times.
func (d *dice) once(n int) bool { return d.below(n) == 0 }

// between returns a duration from low to high.
func (d *dice) between(low, high time.Duration) time.Duration {
	return low + time.Duration(d.below64(int64(high-low)+1)) // an int may have 32 bits
}

// isAccepted reports whether Enqueue has accepted an item, given its error.
func isAccepted(err error) bool { return err == nil || errors.Is(err, delivery.ErrNotDurable) }
