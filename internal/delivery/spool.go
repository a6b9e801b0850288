package delivery

import (
	"errors"
	"time"
)

// What can keep an item from the disk, or end it there.
var (
	ErrNotDurable = errors.New("kept in memory only")
	ErrSpoolBusy  = errors.New("spool too slow")
	ErrSpoolFull  = errors.New("spool full")
	ErrSpoolLost  = errors.New("spool lost")
)

// Record is an item as a Spool keeps it. Keys grow in the order in which items
// were accepted.
type Record struct {
	Key       uint64
	Body      []byte
	Automatic bool
	Attempts  int  // requests that carried it before it was written
	Damaged   bool // it cannot be trusted; Body says no more than its size
}

// Storage is a Spool and how it is used.
type Storage struct {
	Spool      Spool // nil for none; closed at the end of Shutdown
	WriteAhead bool  // explicit items are on disk before Enqueue returns

	// Fits reports whether there is room for so many records with bodies of so many
	// bytes, the last of which is automatic or not. What does not fit is
	// refused. Nil is a Spool that makes room itself. It is called under a lock.
	Fits func(records, size int, automatic bool) bool
}

// Spool keeps records on disk. It is used by one goroutine. After an error of
// Commit or Read it is not used again until Reopen has succeeded.
type Spool interface {
	// Kept is what is there at the start: records, the bytes of their bodies, and
	// the highest key.
	Kept() (records, size int, last uint64)

	// Commit removes records, where they exist, and then adds others, all or
	// nothing, durable when it returns. What had to go for want of room is
	// dropped: of the records that were there, or of those to add.
	Commit(add []Record, remove []uint64) (dropped []Record, err error)

	// Read returns records from that key on, in order, without those to skip: at
	// most so many, and one or so many bytes.
	Read(from uint64, records, size int, skip func(key uint64) bool) ([]Record, error)

	// Reopen tries to get out of a fault. Lost says that nothing is left of what
	// was kept. If it is not writable (as on a full disk), what is kept can be
	// read, and perhaps removed, but nothing added.
	Reopen() (lost, writable bool, err error)

	Close() error
}

const (
	// graceToSpool is how long an item may be in memory alone, after the flush
	// interval is over.
	spillGrace = 3 * time.Second

	// What waits to be written may take so much, beside what the queue may take.
	maxUnwrittenItems = 100_000
	maxUnwrittenBytes = 16 << 20

	// One commit writes so much at most, so that who waits for it waits little.
	maxCommitItems = 5000
	maxCommitBytes = 4 << 20

	// Removals may wait for company: what is not removed before a crash is sent twice.
	maxRemovals   = 1000
	removalsAfter = time.Second

	commitPatience = 2 * time.Second // how long an item's caller waits for the disk
	reopenInterval = 5 * time.Second // between two attempts to get out of a fault
	keeperGrace    = 2 * time.Second // for what Shutdown leaves, beyond its context
	maxTokens      = 10_000          // of items on disk that are remembered
)
