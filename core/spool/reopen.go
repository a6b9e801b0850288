package spool

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/klimeapp/klime-go/internal/delivery"
)

const (
	// What move copies at a time.
	copyRecords = 5000
	copyBytes   = 4 << 20

	probeBytes = 1 << 20
)

// Reopen implements delivery.Spool.
func (s *store) Reopen() (lost, writable bool, err error) {
	s.displaced = false
	switch {
	case s.db == nil:
		lost, err = s.reopen()
	case s.checkInPlace() != nil:
		err = s.move()
		s.displaced = err != nil
	default:
		_ = s.lock.take() // an error does no harm: the file is open, and bbolt has locked it
	}
	if s.displaced || errors.Is(err, errForeign) {
		s.tell(err)
	}
	switch {
	case s.displaced:
		return false, false, nil
	case err != nil:
		return lost, false, err
	case s.probe() == nil:
		s.told = false
		return lost, true, nil
	}
	if s.db == nil { // it cannot be written, but perhaps read
		var again bool
		again, err = s.reopen()
		lost = lost || again
	}
	return lost, false, err
}

// tell logs why the folder cannot be used, once until it can.
func (s *store) tell(err error) {
	if !s.told {
		s.logger.Warn("klime: the spool cannot use its folder", slog.Any("error", err))
	}
	s.told = true
}

// reopen opens the file again. lost says that it is another file, which is empty.
func (s *store) reopen() (lost bool, err error) {
	before, own := s.totals, s.ownID
	if err := s.open(false); err != nil {
		return false, err
	}
	return before.id != 0 && !s.totals.follows(before, own), nil
}

// probe writes something and removes it again: only that shows whether the file can
// be written.
func (s *store) probe() error {
	err := s.withDB(func() error {
		return s.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(headBucket).Put(probeKey, make([]byte, probeBytes)) })
	})
	if err != nil {
		return err
	}
	return s.withDB(func() error {
		return s.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(headBucket).Delete(probeKey) })
	})
}

// move copies the records to a new file, when the old one was deleted while it was
// open.
func (s *store) move() error {
	// All records must fit, even if an earlier process wrote them with a higher MaxBytes.
	fresh := newStore(s.dir, math.MaxInt64, s.policy)
	fresh.shared, fresh.logger, fresh.untold, fresh.lock = s.shared, s.logger, s.untold, s.lock
	if err := fresh.open(false); err != nil {
		return err
	}
	if err := s.copyTo(fresh); err != nil {
		fresh.closeDB()
		_ = os.Remove(fresh.path())
		if fresh.lock != s.lock { // of another part
			fresh.vacate()
		}
		return err
	}
	s.closeDB()
	fresh.max = s.max
	*s = *fresh
	return nil
}

// copyTo copies all records except damaged ones, in portions to save memory.
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
