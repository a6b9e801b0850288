package klime

import (
	"bytes"
	"slices"
)

// arena is memory that several small events share. A block of it is freed when the last
// of them is done, which is soon, as they are sent more or less in the order in which
// they were made. The first block is empty, and blocks grow as more is encoded: the
// garbage collector empties the pool of encodeStates, and then an event that is alone in a
// block must not hold much more memory than it needs.
type arena struct {
	block    []byte // its length is what is taken
	nextSize int    // bytes of the next block
}

const (
	firstBlockBytes = 2 * 1024
	maxBlockBytes   = 16 * 1024
	maxSharedBytes  = 1024 // an event is rarely larger
)

// room returns the free part of a block, as an empty slice. A new block is made if
// that has fewer than size bytes.
func (a *arena) room(size int) []byte {
	if cap(a.block)-len(a.block) < size {
		a.block = make([]byte, 0, a.nextSize)
		a.nextSize = min(max(2*a.nextSize, firstBlockBytes), maxBlockBytes)
	}
	return a.block[len(a.block):]
}

// keep takes what was appended to room out of it. If that did not fit, it returns a
// copy that is just as large.
func (a *arena) keep(b []byte) []byte {
	if free := cap(a.block) - len(a.block); cap(b) != free {
		return bytes.Clone(b)
	}
	a.block = a.block[:len(a.block)+len(b)]
	return slices.Clip(b)
}
