package delivery

import "time"

// Limits of Klime's batch endpoint.
const (
	MaxBatchItems = 100              // events a request may carry
	MaxBatchBytes = 10 * 1024 * 1024 // bytes a request may have
)

// Item is one encoded event.
type Item struct {
	Body      []byte    // one JSON object; not changed after Enqueue
	Token     uint64    // opaque to delivery, handed back with the outcome
	Queued    time.Time // when the event was handed over
	Automatic bool      // evicted before any item that is not
	Patient   bool      // waits for room, as under Block, rather than evict others; may come during OnClose

	replayed bool // it was read from the spool
	attempts int32
	seq      uint64
}

// Outcome says how an item ended.
type Outcome int

// Every item that was accepted ends in exactly one of these.
const (
	Sent      Outcome = iota // Klime has it
	Failed                   // refused by Klime, or given up after Config.MaxAttempts
	Evicted                  // pushed out of a full queue, or refused by it
	Undone                   // still held when Shutdown's context ended
	SpoolBusy                // the queue was full and the spool too slow
	SpoolFull                // made room on disk for others, or was refused room there
	SpoolLost                // its record was damaged, or is gone

	outcomes = iota
)

// isDrop reports whether it is an end for which nobody but the app's own side is
// to blame: these are told together.
func (o Outcome) isDrop() bool {
	return o == Evicted || o == SpoolBusy || o == SpoolFull || o == SpoolLost
}

// why says what led to a drop.
func (o Outcome) dropText() string {
	switch o {
	case SpoolBusy:
		return "queue full and spool too slow"
	case SpoolFull:
		return "spool full"
	case SpoolLost:
		return "spool damaged"
	default:
		return "queue full"
	}
}

// reason is why an item ended so, for the app.
func (o Outcome) dropError() error {
	switch o {
	case SpoolBusy:
		return ErrSpoolBusy
	case SpoolFull:
		return ErrSpoolFull
	default:
		return ErrFull
	}
}

// Counts is what became of the items so far. At every moment
// Accepted = Sent + Failed + Evicted + Undone + SpoolBusy + SpoolFull +
// SpoolLost + Held + Spooled.
type Counts struct {
	Accepted, Sent, Failed, Evicted, Undone uint64
	SpoolBusy, SpoolFull, SpoolLost         uint64
	Recovered                               uint64 // the part of Accepted that was in the spool at the start
	Retries                                 uint64 // requests that repeated events of an earlier one
	Late                                    uint64 // items refused with ErrClosed, which are not in Accepted
	Held, HeldBytes                         int    // in memory alone: queued, in flight or waiting for a retry
	Spooled, SpooledBytes                   int    // on disk
	SpoolDown                               bool   // there is a spool, and it takes nothing at present
}
