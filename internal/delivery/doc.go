// Package delivery carries encoded events to Klime. It knows bytes and time,
// never requests or what an event means.
//
//	Enqueue → queue → dispatcher → senders → Transport
//	           ↕ ↑______________________│  what was not settled goes back
//	         keeper ↔ Spool, if there is one
//
// # Parts and their owners
//
//   - The queue holds every accepted item until it is settled. It bounds what
//     waits, what is in flight and what waits for a retry together. One mutex
//     guards it and its parts: the lanes (explicit and automatic items), the
//     quarantine (items that may have made a request fail), the lines (callers
//     who wait for room), the waiters (callers of Flush) and disk, its account
//     of the spool.
//   - The dispatcher, one goroutine, decides when a batch is due and whether it
//     may go out. It alone uses the gate (backoff and halt) and the
//     quarantineGate (when to try quarantined items again).
//   - The senders, Config.Senders goroutines, make the requests. They settle
//     what was delivered or refused and return the rest to the dispatcher.
//   - The keeper, one goroutine if there is a Spool, alone uses it. It also takes over
//     what ended processes left elsewhere.
//   - The reporter, one goroutine with a mutex of its own, calls Config.OnReport
//     and logs drops.
//
// # The life of an item
//
// Enqueue gives an item a place in its lane. If there is no room, older items
// move to disk or are evicted, or the caller waits, or the item is refused.
// With write-ahead, an explicit item is on disk before it is in its lane.
//
// The dispatcher takes it for a batch when it has waited long enough, when
// enough others wait, or when somebody waits for it. If Klime refuses the batch,
// the sender splits it until the bad events stand alone. If the request fails in
// another way, its items return to their lanes, or go into quarantine if one of
// them may be why it failed. With a spool, items that wait for long move to
// disk and are read back in order, for replay.
//
// An item ends once, with one Outcome: it is counted, Config.OnOutcome is told
// if it has a Token, and Config.OnReport if the app wants to know. Items that are
// still held when Shutdown's context ends, or wait for room, go to the spool, or end
// as Abandoned.
//
// SendNow goes past lanes, batches and backoff: its caller makes one request, and
// the queue only counts the item. A halt stops it too.
package delivery
