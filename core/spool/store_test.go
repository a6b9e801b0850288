package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/klimeapp/klime-go/internal/delivery"
)

func TestRecordsOutliveTheProcess(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	s, _ := opened(t, dir, Options{})
	commit(t, s, []delivery.Record{record(5, false, 10), record(2, true, 10)})
	commit(t, s, []delivery.Record{record(1, false, 10), record(7, true, 10), record(9, false, 10)}, 5, 1000)
	must(t, s.Close())
	s, log := opened(t, dir, Options{})
	n, size, last, err := s.Kept()
	must(t, err)
	if got := keys(t, s); !same(got, []uint64{1, 2, 7, 9}) || n != 4 || last != 9 || size != 4*len(record(1, false, 10).Body) {
		t.Errorf("keys %v, kept %d, %d bytes, last %d", got, n, size, last)
	}
	read, err := s.Read(2, 2, 1<<20, func(key uint64) bool { return key == 2 })
	if err != nil || len(read) != 2 || read[0].Key != 7 || !read[0].Automatic || read[1].Automatic {
		t.Errorf("read %+v, %v", read, err)
	}
	each := len(record(1, false, 10).Body)
	for most, want := range map[int]int{1: 1, each: 1, 2*each - 1: 1, 2 * each: 2, 3*each + 1: 3} {
		if read, err := s.Read(0, 100, most, none); err != nil || len(read) != want {
			t.Errorf("at most %d bytes, but one record at least: %+v, %v", most, read, err)
		}
	}
	if log.Len() > 0 {
		t.Errorf("log: %s", log)
	}
}

// A power failure must not take a folder away that was made for the events in it. Nothing is
// waited for where folder and file are there.
func TestNewFoldersAreDurable(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		made, shared string // below the folder that is there
		dir          string // which is opened
		want         []string
	}{
		"a folder that is there": {made: "a", dir: "a", want: []string{"a"}},
		"a new one":              {made: "a", dir: "a/b", want: []string{"a", "a/b"}},
		"new ones above it":      {dir: "a/b/c", want: []string{"a/b", "a", "", "a/b/c"}},
		"a part":                 {made: "a", shared: "a", dir: "a/klime-spool.1", want: []string{"a", "a/klime-spool.1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			top := t.TempDir()
			in := func(path string) string { return filepath.Join(top, filepath.FromSlash(path)) }
			must(t, os.MkdirAll(in(test.made), 0o700))
			if test.shared != "" { // another process has the first part
				first, _ := opened(t, in(test.shared), Options{Shared: true})
				defer func() { must(t, first.Close()) }()
			}
			var synced []string
			open := func() {
				t.Helper()
				s := newStore(in(test.dir), minMaxBytes, DropOldest)
				if test.shared != "" {
					s.shared = in(test.shared)
					s.setDir(s.shared)
				}
				s.sync = func(dir string) {
					if isMissing(s.dir) || dir == in(test.dir) == isMissing(s.path()) {
						t.Errorf("%s: too early, or too late", dir)
					}
					synced = append(synced, dir)
				}
				must(t, s.open(true))
				must(t, s.Close())
			}
			open()
			for i, path := range test.want {
				test.want[i] = in(path)
			}
			if !slices.Equal(synced, test.want) {
				t.Errorf("made durable: %v, want %v", synced, test.want)
			}
			synced = nil
			if open(); len(synced) > 0 {
				t.Errorf("made durable once more: %v", synced)
			}
		})
	}
}

func TestModes(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "spool")
	s, _ := opened(t, dir, Options{})
	_ = s.Close()
	err := errors.Join(os.WriteFile(s.path(), []byte("is set aside"), 0o600), os.Chmod(s.path(), 0o644))
	must(t, err)
	s, _ = opened(t, dir, Options{})
	commit(t, s, records(1, 10, false, 10))
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, _ error) error {
		info, err := d.Info()
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if err != nil || info.Mode().Perm() != want && runtime.GOOS != "windows" {
			t.Errorf("%s: mode %v, %v", path, info.Mode(), err)
		}
		return nil
	})
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, opts := range []Options{{MaxBytes: -1}, {MaxBytes: 1<<20 - 1}, {MaxBytes: 1<<40 + 1}, {WhenFull: -1}, {WhenFull: Reject + 1}} {
		if s, err := Open(t.TempDir(), opts); s != nil || !errors.Is(err, ErrInvalidOptions) {
			t.Errorf("%+v: %v", opts, err)
		}
	}
	if s, err := Open("", Options{}); s != nil || !errors.Is(err, ErrInvalidOptions) {
		t.Errorf("no folder: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	if s, err := Open(file, Options{}); s != nil || err == nil {
		t.Errorf("a file for a folder: %v", err)
	}
}

// A folder in use is refused and left as it is. The error names the process that has it.
func TestOneProcessAFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, _ := opened(t, dir, Options{})
	commit(t, s, records(1, 10, false, 10))
	_, err := Open(dir, Options{})
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "process "+fmt.Sprint(os.Getpid())) || !strings.Contains(err.Error(), dir) {
		t.Errorf("second: %v", err)
	}
	commit(t, s, records(11, 20, false, 10))
	if got := keys(t, s); len(got) != 20 {
		t.Errorf("the first has %d records", len(got))
	}
	must(t, s.Close())
	again, err := Open(dir, Options{})
	if err != nil {
		t.Fatalf("after Close: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, holderName)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the holder's file is left: %v", err)
	}
}

func TestOneClientASpool(t *testing.T) {
	t.Parallel()
	logger := slog.New(slog.DiscardHandler)
	s, err := Open(t.TempDir(), Options{})
	must(t, err)
	storage, err := s.Attach(logger)
	must(t, err)
	d := storage.Spool
	if _, err := s.Attach(logger); err == nil {
		t.Error("attached twice")
	}
	if err := s.Close(); err != nil { // does nothing: the client has it
		t.Error(err)
	}
	if _, err := d.Commit(records(1, 1, false, 1), nil); err != nil {
		t.Errorf("after a Close of the Spool: %v", err)
	}
	_ = d.Close()
	if _, err := d.Commit(records(2, 2, false, 1), nil); err == nil {
		t.Error("works after its own Close")
	}
	unused, err := Open(t.TempDir(), Options{})
	must(t, errors.Join(err, unused.Close(), unused.Close()))
	if _, err := unused.Attach(logger); err == nil {
		t.Error("attached after its Close")
	}
	var missing *Spool
	if d, err := missing.Attach(logger); d.Spool != nil || err != nil || missing.Close() != nil {
		t.Errorf("nil: %v, %v", d, err)
	}
}

// A folder stays locked after a disk error, until the store is closed.
func TestHeldInAFault(t *testing.T) {
	t.Parallel()
	for _, recovers := range []bool{true, false} {
		dir := t.TempDir()
		s, _ := opened(t, dir, Options{})
		commit(t, s, records(1, 10, false, 10))
		fail(t, s, nothing)
		if _, err := Open(dir, Options{}); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "process "+ownPID()) {
			t.Errorf("second: %v", err)
		}
		if recovers {
			mustReopen(t, s)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		next, _ := opened(t, dir, Options{})
		if got := keys(t, next); !same(got, rangeOf(1, 10)) {
			t.Errorf("the next has %v", got)
		}
	}
}

// After a disk error the lock is removed, and another process uses the file: its events
// are not touched.
func TestFileIsUsedInAFault(t *testing.T) {
	t.Parallel()
	NeedsFilesSetFree(t)
	for _, left := range []uint64{0, 5} {
		dir := t.TempDir()
		s, _ := opened(t, dir, Options{})
		commit(t, s, records(1, 10, false, 10))
		fail(t, s, nothing)
		must(t, os.Remove(filepath.Join(dir, lockName)))
		theirs, _ := opened(t, dir, Options{})
		if _, _, err := s.Reopen(); !errors.Is(err, ErrInUse) {
			t.Errorf("reopen while they have it: %v", err)
		}
		commit(t, theirs, records(11, 15, false, 10), rangeOf(1, 15-left)...)
		commit(t, theirs, nil, rangeOf(11, 15-left)...)
		_ = theirs.Close()
		for range 2 {
			lost, writable, err := s.Reopen()
			if left > 0 && !errors.Is(err, errForeign) {
				t.Errorf("took the events of somebody else: %v", err)
			}
			if left == 0 && (!writable || err != nil) {
				t.Errorf("an empty file: lost %v, writable %v, %v", lost, writable, err)
			}
		}
		_, _ = s.Commit(records(11, 12, false, 10), rangeOf(11, 20))
		if left > 0 {
			next, _ := opened(t, dir, Options{}) // while the first is still open
			if got := keys(t, next); !same(got, rangeOf(11, 15)) {
				t.Errorf("left of theirs: %v", got)
			}
		}
	}
}

// A commit that returned an error may be on disk all the same, and so may the first
// commit of a process.
func TestFailedCommitIsThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, _ := opened(t, dir, Options{})
	commit(t, s, records(1, 10, false, 10))
	_ = s.Close()
	s, _ = opened(t, dir, Options{})
	for first := uint64(11); first < 31; first += 10 {
		before := s.totals
		fail(t, s, func() error {
			_, err := s.Commit(records(first, first+9, false, 10), nil)
			s.totals = before // as if Commit had failed
			return err
		})
		mustReopen(t, s)
		if got := keys(t, s); !same(got, rangeOf(1, first+9)) {
			t.Errorf("keys %v", got)
		}
	}
}

// Of two processes that start at the same time, the second does not even look at the
// file, as the first may be making it anew.
func TestLockComesFirst(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := lock{path: filepath.Join(dir, lockName)}
	must(t, first.take())
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrInUse) {
		t.Errorf("second: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, fileName)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the second has made a file: %v", err)
	}
	first.release()
	s, _ := opened(t, dir, Options{})
	commit(t, s, records(1, 1, false, 1))
}

// Whatever has opened the file, each commit is synced, with the list of free pages and the
// file's new size.
func TestCommitsAreSynced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, _ := opened(t, dir, Options{})
	check := func(after string) {
		t.Helper()
		if s.db.NoSync || s.db.NoGrowSync || s.db.NoFreelistSync {
			t.Errorf("%s: NoSync %v, NoGrowSync %v, NoFreelistSync %v", after, s.db.NoSync, s.db.NoGrowSync, s.db.NoFreelistSync)
		}
	}
	check("made")
	commit(t, s, records(1, 1, false, 10))
	_ = s.Close()
	s, _ = opened(t, dir, Options{})
	check("opened")
	fail(t, s, nothing)
	if _, _, err := s.Reopen(); err != nil {
		t.Fatal(err)
	}
	check("reopened")
	if runtime.GOOS != "windows" { // where an open file stays
		must(t, errors.Join(os.Remove(s.path()), s.move()))
		check("moved")
	}
	commit(t, s, nil, 1)
	must(t, s.renew())
	check("renewed")
}
