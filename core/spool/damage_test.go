package spool

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// Whatever happens to the file, the app starts, every record that is read was written,
// and the spool works.
func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	good := filled(t)
	random := rand.New(rand.NewPCG(1, 2))
	runs := 60
	if testing.Short() {
		runs = 20
	}
	aside := 0
	for run := range runs {
		content := bytes.Clone(good)
		switch run % 5 {
		case 0: // a lost block
			at := random.IntN(len(content)/512) * 512
			clear(content[at : at+512])
		case 1:
			content = content[:random.IntN(len(content))]
		case 2:
			for range 1 + random.IntN(50) {
				content[random.IntN(len(content))] = byte(random.Uint32())
			}
		case 3: // pages that have overwritten others
			const page = 4096
			for range 20 {
				from, to := (4+random.IntN(len(content)/page/3))*page, (4+random.IntN(len(content)/page/3))*page
				copy(content[to:to+page], content[from:from+page])
			}
		case 4:
			at := random.IntN(len(content))
			for i := range content[at:] {
				content[at+i] = byte(random.Uint32())
			}
		}
		if damaged(t, run, content) {
			aside++
		}
	}
	if aside == 0 || aside == runs {
		t.Errorf("%d of %d files were set aside", aside, runs)
	}
}

func damaged(t *testing.T, run int, content []byte) (aside bool) {
	t.Helper()
	dir := damagedDir(t)
	path := filepath.Join(dir, fileName)
	must(t, os.WriteFile(path, content, 0o600))
	s, log := opened(t, dir, Options{})
	n, _, _, err := s.Kept()
	use := func() bool {
		if err != nil {
			err = nil
			return false
		}
		var from uint64
		for {
			read, err := s.Read(from, 100, 1<<20, none)
			if err != nil {
				return false
			}
			if len(read) == 0 {
				break
			}
			for _, r := range read {
				if r.Key < from {
					t.Fatalf("run %d: of %d records, %d is read after %d", run, n, r.Key, from-1)
				}
				if want := record(r.Key, r.Automatic, 200); !r.Damaged && !bytes.Equal(r.Body, want.Body) {
					t.Errorf("run %d: record %d is %q", run, r.Key, r.Body)
				}
				from = r.Key + 1
			}
		}
		_, err := s.Commit(records(1<<40, 1<<40+200, false, 200), rangeOf(1, 2000))
		return err == nil
	}
	for attempt := 0; !use(); attempt++ {
		if _, _, err := s.Reopen(); err != nil || attempt == 3 {
			t.Fatalf("run %d: cannot be used, attempt %d: %v", run, attempt, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Errorf("run %d: %v", run, err)
	}
	set, _ := filepath.Glob(path + asideInfix + "*")
	if n := strings.Count(log.String(), "set aside"); n != len(set) {
		t.Errorf("run %d: %d set aside, log %s", run, len(set), log)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("run %d: %v", run, err)
	}
	return len(set) > 0
}

// What follows the head of a page is damaged, which is read at the start, but not to open the
// file: the file is set aside, and what was in it is lost.
func TestDamagedAtTheStart(t *testing.T) {
	t.Parallel()
	const page = 4096
	good := filled(t)
	tries := 0
	for at := len(good)/page - 1; at >= 0; at-- {
		dir := damagedDir(t)
		content := bytes.Clone(good)
		clear(content[at*page+pageHead : (at+1)*page])
		must(t, os.WriteFile(filepath.Join(dir, fileName), content, 0o600))
		s, log := opened(t, dir, Options{})
		n, size, _, err := s.Kept()
		if err == nil || log.Len() > 0 {
			continue
		}
		tries++
		if n == 0 || size == 0 {
			t.Errorf("page %d: kept %d, %d bytes", at, n, size)
		}
		if lost, writable, err := s.Reopen(); !lost || !writable || err != nil || !strings.Contains(log.String(), "set aside") {
			t.Errorf("page %d: reopen: lost %v, writable %v, %v; log %s", at, lost, writable, err, log)
		}
		commit(t, s, records(1, 1, false, 10))
	}
	if tries == 0 {
		t.Error("no page is read at the start")
	}
}

// Keys out of order could be read forever: the file is given up.
func TestKeysOutOfOrder(t *testing.T) {
	t.Parallel()
	dir := damagedDir(t)
	s, _ := opened(t, dir, Options{})
	commit(t, s, records(1, 1000, false, 100))
	_ = s.Close()
	content, err := os.ReadFile(s.path())
	must(t, err)
	r := record(505, false, 100)
	value := encodeRecord(&r)
	content = bytes.ReplaceAll(content, append(appendKey(nil, 505), value...), append(appendKey(nil, 3), value...))
	must(t, os.WriteFile(s.path(), content, 0o600))
	s, log := opened(t, dir, Options{})
	if read, err := s.Read(0, 10_000, 1<<30, none); !errors.Is(err, errCorrupt) {
		t.Fatalf("read %d, %v", len(read), err)
	}
	if lost, writable, err := s.Reopen(); !lost || !writable || err != nil || !strings.Contains(log.String(), "set aside") {
		t.Errorf("reopen: lost %v, writable %v, %v; log %s", lost, writable, err, log)
	}
}

// Both of bbolt's meta pages name all that was there at Close: if one of them is damaged,
// nothing is lost, and the log says which commit may be.
func TestDamagedMeta(t *testing.T) {
	t.Parallel()
	for page := range 2 {
		for _, crash := range []bool{false, true} {
			dir := t.TempDir()
			s, _ := opened(t, dir, Options{})
			commit(t, s, records(1, 10, false, 10))
			commit(t, s, records(11, 20, false, 10), 1)
			if !crash {
				must(t, s.Close())
			}
			content, err := os.ReadFile(s.path())
			must(t, err)
			_ = s.Close()
			content[page*os.Getpagesize()+30] ^= 1
			must(t, os.WriteFile(s.path(), content, 0o600))
			s, log := opened(t, dir, Options{})
			got := keys(t, s)
			if !same(got, rangeOf(2, 20)) && (!crash || !same(got, rangeOf(1, 10))) {
				t.Errorf("page %d, crash %v: keys %v", page, crash, got)
			}
			if n := strings.Count(log.String(), "the last commit may be lost, or sent again"); n != 1 || strings.Count(log.String(), "\n") != 1 {
				t.Errorf("page %d, crash %v: log %s", page, crash, log)
			}
			_ = s.Close()
			s, log = opened(t, dir, Options{})
			if !same(keys(t, s), got) || log.Len() > 0 {
				t.Errorf("page %d, crash %v: then keys %v, log %s", page, crash, keys(t, s), log)
			}
		}
	}
}

// Files that are set aside do not fill the disk.
func TestFewFilesAreKeptAside(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a[b") // no pattern
	must(t, os.Mkdir(dir, 0o700))
	path := filepath.Join(dir, fileName)
	for range 6 {
		must(t, os.WriteFile(path, bytes.Repeat([]byte("no spool "), 10_000), 0o600))
		s, log := opened(t, dir, Options{})
		if strings.Count(log.String(), "set aside") != 1 {
			t.Errorf("log: %s", log)
		}
		_ = s.Close()
	}
	all, err := os.ReadDir(dir)
	must(t, err)
	if aside := len(all) - 2; aside != maxAside { // besides the file and the lock
		t.Errorf("%d files aside: %v", aside, all)
	}
}

// The newest file aside is kept, even if the clock was set back.
func TestFilesAsideFromTheFuture(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, fileName)
	for day := 1; day <= maxAside; day++ {
		must(t, os.WriteFile(fmt.Sprintf("%s%s29990101T00000%d.000000000Z", path, asideInfix, day), nil, 0o600))
	}
	must(t, os.WriteFile(path, []byte("no spool"), 0o600))
	opened(t, dir, Options{})
	aside, _ := filepath.Glob(path + asideInfix + "*")
	if len(aside) != maxAside {
		t.Fatalf("%d files aside", len(aside))
	}
	if content, err := os.ReadFile(aside[0]); err != nil || string(content) != "no spool" {
		t.Errorf("%s: %q, %v", aside[0], content, err)
	}
}

// If a damaged file is gone before it is set aside, those aside stay, and no line names it.
func TestNothingToSetAside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, log := opened(t, dir, Options{})
	for day := 1; day <= maxAside; day++ {
		must(t, os.WriteFile(fmt.Sprintf("%s%s20200101T00000%d.000000000Z", s.path(), asideInfix, day), nil, 0o600))
	}
	s.broken = s.info
	s.closeDB()
	must(t, os.Remove(s.path()))
	if lost, writable, err := s.Reopen(); !lost || !writable || err != nil {
		t.Errorf("reopen: lost %v, writable %v, %v", lost, writable, err)
	}
	aside, _ := filepath.Glob(s.path() + asideInfix + "*")
	if len(aside) != maxAside || log.Len() > 0 {
		t.Errorf("%d files aside, log %s", len(aside), log)
	}
}

// Files of another version are good: they are set aside under a name that says so, and all of
// them are kept.
func TestFilesOfAnotherVersion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	damaged := filepath.Join(dir, fileName+asideInfix)
	for day := range maxAside {
		must(t, os.WriteFile(damaged+strconv.Itoa(day), nil, 0o600))
	}
	for range 2 * maxAside {
		s, _ := opened(t, dir, Options{})
		commit(t, s, records(1, 10, false, 10))
		must(t, s.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(headBucket).Put(totalsKey, []byte{fileFormat + 1, 1, 2, 3}) }))
		_ = s.Close()
		before, _ := os.ReadFile(s.path())
		s, log := opened(t, dir, Options{})
		all, _ := filepath.Glob(s.path() + versionInfix + "*")
		if len(all) == 0 || len(keys(t, s)) != 0 || !strings.Contains(log.String(), "written by another version of klime-go, and is set aside") {
			t.Fatalf("%v, log %s", all, log)
		}
		if after, _ := os.ReadFile(all[len(all)-1]); !bytes.Equal(before, after) {
			t.Error("the file was changed")
		}
		_ = s.Close()
	}
	of := func(infix string) int {
		all, _ := filepath.Glob(filepath.Join(dir, fileName+infix+"*"))
		return len(all)
	}
	if of(versionInfix) != 2*maxAside || of(asideInfix) != maxAside {
		t.Errorf("%d of another version, %d damaged", of(versionInfix), of(asideInfix))
	}
}

// A file of another program is set aside and not changed.
func TestForeignFiles(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(tx *bolt.Tx) error{
		"another program": func(tx *bolt.Tx) error {
			for _, bucket := range [][]byte{headBucket, explicitBucket} {
				if err := tx.DeleteBucket(bucket); err != nil {
					return err
				}
			}
			return nil
		},
		"totals changed": func(tx *bolt.Tx) error {
			b := bytes.Clone(tx.Bucket(headBucket).Get(totalsKey))
			b[9]++
			return tx.Bucket(headBucket).Put(totalsKey, b)
		},
	} {
		dir := t.TempDir()
		s, _ := opened(t, dir, Options{})
		commit(t, s, records(1, 10, false, 10))
		must(t, s.db.Update(change))
		_ = s.Close()
		before, _ := os.ReadFile(s.path())
		s, log := opened(t, dir, Options{})
		aside, _ := filepath.Glob(s.path() + asideInfix + "*")
		if len(aside) != 1 || len(keys(t, s)) != 0 || !strings.Contains(log.String(), "set aside") {
			t.Errorf("%s: %v, log %s", name, aside, log)
			continue
		}
		if after, _ := os.ReadFile(aside[0]); !bytes.Equal(before, after) {
			t.Errorf("%s: the file was changed", name)
		}
	}
}

// One damaged record costs only that record.
func TestDamagedRecord(t *testing.T) {
	t.Parallel()
	s, _ := opened(t, t.TempDir(), Options{})
	commit(t, s, records(1, 10, false, 10))
	err := s.db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket(explicitBucket)
		value := bytes.Clone(b.Get(appendKey(nil, 4)))
		value[len(value)-3] ^= 1
		return b.Put(appendKey(nil, 4), value)
	})
	must(t, err)
	read, err := s.Read(0, 100, 1<<20, none)
	if err != nil || len(read) != 10 {
		t.Fatalf("%d read, %v", len(read), err)
	}
	for _, r := range read {
		if r.Damaged != (r.Key == 4) {
			t.Errorf("record %d: damaged %v", r.Key, r.Damaged)
		}
	}
	commit(t, s, nil, 4)
	if n, _, _, _ := s.Kept(); n != 9 {
		t.Errorf("%d kept", n)
	}
}

// The file is truncated while it is mapped: that is an error, and not the end of the app.
func TestTruncatedWhileOpen(t *testing.T) {
	t.Parallel()
	NeedsFilesSetFree(t)
	s, log := opened(t, t.TempDir(), Options{})
	for first := uint64(1); first < 5000; first += 1000 {
		commit(t, s, records(first, first+999, false, 500))
	}
	must(t, os.Truncate(s.path(), 8192))
	_, err := s.Read(0, 100_000, 1<<30, none)
	if err == nil {
		_, err = s.Commit(nil, rangeOf(1, 4000))
	}
	if !errors.Is(err, errCorrupt) || !strings.HasSuffix(err.Error(), "its pages cannot be read") {
		t.Fatalf("read what is not there: %v", err)
	}
	lost, _, err := s.Reopen()
	if !lost || err != nil {
		t.Fatalf("reopen: lost %v, %v", lost, err)
	}
	commit(t, s, records(1, 10, false, 10))
	if got := keys(t, s); len(got) != 10 || !strings.Contains(log.String(), "set aside") {
		t.Errorf("%d records, log %s", len(got), log)
	}
}

// An empty file may have been left by a crash while it was made, or have had events: the
// app starts, and one line says that it was there.
func TestFileOfSizeZero(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, fileName), nil, 0o600))
	for _, want := range []int{1, 0} {
		s, log := opened(t, dir, Options{})
		if n := strings.Count(log.String(), "level=WARN"); n != want || strings.Count(log.String(), "had size 0") != want {
			t.Errorf("log: %s", log)
		}
		commit(t, s, records(1, 10, false, 10), rangeOf(1, 10)...)
		if got := keys(t, s); !same(got, rangeOf(1, 10)) {
			t.Errorf("keys %v", got)
		}
		_ = s.Close()
	}
}
