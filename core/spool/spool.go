package spool

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/internal/delivery"
)

// Errors of Open. Match with [errors.Is].
var (
	// ErrInUse: another process has the folder, or this one a second time.
	ErrInUse = errors.New("spool: folder in use")
	// ErrInvalidOptions: an option is beyond its limits.
	ErrInvalidOptions = errors.New("spool: invalid options")
)

const (
	defaultMaxBytes = 256 << 20
	minMaxBytes     = 1 << 20
	maxMaxBytes     = 1 << 40

	holderTries = 20
	holderPause = 10 * time.Millisecond
)

// Options tunes a [Spool]. The zero value is good.
type Options struct {
	// MaxBytes is how much the events on disk may take, 1 MiB to 1 TiB. The file is
	// about a third larger, and does not shrink until a start at which it is empty.
	// Default 256 MiB.
	MaxBytes int64

	// WhenFull says what gives way beyond MaxBytes. Default DropOldest.
	WhenFull Policy

	// WriteAhead makes Track, Identify, Group and Link return only when their
	// event is on disk, whatever their context: all callers of that time share one
	// commit, of two fsyncs (some milliseconds, see docs/durability.md). If that
	// fails, or takes longer than 2 s, they return [klime.ErrNotDurable], and the
	// event is kept in memory only. Nobody waits for the events that a
	// middleware makes of requests: they go to disk as in the other mode.
	// Default false.
	WriteAhead bool
}

// Policy says which events give way when those on disk take all of
// [Options.MaxBytes]. They are counted as DropSpoolFull and given to OnError.
type Policy int

const (
	// DropOldest: the oldest on disk are dropped, those of requests before those
	// that the app tracked itself.
	DropOldest Policy = iota

	// Reject: what is on disk stays, and the new ones are refused. With WriteAhead
	// the call returns [klime.ErrSpoolFull], and the event is dropped. Otherwise
	// events stay in memory as without a spool, until the queue is full too: then
	// Config.Overflow says which is dropped. Events of requests
	// take at most 80 % of the disk.
	Reject
)

// automaticShare is the part of the disk, in fifths, that events of requests may
// take with Reject: a flood of them must leave room for what the app tracks itself.
const automaticShare = 4

// Spool is a folder of events. Nil is none, and may be given to a Config.
type Spool struct {
	opts Options

	mu       sync.Mutex
	store    *store // nil once a client has it, or it is closed
	attached *store // the client's
}

var _ klime.Spool = (*Spool)(nil)

// Open opens the spool of that folder, which is made (for its owner alone) if it
// is missing. Events that an earlier process has left there are sent by the
// client that is given the Spool. A damaged file is set aside, and a full
// disk is waited for: the errors are [ErrInUse], which names the process,
// [ErrInvalidOptions], and that of a folder that cannot be made or written.
//
// On an error the Spool is nil. A client that is given it works without.
func Open(dir string, opts Options) (*Spool, error) {
	if opts.MaxBytes == 0 {
		opts.MaxBytes = defaultMaxBytes
	}
	if opts.MaxBytes < minMaxBytes || opts.MaxBytes > maxMaxBytes {
		return nil, fmt.Errorf("%w: MaxBytes is %d, allowed is %d to %d", ErrInvalidOptions, opts.MaxBytes, minMaxBytes, maxMaxBytes)
	}
	if opts.WhenFull < DropOldest || opts.WhenFull > Reject {
		return nil, fmt.Errorf("%w: WhenFull is %d, allowed is %d to %d", ErrInvalidOptions, opts.WhenFull, DropOldest, Reject)
	}
	if dir == "" {
		return nil, fmt.Errorf("%w: no folder", ErrInvalidOptions)
	}
	dir, err := filepath.Abs(dir) // the app may change its working directory
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	s := newStore(dir, opts.MaxBytes, opts.WhenFull)
	if err := s.open(); err != nil && !isDiskFull(err) {
		s.lock.release()
		return nil, err
	}
	return &Spool{opts: opts, store: s}, nil
}

// isDiskFull reports whether err will go away when somebody cleans up.
func isDiskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// Attach is for the client: it hands over what does the work, once.
func (s *Spool) Attach(logger *slog.Logger) (delivery.Storage, error) {
	if s == nil {
		return delivery.Storage{}, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store == nil {
		return delivery.Storage{}, errors.New("spool: it was closed, or given to another client")
	}
	s.store, s.attached = nil, s.store
	s.attached.introduce(logger)
	storage := delivery.Storage{Spool: s.attached, WriteAhead: s.opts.WriteAhead}
	if s.opts.WhenFull == Reject {
		storage.Fits = s.opts.fits
	}
	return storage, nil
}

// fits reports whether so many records have room, the last of which is
// automatic or not.
func (o Options) fits(records, size int, automatic bool) bool {
	most := o.MaxBytes
	if automatic {
		most = most / 5 * automaticShare
	}
	return sizeOnDisk(records, int64(size)) <= most
}

// Close gives the folder free. It is for a Spool that no client was given: a
// client closes its own at Shutdown, and then this does nothing.
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

// holder reads which process has the folder, "" if that is not known.
func holder(dir string) string {
	pid, err := os.ReadFile(filepath.Join(dir, holderName)) //nolint:gosec // a file of our own
	if err != nil || len(pid) > 20 {
		return ""
	}
	return string(pid)
}

// awaitHolder is holder, which a process writes a little after it has taken the
// lock: before that there is none, or one that has died.
func awaitHolder(dir string) string {
	pid := holder(dir)
	for range holderTries {
		if lives(pid) {
			break
		}
		time.Sleep(holderPause)
		pid = holder(dir)
	}
	return pid
}

// lives reports whether there is such a process, as far as this one can tell.
func lives(pid string) bool {
	n, err := strconv.Atoi(pid)
	if err != nil {
		return false
	}
	p, err := os.FindProcess(n)
	if err != nil {
		return false
	}
	defer func() { _ = p.Release() }()
	err = p.Signal(syscall.Signal(0))
	return !errors.Is(err, os.ErrProcessDone) && !errors.Is(err, syscall.ESRCH)
}

func ownPID() string { return strconv.Itoa(os.Getpid()) }
