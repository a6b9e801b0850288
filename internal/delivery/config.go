package delivery

import (
	"context"
	"log/slog"
	"time"
)

// Config configures a Deliverer. All numbers but MaxAttempts are positive.
type Config struct {
	Storage // the spool, if any

	Transport     Transport
	FlushInterval time.Duration // the longest that an item waits for others
	BatchSize     int           // this many waiting items start a send
	QueueSize     int           // the most items held
	QueueBytes    int           // the most bytes held
	Overflow      Overflow      // what gives way when the queue is full
	Senders       int           // the most requests in flight
	MaxAttempts   int           // requests that may carry an item, plus a few to find which of a batch is at fault; 0 for no limit
	RetryDelay    time.Duration // before the first retry; doubled for each further one
	Timeout       time.Duration // of one request
	Logger        *slog.Logger

	// OnOutcome is told how each item with a Token ended. It is called from many
	// goroutines and must not block. It may be nil.
	OnOutcome func(token uint64, outcome Outcome)

	// OnRequest is told of each request that carried items: how many, how long it
	// took, and why it failed (nil if it did not). It is called from many
	// goroutines and must not block. It may be nil.
	OnRequest func(items int, took time.Duration, failure *SendError)

	// OnReport is told how items ended, of one report at a time. If it blocks, later
	// reports lose detail: see their Result and Untold. It may be nil.
	OnReport func(Report)

	// OnClose hands over what the owner still has, at the beginning of Shutdown.
	// Until it returns, patient items are accepted, and no others. It returns how
	// many items it could not hand over before ctx ended or soon after. It may be nil.
	OnClose func(ctx context.Context) (lost int)

	ReportSent bool   // tell OnReport of delivered items too
	ReportLost bool   // OnReport needs time at the end of Shutdown, for what was not delivered
	OnPanic    func() // called when the Transport has panicked, or ended its goroutine; may be nil
}
