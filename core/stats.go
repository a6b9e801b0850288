package klime

// DropReason says why an accepted event was dropped.
type DropReason string

const (
	// DropQueueFull: the queue was full, and the event made room for newer or more
	// important ones, or found no room itself.
	DropQueueFull DropReason = "queue_full"
	// DropBeforeSend: Config.BeforeSend returned false, or panicked.
	DropBeforeSend DropReason = "before_send"
	// DropShutdown: the event was not delivered when Shutdown's context ended.
	DropShutdown DropReason = "shutdown"
	// DropSpoolBusy: the queue was full, and the disk could not keep up.
	DropSpoolBusy DropReason = "spool_busy"
	// DropSpoolFull: the events on disk took all of the spool's MaxBytes. The event
	// made room for a newer one, or found no room itself.
	DropSpoolFull DropReason = "spool_full"
	// DropSpoolLost: the spool's file, or the event's record in it, was damaged or
	// gone.
	DropSpoolLost DropReason = "spool_lost"
)

// Stats says what became of a client's events since New. At any moment,
// Accepted = Sent + Failed + all of Dropped + Queued + Spooled.
type Stats struct {
	Accepted     uint64                // valid events; each is also in one of Sent, Failed, Dropped, Queued and Spooled
	Sent         uint64                // events that Klime has accepted
	Failed       uint64                // events that Klime refused, or that were given up after Config.MaxAttempts
	Dropped      map[DropReason]uint64 // events that the client dropped
	Queued       int                   // events held in memory alone: queued, in flight or waiting for a retry
	QueuedBytes  int                   // and the size of their JSON
	Spooled      int                   // events on disk, in Config.Spool; some may be in memory too
	SpooledBytes int                   // and the size of their JSON
	SpoolDown    bool                  // the Spool does not work at present: events are kept in memory only
	Recovered    uint64                // the part of Accepted that other processes left in the Spool
	Retries      uint64                // requests that repeated events of a failed or refused one
	Halted       bool                  // sending is stopped, most likely by a wrong write key or endpoint
	Panics       uint64                // panics in the app's part of Config, and in functions given to options and Link
	RollUpKeys   int                   // combinations of user, group, method and route that RollUp is counting, or that wait for room
	Links        int                   // facts of Link that are remembered: sent, or refused and not to be tried again yet
	Anonymous    uint64                // requests not recorded because neither user nor group was known
	NotLinked    uint64                // events whose group was left out by RequireMembership: the request had no Link of the user
	NotMember    uint64                // events whose group was left out by RequireMembership: the Links named other groups
	Invalid      uint64                // what was wrong in handlers and requests: invalid events, properties left out, IDs that are not UTF-8
	Late         uint64                // valid events that Shutdown refused, from later or still waiting calls; not in Accepted
}

// Stats returns the client's figures. It costs a short lock and one map.
func (c *Client) Stats() Stats {
	if c == nil {
		return Stats{}
	}
	n := c.delivery.Counts()
	filtered := c.filtered.Load()
	return Stats{
		Accepted: n.Accepted + filtered,
		Sent:     n.Sent,
		Failed:   n.Failed,
		Dropped: map[DropReason]uint64{
			DropBeforeSend: filtered,
			DropQueueFull:  n.Evicted,
			DropShutdown:   n.Abandoned,
			DropSpoolBusy:  n.SpoolBusy,
			DropSpoolFull:  n.SpoolFull,
			DropSpoolLost:  n.SpoolLost,
		},
		Queued:       n.Held,
		QueuedBytes:  n.HeldBytes,
		Spooled:      n.Spooled,
		SpooledBytes: n.SpooledBytes,
		SpoolDown:    n.SpoolDown,
		Recovered:    n.Recovered,
		Retries:      n.Retries,
		Halted:       c.delivery.Halted(),
		Panics:       c.panics.Load(),
		RollUpKeys:   c.rollUps.keys(),
		Links:        c.links.len(),
		Anonymous:    c.anonymous.Load(),
		NotLinked:    c.notLinked.Load(),
		NotMember:    c.notMember.Load(),
		Invalid:      c.invalid.total.Load(),
		Late:         n.Late,
	}
}
