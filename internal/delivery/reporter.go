package delivery

import (
	"log/slog"
	"sync"
	"time"
)

const (
	maxReports      = 1000             // that wait to be told
	maxReportItems  = 1000             // in these, but for what Shutdown leaves
	maxReportBytes  = 8 << 20          // of these items
	dropLogInterval = 10 * time.Second // between two log lines on dropped items
)

// Report tells how items ended, or with none of them that sending was halted.
type Report struct {
	Items   []Item // of a delivered batch all, in its order
	Outcome Outcome
	Result  Result // of a delivered batch
	Err     error  // why they were not delivered
	Untold  int    // further items that ended so, which there was no room to keep
}

// reporter tells the app how items ended, from a goroutine of its own: a slow
// callback delays neither requests nor delivery. What waits to be told is
// bounded.
type reporter struct {
	tell   func(Report) // nil if nobody wants to know
	logger *slog.Logger

	mu      sync.Mutex
	waiting []Report
	kept    usage         // the items in waiting
	wake    chan struct{} // there is something to tell

	dropped int       // items, not yet logged; the goroutine's own
	logged  time.Time // when items were last logged as dropped
}

// add takes a report.
func (r *reporter) add(report Report) {
	if r.tell == nil && report.Outcome != Evicted {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	full := r.kept.items >= maxReportItems || r.kept.bytes >= maxReportBytes
	if r.tell == nil || full && report.Outcome != Undone {
		report.Untold += len(report.Items)
		report.Items = nil
	}
	for i := range report.Items {
		r.kept.add(&report.Items[i])
	}
	if last := r.last(); last != nil && last.Outcome == report.Outcome &&
		(report.Outcome == Evicted || len(r.waiting) >= maxReports) {
		last.Items = append(last.Items, report.Items...)
		last.Untold += report.Untold
		return
	}
	if len(r.waiting) < maxReports || report.Outcome == Undone {
		r.waiting = append(r.waiting, report)
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *reporter) last() *Report {
	if len(r.waiting) == 0 {
		return nil
	}
	return &r.waiting[len(r.waiting)-1]
}

// run tells until it is told to end, and then what is left.
func (r *reporter) run(end <-chan struct{}) {
	for ended := false; !ended; {
		select {
		case <-r.wake:
		case <-end:
			ended = true
		}
		for _, report := range r.take() {
			if report.Outcome == Evicted {
				r.dropped += len(report.Items) + report.Untold
			}
			if r.tell != nil {
				r.tell(report)
			}
		}
		if now := time.Now(); r.dropped > 0 && (ended || now.Sub(r.logged) >= dropLogInterval) {
			r.logger.Warn("klime: queue full, events dropped", slog.Int("events", r.dropped))
			r.dropped, r.logged = 0, now
		}
	}
}

func (r *reporter) take() []Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	reports := r.waiting
	r.waiting, r.kept = nil, usage{}
	return reports
}
