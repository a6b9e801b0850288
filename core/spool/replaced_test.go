package spool

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// The folder is deleted while the app runs: the spool returns an error, and makes a new
// folder with the events of the old one.
func TestDeletedFolder(t *testing.T) {
	t.Parallel()
	NeedsFilesSetFree(t)
	dir := filepath.Join(t.TempDir(), "spool")
	s, _ := opened(t, dir, Options{})
	commit(t, s, append(records(1, 6000, false, 10), records(6001, 7000, true, 10)...))
	must(t, os.RemoveAll(dir))
	if _, err := s.Commit(records(7001, 7001, false, 10), nil); !errors.Is(err, errGone) {
		t.Fatalf("commit: %v", err)
	}
	mustReopen(t, s)
	commit(t, s, records(7001, 7001, false, 10))
	if got := keys(t, s); !same(got, rangeOf(1, 7001)) {
		t.Errorf("%d records", len(got))
	}
	_ = s.Close()
	s, _ = opened(t, dir, Options{})
	if got := keys(t, s); len(got) != 7001 {
		t.Errorf("%d records for the next process", len(got))
	}
}

// The deleted folder's name is a file's now: what is added is not taken for durable, and what was
// in the folder is still read.
func TestFolderBecomesAFile(t *testing.T) {
	t.Parallel()
	NeedsFilesSetFree(t)
	dir := filepath.Join(t.TempDir(), "spool")
	s, _ := opened(t, dir, Options{})
	commit(t, s, records(1, 3, false, 10))
	must(t, errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)))
	for range 2 {
		if _, err := s.Commit(records(4, 4, false, 10), nil); !errors.Is(err, errGone) {
			t.Errorf("commit: %v", err)
		}
		if lost, writable, err := s.Reopen(); lost || writable || err != nil || !same(keys(t, s), rangeOf(1, 3)) {
			t.Errorf("reopen: lost %v, writable %v, %v", lost, writable, err)
		}
	}
	must(t, os.Remove(dir))
	mustReopen(t, s)
	commit(t, s, records(4, 4, false, 10))
	if got := keys(t, s); !same(got, rangeOf(1, 4)) {
		t.Errorf("keys %v", got)
	}
}

// Records are moved in portions: a full spool may be larger than memory.
func TestMoveInParts(t *testing.T) {
	t.Parallel()
	NeedsFilesSetFree(t)
	dir := filepath.Join(t.TempDir(), "spool")
	s, _ := opened(t, dir, Options{})
	const parts = 6
	perPart := uint64(copyBytes / 190_000)
	for first := uint64(1); first < parts*perPart; first += perPart {
		commit(t, s, records(first, first+perPart-1, false, 190_000))
	}
	must(t, os.RemoveAll(dir))
	must(t, s.move())
	var commits int
	_ = s.db.View(func(tx *bolt.Tx) error {
		commits = tx.ID()
		return nil
	})
	if commits < parts {
		t.Errorf("moved in %d commits, want %d at least", commits, parts)
	}
	if got := keys(t, s); !same(got, rangeOf(1, parts*perPart)) {
		t.Errorf("%d records", len(got))
	}
}

// Another process has made a spool in the meantime: it is not touched. What was on disk
// before is still read and removed, until the folder is free, or Close.
func TestReplacedFolder(t *testing.T) {
	t.Parallel()
	NeedsFilesSetFree(t)
	dir := filepath.Join(t.TempDir(), "spool")
	s, log := opened(t, dir, Options{})
	commit(t, s, records(1, 11, false, 10))
	must(t, os.RemoveAll(dir))
	theirs, _ := opened(t, dir, Options{})
	commit(t, theirs, records(1, 3, false, 10))
	if _, err := s.Commit(records(12, 12, false, 10), nil); !errors.Is(err, errGone) {
		t.Errorf("committed to a file that is gone: %v", err)
	}
	readable := func(want ...uint64) {
		t.Helper()
		if lost, writable, err := s.Reopen(); lost || writable || err != nil {
			t.Errorf("reopen: lost %v, writable %v, %v", lost, writable, err)
		}
		if got := keys(t, s); !same(got, want) {
			t.Errorf("keys %v, want %v", got, want)
		}
		if _, err := s.Commit(records(12, 12, false, 10), nil); !errors.Is(err, errGone) {
			t.Errorf("committed to a file that is gone: %v", err)
		}
	}
	readable(rangeOf(1, 11)...) // while they have the folder
	_ = theirs.Close()
	readable(rangeOf(1, 11)...)
	commit(t, s, nil, rangeOf(1, 4)...)
	readable(rangeOf(5, 11)...)
	fail(t, s, nothing)
	readable(rangeOf(5, 11)...)
	if n := strings.Count(log.String(), "cannot use its folder"); n != 1 || !strings.Contains(log.String(), ErrInUse.Error()) || !strings.Contains(log.String(), "held by process "+ownPID()) {
		t.Errorf("%d log lines: %s", n, log)
	}
	must(t, os.RemoveAll(dir))
	if lost, writable, err := s.Reopen(); lost || !writable || err != nil || !same(keys(t, s), rangeOf(5, 11)) {
		t.Errorf("reopen: lost %v, writable %v, %v, keys %v", lost, writable, err, keys(t, s))
	}

	must(t, os.RemoveAll(dir))
	theirs, _ = opened(t, dir, Options{})
	commit(t, theirs, records(1, 3, false, 10))
	_ = theirs.Close()
	readable(rangeOf(5, 11)...)
	if n := strings.Count(log.String(), "cannot use its folder"); n != 2 || !strings.Contains(log.String(), errForeign.Error()) {
		t.Errorf("%d log lines: %s", n, log)
	}
	commit(t, s, nil, rangeOf(5, 10)...)
	if err := s.Close(); !errors.Is(err, delivery.ErrSpoolLost) || !errors.Is(err, errForeign) {
		t.Errorf("Close with a record left: %v", err)
	}
	theirs, _ = opened(t, dir, Options{})
	if got := keys(t, theirs); !same(got, rangeOf(1, 3)) {
		t.Errorf("left of theirs: %v", got)
	}
}

// If that shows only at the end, Close says which process has the folder.
func TestReplacedFolderAtTheEnd(t *testing.T) {
	t.Parallel()
	NeedsFilesSetFree(t)
	dir := filepath.Join(t.TempDir(), "spool")
	s, _ := opened(t, dir, Options{})
	commit(t, s, records(1, 3, false, 10))
	must(t, os.RemoveAll(dir))
	opened(t, dir, Options{})
	if err := s.Close(); !errors.Is(err, delivery.ErrSpoolLost) || !errors.Is(err, ErrInUse) ||
		!strings.Contains(err.Error(), "held by process "+ownPID()) {
		t.Error(err)
	}
}

// The file is put back after another was in its place: it is used as before. Until then
// all of its records can be removed, without harm to the other file.
func TestFileIsPutBack(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	dir, away, other := filepath.Join(top, "spool"), filepath.Join(top, "away"), filepath.Join(top, "other")
	theirs, _ := opened(t, other, Options{})
	commit(t, theirs, records(1, 3, false, 10))
	_ = theirs.Close()
	s, _ := opened(t, dir, Options{})
	commit(t, s, []delivery.Record{{Key: 1, Body: make([]byte, maxEmptyFile)}}) // a file that is made anew when it is empty
	must(t, os.Rename(dir, away))
	must(t, os.Rename(other, dir))
	if lost, writable, err := s.Reopen(); lost || writable || err != nil {
		t.Fatalf("reopen: lost %v, writable %v, %v", lost, writable, err)
	}
	commit(t, s, nil, 1)
	must(t, os.Rename(dir, other))
	must(t, os.Rename(away, dir))
	if _, err := s.Commit(records(2, 2, false, 10), nil); err == nil {
		t.Error("used the file without a check")
	}
	mustReopen(t, s)
	commit(t, s, records(2, 3, false, 10))
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	s, _ = opened(t, dir, Options{})
	theirs, _ = opened(t, other, Options{})
	if got, left := keys(t, s), keys(t, theirs); !same(got, rangeOf(2, 3)) || !same(left, rangeOf(1, 3)) {
		t.Errorf("keys %v, theirs %v", got, left)
	}
}

// After a disk error another spool is at the path, which is not touched. It may also be
// the first file that the store sees there.
func TestReplacedInAFault(t *testing.T) {
	t.Parallel()
	NeedsFilesSetFree(t)
	for _, test := range []struct{ known, damaged bool }{{known: true}, {known: true, damaged: true}, {}} {
		top := t.TempDir()
		dir, other := filepath.Join(top, "spool"), filepath.Join(top, "other")
		theirs, _ := opened(t, other, Options{})
		commit(t, theirs, records(1, 5, false, 10))
		_ = theirs.Close()
		s := newStore(dir, defaultMaxBytes, DropOldest) // as after a start on a full disk
		log := &bytes.Buffer{}
		s.setLogger(slog.New(slog.NewTextHandler(log, nil)))
		if test.known {
			s, log = opened(t, dir, Options{})
			commit(t, s, records(1, 3, false, 10))
			fail(t, s, nothing)
			if test.damaged {
				s.broken = s.info
			}
		}
		must(t, errors.Join(os.RemoveAll(dir), os.Rename(other, dir)))
		for range 2 {
			if _, _, err := s.Reopen(); !errors.Is(err, errForeign) {
				t.Errorf("%+v: took the events of somebody else: %v", test, err)
			}
		}
		if n := strings.Count(log.String(), errForeign.Error()); n != 1 {
			t.Errorf("%+v: %d log lines: %s", test, n, log)
		}
		next, _ := opened(t, dir, Options{})
		if got := keys(t, next); !same(got, rangeOf(1, 5)) {
			t.Errorf("%+v: left of theirs: %v", test, got)
		}
	}
}

// A process that has written nothing takes the file only as it found it. If it has
// changed, its events are another's, even those of the process that wrote it before.
func TestFileIsNotAsItWasFound(t *testing.T) {
	t.Parallel()
	NeedsFilesSetFree(t)
	dir := t.TempDir()
	first, _ := opened(t, dir, Options{})
	commit(t, first, records(1, 10, false, 10))
	fail(t, first, nothing)
	lockFile := filepath.Join(dir, lockName)
	must(t, os.Remove(lockFile))
	s, _ := opened(t, dir, Options{})
	fail(t, s, nothing)
	must(t, os.Remove(lockFile))
	mustReopen(t, first)
	commit(t, first, records(11, 15, false, 10))
	_ = first.Close()
	if _, _, err := s.Reopen(); !errors.Is(err, errForeign) {
		t.Errorf("took the events of somebody else: %v", err)
	}
}
