package spool

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// heir opens a part of a shared folder, as a client does, and returns what is left in
// the others.
func heir(tb testing.TB, dir string, opts Options) (*store, *leftovers) {
	tb.Helper()
	opts.Shared = true
	own, storage := attached(tb, dir, opts, slog.DiscardHandler)
	return own, storage.Leftovers.(*leftovers)
}

// errNotKept keeps records where they are.
var errNotKept = errors.New("not kept")

// takeOver is TakeOver with what the keeper gives it. It returns the keys.
func takeOver(l *leftovers, keep func() error) (taken []uint64, err error) {
	n, err := l.TakeOver(5000, 4<<20, func(records []delivery.Record) error {
		for i := range records {
			taken = append(taken, records[i].Key)
			records[i].Key = 0 // as it is the keeper's to change
		}
		return keep()
	})
	if err == nil && n != len(taken) {
		err = fmt.Errorf("%d taken over, and %d counted", len(taken), n)
	}
	return taken, err
}

// take is takeOver without a fault. The records stay if keep returns errNotKept.
func take(tb testing.TB, l *leftovers, keep func() error) []uint64 {
	tb.Helper()
	taken, err := takeOver(l, keep)
	if err != nil && !errors.Is(err, errNotKept) {
		tb.Fatal(err)
	}
	return taken
}

func kept() error    { return nil }
func notKept() error { return errNotKept }

// Each process gets a part of its own, and later ones get those that are free again. What
// was left in a part is found when its process has ended, not before, and is there until
// it is safe elsewhere.
func TestSharedFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, ofFirst := heir(t, dir, Options{})
	second, ofSecond := heir(t, dir, Options{})
	third, _ := heir(t, dir, Options{})
	if first.dir != dir || second.dir != filepath.Join(dir, "klime-spool.1") || third.dir != filepath.Join(dir, "klime-spool.2") {
		t.Fatalf("parts %s, %s, %s", first.dir, second.dir, third.dir)
	}
	for i, s := range []*store{first, second, third} {
		commit(t, s, records(uint64(10*i+1), uint64(10*i+3), i == 1, 100))
	}
	if got := take(t, ofFirst, kept); got != nil {
		t.Errorf("taken from living processes: %v", got)
	}

	must(t, third.Close())
	got := take(t, ofSecond, func() error {
		if got := take(t, ofFirst, kept); got != nil {
			t.Errorf("taken by two: %v", got)
		}
		return errNotKept
	})
	if !same(got, []uint64{21, 22, 23}) {
		t.Errorf("left by the third: %v", got)
	}
	if got := take(t, ofFirst, kept); !same(got, []uint64{21, 22, 23}) {
		t.Errorf("not safe, but gone: %v", got)
	}
	if got := take(t, ofSecond, kept); got != nil {
		t.Errorf("safe, but there: %v", got)
	}

	must(t, first.Close())
	got = take(t, ofSecond, func() error {
		if fourth, _ := heir(t, dir, Options{}); fourth.dir != filepath.Join(dir, "klime-spool.2") {
			t.Errorf("while the first part is emptied, the next process has %s", fourth.dir)
		}
		return nil
	})
	if !same(got, []uint64{1, 2, 3}) {
		t.Errorf("left by the first: %v", got)
	}
	fifth, _ := heir(t, dir, Options{})
	if fifth.dir != dir || fifth.totals.records != 0 {
		t.Errorf("the next has %s with %d records", fifth.dir, fifth.totals.records)
	}
}

// A portion is small beside what the own part may hold, and none is taken while that is
// half full.
func TestLeftoversFit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	own, left := heir(t, dir, Options{MaxBytes: 1 << 20})
	other, _ := heir(t, dir, Options{})
	commit(t, other, records(1, 100, false, 10_000))
	must(t, other.Close())
	if got := take(t, left, kept); len(got) == 0 || len(got) > 27 {
		t.Errorf("%d records of 10 kB taken into a spool of 1 MiB", len(got))
	}
	if got := take(t, left, notKept); len(got) == 0 || got[0] == 1 {
		t.Errorf("then %v", got)
	}
	commit(t, own, records(1, 60, false, 10_000))
	if got, err := takeOver(left, kept); got != nil || !errors.Is(err, delivery.ErrSpoolFull) {
		t.Errorf("%d taken into a spool that is half full, %v", len(got), err)
	}
}

// A damaged part is set aside, and one that is out of reach does not hide the others.
func TestLeftoversOfBadParts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	own, left := heir(t, dir, Options{})
	var log strings.Builder
	left.own.logger = slog.New(slog.NewTextHandler(&log, nil))
	for _, name := range []string{"klime-spool.1", "klime-spool.2", "klime-spool.3", "klime-spool.x"} {
		must(t, os.Mkdir(filepath.Join(dir, name), 0o700))
	}
	damagedFile := filepath.Join(dir, "klime-spool.1", fileName)
	must(t, os.WriteFile(damagedFile, make([]byte, 100_000), 0o600))
	// A folder in place of the lock: the system cannot open it.
	must(t, os.WriteFile(filepath.Join(dir, "klime-spool.2", fileName), nil, 0o600))
	must(t, os.Mkdir(filepath.Join(dir, "klime-spool.2", lockName), 0o700))
	good := newStore(filepath.Join(dir, "klime-spool.3"), own.max, DropOldest)
	must(t, good.open(true))
	commit(t, good, records(1, 3, false, 10))
	must(t, good.Close())

	got, err := takeOver(left, kept)
	if len(got) != 3 || err == nil || !strings.Contains(err.Error(), "klime-spool.2") {
		t.Errorf("%d records, %v", len(got), err)
	}
	if n := strings.Count(log.String(), "is set aside"); n != 1 || !strings.Contains(log.String(), "klime-spool.1") {
		t.Errorf("log:\n%s", &log)
	}
	if got, err = takeOver(left, kept); len(got) != 0 || err == nil {
		t.Errorf("then %d records, %v", len(got), err)
	}
	if entries, err := os.ReadDir(filepath.Join(dir, "klime-spool.x")); err != nil || len(entries) > 0 {
		t.Errorf("a folder that is no part has %d files, %v", len(entries), err)
	}
}

// What could not be removed is removed later, and not taken again. If another process has
// used the part since, that is up to it.
func TestLeftoversThatStay(t *testing.T) {
	t.Parallel()
	for name, takeOver := range map[string]func(*testing.T, *leftovers, string) (taken, removed int, err error){
		"the disk fails": func(t *testing.T, left *leftovers, dir string) (taken, removed int, err error) {
			t.Helper()
			s, read, err := left.open(dir, 5000, 4<<20)
			must(t, err)
			removed, err = left.handOver(s, read, func([]delivery.Record) error { return s.file.Close() })
			return len(read), removed, err
		},
		"the file is away": func(t *testing.T, left *leftovers, dir string) (taken, removed int, err error) {
			t.Helper()
			NeedsFilesSetFree(t)
			file := filepath.Join(dir, fileName)
			removed, err = left.TakeOver(5000, 4<<20, func(read []delivery.Record) error {
				taken = len(read)
				return os.Rename(file, file+".away")
			})
			return taken, removed, errors.Join(err, os.Rename(file+".away", file))
		},
	} {
		for _, usedSince := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, used since: %v", name, usedSince), func(t *testing.T) {
				t.Parallel()
				testLeftoversThatStay(t, takeOver, usedSince)
			})
		}
	}
}

func testLeftoversThatStay(t *testing.T, takeOver func(*testing.T, *leftovers, string) (taken, removed int, err error), usedSince bool) {
	t.Helper()
	dir := t.TempDir()
	other, _ := heir(t, dir, Options{})
	_, left := heir(t, dir, Options{})
	commit(t, other, records(1, 6000, false, 10))
	must(t, other.Close())
	var log strings.Builder
	left.own.logger = slog.New(slog.NewTextHandler(&log, nil))
	if taken, removed, err := takeOver(t, left, dir); taken != 5000 || removed != 0 || err != nil {
		t.Errorf("taken %d, removed %d, %v", taken, removed, err)
	}
	if !strings.Contains(log.String(), "not removed\" folder="+dir) {
		t.Errorf("log: %s", &log)
	}
	want := rangeOf(5001, 6000)
	if usedSince {
		s, _ := heir(t, dir, Options{})
		commit(t, s, nil, rangeOf(1001, 6000)...)
		must(t, s.Close())
		want = rangeOf(1, 1000)
	}
	if got := take(t, left, kept); !same(got, want) {
		t.Errorf("then %d from %d to %d", len(got), got[0], got[len(got)-1])
	}
	if got := take(t, left, kept); got != nil {
		t.Errorf("then %v", got)
	}
}

// A part whose folder is deleted does not come back with what is safe elsewhere.
func TestLeftoversOfADeletedPart(t *testing.T) {
	t.Parallel()
	NeedsFilesSetFree(t)
	dir := t.TempDir()
	_, left := heir(t, dir, Options{})
	other, _ := heir(t, dir, Options{})
	commit(t, other, records(1, 3, false, 10))
	must(t, other.Close())
	if got, err := takeOver(left, func() error { return os.RemoveAll(other.dir) }); len(got) != 3 || err == nil {
		t.Errorf("taken %v, %v", got, err)
	}
	if again, _ := heir(t, dir, Options{}); again.dir != other.dir || again.totals.records > 0 {
		t.Errorf("%s has %d records", again.dir, again.totals.records)
	}
}

// What a newer version has written is left to it: in a deploy, the old process looks at what
// the new one has left.
func TestLeftoversOfANewerVersion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, left := heir(t, dir, Options{})
	other, _ := heir(t, dir, Options{})
	commit(t, other, records(1, 3, false, 10))
	err := other.db.Update(func(tx *bolt.Tx) error {
		newer := other.totals.encode()
		newer[0] = fileFormat + 1
		return tx.Bucket(headBucket).Put(totalsKey, newer)
	})
	must(t, err)
	other.totals.records = 0 // for Close
	must(t, other.Close())
	if got, err := takeOver(left, kept); got != nil || !errors.Is(err, errVersion) || !strings.Contains(err.Error(), other.dir) {
		t.Errorf("taken %v, %v", got, err)
	}
	if own, _ := heir(t, dir, Options{}); own.dir != part(dir, 2) {
		t.Errorf("another process has %s", own.dir)
	}
	if files, _ := filepath.Glob(filepath.Join(other.dir, fileName+"*")); len(files) != 1 {
		t.Errorf("files %v", files)
	}
}

// Damage that does no harm is logged once, not at each look.
func TestLeftoversWithADamagedMeta(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, left := heir(t, dir, Options{})
	var log strings.Builder
	left.own.logger = slog.New(slog.NewTextHandler(&log, nil))
	other, _ := heir(t, dir, Options{})
	commit(t, other, records(1, 3, false, 10))
	commit(t, other, nil, 1, 2, 3)
	must(t, other.Close())
	content, err := os.ReadFile(other.path())
	must(t, err)
	content[os.Getpagesize()+30] ^= 1 // of the older of two commits
	must(t, os.WriteFile(other.path(), content, 0o600))
	for range 3 {
		if got := take(t, left, kept); got != nil {
			t.Errorf("taken %v", got)
		}
	}
	if n := strings.Count(log.String(), "\n"); n != 1 {
		t.Errorf("%d lines:\n%s", n, &log)
	}
}

// After a portion both pages name its removal: that nothing is taken twice does not depend on
// the one that was damaged.
func TestPortionsWithADamagedMeta(t *testing.T) {
	t.Parallel()
	dir := damagedDir(t)
	_, left := heir(t, dir, Options{})
	other, _ := heir(t, dir, Options{})
	commit(t, other, records(1, 50, false, 10))
	must(t, other.Close())
	damage := func(newest bool) {
		content, err := os.ReadFile(other.path())
		must(t, err)
		size := os.Getpagesize()
		first, _ := readMeta(bytes.NewReader(content), 0)
		second, _ := readMeta(bytes.NewReader(content), int64(size))
		at := 0
		if (second.tx > first.tx) == newest {
			at = size
		}
		content[at+30] ^= 1
		must(t, os.WriteFile(other.path(), content, 0o600))
	}
	var got []uint64
	for _, newest := range []bool{false, true} {
		damage(newest)
		if _, err := left.TakeOver(10, 4<<20, func(portion []delivery.Record) error {
			for i := range portion {
				got = append(got, portion[i].Key)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
	if !same(got, rangeOf(1, 20)) {
		t.Errorf("taken %v", got)
	}
}

// The removal of a portion is a single commit, as each waits for the disk. After a fault of
// the disk, or if another file is in its place, the part is checked again.
func TestPortionCosts(t *testing.T) {
	t.Parallel()
	otherDir, err := os.Lstat(t.TempDir())
	must(t, err)
	for name, meanwhile := range map[string]func(*store){
		"no fault":     nil,
		"a fault":      func(s *store) { s.info = nil }, // as withDB leaves it
		"another file": func(s *store) { s.info = otherDir },
	} {
		dir := t.TempDir()
		_, left := heir(t, dir, Options{})
		other, _ := heir(t, dir, Options{})
		commit(t, other, records(1, 50, false, 10))
		must(t, other.Close())
		commits := func() uint64 {
			content, err := os.ReadFile(other.path())
			must(t, err)
			m, err := lastMeta(bytes.NewReader(content), int64(os.Getpagesize()))
			must(t, err)
			return m.tx
		}
		before := commits()
		s, read, err := left.open(other.dir, 10, 4<<20)
		must(t, err)
		n, err := left.handOver(s, read, func([]delivery.Record) error {
			if meanwhile != nil {
				meanwhile(s)
			}
			return nil
		})
		if made := commits() - before; n != 10 || err != nil || made != 1 {
			t.Errorf("%s: %d of 10 taken over with %d commits, %v", name, n, made, err)
		}
		if again := left.checked[other.dir] == nil; again != (meanwhile != nil) {
			t.Errorf("%s: checked again %v", name, again)
		}
	}
}

// A part that cannot be used does not keep a process from the others, nor does one that
// another process has taken while this one could not use it.
func TestSharedWithBadParts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	heir(t, dir, Options{})
	must(t, os.WriteFile(part(dir, 1), nil, 0o600))
	own, left := heir(t, dir, Options{})
	if own.dir != part(dir, 2) {
		t.Errorf("it has %s", own.dir)
	}
	if got := take(t, left, kept); got != nil {
		t.Errorf("taken %v", got)
	}

	own.closeDB()
	own.setDir(dir) // as if it had come to nothing there, on a full disk
	if lost, writable, err := own.Reopen(); lost || !writable || err != nil || own.dir != part(dir, 2) {
		t.Errorf("then it has %s: %v, %v, %v", own.dir, lost, writable, err)
	}
}

// A process keeps its part through faults, as long as there are events of its own in it.
func TestSharedPartIsKept(t *testing.T) {
	t.Parallel()
	NeedsFilesSetFree(t)
	for _, left := range []bool{false, true} {
		dir := filepath.Join(t.TempDir(), "shared")
		ended, _ := heir(t, dir, Options{})
		own, _ := heir(t, dir, Options{})
		if left {
			commit(t, ended, records(1, 3, false, 10))
		}
		must(t, ended.Close())
		commit(t, own, records(1, 5, false, 10))
		own.closeDB() // as after an error of the disk
		must(t, os.Rename(dir, dir+".away"))
		must(t, os.WriteFile(dir, nil, 0o600))
		if _, writable, err := own.Reopen(); writable || err == nil {
			t.Errorf("while the folder is away: %v, %v", writable, err)
		}
		must(t, errors.Join(os.Remove(dir), os.Rename(dir+".away", dir)))
		if lost, writable, err := own.Reopen(); lost || !writable || err != nil || own.dir != part(dir, 1) {
			t.Errorf("back in %s: lost %v, writable %v, %v", own.dir, lost, writable, err)
		}
	}
}

// A process that had nothing on disk yet passes parts in which there are leftovers: its
// account does not know them.
func TestSharedReopenPassesLeftovers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, _ := heir(t, dir, Options{})
	heir(t, dir, Options{})
	own, _ := heir(t, dir, Options{})
	commit(t, first, records(1, 3, false, 10))
	must(t, first.Close())
	if _, _, _, err := own.Kept(); err != nil {
		t.Fatal(err)
	}
	own.closeDB()
	own.setDir(part(dir, 1)) // as if it had come to nothing there, on a full disk
	if lost, writable, err := own.Reopen(); lost || !writable || err != nil || own.dir != part(dir, 2) {
		t.Errorf("it has %s: %v, %v, %v", own.dir, lost, writable, err)
	}
}

// If the folder was deleted while a process had it open, and another one has it now, the
// events go to another part.
func TestSharedDeletedAndTaken(t *testing.T) {
	t.Parallel()
	NeedsFilesSetFree(t)
	dir := filepath.Join(t.TempDir(), "shared")
	own, _ := heir(t, dir, Options{})
	commit(t, own, records(1, 3, false, 10))
	if _, _, _, err := own.Kept(); err != nil {
		t.Fatal(err)
	}
	must(t, os.RemoveAll(dir))
	heir(t, dir, Options{})
	if lost, writable, err := own.Reopen(); lost || !writable || err != nil || own.dir != part(dir, 1) {
		t.Errorf("it has %s: %v, %v, %v", own.dir, lost, writable, err)
	}
	if got := keys(t, own); !same(got, rangeOf(1, 3)) {
		t.Errorf("records %v", got)
	}
}

// If the move to another part fails, as on a full disk, that part is free again.
func TestSharedMoveFails(t *testing.T) {
	t.Parallel()
	NeedsFilesSetFree(t)
	dir := filepath.Join(t.TempDir(), "shared")
	own, _ := heir(t, dir, Options{})
	commit(t, own, records(1, 3, false, 10))
	must(t, os.RemoveAll(dir))
	heir(t, dir, Options{})
	if err := own.db.Close(); err != nil { // so that the copy fails
		t.Fatal(err)
	}
	for range 3 {
		if _, writable, _ := own.Reopen(); writable {
			t.Error("it has moved")
		}
	}
	if next, _ := heir(t, dir, Options{}); next.dir != part(dir, 1) {
		t.Errorf("the next process has %s", next.dir)
	}
}

// bbolt's lock counts too: of a process whose lock file was deleted, say.
func TestSharedWithALockOfBolt(t *testing.T) {
	t.Parallel()
	NeedsFilesSetFree(t)
	dir := t.TempDir()
	first, _ := heir(t, dir, Options{})
	must(t, os.Remove(first.lock.path))
	if own, _ := heir(t, dir, Options{}); own.dir != part(dir, 1) {
		t.Errorf("it has %s", own.dir)
	}
}

// A link in place of a part leads to a folder that is none of ours.
func TestSharedWithLinks(t *testing.T) {
	t.Parallel()
	dir, foreign := t.TempDir(), t.TempDir()
	other, _ := opened(t, foreign, Options{})
	commit(t, other, records(1, 3, false, 10))
	must(t, other.Close())
	if err := os.Symlink(foreign, part(dir, 9)); err != nil {
		t.Skip(err)
	}
	_, left := heir(t, dir, Options{})
	if got := take(t, left, kept); got != nil {
		t.Errorf("taken %v", got)
	}
}

// There is an end to the parts of a folder.
func TestSharedByTooMany(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range maxParts {
		s := newStore(part(dir, i), 1<<20, DropOldest)
		must(t, s.reserve())
		t.Cleanup(s.lock.release)
	}
	if _, err := Open(dir, Options{Shared: true}); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), dir) {
		t.Error(err)
	}
}

// A part that another process has is left as it is: also its lock, if bbolt has the file locked.
func TestLeftoversInUse(t *testing.T) {
	t.Parallel()
	NeedsFilesSetFree(t)
	dir := t.TempDir()
	_, left := heir(t, dir, Options{})
	other, _ := heir(t, dir, Options{})
	commit(t, other, records(1, 3, false, 10))
	must(t, os.Remove(other.lock.path))
	if got := take(t, left, kept); got != nil {
		t.Errorf("taken %v", got)
	}
	next := newLock(other.dir)
	must(t, next.take())
	next.release()
}
