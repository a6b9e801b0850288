package spool

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/klimeapp/klime-go/internal/delivery"
)

const (
	fileName   = "klime-spool.db"
	holderName = "klime-spool.pid"
	lockName   = "klime-spool.lock"
	asideInfix = ".damaged-"
	maxAside   = 3 // files that are kept aside

	// A file without records that is larger is made anew: bbolt's never shrink.
	maxEmptyFile = 16 << 20

	// What is moved to another file at a time.
	copyRecords = 5000
	copyBytes   = 4 << 20

	probeBytes  = 1 << 20
	fillPercent = 0.9 // of a page, as keys come in order
)

// Buckets, and the key of totals.
var (
	explicitBucket  = []byte("explicit")  //nolint:gochecknoglobals // a constant
	automaticBucket = []byte("automatic") //nolint:gochecknoglobals // a constant
	headBucket      = []byte("head")      //nolint:gochecknoglobals // a constant
	totalsKey       = []byte("totals")    //nolint:gochecknoglobals // a constant
	probeKey        = []byte("probe")     //nolint:gochecknoglobals // a constant
)

// What is wrong with a file.
var (
	errCorrupt = errors.New("file is damaged")
	errGone    = errors.New("file is gone")
	errForeign = errors.New("file has events of another process")
	errClosed  = errors.New("closed")
)

// store is the file: it implements delivery.Spool. After an error it has no db,
// but for errGone.
type store struct {
	dir    string
	max    int64 // bytes
	policy Policy
	logger *slog.Logger // nil until a client has it
	aside  []string     // what was set aside, until that can be logged
	lock   *lock        // of the folder, in a fault too

	db     *bolt.DB    // nil while there is a fault
	file   *os.File    // of db
	info   fs.FileInfo // of file
	own    uint64      // what this process writes as the id of totals
	totals totals
	broken fs.FileInfo // of a file that was found to be damaged in use, and is to be set aside
	closed bool
}

func newStore(dir string, maxBytes int64, policy Policy) *store {
	return &store{
		dir: dir, max: maxBytes, policy: policy,
		lock: &lock{path: filepath.Join(dir, lockName)},
		own:  newID(),
	}
}

// newID is never 0, which is none.
func newID() uint64 { return rand.Uint64() | 1 }

func (s *store) path() string { return filepath.Join(s.dir, fileName) }

// introduce tells the client's logger what has happened so far.
func (s *store) introduce(logger *slog.Logger) {
	s.logger = logger
	for _, name := range s.aside {
		s.logAside(name)
	}
	s.aside = nil
}

func (s *store) logAside(name string) {
	s.logger.Warn("klime: the spool's file was damaged and is set aside", slog.String("file", name))
}

// open takes the folder and opens the file, or a new one, whosever it is.
func (s *store) open() (err error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	if err := s.lock.take(); err != nil {
		return s.explain(err)
	}
	before := s.totals
	defer func() {
		if err != nil {
			s.totals = before
		}
		if !errors.Is(err, ErrInUse) { // only a hint for whoever comes next
			_ = os.WriteFile(filepath.Join(s.dir, holderName), []byte(ownPID()), 0o600)
		}
	}()
	if there, err := os.Stat(s.path()); s.broken != nil && (err != nil || os.SameFile(s.broken, there)) {
		if err := s.setAside(); err != nil {
			return err
		}
	}
	err = s.openFile()
	if errors.Is(err, errCorrupt) {
		if err := s.setAside(); err != nil {
			return err
		}
		err = s.openFile()
	}
	return err
}

// reopen opens the file again. Lost says that it is another one. One with events of
// which the client does not know is left alone: it would take them for its own,
// by their keys. The lock does not rule that out, as a folder may be replaced.
func (s *store) reopen() (lost bool, err error) {
	before, own := s.totals, s.own
	if err := s.open(); err != nil {
		return false, err
	}
	switch {
	case s.totals.follows(before, own):
		return false, nil
	case s.totals.records > 0:
		s.shut()
		s.totals = before
		return false, s.refuse()
	default:
		return before.id != 0, nil
	}
}

// refuse leaves the folder to whom its events belong.
func (s *store) refuse() error {
	s.lock.release()
	return fmt.Errorf("spool: %s: %w", s.path(), errForeign)
}

// openFile opens the file as it is.
func (s *store) openFile() error {
	for {
		err := guarded(s.openDB)
		if err != nil {
			if errors.Is(err, errCorrupt) {
				s.abandon()
			} else {
				s.shut()
			}
			return s.explain(err)
		}
		if s.info, err = s.file.Stat(); err != nil {
			s.shut()
			return s.explain(err)
		}
		if s.totals.records > 0 || s.info.Size() <= maxEmptyFile || os.Remove(s.path()) != nil {
			return nil //nolint:nilerr // the file is good, if large
		}
		s.totals = totals{id: s.totals.id}
		s.shut()
	}
}

func (s *store) openDB() error {
	db, err := bolt.Open(s.path(), 0o600, &bolt.Options{
		Timeout:      time.Nanosecond, // one attempt to lock it
		FreelistType: bolt.FreelistMapType,
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			f, err := os.OpenFile(name, flag, mode) //nolint:gosec // the folder is the app's choice
			s.file = f
			return f, err //nolint:wrapcheck // explain does
		},
	})
	if err != nil {
		return err
	}
	s.db = db
	_ = s.file.Chmod(0o600) // it is better so, and no reason to do without
	var head []byte
	err = db.View(func(tx *bolt.Tx) error {
		if b := tx.Bucket(headBucket); b != nil {
			head = bytes.Clone(b.Get(totalsKey))
			for _, name := range [][]byte{explicitBucket, automaticBucket} {
				if tx.Bucket(name) == nil {
					return errDamaged
				}
			}
		} else if name, _ := tx.Cursor().First(); name != nil {
			return errDamaged // somebody else's
		}
		return nil
	})
	if err != nil {
		return err
	}
	if head == nil {
		return s.found()
	}
	s.totals, err = decodeTotals(head)
	return err
}

// found makes a new file ours.
func (s *store) found() error {
	t := totals{id: newID()}
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
	s.own, s.totals = t.id, t
	return syncFolder(s.dir)
}

// syncFolder makes the names in a folder durable, where the system can.
func syncFolder(dir string) error {
	f, err := os.Open(dir) //nolint:gosec // the folder is the app's choice
	if err != nil {
		return nil //nolint:nilerr // the file itself is there
	}
	_ = f.Sync()
	_ = f.Close()
	return nil
}

// explain sorts an error of opening: what is not the fault of somebody else or
// of the system is the file's.
func (s *store) explain(err error) error {
	var errno syscall.Errno
	var path *fs.PathError
	switch {
	case errors.Is(err, errLocked), errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("%w: %s is held by process %s; give each process a folder of its own",
			ErrInUse, s.dir, cmp.Or(awaitHolder(s.dir), "(unknown)"))
	case errors.As(err, &errno), errors.As(err, &path), errors.Is(err, errGone):
		return fmt.Errorf("spool: %w", err)
	default:
		return fmt.Errorf("spool: %w: %w", errCorrupt, err)
	}
}

// guarded turns a panic, or a fault of the memory that maps the file, into an
// error: bbolt panics over damaged pages.
func guarded(do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %.200s", errCorrupt, fmt.Sprint(p))
		}
	}()
	return do()
}

// setAside renames the file, and removes the oldest of those that are too many.
func (s *store) setAside() error {
	s.shut()
	name := s.path() + asideInfix + time.Now().UTC().Format("20060102T150405.000000000Z")
	err := os.Rename(s.path(), name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("spool: damaged file: %w", err)
	}
	s.broken = nil
	if s.logger == nil {
		s.aside = append(s.aside, name)
	} else {
		s.logAside(name)
	}
	old, _ := filepath.Glob(s.path() + asideInfix + "*") // sorted, so by age
	for len(old) > maxAside {
		_ = os.Remove(old[0])
		old = old[1:]
	}
	return nil
}

// shut closes what is open.
func (s *store) shut() {
	if s.db != nil && guarded(s.db.Close) == nil {
		s.db, s.file = nil, nil
	}
	s.abandon()
}

// abandon leaves a db that may be locked for ever, after a panic in it. Its lock
// on the file ends with the file.
func (s *store) abandon() {
	if s.file != nil {
		_ = s.file.Close()
	}
	s.db, s.file = nil, nil
}

// use does something with the db, and gives it up if that fails.
func (s *store) use(do func() error) error {
	if s.db == nil {
		return fmt.Errorf("spool: %w", errClosed)
	}
	if err := s.isThere(); err != nil {
		return err
	}
	err := guarded(do)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errCorrupt):
		s.broken = s.info
		s.abandon()
	default:
		s.shut()
	}
	return fmt.Errorf("spool: %w", err)
}

// isThere reports whether the file is still where it was.
func (s *store) isThere() error { return isAt(s.file, s.path()) }

// Kept implements delivery.Spool.
func (s *store) Kept() (records, size int, last uint64) {
	if s.db == nil {
		return 0, 0, 0
	}
	err := guarded(func() error {
		return s.db.View(func(tx *bolt.Tx) error {
			for _, name := range [][]byte{explicitBucket, automaticBucket} {
				if k, _ := tx.Bucket(name).Cursor().Last(); k != nil {
					key, err := parseKey(k)
					if err != nil {
						return err
					}
					last = max(last, key)
				}
			}
			return nil
		})
	})
	if err != nil {
		s.broken = s.info
		s.abandon()
		return 0, 0, 0
	}
	return s.totals.records, int(s.totals.size), last
}

// Commit implements delivery.Spool.
func (s *store) Commit(add []delivery.Record, remove []uint64) (dropped []delivery.Record, err error) {
	var c change
	err = s.use(func() error {
		return s.db.Update(func(tx *bolt.Tx) error {
			c = newChange(tx, totals{s.own, s.totals.records, s.totals.size})
			if err := c.remove(remove); err != nil {
				return err
			}
			for i := range add {
				if err := c.add(&add[i], s); err != nil {
					return err
				}
			}
			return tx.Bucket(headBucket).Put(totalsKey, c.totals.encode())
		})
	})
	if err != nil {
		return nil, err
	}
	s.totals = c.totals
	return c.dropped, nil
}

// change is what a commit does.
type change struct {
	explicit, automatic *bolt.Bucket
	totals              totals
	dropped             []delivery.Record
}

func newChange(tx *bolt.Tx, t totals) change {
	c := change{explicit: tx.Bucket(explicitBucket), automatic: tx.Bucket(automaticBucket), totals: t}
	c.explicit.FillPercent, c.automatic.FillPercent = fillPercent, fillPercent
	return c
}

func (c *change) remove(keys []uint64) error {
	var buf []byte
	for _, key := range keys {
		buf = appendKey(buf[:0], key)
		for _, b := range []*bolt.Bucket{c.explicit, c.automatic} {
			value := b.Get(buf)
			if value == nil {
				continue
			}
			c.gone(value)
			if err := b.Delete(buf); err != nil {
				return err
			}
			break
		}
	}
	return nil
}

func (c *change) gone(value []byte) {
	c.totals.records--
	c.totals.size -= int64(bodySize(value))
}

// add adds a record, and makes room for it where that is the policy. With Reject
// the client does not hand over what has none, but a file may hold more than it
// was told.
func (c *change) add(r *delivery.Record, s *store) error {
	size := int64(len(r.Body))
	for sizeOnDisk(c.totals.records+1, c.totals.size+size) > s.max {
		made := false
		if s.policy == DropOldest {
			var err error
			if made, err = c.makeRoom(r.Automatic); err != nil {
				return err
			}
		}
		if !made {
			c.dropped = append(c.dropped, *r)
			return nil
		}
	}
	b := c.explicit
	if r.Automatic {
		b = c.automatic
	}
	c.totals.records++
	c.totals.size += size
	return b.Put(appendKey(nil, r.Key), encodeRecord(r))
}

// makeRoom drops the oldest automatic record, or else, for an explicit one,
// the oldest explicit one.
func (c *change) makeRoom(automatic bool) (bool, error) {
	b := c.automatic
	k, value := b.Cursor().First()
	if k == nil && !automatic {
		b = c.explicit
		k, value = b.Cursor().First()
	}
	if k == nil {
		return false, nil
	}
	key, err := parseKey(k)
	if err != nil || b.Get(k) == nil {
		return false, fmt.Errorf("%w: keys out of order", errCorrupt)
	}
	c.dropped = append(c.dropped, readRecord(key, value))
	c.gone(value)
	return true, b.Delete(slices.Clone(k))
}

// Read implements delivery.Spool.
func (s *store) Read(from uint64, records, size int, skip func(uint64) bool) (read []delivery.Record, err error) {
	err = s.use(func() error {
		read, err = s.read(from, records, size, skip)
		return err
	})
	return read, err
}

// read is Read, whether or not the file is still where it was.
func (s *store) read(from uint64, records, size int, skip func(uint64) bool) (read []delivery.Record, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		m := newMerge(tx, from)
		for len(read) < records && size > 0 {
			k, value := m.next()
			if k == nil {
				return nil
			}
			key, err := parseKey(k)
			if err != nil || key < from {
				return fmt.Errorf("%w: keys out of order", errCorrupt)
			}
			from = key + 1
			if skip(key) {
				continue
			}
			if size -= bodySize(value); size < 0 && len(read) > 0 {
				return nil
			}
			read = append(read, readRecord(key, value))
		}
		return nil
	})
	return read, err
}

// merge goes through both buckets in the order of keys.
type merge struct {
	cursors [2]*bolt.Cursor
	keys    [2][]byte
	values  [2][]byte
}

func newMerge(tx *bolt.Tx, from uint64) *merge {
	var m merge
	for i, name := range [][]byte{explicitBucket, automaticBucket} {
		m.cursors[i] = tx.Bucket(name).Cursor()
		m.keys[i], m.values[i] = m.cursors[i].Seek(appendKey(nil, from))
	}
	return &m
}

func (m *merge) next() (key, value []byte) {
	i := 0
	if m.keys[0] == nil || m.keys[1] != nil && bytes.Compare(m.keys[1], m.keys[0]) < 0 {
		i = 1
	}
	key, value = m.keys[i], m.values[i]
	if key != nil {
		m.keys[i], m.values[i] = m.cursors[i].Next()
	}
	return key, value
}

// Reopen implements delivery.Spool.
func (s *store) Reopen() (lost, writable bool, err error) {
	switch {
	case s.closed:
		err = fmt.Errorf("spool: %w", errClosed)
	case s.db == nil:
		lost, err = s.reopen()
	case s.isThere() != nil:
		err = s.move()
	default:
		_ = s.lock.take() // no more than good: the file is open, and so locked itself
	}
	if err != nil {
		return lost, false, err
	}
	if s.probe() == nil {
		return lost, true, nil
	}
	if s.db == nil { // what cannot be written may still be read
		var again bool
		again, err = s.reopen()
		lost = lost || again
	}
	return lost, false, err
}

// probe writes something and removes it again: whether a file can be written
// does not show when it is opened.
func (s *store) probe() error {
	err := s.use(func() error {
		return s.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(headBucket).Put(probeKey, make([]byte, probeBytes)) })
	})
	if err != nil {
		return err
	}
	return s.use(func() error {
		return s.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(headBucket).Delete(probeKey) })
	})
}

// move makes a new file of what is in one that was deleted while it was open.
func (s *store) move() error {
	// Its bound may be lower than that of the process that filled it.
	fresh := newStore(s.dir, math.MaxInt64, s.policy)
	fresh.logger, fresh.aside, fresh.lock = s.logger, s.aside, s.lock
	if err := fresh.open(); err != nil {
		return err
	}
	if fresh.totals.records > 0 {
		fresh.shut()
		return fresh.refuse()
	}
	if err := s.copyTo(fresh); err != nil {
		fresh.shut()
		_ = os.Remove(fresh.path())
		return err
	}
	s.shut()
	fresh.max = s.max
	*s = *fresh
	return nil
}

// copyTo copies all records but those that are damaged, so many at a time that
// memory has room for them.
func (s *store) copyTo(fresh *store) error {
	var from uint64
	for {
		var batch []delivery.Record
		err := guarded(func() (err error) {
			batch, err = s.read(from, copyRecords, copyBytes, func(uint64) bool { return false })
			return err
		})
		if err != nil {
			return fmt.Errorf("spool: %w", err)
		}
		if len(batch) == 0 {
			return nil
		}
		from = batch[len(batch)-1].Key + 1
		whole := slices.DeleteFunc(batch, func(r delivery.Record) bool { return r.Damaged })
		if _, err := fresh.Commit(whole, nil); err != nil {
			return err
		}
	}
}

// Close implements delivery.Spool.
func (s *store) Close() error {
	s.closed = true
	defer s.lock.release()
	if s.lock.file != nil && holder(s.dir) == ownPID() {
		_ = os.Remove(filepath.Join(s.dir, holderName))
	}
	if s.db == nil {
		return nil
	}
	err := guarded(s.db.Close)
	if err != nil {
		s.abandon()
		return fmt.Errorf("spool: %w", err)
	}
	s.db, s.file = nil, nil
	return nil
}
