package delivery

// job is one batch.
type job struct {
	items []Item
	from  source
	probe bool // probes a halted endpoint: one request and no more
	epoch int  // epoch of the gate when the job went out

	shrink int // shrink of the gate when it did
}

// source says where the items of a job have waited.
type source int

const (
	fromQueue source = iota
	fromDisk
	fromSuspects
	fromCulprits
)

// isQuarantine reports whether the items were in quarantine.
func (s source) isQuarantine() bool { return s == fromSuspects || s == fromCulprits }

// jobResult is what a sender reports of a job.
type jobResult struct {
	job       job
	unsettled []Item // items that are not settled
	verdict   verdict
	accepted  bool       // Klime took at least one event
	tooLarge  bool       // a request with several events was refused for its size
	failure   *SendError // nil if there was none
}
