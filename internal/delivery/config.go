package delivery

import (
	"context"
	"log/slog"
	"time"
)

// Config tunes a Deliverer. All numbers but MaxAttempts are positive.
type Config struct {
	Storage // the disk

	Transport     Transport
	FlushInterval time.Duration // the longest an item waits for company
	BatchSize     int           // this many waiting items start a send
	QueueSize     int           // items held at most
	QueueBytes    int           // bytes held at most
	Overflow      Overflow      // what gives way when the queue is full
	Senders       int           // requests at the same time
	MaxAttempts   int           // requests that may carry one item, and a few more to find which of a batch is at fault; 0 for no end
	RetryDelay    time.Duration // before the first retry; doubled for each further one
	Timeout       time.Duration // of one request
	Logger        *slog.Logger

	// OnOutcome learns how items ended that have a Token. It is called from
	// many goroutines and must not block. It may be nil.
	OnOutcome func(token uint64, outcome Outcome)

	// OnRequest is told of each request that carried items: how many, how long it
	// took, and why it failed, nil if it did not. It is called from many
	// goroutines and must not block. It may be nil.
	OnRequest func(items int, took time.Duration, failure *SendError)

	// OnReport learns how items ended, from one goroutine. It may block, at the
	// cost of later reports: see Report.Untold. It may be nil.
	OnReport func(Report)

	// OnClose hands over what its owner still has, at the beginning of Shutdown: while
	// it runs patient items are accepted, and no others. It returns how many it could
	// not hand over before ctx ended, or soon after. It may be nil.
	OnClose func(ctx context.Context) (lost int)

	ReportSent bool   // OnReport is also told of what was delivered
	OnPanic    func() // told when the Transport panicked; may be nil
}
