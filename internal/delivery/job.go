package delivery

// job is one batch.
type job struct {
	items []Item
	from  source
	probe bool // of a halted endpoint: one request and no more
	epoch int  // of the gate, when it went out
}

// source is where the items of a batch have waited.
type source int

const (
	fromQueue source = iota
	fromDisk
	fromSuspects
	fromCulprits
)

// isApart reports whether that is quarantine.
func (s source) isQuarantine() bool { return s == fromSuspects || s == fromCulprits }

// report is what a sender says of a job.
type jobResult struct {
	job       job
	unsettled []Item // not settled
	verdict   verdict
	accepted  bool       // Klime took at least one event
	failure   *SendError // nil if there was none
}
