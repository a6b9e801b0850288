package delivery

import (
	"errors"
	"time"
)

// Errors of the spool: why an item is not on disk, or is lost with it.
var (
	ErrNotDurable = errors.New("kept in memory only")
	ErrSpoolBusy  = errors.New("spool too slow")
	ErrSpoolFull  = errors.New("spool full")
	ErrSpoolLost  = errors.New("spool lost")
)

// Record is an item as a Spool keeps it. Later items have higher keys.
type Record struct {
	Key       uint64
	Body      []byte
	Automatic bool
	Attempts  int  // requests that carried it until it was written
	Damaged   bool // it failed a check: only the size of Body means something
}

// Storage is a Spool and how to use it.
type Storage struct {
	Spool      Spool // nil for none; closed at the end of Shutdown
	WriteAhead bool  // write explicit items to disk before Enqueue returns

	// Leftovers are taken over into the Spool. Nil stands for none.
	Leftovers Leftovers

	// Fits reports whether the spool has room for this many records, whose bodies
	// have size bytes together, if the last one is automatic or not. Items that do
	// not fit are refused. Nil stands for a Spool that makes room itself. Fits is
	// called under a lock.
	Fits func(records, size int, automatic bool) bool
}

// Spool keeps records on disk. One goroutine uses it. After Kept, Commit or Read
// has failed, it is not used again until Reopen has succeeded.
type Spool interface {
	// Kept describes what is there at the start: how many records, the size of
	// their bodies, and the highest key. With an error, this is what is known.
	Kept() (records, size int, last uint64, err error)

	// Commit removes records, if they exist, and then adds others. It is all or
	// nothing, and durable when it returns. Records that had to go for want of room,
	// old or new, are returned as dropped.
	Commit(add []Record, remove []uint64) (dropped []Record, err error)

	// Read returns the records from this key on, in order, without those to skip: at
	// most so many, and with bodies of at most size bytes, unless the first is larger.
	Read(from uint64, records, size int, skip func(key uint64) bool) ([]Record, error)

	// Reopen tries to recover from a fault. lost says that nothing is left of what
	// was kept. If the spool is not writable (the disk is full, say), records can be
	// read and perhaps removed, but not added.
	Reopen() (lost, writable bool, err error)

	// Close is the last call. It fails with ErrSpoolLost if nothing is left of what was kept.
	Close() error
}

const (
	// Bounds of what waits to be written, on top of the bounds of the queue.
	maxUnwrittenItems = 100_000
	maxUnwrittenBytes = 16 << 20

	// Bounds of one commit, so that callers who wait for it do not wait long.
	maxCommitItems = 5000
	maxCommitBytes = 4 << 20

	// Removals are done together. After a crash, events whose records were not yet removed are sent twice.
	maxRemovals   = 1000
	removalsAfter = time.Second

	commitPatience = 2 * time.Second // how long a caller of Enqueue waits for the disk
	reopenInterval = 5 * time.Second // between two calls of Reopen
	keeperGrace    = 2 * time.Second // beyond the context of Shutdown, to write what is left: not less than commitPatience
	maxTokens      = 10_000          // tokens of items on disk that are kept in memory
)
