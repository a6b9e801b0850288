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
	Patient   bool      // waits for room, as under Block, rather than evict others

	seq      uint64
	attempts int
}

// Outcome says how an item ended.
type Outcome int

// Every item that was accepted ends in exactly one of these.
const (
	Sent    Outcome = iota // Klime has it
	Failed                 // refused by Klime, or given up after Config.MaxAttempts
	Evicted                // pushed out of a full queue, or refused by it
	Undone                 // still held when Shutdown's context ended

	outcomes = iota
)

// Counts is what became of the items so far. At every moment
// Accepted = Sent + Failed + Evicted + Undone + Held.
type Counts struct {
	Accepted, Sent, Failed, Evicted, Undone uint64
	Retries                                 uint64 // requests that repeated events of an earlier one
	Held, HeldBytes                         int    // queued, in flight or waiting for a retry
}
