package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"

	bolt "go.etcd.io/bbolt"

	"github.com/klimeapp/klime-go/internal/delivery"
)

const (
	fileName = "klime-spool.db"
	lockName = "klime-spool.lock"
)

// Buckets, and keys in the head.
var (
	explicitBucket  = []byte("explicit")  //nolint:gochecknoglobals // a constant
	automaticBucket = []byte("automatic") //nolint:gochecknoglobals // a constant
	headBucket      = []byte("head")      //nolint:gochecknoglobals // a constant
	totalsKey       = []byte("totals")    //nolint:gochecknoglobals // a constant
	probeKey        = []byte("probe")     //nolint:gochecknoglobals // a constant
)

// Why the file cannot be used.
var (
	errCorrupt = errors.New("file is damaged")
	errGone    = errors.New("file was deleted or replaced")
	errForeign = errors.New("file has events that this process did not put there, or an earlier file of its own is back")
	errClosed  = errors.New("closed")
	errVersion = errors.New("written by another version of klime-go")
)

// store implements delivery.Spool with one file. After an error its db is nil until
// Reopen succeeds, except while the file is not at its path.
type store struct {
	max    int64 // bytes
	policy Policy

	dir    string
	shared string           // the folder of which dir is a part; "" if it is not shared
	lock   *lock            // of dir, held also while there is no db
	sync   func(dir string) // syncFolder, except in tests

	db        *bolt.DB    // nil while there is a fault
	file      *os.File    // of db
	info      fs.FileInfo // of file, or of the last one, which was checked; nil to check again
	totals    totals
	ownID     uint64      // what this process writes as the id of totals
	oneMeta   bool        // of the two pages that name the last commits, one was damaged when the file was opened
	broken    fs.FileInfo // of a file that turned out to be damaged, and must be set aside; or nil
	faulty    bool        // the disk has failed, though it was not full, and nothing was committed since
	displaced bool        // the file is not at its path, nor can be made anew there: records are read and removed, but not added

	logger *slog.Logger // nil until a client has the store
	untold []warning    // from before there was a logger
	told   bool         // the log says why the folder cannot be used
}

func newStore(dir string, maxBytes int64, policy Policy) *store {
	return &store{dir: dir, max: maxBytes, policy: policy, lock: newLock(dir), sync: syncFolder, ownID: newID()}
}

// newID returns a random ID, never 0, which stands for none.
func newID() uint64 { return rand.Uint64() | 1 }

// setDir goes to another folder. A lock on this one ends.
func (s *store) setDir(dir string) {
	s.lock.release()
	s.dir, s.lock = dir, newLock(dir)
}

func (s *store) path() string { return filepath.Join(s.dir, fileName) }

// setLogger sets the client's logger, and logs what has happened so far.
func (s *store) setLogger(logger *slog.Logger) {
	s.logger = logger
	for _, w := range s.untold {
		s.warn(w)
	}
	s.untold = nil
}

// warning is a line of the log about a file.
type warning struct{ text, file string }

// warn logs a warning, as soon as there is a logger.
func (s *store) warn(w warning) {
	if s.logger == nil {
		s.untold = append(s.untold, w)
		return
	}
	s.logger.Warn("klime: the spool's file "+w.text, slog.String("file", w.file))
}

// guarded calls do, and turns a panic or memory fault in it into an error: bbolt
// panics over damaged pages, and maps the file into memory.
func guarded(do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch p := recover().(type) {
		case nil:
		case interface{ Addr() uintptr }: // a memory fault, whose text would pass for a mistake in the code
			err = fmt.Errorf("%w: its pages cannot be read", errCorrupt)
		default:
			err = fmt.Errorf("%w: %.200s", errCorrupt, fmt.Sprint(p))
		}
	}()
	return do()
}

// withDB calls do, which uses the db. If that fails, the db is closed. If the file is
// gone it stays open: it could not be opened again, and move copies its records.
func (s *store) withDB(do func() error) error {
	if s.db == nil {
		return fmt.Errorf("spool: %w", errClosed)
	}
	if err := s.checkInPlace(); err != nil && !s.displaced {
		return err
	}
	err := guarded(do)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errCorrupt):
		s.broken = s.info
		s.abandonDB()
	case !s.displaced:
		s.closeDB()
		if !s.faulty && !isDiskFull(err) { // the disk may have lost more: check the file, once for the fault
			s.info, s.faulty = nil, true
		}
	}
	return fmt.Errorf("spool: %w", err)
}

// checkInPlace returns an error if the file was deleted or replaced.
func (s *store) checkInPlace() error { return checkIsAt(s.file, s.path()) }

// Close implements delivery.Spool. That the file was deleted may show only here.
func (s *store) Close() (err error) {
	if s.db != nil && s.totals.records > 0 {
		if s.checkInPlace() != nil {
			err = s.move()
		}
		if err != nil {
			err = fmt.Errorf("%w: %w", delivery.ErrSpoolLost, err)
		} else {
			s.repeatCommit()
		}
	}
	return errors.Join(err, s.release())
}

// release closes the file and gives up the folder, whatever is in it.
func (s *store) release() (err error) {
	if s.db != nil && s.oneMeta && s.checkInPlace() == nil {
		s.repeatCommit()
	}
	if s.db != nil {
		err = guarded(s.db.Close)
	}
	s.abandonDB()
	s.vacate()
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	return nil
}

// repeatCommit makes an empty commit. If the page that names the last commit is damaged,
// bbolt goes back to the one before it, which has the same records then.
func (s *store) repeatCommit() {
	err := s.withDB(func() error { return s.db.Update(func(*bolt.Tx) error { return nil }) })
	s.oneMeta = s.oneMeta && err != nil
	if err != nil && s.logger != nil {
		s.logger.Warn("klime: the spool's last commit could not be repeated, its events are on disk all the same", slog.Any("error", err))
	}
}
