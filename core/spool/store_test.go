package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// opened returns the store of a folder. It is closed at the test's end.
func opened(tb testing.TB, dir string, opts Options) (*store, *bytes.Buffer) {
	tb.Helper()
	s, err := Open(dir, opts)
	if err != nil {
		tb.Fatal(err)
	}
	var log bytes.Buffer
	_, err = s.Attach(slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		tb.Fatal(err)
	}
	st := s.attached
	tb.Cleanup(func() { _ = st.Close() })
	return st, &log
}

func record(key uint64, automatic bool, size int) delivery.Record {
	body := fmt.Sprintf(`{"id":%d,"pad":%q}`, key, strings.Repeat("x", size))
	return delivery.Record{Key: key, Body: []byte(body), Automatic: automatic, Attempts: int(key % 3)}
}

func records(first, last uint64, automatic bool, size int) []delivery.Record {
	var all []delivery.Record
	for key := first; key <= last; key++ {
		all = append(all, record(key, automatic, size))
	}
	return all
}

func commit(tb testing.TB, s *store, add []delivery.Record, remove ...uint64) []delivery.Record {
	tb.Helper()
	dropped, err := s.Commit(add, remove)
	if err != nil {
		tb.Fatal(err)
	}
	return dropped
}

func none(uint64) bool { return false }

// keys returns the keys of all records, and fails unless each is as it was written.
func keys(tb testing.TB, s *store) []uint64 {
	tb.Helper()
	var all []uint64
	var from uint64
	for {
		read, err := s.Read(from, 1000, 1<<30, none)
		if err != nil {
			tb.Fatal(err)
		}
		if len(read) == 0 {
			return all
		}
		for _, r := range read {
			if !bytes.HasPrefix(r.Body, fmt.Appendf(nil, `{"id":%d,`, r.Key)) || r.Damaged || r.Attempts != int(r.Key%3) {
				tb.Fatalf("record %d is %+v", r.Key, r)
			}
			all = append(all, r.Key)
			from = r.Key + 1
		}
	}
}

func same(a, b []uint64) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

func TestRecordsOutliveTheProcess(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	s, _ := opened(t, dir, Options{})
	commit(t, s, []delivery.Record{record(5, false, 10), record(2, true, 10)})
	commit(t, s, []delivery.Record{record(1, false, 10), record(7, true, 10), record(9, false, 10)}, 5, 1000)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, log := opened(t, dir, Options{})
	n, size, last, err := s.Kept()
	if err != nil {
		t.Fatal(err)
	}
	if got := keys(t, s); !same(got, []uint64{1, 2, 7, 9}) || n != 4 || last != 9 || size != 4*len(record(1, false, 10).Body) {
		t.Errorf("keys %v, kept %d, %d bytes, last %d", got, n, size, last)
	}
	read, err := s.Read(2, 2, 1<<20, func(key uint64) bool { return key == 2 })
	if err != nil || len(read) != 2 || read[0].Key != 7 || !read[0].Automatic || read[1].Automatic {
		t.Errorf("read %+v, %v", read, err)
	}
	if read, err := s.Read(0, 100, 1, none); err != nil || len(read) != 1 {
		t.Errorf("at most a byte, but one at least: %+v, %v", read, err)
	}
	if log.Len() > 0 {
		t.Errorf("log: %s", log)
	}
}

func TestModes(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "spool")
	s, _ := opened(t, dir, Options{})
	_ = s.Close()
	err := errors.Join(os.WriteFile(s.path(), []byte("is set aside"), 0o600), os.Chmod(s.path(), 0o644))
	if err != nil {
		t.Fatal(err)
	}
	s, _ = opened(t, dir, Options{})
	commit(t, s, records(1, 10, false, 10))
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, _ error) error {
		info, err := d.Info()
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v", path, info.Mode(), err)
		}
		return nil
	})
}

// The oldest records make room, automatic ones first. An explicit record never makes
// room for an automatic one.
func TestMaxBytes(t *testing.T) {
	t.Parallel()
	s, _ := opened(t, t.TempDir(), Options{MaxBytes: 1 << 20})
	const size = 10_000 // about a hundred of them fit
	if dropped := commit(t, s, append(records(1, 50, false, size), records(51, 90, true, size)...)); len(dropped) != 0 {
		t.Errorf("dropped %d while there was room", len(dropped))
	}
	dropped := commit(t, s, records(91, 120, false, size))
	if len(dropped) == 0 || dropped[0].Key != 51 {
		t.Errorf("dropped %d, not the oldest automatic one first", len(dropped))
	}
	dropped = append(dropped, commit(t, s, records(121, 200, false, size))...)
	for i := range 40 {
		if dropped[i].Key != uint64(51+i) || !dropped[i].Automatic {
			t.Fatalf("dropped as number %d: %d", i, dropped[i].Key)
		}
	}
	if dropped[40].Key != 1 || dropped[40].Automatic {
		t.Errorf("then dropped %d", dropped[40].Key)
	}
	before := keys(t, s)
	if dropped := commit(t, s, records(201, 201, true, size)); len(dropped) != 1 || dropped[0].Key != 201 {
		t.Errorf("an automatic one among explicit ones: dropped %+v", dropped)
	}
	if got := keys(t, s); !same(got, before) {
		t.Error("it made room all the same")
	}
	if n, bytes, _, _ := s.Kept(); n != len(before) || bytes > 1<<20 {
		t.Errorf("kept %d, %d bytes", n, bytes)
	}
	for range 100 { // the file stays within about twice MaxBytes
		commit(t, s, records(202, 300, false, size), rangeOf(202, 300)...)
	}
	if info, err := os.Stat(s.path()); err != nil || info.Size() > 6<<20 {
		t.Errorf("the file has %d bytes, %v", info.Size(), err)
	}
}

// With Reject nothing on disk is removed, and the client is told beforehand what fits.
func TestReject(t *testing.T) {
	t.Parallel()
	s, err := Open(t.TempDir(), Options{MaxBytes: 1 << 20, WhenFull: Reject})
	if err != nil {
		t.Fatal(err)
	}
	storage, err := s.Attach(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = storage.Spool.Close() }()
	const body = 10_000
	fit := func(automatic bool) (n int) {
		for storage.Fits(n+1, (n+1)*body, automatic) {
			n++
		}
		return n
	}
	if n := fit(false); n != 1<<20/(body+overhead) {
		t.Errorf("%d explicit records fit", n)
	}
	if n := fit(true); n != 1<<20/5*4/(body+overhead) {
		t.Errorf("%d automatic records fit", n)
	}
	commit(t, s.attached, append(records(1, 50, true, body), records(51, 90, false, body)...))
	dropped := commit(t, s.attached, records(91, 120, false, body))
	kept := keys(t, s.attached)
	if len(kept) < 100 || !same(kept, rangeOf(1, uint64(len(kept)))) || len(kept)+len(dropped) != 120 {
		t.Errorf("kept %v, dropped %d", kept, len(dropped))
	}
	for i, r := range dropped {
		if want := uint64(len(kept) + i + 1); r.Key != want {
			t.Errorf("dropped %d, want %d", r.Key, want)
		}
	}
}

// A folder that was filled with a higher MaxBytes keeps its events, even when it is
// deleted at run time.
func TestLowerBound(t *testing.T) {
	t.Parallel()
	for _, policy := range []Policy{DropOldest, Reject} {
		dir := filepath.Join(t.TempDir(), "spool")
		s, _ := opened(t, dir, Options{})
		commit(t, s, records(1, 1500, false, 10_000))
		_ = s.Close()
		s, _ = opened(t, dir, Options{MaxBytes: 1 << 20, WhenFull: policy})
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if lost, writable, err := s.Reopen(); lost || !writable || err != nil {
			t.Fatalf("reopen: lost %v, writable %v, %v", lost, writable, err)
		}
		if n := len(keys(t, s)); n != 1500 {
			t.Errorf("policy %d: %d of 1500 are left", policy, n)
		}
		var dropped []delivery.Record
		for key := uint64(1501); key <= 1506; key++ { // they give way bit by bit
			some := commit(t, s, records(key, key, false, 10_000))
			if bytes := len(some) * 10_000; bytes > maxExcess+20_000 {
				t.Errorf("policy %d: one commit dropped %d bytes", policy, bytes)
			}
			dropped = append(dropped, some...)
		}
		got := keys(t, s)
		switch n, kept, _, _ := s.Kept(); {
		case n != len(got) || n+len(dropped) != 1506:
			t.Errorf("policy %d: %d of %d kept, %d dropped", policy, n, len(got), len(dropped))
		case policy == DropOldest && (kept > 1<<20 || n < 100 || !same(got, rangeOf(uint64(1507-n), 1506))):
			t.Errorf("%d kept: %v", n, got)
		case policy == Reject && n != 1500:
			t.Errorf("%d kept with Reject", n)
		}
	}
}

// A record may be older than others on disk: it stayed in memory for longer. It is the
// first to make room all the same.
func TestOldRecordsAreDroppedFirst(t *testing.T) {
	t.Parallel()
	s, _ := opened(t, t.TempDir(), Options{MaxBytes: 1 << 20})
	commit(t, s, records(500, 603, false, 10_000))
	dropped := commit(t, s, slices.Concat(records(604, 610, false, 10_000), records(1, 3, false, 10_000), records(611, 614, false, 10_000)))
	var got []uint64
	for _, r := range dropped {
		got = append(got, r.Key)
	}
	if want := slices.Concat(rangeOf(500, 507), rangeOf(1, 3), rangeOf(508, 510)); !same(got, want) {
		t.Errorf("dropped %v, want %v", got, want)
	}
}

func rangeOf(first, last uint64) (all []uint64) {
	for key := first; key <= last; key++ {
		all = append(all, key)
	}
	return all
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
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
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
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
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
	if err != nil {
		t.Fatal(err)
	}
	storage, err := s.Attach(logger)
	if err != nil {
		t.Fatal(err)
	}
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
	var missing *Spool
	if d, err := missing.Attach(logger); d.Spool != nil || err != nil || missing.Close() != nil {
		t.Errorf("nil: %v, %v", d, err)
	}
}

// filled returns the bytes of a spool's file with many records.
func filled(tb testing.TB) []byte {
	tb.Helper()
	dir := tb.TempDir()
	s, _ := opened(tb, dir, Options{})
	for first := uint64(1); first <= 2000; first += 100 {
		commit(tb, s, append(records(first, first+49, false, 200), records(first+50, first+99, true, 200)...), first-1, first-7)
	}
	if err := s.Close(); err != nil {
		tb.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		tb.Fatal(err)
	}
	return content
}

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
	dir := t.TempDir()
	path := filepath.Join(dir, fileName)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
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

// A page is damaged that is read at the start, but not to open the file: the file is set
// aside, and what was in it is lost.
func TestDamagedAtTheStart(t *testing.T) {
	t.Parallel()
	const page = 4096
	good := filled(t)
	tries := 0
	for at := len(good)/page - 1; at >= 0; at-- {
		dir := t.TempDir()
		content := bytes.Clone(good)
		clear(content[at*page : (at+1)*page])
		if err := os.WriteFile(filepath.Join(dir, fileName), content, 0o600); err != nil {
			t.Fatal(err)
		}
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
	dir := t.TempDir()
	s, _ := opened(t, dir, Options{})
	commit(t, s, records(1, 1000, false, 100))
	_ = s.Close()
	content, err := os.ReadFile(s.path())
	if err != nil {
		t.Fatal(err)
	}
	r := record(505, false, 100)
	value := encodeRecord(&r)
	content = bytes.ReplaceAll(content, append(appendKey(nil, 505), value...), append(appendKey(nil, 3), value...))
	if err := os.WriteFile(s.path(), content, 0o600); err != nil {
		t.Fatal(err)
	}
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
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			content, err := os.ReadFile(s.path())
			if err != nil {
				t.Fatal(err)
			}
			_ = s.Close()
			content[page*os.Getpagesize()+30] ^= 1
			if err := os.WriteFile(s.path(), content, 0o600); err != nil {
				t.Fatal(err)
			}
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
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, fileName)
	for range 6 {
		if err := os.WriteFile(path, bytes.Repeat([]byte("no spool "), 10_000), 0o600); err != nil {
			t.Fatal(err)
		}
		s, log := opened(t, dir, Options{})
		if strings.Count(log.String(), "set aside") != 1 {
			t.Errorf("log: %s", log)
		}
		_ = s.Close()
	}
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
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
		if err := os.WriteFile(fmt.Sprintf("%s%s29990101T00000%d.000000000Z", path, asideInfix, day), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, []byte("no spool"), 0o600); err != nil {
		t.Fatal(err)
	}
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
		if err := os.WriteFile(fmt.Sprintf("%s%s20200101T00000%d.000000000Z", s.path(), asideInfix, day), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.broken = s.info
	s.closeDB()
	if err := os.Remove(s.path()); err != nil {
		t.Fatal(err)
	}
	if lost, writable, err := s.Reopen(); !lost || !writable || err != nil {
		t.Errorf("reopen: lost %v, writable %v, %v", lost, writable, err)
	}
	aside, _ := filepath.Glob(s.path() + asideInfix + "*")
	if len(aside) != maxAside || log.Len() > 0 {
		t.Errorf("%d files aside, log %s", len(aside), log)
	}
}

// A file of another version, or of another program, is set aside and not changed.
func TestForeignFiles(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(tx *bolt.Tx) error{
		"another version": func(tx *bolt.Tx) error {
			return tx.Bucket(headBucket).Put(totalsKey, []byte{fileFormat + 1, 1, 2, 3})
		},
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
		if err := s.db.Update(change); err != nil {
			t.Fatal(err)
		}
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
	if err != nil {
		t.Fatal(err)
	}
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

// The folder is deleted while the app runs: the spool returns an error, and makes a new
// folder with the events of the old one.
func TestDeletedFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "spool")
	s, _ := opened(t, dir, Options{})
	commit(t, s, append(records(1, 6000, false, 10), records(6001, 7000, true, 10)...))
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(records(7001, 7001, false, 10), nil); !errors.Is(err, errGone) {
		t.Fatalf("commit: %v", err)
	}
	if lost, writable, err := s.Reopen(); lost || !writable || err != nil {
		t.Fatalf("reopen: lost %v, writable %v, %v", lost, writable, err)
	}
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

// Records are moved in portions: a full spool may be larger than memory.
func TestMoveInParts(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "spool")
	s, _ := opened(t, dir, Options{})
	const parts = 6
	perPart := uint64(copyBytes / 190_000)
	for first := uint64(1); first < parts*perPart; first += perPart {
		commit(t, s, records(first, first+perPart-1, false, 190_000))
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := s.move(); err != nil {
		t.Fatal(err)
	}
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
	dir := filepath.Join(t.TempDir(), "spool")
	s, log := opened(t, dir, Options{})
	commit(t, s, records(1, 11, false, 10))
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
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
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if lost, writable, err := s.Reopen(); lost || !writable || err != nil || !same(keys(t, s), rangeOf(5, 11)) {
		t.Errorf("reopen: lost %v, writable %v, %v, keys %v", lost, writable, err, keys(t, s))
	}

	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
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
	move := func(from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	move(dir, away)
	move(other, dir)
	if lost, writable, err := s.Reopen(); lost || writable || err != nil {
		t.Fatalf("reopen: lost %v, writable %v, %v", lost, writable, err)
	}
	commit(t, s, nil, 1)
	move(dir, other)
	move(away, dir)
	if _, err := s.Commit(records(2, 2, false, 10), nil); err == nil {
		t.Error("used the file without a check")
	}
	if lost, writable, err := s.Reopen(); lost || !writable || err != nil {
		t.Fatalf("reopen: lost %v, writable %v, %v", lost, writable, err)
	}
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

// The file is truncated while it is mapped: that is an error, and not the end of the app.
func TestTruncatedWhileOpen(t *testing.T) {
	t.Parallel()
	s, log := opened(t, t.TempDir(), Options{})
	for first := uint64(1); first < 5000; first += 1000 {
		commit(t, s, records(first, first+999, false, 500))
	}
	if err := os.Truncate(s.path(), 8192); err != nil {
		t.Fatal(err)
	}
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

// A large file without records is made anew: at once, or after a crash at the next start.
func TestEmptyFileIsMadeAnew(t *testing.T) {
	t.Parallel()
	for _, crash := range []bool{false, true} {
		dir := t.TempDir()
		s, log := opened(t, dir, Options{})
		commit(t, s, records(1, 200, false, 150_000))
		if info, err := os.Stat(s.path()); err != nil || info.Size() < maxEmptyFile {
			t.Fatalf("the test makes a file of %v", info)
		}
		if crash {
			err := s.db.Update(func(tx *bolt.Tx) error {
				c := newChange(tx, s.totals)
				return errors.Join(c.remove(rangeOf(1, 200)), tx.Bucket(headBucket).Put(totalsKey, c.totals.encode()))
			})
			if err != nil {
				t.Fatal(err)
			}
			_ = s.Close()
			s, log = opened(t, dir, Options{})
		} else {
			commit(t, s, nil, rangeOf(1, 200)...)
		}
		if info, err := os.Stat(s.path()); err != nil || info.Size() > 1<<20 || log.Len() > 0 {
			t.Errorf("crash %v: %d bytes, %v, log %s", crash, info.Size(), err, log)
		}
		commit(t, s, records(1, 10, false, 10))
		if lost, writable, err := s.Reopen(); lost || !writable || err != nil {
			t.Errorf("crash %v: lost %v, writable %v, %v", crash, lost, writable, err)
		}
		_ = s.Close()
		s, _ = opened(t, dir, Options{})
		if got := keys(t, s); len(got) != 10 {
			t.Errorf("crash %v: %d records", crash, len(got))
		}
	}
}

// An empty file may have been left by a crash while it was made, or have had events: the
// app starts, and one line says that it was there.
func TestFileOfSizeZero(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, fileName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
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

// fail calls before, and then makes the store meet a disk error.
func fail(tb testing.TB, s *store, before func() error) {
	tb.Helper()
	errDisk := errors.New("disk on fire")
	if err := s.withDB(func() error { return errors.Join(before(), errDisk) }); !errors.Is(err, errDisk) {
		tb.Fatal(err)
	}
}

func nothing() error { return nil }

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
			if lost, writable, err := s.Reopen(); lost || !writable || err != nil {
				t.Errorf("reopen: lost %v, writable %v, %v", lost, writable, err)
			}
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
	for _, left := range []uint64{0, 5} {
		dir := t.TempDir()
		s, _ := opened(t, dir, Options{})
		commit(t, s, records(1, 10, false, 10))
		fail(t, s, nothing)
		if err := os.Remove(filepath.Join(dir, lockName)); err != nil {
			t.Fatal(err)
		}
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

// After a disk error another spool is at the path, which is not touched. It may also be
// the first file that the store sees there.
func TestReplacedInAFault(t *testing.T) {
	t.Parallel()
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
		if err := errors.Join(os.RemoveAll(dir), os.Rename(other, dir)); err != nil {
			t.Fatal(err)
		}
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
	dir := t.TempDir()
	first, _ := opened(t, dir, Options{})
	commit(t, first, records(1, 10, false, 10))
	fail(t, first, nothing)
	lockFile := filepath.Join(dir, lockName)
	if err := os.Remove(lockFile); err != nil {
		t.Fatal(err)
	}
	s, _ := opened(t, dir, Options{})
	fail(t, s, nothing)
	if err := os.Remove(lockFile); err != nil {
		t.Fatal(err)
	}
	if lost, writable, err := first.Reopen(); lost || !writable || err != nil {
		t.Fatalf("reopen: lost %v, writable %v, %v", lost, writable, err)
	}
	commit(t, first, records(11, 15, false, 10))
	_ = first.Close()
	if _, _, err := s.Reopen(); !errors.Is(err, errForeign) {
		t.Errorf("took the events of somebody else: %v", err)
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
		if lost, writable, err := s.Reopen(); lost || !writable || err != nil {
			t.Fatalf("reopen: lost %v, writable %v, %v", lost, writable, err)
		}
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
	if err := first.take(); err != nil {
		t.Fatal(err)
	}
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
