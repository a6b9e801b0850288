package klime

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
)

const (
	internSlots  = 4096
	maxInternLen = 128 // bytes; a longer ID is copied each time
)

// interner copies IDs, because some frameworks reuse the memory that an ID came in.
// An ID that comes again and again is copied once, until another ID takes its slot.
// It is safe for concurrent use.
type interner struct {
	seed  maphash.Seed
	slots [internSlots]atomic.Pointer[string]
}

func newInterner() *interner { return &interner{seed: maphash.MakeSeed()} }

// keep returns a copy of id. A nil interner makes a new copy each time.
func (in *interner) keep(id string) string {
	if in == nil || len(id) > maxInternLen {
		return strings.Clone(id)
	}
	if id == "" {
		return ""
	}
	slot := &in.slots[maphash.String(in.seed, id)%internSlots]
	if known := slot.Load(); known != nil && *known == id {
		return *known
	}
	kept := strings.Clone(id)
	slot.Store(&kept)
	return kept
}

// interner returns the interner of c, nil if c is nil.
func (c *Client) interner() *interner {
	if c == nil {
		return nil
	}
	return c.ids
}
