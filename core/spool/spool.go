package spool

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"sync"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/internal/delivery"
)

// Errors of Open. Match with [errors.Is].
var (
	// ErrInUse: the folder is open in another process, or already in this one.
	ErrInUse = errors.New("spool: folder in use")
	// ErrInvalidOptions: an option is outside its limits, or the folder is "".
	ErrInvalidOptions = errors.New("spool: invalid options")
)

const (
	defaultMaxBytes = 256 << 20
	minMaxBytes     = 1 << 20
	maxMaxBytes     = min(1<<40, math.MaxInt/2+1) // bbolt maps the file, which is larger, into memory
)

// Options tunes a [Spool]. The zero value is ready to use.
type Options struct {
	// MaxBytes limits the size of the events on disk, 1 MiB to 1 TiB (1 GiB on 32-bit
	// systems). The file is a third to a half larger, with events of 1 to 2.5 KB up to 2.2
	// times as large, and shrinks only when it is empty.
	// Default 256 MiB.
	MaxBytes int64

	// WhenFull says what gives way beyond MaxBytes. Default DropOldest.
	WhenFull Policy

	// WriteAhead makes Track, Identify, Group and Link return only when their
	// event is on disk, whatever their context. Concurrent callers share one commit,
	// of two fsyncs (some milliseconds, see docs/spool.md). If that fails, or
	// takes longer than 2 s, they return [klime.ErrNotDurable], and the event is kept
	// in memory only. Events that a middleware makes of requests do not wait: they go
	// to disk as without WriteAhead. Default false.
	WriteAhead bool

	// Shared lets processes have the folder at the same time: the old and the new one of
	// a deploy, or the children of one parent. Each takes the first part that it can: the
	// folder itself, or klime-spool.1 to klime-spool.255 in it. At its start and once a
	// minute, a client takes over what was left in parts that no process has, and delivers
	// it. All processes must have Shared, and send to the same Klime account. Each has
	// MaxBytes of its own. On Solaris, illumos, AIX and Android, two clients of one process
	// must not share a folder. Default false.
	Shared bool
}

// Policy says which events give way when those on disk take all of
// [Options.MaxBytes]. Dropped events are counted as DropSpoolFull and given to
// OnError.
type Policy int

const (
	// DropOldest: the oldest events on disk are dropped, those of requests before
	// those that the app tracked itself.
	DropOldest Policy = iota

	// Reject: the events on disk stay, and new ones are refused. With WriteAhead the
	// call returns [klime.ErrSpoolFull], and the event is dropped. Otherwise events
	// stay in memory as without a spool, until the queue is full too: then
	// Config.Overflow says which is dropped. Events of requests take at most 80 % of
	// MaxBytes.
	Reject
)

// automaticShare is the part of the disk, in fifths, that events of requests may
// take with Reject: a flood of them must leave room for what the app tracks itself.
const automaticShare = 4

// Spool is a folder of events on disk. A nil Spool in a Config stands for none.
type Spool struct {
	opts Options

	mu    sync.Mutex
	store *store // nil when a client has it, or when it is closed
}

var _ klime.Spool = (*Spool)(nil)

// Open opens the spool in a folder. A missing folder is made, with access for its
// owner alone. Events that an earlier process has left there are sent by the client
// that is given the Spool.
//
// A damaged file is set aside, and a full disk is no error: the client tries again.
// Open fails with [ErrInUse], which names the process that has the folder (of a shared
// one: if all its parts are in use), with
// [ErrInvalidOptions], or with the system's error if the folder cannot be made or
// written. The Spool is then nil, and a client that is given it works without one.
func Open(dir string, opts Options) (*Spool, error) {
	if opts.MaxBytes == 0 {
		opts.MaxBytes = defaultMaxBytes
	}
	if opts.MaxBytes < minMaxBytes || opts.MaxBytes > maxMaxBytes {
		return nil, fmt.Errorf("%w: MaxBytes is %d, allowed is %d to %d", ErrInvalidOptions, opts.MaxBytes, minMaxBytes, int64(maxMaxBytes))
	}
	if opts.WhenFull < DropOldest || opts.WhenFull > Reject {
		return nil, fmt.Errorf("%w: WhenFull is %d, allowed is %d to %d", ErrInvalidOptions, opts.WhenFull, DropOldest, Reject)
	}
	if dir == "" {
		return nil, fmt.Errorf("%w: no folder given", ErrInvalidOptions)
	}
	dir, err := filepath.Abs(dir) // the app may change its working directory
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	s := newStore(dir, opts.MaxBytes, opts.WhenFull)
	if opts.Shared {
		s.shared = dir
	}
	if err := s.open(true); err != nil && !isDiskFull(err) {
		s.lock.release()
		switch {
		case !errors.Is(err, ErrInUse):
			return nil, err
		case opts.Shared:
			return nil, fmt.Errorf("%w: all %d parts of %s", ErrInUse, maxParts, dir)
		default:
			return nil, fmt.Errorf("%w is held by process %s; processes that are to share a folder need Options.Shared",
				err, cmp.Or(awaitHolder(dir), "(unknown)"))
		}
	}
	return &Spool{opts: opts, store: s}, nil
}

// Attach is for the client. It hands over the storage, once.
func (s *Spool) Attach(logger *slog.Logger) (delivery.Storage, error) {
	if s == nil {
		return delivery.Storage{}, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store == nil {
		return delivery.Storage{}, errors.New("spool: it was closed, or given to another client")
	}
	own := s.store
	s.store = nil
	own.setLogger(logger)
	storage := delivery.Storage{Spool: own, WriteAhead: s.opts.WriteAhead}
	if s.opts.Shared {
		storage.Leftovers = newLeftovers(own)
	}
	if s.opts.WhenFull == Reject {
		storage.Fits = s.opts.fits
	}
	return storage, nil
}

// fits reports whether so many records, with bodies of size bytes in all, have room.
// automatic is whether the last of them is.
func (o Options) fits(records, size int, automatic bool) bool {
	most := o.MaxBytes
	if automatic {
		most = most / 5 * automaticShare
	}
	return sizeOnDisk(records, int64(size)) <= most
}

// Close releases the folder of a Spool that no client has, such as after [klime.New]
// has failed. Otherwise it does nothing: the client closes the Spool at Shutdown.
func (s *Spool) Close() error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store == nil {
		return nil
	}
	unused := s.store
	s.store = nil
	return unused.Close()
}
