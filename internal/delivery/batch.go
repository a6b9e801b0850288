package delivery

import "slices"

// The body of a request is the events, with commas, between these.
const (
	batchHead = `{"batch":[`
	batchTail = `]}`
)

// Batch is the items of one request.
type Batch []Item

// AppendBody appends the body of the request to b.
func (batch Batch) AppendBody(b []byte) []byte {
	size := len(batchHead) + len(batchTail)
	for i := range batch {
		size += len(batch[i].Body) + 1
	}
	b = append(slices.Grow(b, size), batchHead...)
	for i := range batch {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, batch[i].Body...)
	}
	return append(b, batchTail...)
}
