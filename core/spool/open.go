package spool

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// maxEmptyFile is the size above which a file without records is made anew, as bbolt's
// files never shrink.
const maxEmptyFile = 16 << 20

// open opens the folder. Of a shared one it takes another part if it cannot use this one,
// unless there are events of its own in this one. A full disk is no reason to look
// further: it has no room for other parts either. For adopt, see openDir.
func (s *store) open(adopt bool) error {
	err := s.openDir(adopt)
	if errors.Is(err, ErrInUse) && s.shared == "" && !adopt { // else Open says it, and waits for the name
		err = fmt.Errorf("%w is held by process %s", err, cmp.Or(holder(s.dir), "(unknown)"))
	}
	if s.shared == "" || s.totals.records > 0 {
		return err
	}
	for i := 0; i < maxParts && err != nil && !isDiskFull(err); i++ {
		s.setDir(part(s.shared, i))
		if next := s.openDir(adopt); next == nil || isDiskFull(next) || errors.Is(err, ErrInUse) { // another error says more
			err = next
		}
	}
	if err != nil {
		s.setDir(s.shared)
	}
	return err
}

// openDir reserves the folder and opens the file in it, or makes one. Another process's file
// with events is left alone unless adopt is set: a client that knows what is in the store
// would mistake them for its own, whose keys may be the same. The lock does not prevent that,
// as the whole folder may have been replaced.
func (s *store) openDir(adopt bool) error {
	if err := s.reserve(); err != nil {
		return s.explain(err)
	}
	before, own := s.totals, s.ownID
	err := s.openWhole()
	if err == nil && !adopt && s.totals.records > 0 && !s.totals.follows(before, own) {
		s.closeDB()
		s.vacate()
		err = fmt.Errorf("spool: %s: %w", s.path(), errForeign)
	}
	if err != nil {
		s.totals = before
	}
	if err == nil || isDiskFull(err) {
		noteHolder(s.dir)
	}
	return err
}

// reserve makes the folder, if there is none, and takes its lock.
func (s *store) reserve() error {
	if err := s.makeDir(); err != nil {
		return err
	}
	return s.lock.take()
}

// makeDir makes the folder, and those above it, unless they are there. What it makes is durable:
// without its folder, a file that is on disk is lost.
func (s *store) makeDir() error {
	var above []string // the folders that get a new name
	for dir := s.dir; isMissing(dir) && dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		above = append(above, filepath.Dir(dir))
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err //nolint:wrapcheck // explain does
	}
	for _, dir := range above {
		s.sync(dir)
	}
	return nil
}

func isMissing(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// vacate leaves the folder to others.
func (s *store) vacate() {
	if s.lock.file != nil {
		forgetHolder(s.dir)
		s.lock.release()
	}
}

// openWhole opens the file, or makes one. A damaged file is set aside, and so is a link, and a
// file of another version.
func (s *store) openWhole() error {
	if there, err := os.Stat(s.path()); s.broken != nil && (err != nil || os.SameFile(s.broken, there)) {
		if err := s.setAside(errCorrupt); err != nil {
			return err
		}
	}
	err := s.openFile()
	if errors.Is(err, errCorrupt) {
		if err := s.setAside(err); err != nil {
			return err
		}
		err = s.openFile()
	}
	return err
}

// openFile opens the file, or makes one. It replaces a large file without records.
func (s *store) openFile() error {
	for tried := false; ; tried = true {
		err := guarded(s.openDB)
		if err != nil {
			if errors.Is(err, errCorrupt) {
				s.abandonDB()
			} else {
				s.closeDB()
			}
			return s.explain(err)
		}
		info, err := s.file.Stat()
		if err != nil {
			s.closeDB()
			return s.explain(err)
		}
		if !os.SameFile(s.info, info) && s.oneMeta { // once a file: while the disk fails, it is opened again and again
			s.warn(warning{"is damaged where it names its events, those of the last commit may be lost, or sent again", s.path()})
		}
		s.info = info
		if s.totals.records > 0 || s.info.Size() <= maxEmptyFile || tried {
			return nil // the file is good, if large
		}
		s.closeDB() // Windows removes no open file
		if os.Remove(s.path()) == nil {
			s.totals = totals{id: s.totals.id}
		}
	}
}

// openDB opens the db, or makes one, and reads its totals.
func (s *store) openDB() error {
	there, err := os.Lstat(s.path())
	if err == nil && !there.Mode().IsRegular() {
		return errors.New("not a regular file") // a link leads to what is not ours
	}
	empty := err == nil && there.Size() == 0
	fresh := err != nil || empty
	db, err := bolt.Open(s.path(), 0o600, &bolt.Options{
		Timeout:      time.Nanosecond, // a single attempt to lock the file
		FreelistType: bolt.FreelistMapType,
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			f, err := os.OpenFile(name, flag, mode) //nolint:gosec // the folder is the app's choice
			s.file = f
			if err == nil {
				err = checkMetas(f)
			}
			return f, err
		},
	})
	if err != nil {
		if fresh && isDiskFull(err) {
			_ = os.Remove(s.path()) // a part of a new file would pass for a damaged one
		}
		return err
	}
	if empty {
		s.warn(warning{"had size 0 and is made anew: a crash left it while it was first made, or all events in it are lost", s.path()})
	}
	s.db = db
	_ = s.file.Chmod(0o600) // a spool that others may read is better than none
	if err := s.check(); err != nil {
		return err
	}
	return s.readTotals()
}

// readTotals reads the totals of the db, or initializes an empty one.
func (s *store) readTotals() error {
	var head []byte
	err := s.db.View(func(tx *bolt.Tx) error {
		if b := tx.Bucket(headBucket); b != nil {
			head = bytes.Clone(b.Get(totalsKey))
			for _, name := range [][]byte{explicitBucket, automaticBucket} {
				if tx.Bucket(name) == nil {
					return errDamaged
				}
			}
		} else if name, _ := tx.Cursor().First(); name != nil {
			return errDamaged // another program's file
		}
		return nil
	})
	if err != nil {
		return err
	}
	if head == nil {
		return s.initialize()
	}
	s.totals, err = decodeTotals(head)
	return err
}

// check checks the file's pages, once a file: see openFile. It sets oneMeta.
func (s *store) check() error {
	info, err := s.file.Stat()
	if err != nil || os.SameFile(s.info, info) {
		return err //nolint:wrapcheck // explain does
	}
	m, err := lastMeta(s.file, int64(s.db.Info().PageSize))
	if err != nil {
		return err
	}
	s.oneMeta = m.alone // bbolt does not say so
	return checkPages(s.file, m, info.Size())
}

func (s *store) initialize() error {
	t := totals{id: newID()}
	s.db.NoGrowSync = true // growing the file beforehand hides the system's error
	defer func() { s.db.NoGrowSync = false }()
	err := s.db.Update(func(tx *bolt.Tx) error {
		for _, name := range [][]byte{explicitBucket, automaticBucket, headBucket} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return tx.Bucket(headBucket).Put(totalsKey, t.encode())
	})
	if err != nil {
		return err
	}
	s.ownID, s.totals = t.id, t
	s.sync(s.dir)
	return nil
}

// syncFolder makes the file names in a folder durable, where the system can.
func syncFolder(dir string) {
	f, err := os.Open(dir) //nolint:gosec // the folder is the app's choice
	if err != nil {
		return // the file itself is written
	}
	_ = f.Sync()
	_ = f.Close()
}

// explain classifies an error of opening: ErrInUse if another process has the
// folder, the system's error as it is, and anything else means a damaged file.
func (s *store) explain(err error) error {
	var errno syscall.Errno
	var path *fs.PathError
	switch {
	case errors.Is(err, errLocked), errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("%w: %s", ErrInUse, s.dir)
	case errors.As(err, &errno), errors.As(err, &path), errors.Is(err, errGone), isDiskFull(err),
		s.shared != "" && errors.Is(err, errVersion): // in a deploy, the old process looks at what the new one has left
		return fmt.Errorf("spool: %w", err)
	default:
		return fmt.Errorf("spool: %w: %w", errCorrupt, err)
	}
}

// closeDB closes the db and its file, if they are open.
func (s *store) closeDB() {
	if s.db != nil {
		_ = guarded(s.db.Close)
	}
	s.abandonDB()
}

// abandonDB closes the file without closing the db, which may be locked forever after
// a panic. Closing the file also ends bbolt's lock on it.
func (s *store) abandonDB() {
	if s.file != nil {
		_ = s.file.Close()
	}
	s.db, s.file = nil, nil
}
