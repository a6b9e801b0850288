package delivery

import "time"

// Limits of Klime's batch endpoint.
const (
	MaxBatchItems = 100              // events a request may carry
	MaxBatchBytes = 10 * 1024 * 1024 // bytes a request may have
)

// Item is one encoded event.
type Item struct {
	Body      []byte    // one JSON object; not changed after Enqueue; may share memory with its neighbours
	Token     uint64    // opaque to delivery, handed back with the outcome
	Queued    time.Time // when the event was handed over
	Automatic bool      // evicted before any item that is not automatic
	Patient   bool      // waits for room, as under Block, rather than evict others, and during a halt too; accepted until OnClose has returned

	replayed bool  // read from the spool
	halvings uint8 // in quarantine: its next batch is at most 2^-halvings of the usual
	attempts int32
	pardoned int32 // attempts that do not count for MaxAttempts
	seq      uint64
}

// Outcome says how an item ended.
type Outcome int

// Every item that was accepted ends in exactly one of these.
const (
	Sent      Outcome = iota // Klime has it
	Failed                   // refused by Klime, or given up after Config.MaxAttempts
	Evicted                  // pushed out of a full queue, or refused by it
	Abandoned                // still held when Shutdown's context ended, or waiting for room
	SpoolBusy                // the queue was full and the spool too slow
	SpoolFull                // removed from a full disk to make room, or refused by it
	SpoolLost                // its record was damaged, or is gone

	outcomes = iota
)

// isDrop reports whether the app's own side dropped the item, rather than Klime or
// Shutdown. Drops are reported and logged together.
func (o Outcome) isDrop() bool {
	return o == Evicted || o == SpoolBusy || o == SpoolFull || o == SpoolLost
}

// dropText says in the log why items were dropped.
func (o Outcome) dropText() string {
	switch o {
	case SpoolBusy:
		return "queue full and spool too slow"
	case SpoolFull:
		return "spool full"
	case SpoolLost:
		return "spool damaged, deleted or replaced"
	default:
		return "queue full"
	}
}

// dropError is the error for items that a full queue has evicted or refused.
func (o Outcome) dropError() error {
	switch o {
	case SpoolBusy:
		return errQueueAndSpoolBusy
	case SpoolFull:
		return errQueueAndSpoolFull
	default:
		return ErrQueueFull
	}
}

// Counts says what became of the items so far. At every moment
// Accepted = Sent + Failed + Evicted + Abandoned + SpoolBusy + SpoolFull +
// SpoolLost + Held + Spooled.
type Counts struct {
	Accepted, Sent, Failed, Evicted, Abandoned uint64
	SpoolBusy, SpoolFull, SpoolLost            uint64
	Recovered                                  uint64 // those of Accepted that earlier processes left in the spool
	Retries                                    uint64 // requests that repeated events of a failed or refused one
	Late                                       uint64 // items refused with ErrClosed; not in Accepted
	Held, HeldBytes                            int    // in memory alone: queued, in flight, waiting for a retry or being written
	Spooled, SpooledBytes                      int    // on disk
	SpoolDown                                  bool   // there is a spool, and it takes no items at present
}
