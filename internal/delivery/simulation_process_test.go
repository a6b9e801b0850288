package delivery_test

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// process is one life of a Deliverer, and those who use it.
type process struct {
	*world
	*delivery.Deliverer

	spool     *memory
	leftovers *estate
	dead      chan struct{} // closed when it has crashed: it reaches nothing any more
	inFlight  int           // requests that are neither one-shot sends nor pings
	abandoned int           // items that Shutdown has reported without their bodies
}

func (w *world) start() *process {
	p := &process{world: w, spool: w.disk, leftovers: w.left, dead: make(chan struct{})}
	cfg := w.cfg
	cfg.Transport = p
	cfg.OnOutcome = p.tell
	cfg.OnReport = p.report
	cfg.OnClose = func(ctx context.Context) int {
		for range p.dice.below(4) {
			p.enqueue(ctx, true)
		}
		return 0
	}
	if p.spool != nil {
		cfg.Spool = p.spool
	}
	if p.leftovers != nil {
		cfg.Leftovers = p.leftovers
	}
	p.Deliverer = delivery.New(cfg)
	return p
}

// tell notes what the owner of an item is told.
func (p *process) tell(token uint64, outcome delivery.Outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.isDead() {
		f := p.items[token-1]
		f.told = append(f.told, outcome)
	}
}

// report notes what the app is told.
func (p *process) report(r delivery.Report) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isDead() {
		return
	}
	p.untold[r.Outcome] += r.Untold
	if r.Outcome == delivery.Abandoned {
		p.abandoned += r.Untold
	}
	for _, it := range r.Items {
		f := p.items[p.idOf(it.Body)]
		f.reported = append(f.reported, r.Outcome)
	}
}

func (p *process) isDead() bool {
	select {
	case <-p.dead:
		return true
	default:
		return false
	}
}

// live has callers do this and that while the weather changes, until the process is shut
// down or crashes.
func (p *process) live() {
	stop := p.startCallers()
	time.Sleep(p.dice.between(time.Second, 5*time.Minute))
	checkSum(p.T, p.Deliverer)
	if p.spool != nil && p.harsh && p.dice.once(3) {
		p.crash(stop)
		return
	}
	stuck := p.end(p.dice.between(0, time.Minute))
	stop()
	p.checkEnd(stuck)
}

// liveInPeace is live, but in the end the weather is good, and all that is left is delivered.
func (p *process) liveInPeace() {
	stop := p.startCallers()
	time.Sleep(p.dice.between(time.Second, 5*time.Minute))
	stop()
	p.clearUp()
	p.mu.Lock()
	p.manner = likesAll
	p.mu.Unlock()
	begin, c := time.Now(), p.Counts()
	most := 10*time.Minute + time.Duration(c.Held+c.Spooled+p.leftovers.len())*time.Second
	if p.dice.once(2) {
		time.Sleep(2 * time.Minute) // a halt is probed once a minute
		if err := p.Flush(context.Background()); err != nil {
			p.Errorf("Flush in good weather: %v", err)
		}
	}
	for ; (c.Held+c.Spooled > 0 || p.leftovers.len() > 0) && time.Since(begin) < most; c = p.Counts() {
		time.Sleep(time.Second)
	}
	p.checkEnd(p.end(time.Minute))
	if c := p.Counts(); c.Spooled > 0 || c.Abandoned > 0 || time.Since(begin) >= most {
		p.Errorf("%v of good weather have left %+v", time.Since(begin), c)
	}
}

// startCallers starts callers and the weather. Stop ends them and returns when they have.
func (p *process) startCallers() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for range 1 + p.dice.below(4) {
		running.Go(func() { p.call(ctx) })
	}
	running.Go(func() { p.changeWeather(ctx) })
	return func() {
		cancel()
		running.Wait()
	}
}

// call calls methods at random until ctx ends.
func (p *process) call(ctx context.Context) {
	var accepted []int
	for ctx.Err() == nil {
		switch p.dice.below(10) {
		case 0:
			p.flush(accepted)
		case 1:
			p.sendNow()
		case 2:
			_ = p.Ping(ctx)
		default:
			for range 1 + p.dice.below(15) {
				if id, ok := p.enqueue(ctx, p.dice.once(20)); ok {
					accepted = append(accepted, id)
				}
			}
		}
		select {
		case <-time.After(p.dice.between(0, 5*time.Second)):
		case <-ctx.Done():
		}
	}
}

// newItem returns an item with an ID of its own.
func (p *process) newItem(oneShot bool) (id int, it delivery.Item) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id = len(p.items)
	p.items = append(p.items, &fate{process: p, oneShot: oneShot})
	return id, item(id, p.dice.once(2), 30+p.dice.below(400))
}

// enqueue enqueues an item. Only a patient one may wait for as long as ctx allows.
func (p *process) enqueue(ctx context.Context, patient bool) (id int, accepted bool) {
	id, it := p.newItem(false)
	it.Token, it.Patient = uint64(id+1), patient
	if !patient {
		short, cancel := context.WithTimeout(ctx, p.dice.between(0, 20*time.Second))
		defer cancel()
		ctx = short
	}
	err := p.Enqueue(ctx, it)
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.items[id]
	switch {
	case p.isDead():
	case isAccepted(err):
		f.accepted, f.durable = true, err == nil && p.cfg.WriteAhead && !it.Automatic
	case errors.Is(err, delivery.ErrQueueFull), errors.Is(err, delivery.ErrSpoolFull), errors.Is(err, delivery.ErrClosed):
		f.refused = err
	default:
		p.Errorf("Enqueue: %v", err)
	}
	return id, f.accepted
}

// flush checks that what its caller has enqueued has ended, if Flush says so.
func (p *process) flush(accepted []int) {
	ctx, cancel := context.WithTimeout(context.Background(), p.dice.between(0, time.Minute))
	defer cancel()
	err := p.Flush(ctx)
	time.Sleep(time.Nanosecond) // the owners of dropped items are told a moment later
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil || p.isDead() {
		return
	}
	for _, id := range accepted {
		if len(p.items[id].told) == 0 {
			p.Errorf("item %d: not ended, though Flush has returned nil", id)
		}
	}
}

// sendNow checks that an item was delivered, if SendNow says so.
func (p *process) sendNow() {
	id, it := p.newItem(true)
	ctx, cancel := context.WithTimeout(context.Background(), p.dice.between(0, 20*time.Second))
	defer cancel()
	result, err := p.SendNow(ctx, it)
	p.mu.Lock()
	defer p.mu.Unlock()
	if f := p.items[id]; err == nil && len(result.Rejected) == 0 && f.took != 1 {
		p.Errorf("item %d: SendNow has returned nil, but %v", id, f)
	}
}

// end shuts the process down. It reports whether somebody is stuck: Shutdown does not wait
// for a Transport or a disk that does not return.
func (p *process) end(within time.Duration) (stuck bool) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	begin := time.Now()
	err := p.Shutdown(ctx)
	took, c := time.Since(begin), p.Counts()
	p.Logf("Shutdown within %v: %v, %+v", within, err, c)
	if took > within+4*time.Second {
		p.Errorf("Shutdown took %v", took)
	}
	if err == nil && c.Abandoned > 0 {
		p.Errorf("Shutdown returned nil: %+v", c)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.inFlight > 0 || p.spool != nil && p.spool.isUsed()
}

func byKey(a, b delivery.Record) int { return cmp.Compare(a.Key, b.Key) }

// leaveDisk leaves the disk to the next process: as the disk that it uses, or as one that
// an ended process has left.
func (p *process) leaveDisk() {
	if p.spool == nil {
		return
	}
	if p.leftovers != nil { // first, or what is taken over just now is in neither
		p.left = p.leftovers.clone()
	}
	p.disk = p.spool.clone()
	if p.left != nil && p.dice.once(2) {
		p.left.leave(slices.SortedFunc(maps.Values(p.disk.records), byKey)...)
		clear(p.disk.records)
	}
}

// checkEnd checks a process that was shut down: unless somebody is stuck, the owner of each
// item has been told, or it is on disk.
func (p *process) checkEnd(stuck bool) {
	checkSum(p.T, p.Deliverer)
	if c := p.Counts(); c.Held != 0 {
		p.Errorf("after Shutdown: %+v", c)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leaveDisk()
	if p.abandoned > 0 && !stuck {
		p.Errorf("%d abandoned items reported without their bodies, though nobody is stuck", p.abandoned)
	}
	onDisk := p.idsOnDisk()
	for id, f := range p.items {
		if f.process == p && f.accepted && len(f.told) == 0 && !onDisk[id] && !stuck {
			p.Errorf("item %d: its owner has not been told, nor is it on disk", id)
		}
	}
}

// crash ends a process with a spool at once: the next one finds what is on disk now.
func (p *process) crash(stop func()) {
	p.mu.Lock()
	p.leaveDisk()
	close(p.dead)
	p.crashed = true
	onDisk := p.idsOnDisk()
	p.Logf("crash: %d events on disk", len(onDisk))
	for id, f := range p.items {
		mayBeDropped := p.disk.max > 0 // and its report dies with the process
		if len(f.told) > 0 || f.process != p && !mayBeDropped {
			continue
		}
		if f.durable && !onDisk[id] && !mayBeDropped && !p.lossy {
			p.Errorf("item %d: durable, but not on disk after a crash", id)
		}
		f.accepted = onDisk[id]
	}
	p.mu.Unlock()
	p.end(0)
	stop()
}
