package delivery

import "sync"

// maxSpareBytes bounds what a body that is kept for later requests may hold.
const maxSpareBytes = 256 << 10

// bodies keeps the memory of bodies for later requests. A new one for each would make
// more garbage than all else that delivery does.
type bodies struct{ spare sync.Pool } // of *[]byte

// get returns an empty slice.
func (b *bodies) get() []byte {
	if spare, ok := b.spare.Get().(*[]byte); ok {
		return (*spare)[:0]
	}
	return nil
}

// put takes a body that nobody reads any more.
func (b *bodies) put(body []byte) {
	if cap(body) <= maxSpareBytes {
		b.spare.Put(&body)
	}
}
