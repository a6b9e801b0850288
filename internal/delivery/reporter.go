package delivery

import (
	"log/slog"
	"slices"
	"sync"
	"time"
)

// logInterval is the time between two log lines of the same kind.
const logInterval = 10 * time.Second

const (
	maxReports     = 1000    // reports that wait to be told
	maxReportItems = 1000    // items in these, besides those that Shutdown leaves
	maxReportBytes = 8 << 20 // bytes of these items, and of what Klime says of them
)

// Report tells how items ended. With Outcome Failed and no items, it tells that
// sending was halted.
type Report struct {
	Items   []Item // of a delivered batch, only those that were rejected
	Outcome Outcome
	Result  Result // of a delivered batch, or the sum of those that came when maxReports were waiting; without Rejected if Items are left out
	Err     error  // why the items were not delivered; Rejected of a *SendError is nil
	Untold  int    // how many more items ended this way, but were not kept for want of room
}

// reporter tells the app how items ended, beside the goroutines that deliver, so that a
// slow callback delays neither requests nor delivery. What waits to be told is bounded.
type reporter struct {
	tell   func(Report) // nil if nobody wants to know
	logger *slog.Logger

	mu      sync.Mutex
	waiting []Report
	kept    amount            // items in waiting, and the bytes of their rejections
	excess  [outcomes]*Report // reports for which there was no place in waiting, merged by outcome
	drops   [outcomes]int     // how many items were dropped since the goroutine last looked, by outcome
	halt    *Report           // the latest halt
	wake    chan struct{}     // wakes the goroutine
	woken   time.Time         // when it was last woken

	unlogged [outcomes]int // drops that are not yet logged, by outcome; belongs to the goroutine
	logged   time.Time     // when drops were last logged; belongs to the goroutine
}

// add takes a report. Drops of the same kind are merged.
func (r *reporter) add(report Report) {
	if report.Outcome.isDrop() {
		r.count(report.Outcome, len(report.Items)+report.Untold, time.Now())
	}
	if r.tell == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if report.Outcome == Sent && len(r.waiting) >= maxReports { // it will be added up, and an index means something in its own batch alone
		report.Items, report.Result.Rejected = nil, nil
	}
	r.trim(&report)
	report.Items = slices.Clone(report.Items) // else the rest of their batch is kept with them, and merge may write into it
	switch n := len(r.waiting); {
	case len(report.Items) == 0 && report.Untold == 0 && report.Outcome == Failed:
		r.halt = &report
	case n > 0 && r.waiting[n-1].Outcome == report.Outcome && report.Outcome.isDrop():
		r.waiting[n-1].merge(report)
	case n < maxReports || report.Outcome == Abandoned:
		r.waiting = append(r.waiting, report)
	case r.excess[report.Outcome] == nil:
		r.excess[report.Outcome] = &report
	default:
		r.excess[report.Outcome].merge(report)
	}
	r.wakeUp(time.Now())
}

// count counts drops for the log.
func (r *reporter) count(outcome Outcome, items int, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drops[outcome] += items
	r.wakeUp(now)
}

func (r *reporter) wakeUp(now time.Time) {
	if r.tell == nil && now.Sub(r.woken) < logInterval {
		return // all it would do is log, and that is not due
	}
	r.woken = now
	signal(r.wake)
}

// trim reduces the items of a report, with what Klime says of each, to their number if there
// is no room for them.
func (r *reporter) trim(report *Report) {
	full := r.kept.items >= maxReportItems || r.kept.bytes >= maxReportBytes
	if full && report.Outcome != Abandoned {
		report.Untold += len(report.Items)
		report.Items, report.Result.Rejected = nil, nil
	}
	for i := range report.Items {
		r.kept.add(&report.Items[i])
	}
	for _, rejected := range report.Result.Rejected {
		r.kept.bytes += len(rejected.Code) + len(rejected.Message)
	}
	if failure, ok := report.Err.(*SendError); ok && failure.Rejected != nil { //nolint:errorlint // an error around it says more
		own := *failure
		own.Rejected = nil
		report.Err = &own
	}
}

// merge adds another report of the same outcome.
func (r *Report) merge(other Report) {
	r.Items = append(r.Items, other.Items...)
	r.Untold += other.Untold
	r.Result.Accepted += other.Result.Accepted
	r.Result.Failed += other.Result.Failed
	r.Err = other.Err
}

// run tells what there is to tell until end is closed, and then what is left. After
// each log line of drops it looks again later, as those may have been the last.
func (r *reporter) run(end <-chan struct{}) {
	again := time.NewTimer(logInterval)
	defer again.Stop()
	again.Stop()
	for ended := false; !ended; {
		select {
		case <-r.wake:
		case <-again.C:
		case <-end:
			ended = true
		}
		for _, report := range r.take() {
			CallApp(func() { r.tell(report) })
		}
		if r.unlogged != [outcomes]int{} {
			again.Reset(r.logDropped(time.Now(), ended))
		}
	}
}

// logDropped logs drops, unless it did so not long ago and more may come. It returns
// when to look again.
func (r *reporter) logDropped(now time.Time, ended bool) time.Duration {
	if wait := logInterval - now.Sub(r.logged); wait > 0 && !ended {
		return wait
	}
	for outcome, n := range r.unlogged {
		if n > 0 {
			r.logger.Warn("klime: "+Outcome(outcome).dropText()+", events dropped", slog.Int("events", n))
		}
	}
	r.unlogged, r.logged = [outcomes]int{}, now
	return logInterval
}

// take empties the reporter. It returns what there is to tell, and leaves the drops in
// unlogged.
func (r *reporter) take() []Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	reports := r.waiting
	for _, excess := range r.excess {
		if excess != nil {
			reports = append(reports, *excess)
		}
	}
	for outcome, items := range r.drops {
		r.unlogged[outcome] += items
	}
	if r.halt != nil {
		reports = append(reports, *r.halt)
	}
	r.waiting, r.kept, r.excess, r.halt = nil, amount{}, [outcomes]*Report{}, nil
	r.drops = [outcomes]int{}
	return reports
}
