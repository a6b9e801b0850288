// Package delivery carries encoded events to Klime. It knows bytes and time,
// never requests or what an event means.
//
//	Enqueue → queue → dispatcher → senders → Transport
//	            ↑____________________│  what was not settled goes back
//
// The queue is the one holder of events: it bounds what waits, what is in
// flight and what waits for a retry together. One goroutine, the dispatcher,
// decides when a batch is due and whether the gate (backoff, halt) lets it
// through; a few senders carry batches and settle each item exactly once, as
// sent, failed or dropped.
package delivery
