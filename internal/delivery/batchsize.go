package delivery

const (
	maxShrink = 7 // 2^-7 of a hundred: one event
	growAfter = 8 // successes in a row before batches grow again: what just failed would fail again
)

// batchSize bounds batches: smaller ones may get through where larger ones do not.
type batchSize struct {
	shrink    int // they are 2^-shrink of the usual
	successes int // in a row since shrink changed
}

// halve halves the batches, until smaller ones have been delivered for a while.
func (b *batchSize) halve() {
	b.shrink, b.successes = min(b.shrink+1, maxShrink), 0
}

// succeeded notes that a batch was delivered.
func (b *batchSize) succeeded() {
	if b.successes++; b.shrink > 0 && b.successes >= growAfter {
		b.shrink, b.successes = b.shrink-1, 0
	}
}
