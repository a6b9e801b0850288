package spool_test

import (
	"context"
	"sync/atomic"

	klime "github.com/klimeapp/klime-go/core"
)

// flaky is a Transport that fails until up is true.
type flaky struct{ up atomic.Bool }

func (f *flaky) Send(_ context.Context, _ []byte, events int) (klime.BatchResult, error) {
	if !f.up.Load() {
		return klime.BatchResult{}, &klime.DeliveryError{StatusCode: 503}
	}
	return klime.BatchResult{Accepted: events}, nil
}
