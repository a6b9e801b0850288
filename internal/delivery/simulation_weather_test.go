package delivery_test

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// weather is how the service and the way to it are.
type weather int

const (
	fine weather = iota
	slow
	down        // 503
	busy        // 429 with Retry-After
	silent      // no answer
	stubborn    // no answer, and Send does not return when it should
	unreachable // an error of the network
	cutOff      // events are taken, but the answer is lost
	wrongKey    // 401
	moved       // 302
	narrow      // 413 for more than a few events
	strict      // 400 for everything
	weathers
)

// manner is how the service treats an event that it does not like.
type manner int

const (
	likesAll    manner = iota
	namesIt            // 200 that names it
	namesItOnly        // 400 that names it
	refusesAll         // 400 that does not
	forbidsAll         // 403
	breaks             // 500
	manners
)

// dislikes reports whether the service does not like an event.
func dislikes(id int) bool { return id%23 == 5 }

// changeWeather changes the weather, and the state of the disk, until ctx ends.
func (p *process) changeWeather(ctx context.Context) {
	for ctx.Err() == nil {
		p.clearUp()
		p.mu.Lock()
		if p.weather = fine; p.dice.once(2) {
			p.weather = weather(p.dice.below(int(weathers)))
		}
		p.mu.Unlock()
		if p.spool != nil && p.harsh {
			p.spool.set(p.breakDisk)
		}
		select {
		case <-time.After(p.dice.between(time.Second, 2*time.Minute)):
		case <-ctx.Done():
		}
	}
}

// breakDisk has a disk fail in some way, or not.
func (p *process) breakDisk(m *memory) {
	m.latency = max(0, p.dice.between(-2*time.Second, 2*time.Second))
	switch p.dice.below(12) {
	case 0:
		m.broken = true
	case 1:
		m.broken, m.applyBad = true, true
	case 2:
		m.full = true
	case 3:
		m.tight, m.removable = true, p.dice.below(20)
	case 4:
		m.failing = true
	case 5:
		m.failing, m.lost = true, p.lossy
	}
}

// clearUp ends bad weather and all faults of the disk.
func (p *process) clearUp() {
	p.mu.Lock()
	p.weather = fine
	p.mu.Unlock()
	if p.spool != nil {
		p.spool.set(func(m *memory) {
			m.broken, m.applyBad, m.full, m.tight, m.latency = false, false, false, false, 0
		})
	}
}

// isUsed reports whether a method is running.
func (m *memory) isUsed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.using
}

// clone returns the disk as the next process finds it.
func (m *memory) clone() *memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &memory{records: maps.Clone(m.records), max: m.max}
}

var errNetwork = errors.New("no route to host")

// Send is the service.
func (p *process) Send(ctx context.Context, batch delivery.Batch) (delivery.Result, error) {
	body, events := batch.AppendBody(nil), len(batch)
	ids := p.idsOf(body)
	if len(ids) != events {
		p.Errorf("%d events in a request of %d", len(ids), events)
	}
	now := p.beginRequest(ids)
	defer p.endRequest(ids)
	latency := 300 * time.Millisecond
	if now == slow {
		latency = 15 * time.Second
	}
	select {
	case <-time.After(p.dice.between(0, latency)):
	case <-ctx.Done():
		return delivery.Result{}, ctx.Err()
	case <-p.dead:
		return delivery.Result{}, errNetwork
	}
	switch now {
	case down:
		return status(503)
	case busy:
		return delivery.Result{}, &delivery.SendError{StatusCode: 429, RetryAfter: p.dice.between(0, time.Minute)}
	case silent, stubborn:
		<-ctx.Done()
		if now == stubborn {
			time.Sleep(p.dice.between(0, 3*time.Second))
		}
		return delivery.Result{}, ctx.Err()
	case unreachable:
		return delivery.Result{}, errNetwork
	case cutOff:
		p.note(ids, func(f *fate) { f.unheard++ })
		return delivery.Result{}, errNetwork
	case wrongKey:
		return status(401)
	case moved:
		return status(302)
	case strict:
		p.note(ids, func(f *fate) { f.turned = true })
		return status(400)
	case narrow:
		if events > 3 {
			return status(413)
		}
	case fine, slow, weathers:
	}
	return p.serve(ids)
}

// beginRequest checks a request and returns the weather that it meets.
func (p *process) beginRequest(ids []int) weather {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range ids {
		if f := p.items[id]; f.process == p && len(f.told) > 0 && !p.isDead() {
			p.Errorf("item %d: sent after its end: %v", id, f)
		}
	}
	if p.isBatch(ids) {
		p.inFlight++
	}
	if p.inFlight > p.cfg.Senders {
		p.Errorf("%d requests in flight", p.inFlight)
	}
	return p.weather
}

func (p *process) endRequest(ids []int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isBatch(ids) {
		p.inFlight--
	}
}

// isBatch reports whether a request is neither a one-shot send nor a ping.
func (p *process) isBatch(ids []int) bool { return len(ids) > 0 && !p.items[ids[0]].oneShot }

// serve answers a request in good weather.
func (p *process) serve(ids []int) (delivery.Result, error) {
	p.mu.Lock()
	manner := p.manner
	p.mu.Unlock()
	var good, bad []int
	var rejected []delivery.Rejection
	for i, id := range ids {
		if manner != likesAll && dislikes(id) {
			bad = append(bad, id)
			rejected = append(rejected, delivery.Rejection{Index: i, Code: "bad"})
		} else {
			good = append(good, id)
		}
	}
	if len(bad) == 0 {
		manner = likesAll
	}
	switch manner {
	case forbidsAll:
		return status(403)
	case breaks:
		return status(500)
	case refusesAll:
		if len(ids) == 1 {
			p.note(bad, func(f *fate) { f.turned = true })
		}
		return status(400)
	case namesItOnly:
		p.note(bad, func(f *fate) { f.turned = true })
		return delivery.Result{}, &delivery.SendError{StatusCode: 400, Rejected: rejected}
	case likesAll, namesIt, manners:
	}
	p.note(bad, func(f *fate) { f.turned = true })
	p.note(good, func(f *fate) { f.took++ })
	return delivery.Result{Accepted: len(good), Failed: len(bad), Rejected: rejected}, nil
}

// note notes something of items.
func (p *process) note(ids []int, change func(*fate)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range ids {
		change(p.items[id])
	}
}
