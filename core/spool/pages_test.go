package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// snapshot is a file after a commit.
type snapshot struct {
	content  []byte
	roots    []uint64 // of the buckets' trees
	pageSize int
}

func (s *snapshot) page(id uint64) []byte {
	return s.content[int(id)*s.pageSize : int(id+1)*s.pageSize]
}

// below returns the pages below one.
func (s *snapshot) below(id uint64) (all []uint64) {
	b := s.page(id)
	if is := parsePage(b); is.kind == branchPage {
		for i := range int(is.elements) {
			all = append(all, binary.NativeEndian.Uint64(b[pageHead+i*elemSize+8:]))
		}
	}
	return all
}

// hasCycle reports whether a page leads back to one of those above it.
func (s *snapshot) hasCycle(id uint64, above ...uint64) bool {
	return slices.Contains(above, id) || slices.ContainsFunc(s.below(id), func(next uint64) bool {
		return s.hasCycle(next, append(slices.Clone(above), id)...)
	})
}

// history returns a file as it was after each of many commits. They use free pages again in
// order, so that pages often change places.
func history(tb testing.TB) (all []*snapshot) {
	tb.Helper()
	s, _ := opened(tb, tb.TempDir(), Options{})
	s.closeDB()
	db, err := bolt.Open(s.path(), 0o600, &bolt.Options{FreelistType: bolt.FreelistArrayType})
	must(tb, err)
	if s.file, err = os.Open(s.path()); err != nil {
		tb.Fatal(err)
	}
	s.db = db
	for round := range uint64(60) {
		first := 40*round + 1
		add := append(records(first, first+19, false, 200), records(first+20, first+39, true, 200)...)
		commit(tb, s, add, rangeOf(first-min(first, 200), first-min(first, 160))...)
		content, err := os.ReadFile(s.path())
		must(tb, err)
		now := &snapshot{content: content, pageSize: db.Info().PageSize}
		err = db.View(func(tx *bolt.Tx) error {
			for _, name := range [][]byte{explicitBucket, automaticBucket} {
				now.roots = append(now.roots, uint64(tx.Bucket(name).Root()))
			}
			return nil
		})
		must(tb, err)
		all = append(all, now)
	}
	return all
}

// stale returns a file as it would be if a page held what it held after an earlier commit: the
// disk has lost what was written there since. It returns nil if that is the same.
func (s *snapshot) stale(id uint64, before *snapshot) *snapshot {
	if id < 2 || int(id+1)*s.pageSize > min(len(s.content), len(before.content)) || bytes.Equal(before.page(id), s.page(id)) {
		return nil
	}
	stale := &snapshot{bytes.Clone(s.content), s.roots, s.pageSize}
	copy(stale.page(id), before.page(id))
	return stale
}

// cycles returns files in which a page is stale, and leads back to one above it.
func cycles(all []*snapshot) (found []*snapshot) {
	const step = 5 // commits whose writes may be lost
	for i := step; i < len(all); i += 2 {
		for id := range uint64(len(all[i].content) / all[i].pageSize) {
			for _, before := range all[i-step : i] {
				stale := all[i].stale(id, before)
				if stale == nil || parsePage(stale.page(id)).kind != branchPage {
					continue
				}
				if slices.ContainsFunc(stale.roots, func(root uint64) bool { return stale.hasCycle(root) }) {
					found = append(found, stale)
				}
			}
		}
	}
	return found
}

// The disk loses a write: what is in that page then is from an earlier commit. If a page leads
// back to one above it, the file is set aside when it is opened.
func TestLostWrites(t *testing.T) {
	t.Parallel()
	all := history(t)
	last, previous := all[len(all)-1], all[len(all)-2]
	for id := range uint64(len(last.content) / last.pageSize) {
		if stale := last.stale(id, previous); stale != nil {
			damaged(t, int(id), stale.content)
		}
	}
	found := cycles(all)
	for run, stale := range found {
		if !damaged(t, run, stale.content) {
			t.Errorf("cycle %d is not found", run)
		}
	}
	if len(found) < 10 {
		t.Errorf("only %d files with cycles", len(found))
	}
}

// What a process left in a part of a shared folder is checked before it is taken over.
func TestCycleInALeftPart(t *testing.T) {
	t.Parallel()
	all := history(t)
	file := all[len(all)-1]
	root := file.roots[0]
	binary.NativeEndian.PutUint64(file.page(root)[pageHead+8:], root)
	dir := damagedDir(t)
	_, left := heir(t, dir, Options{})
	path := filepath.Join(part(dir, 1), fileName)
	must(t, errors.Join(os.Mkdir(filepath.Dir(path), 0o700), os.WriteFile(path, file.content, 0o600)))
	if got := take(t, left, kept); len(got) > 0 {
		t.Errorf("taken: %v", got)
	}
	if aside, _ := filepath.Glob(path + asideInfix + "*"); len(aside) != 1 {
		t.Errorf("set aside: %v", aside)
	}
}

// Each page is in use once, or free. Anything else could be followed for ever, or overwritten.
func TestDamagedPages(t *testing.T) {
	t.Parallel()
	all := history(t)
	good := all[len(all)-1]
	number := binary.NativeEndian
	m, err := lastMeta(bytes.NewReader(good.content), int64(good.pageSize))
	if err != nil || good.roots[0] == 0 {
		t.Fatal("no file to damage")
	}
	tree := good.roots[0]
	leaves := good.below(tree)
	leaf := leaves[1]
	firstBelow, freelistHead := pageHead+8, 10 // where they are in a page
	for name, damage := range map[string]func(s *snapshot){
		"leads to itself":            func(s *snapshot) { number.PutUint64(s.page(tree)[firstBelow:], tree) },
		"leads to a leaf twice":      func(s *snapshot) { number.PutUint64(s.page(tree)[firstBelow:], leaf) },
		"leads to the first pages":   func(s *snapshot) { number.PutUint64(s.page(tree)[firstBelow:], 0) },
		"leads beyond the last page": func(s *snapshot) { number.PutUint64(s.page(tree)[firstBelow:], m.count) },
		"leads beyond any file":      func(s *snapshot) { number.PutUint64(s.page(tree)[firstBelow:], 1<<63/uint64(s.pageSize)) },
		"leads to the free pages":    func(s *snapshot) { number.PutUint64(s.page(tree)[firstBelow:], m.freelist) },
		"leads to a free page": func(s *snapshot) {
			number.PutUint64(s.page(tree)[firstBelow:], number.Uint64(s.page(m.freelist)[pageHead:]))
		},
		"leads nowhere":               func(s *snapshot) { number.PutUint16(s.page(tree)[10:], 0) },
		"leads to more than it holds": func(s *snapshot) { number.PutUint16(s.page(tree)[10:], 1000) },
		"leads to leaves at two levels": func(s *snapshot) {
			number.PutUint16(s.page(leaves[0])[8:], branchPage)
			number.PutUint16(s.page(leaves[0])[10:], 1)
			number.PutUint64(s.page(leaves[0])[firstBelow:], leaves[1])
			number.PutUint16(s.page(tree)[10:], 2)
			number.PutUint64(s.page(tree)[firstBelow+elemSize:], leaves[2])
		},
		"is no branch":                func(s *snapshot) { number.PutUint16(s.page(tree)[8:], 3) },
		"leaf is a list":              func(s *snapshot) { number.PutUint16(s.page(leaf)[8:], freelistPage) },
		"leaf is empty":               func(s *snapshot) { number.PutUint16(s.page(leaf)[10:], 0) },
		"leaf has another number":     func(s *snapshot) { number.PutUint64(s.page(leaf), leaf+1) },
		"leaf goes on for ever":       func(s *snapshot) { number.PutUint32(s.page(leaf)[12:], 1<<31) },
		"leaf goes on in the next":    func(s *snapshot) { number.PutUint32(s.page(leaf)[12:], 1) },
		"a leaf is free":              func(s *snapshot) { number.PutUint64(s.page(m.freelist)[pageHead:], leaf) },
		"a page of the head is free":  func(s *snapshot) { number.PutUint64(s.page(m.freelist)[pageHead:], 1) },
		"endless list of free pages":  func(s *snapshot) { number.PutUint16(s.page(m.freelist)[freelistHead:], 10_000) },
		"no list of free pages":       func(s *snapshot) { number.PutUint16(s.page(m.freelist)[8:], leafPage) },
		"buckets on a branch":         func(s *snapshot) { number.PutUint16(s.page(m.root)[8:], branchPage) },
		"buckets beyond the page":     func(s *snapshot) { number.PutUint32(s.page(m.root)[pageHead+4:], 1<<20) },
		"more buckets than there are": func(s *snapshot) { number.PutUint16(s.page(m.root)[10:], 1000) },
	} {
		damagedFile := &snapshot{bytes.Clone(good.content), good.roots, good.pageSize}
		damage(damagedFile)
		dir := damagedDir(t)
		must(t, os.WriteFile(filepath.Join(dir, fileName), damagedFile.content, 0o600))
		if _, log := opened(t, dir, Options{}); strings.Count(log.String(), "set aside") != 1 {
			t.Errorf("%s: log %s", name, log)
		}
	}
	if damaged(t, 0, good.content) {
		t.Error("a good file is set aside")
	}
}

// A file whose last pages are cut off is good if they were free.
func TestFreePagesCutOff(t *testing.T) {
	t.Parallel()
	for _, file := range history(t) {
		m, err := lastMeta(bytes.NewReader(file.content), int64(file.pageSize))
		must(t, err)
		list := file.page(m.freelist)
		var free []uint64
		for i := range int(parsePage(list).elements) {
			free = append(free, binary.NativeEndian.Uint64(list[pageHead+8*i:]))
		}
		count := m.count
		for slices.Contains(free, count-1) {
			count--
		}
		if count < m.count {
			if damaged(t, 0, file.content[:int(count)*file.pageSize]) {
				t.Error("a good file is set aside")
			}
			return
		}
	}
	t.Error("no file ends with free pages")
}

// The list of very many free pages has another form, and is checked to its end.
func TestManyFreePages(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("writes 66 MB")
	}
	dir := damagedDir(t)
	db, err := bolt.Open(filepath.Join(dir, fileName), 0o600, &bolt.Options{PageSize: 1024})
	must(t, err)
	must(t, db.Close())
	s, _ := opened(t, dir, Options{})
	s.db.NoSync = true
	const many = 66
	body := make([]byte, 1<<20)
	for key := range uint64(many) {
		commit(t, s, []delivery.Record{{Key: key + 1, Body: body}})
	}
	commit(t, s, records(many+1, many+1, false, 10), rangeOf(1, many)...)
	_ = s.Close()
	s, log := opened(t, dir, Options{})
	if n := s.db.Stats().FreePageN; n < math.MaxUint16 || log.Len() > 0 || !same(keys(t, s), []uint64{many + 1}) {
		t.Errorf("%d pages are free, log %s", n, log)
	}
	m, err := lastMeta(s.file, 1024)
	must(t, err)
	var n [8]byte
	list := int64(m.freelist*1024 + pageHead)
	_, err = s.file.ReadAt(n[:], list)
	last := list + 8*int64(binary.NativeEndian.Uint64(n[:]))
	_, err2 := s.file.WriteAt(binary.NativeEndian.AppendUint64(nil, m.root), last)
	must(t, errors.Join(err, err2))
	if err := checkPages(s.file, m, s.info.Size()); !errors.Is(err, errDamaged) {
		t.Errorf("the root is free: %v", err)
	}
}

// unreadable is a file of which a part cannot be read.
type unreadable struct {
	*bytes.Reader

	from, to int64
}

func (f *unreadable) ReadAt(b []byte, at int64) (int, error) {
	if at < f.to && at+int64(len(b)) > f.from {
		return 0, syscall.EIO
	}
	return f.Reader.ReadAt(b, at)
}

// A read that fails is no damage: the next may succeed, and a file set aside is not sent. Free
// pages, and those on which a leaf goes on, need not be read.
func TestFailedReads(t *testing.T) {
	t.Parallel()
	s, _ := opened(t, t.TempDir(), Options{})
	for first := uint64(1); first < 1000; first += 100 {
		commit(t, s, records(first, first+98, false, 200))
		commit(t, s, records(first+99, first+99, false, 20_000), first)
	}
	content, err := os.ReadFile(s.path())
	must(t, err)
	size := int64(s.db.Info().PageSize)
	check := func(from, to int64) error {
		f := &unreadable{bytes.NewReader(content), from, to}
		if err := checkMetas(f); err != nil {
			return err
		}
		m, err := lastMeta(f, size)
		if err != nil {
			return err
		}
		return checkPages(f, m, f.Size())
	}
	kinds := map[string]int{}
	err = s.db.View(func(tx *bolt.Tx) error {
		for id := int64(0); ; id++ {
			page, err := tx.Page(int(id))
			if page == nil {
				return err
			}
			kinds[page.Type]++
			var want error = syscall.EIO
			if page.Type == "free" {
				want = nil
			}
			if err := check(id*size, (id+1)*size); !errors.Is(err, want) {
				t.Errorf("%s page %d: %v", page.Type, id, err)
			}
			if err := check((id+1)*size, (id+1+int64(page.OverflowCount))*size); page.OverflowCount > 0 && err != nil {
				t.Errorf("%s page %d goes on: %v", page.Type, id, err)
			}
			id += int64(page.OverflowCount)
		}
	})
	if err != nil || len(kinds) < 5 {
		t.Errorf("%v, pages: %v", err, kinds)
	}
	if err := check(0, math.MaxInt64); !errors.Is(err, syscall.EIO) {
		t.Errorf("all reads fail: %v", err)
	}
}

// repeatLeaf makes the last leaf of a tree in a file another one. The first events can be read.
func repeatLeaf(tb testing.TB, path string) {
	tb.Helper()
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true})
	must(tb, err)
	var root uint64
	err = db.View(func(tx *bolt.Tx) error {
		root = uint64(tx.Bucket(explicitBucket).Root())
		return nil
	})
	content, err2 := os.ReadFile(path)
	file := snapshot{content: content, pageSize: db.Info().PageSize}
	must(tb, errors.Join(err, err2, db.Close()))
	below := file.below(root)
	last := len(below) - 1
	binary.NativeEndian.PutUint64(file.page(root)[pageHead+last*elemSize+8:], below[last-1])
	must(tb, os.WriteFile(path, content, 0o600))
}

// While the disk fails, the file is opened again and again, but not read each time: once for
// a fault, unless the disk is full.
func TestChecksWhenReopened(t *testing.T) {
	t.Parallel()
	fail := func(s *store, cause error) {
		t.Helper()
		if err := s.withDB(func() error { return cause }); !errors.Is(err, cause) {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		cause   syscall.Errno
		failed  int  // how often the disk has failed before
		worked  bool // once more since then
		checked bool
	}{
		{fullNumbers()[0], 0, false, false},
		{syscall.EIO, 0, false, true},
		{syscall.EIO, 2, false, false},
		{syscall.EIO, 2, true, true},
	} {
		s, log := opened(t, damagedDir(t), Options{})
		commit(t, s, records(1, 1000, false, 200))
		for range tt.failed {
			fail(s, tt.cause)
			mustReopen(t, s)
		}
		if tt.worked {
			commit(t, s, records(2000, 1, false, 200))
		}
		fail(s, tt.cause)
		repeatLeaf(t, s.path())
		if _, writable, err := s.Reopen(); !writable || err != nil {
			t.Errorf("%+v: writable %v, %v", tt, writable, err)
		}
		if aside := strings.Contains(log.String(), "set aside"); aside != tt.checked {
			t.Errorf("%+v: set aside: %v, log %s", tt, aside, log)
		}
	}
}

// What an ended process left is checked once, in however many portions it is taken over, unless
// another process has used the file meanwhile.
func TestChecksOfALeftPart(t *testing.T) {
	t.Parallel()
	dir := damagedDir(t)
	_, left := heir(t, dir, Options{})
	path := filepath.Join(part(dir, 1), fileName)
	ended, _ := heir(t, dir, Options{})
	commit(t, ended, records(1, 1000, false, 200))
	_ = ended.Close()
	takeFirst := func(want int) {
		t.Helper()
		n, err := left.TakeOver(10, 4<<20, func([]delivery.Record) error { return nil })
		if aside, _ := filepath.Glob(path + asideInfix + "*"); n != want || err != nil || (len(aside) == 0) != (want > 0) {
			t.Fatalf("%d taken, %v, set aside: %v", n, err, aside)
		}
	}
	takeFirst(10)
	last, err := os.Stat(path)
	must(t, err)
	repeatLeaf(t, path)
	must(t, os.Chtimes(path, time.Time{}, last.ModTime()))
	takeFirst(10)
	must(t, os.Chtimes(path, time.Time{}, time.Now().Add(time.Minute))) // as if another process had written there
	takeFirst(0)
}

// A bucket without records is a leaf beside its name.
func TestDamagedEmptyBucket(t *testing.T) {
	t.Parallel()
	dir := damagedDir(t)
	s, _ := opened(t, dir, Options{})
	_ = s.Close()
	content, err := os.ReadFile(s.path())
	must(t, err)
	const root = 16 // of its tree: none
	kind := bytes.LastIndex(content, automaticBucket) + len(automaticBucket) + root + 8
	binary.NativeEndian.PutUint16(content[kind:], freelistPage)
	must(t, os.WriteFile(s.path(), content, 0o600))
	if _, log := opened(t, dir, Options{}); strings.Count(log.String(), "set aside") != 1 {
		t.Errorf("log %s", log)
	}
}

// A file that does not list its free pages is none of ours: bbolt would look at all pages, and
// panic over a damaged one where nobody can catch it.
func TestFilesWithoutFreelist(t *testing.T) {
	t.Parallel()
	for _, reopened := range []bool{false, true} { // then only one of the two meta pages says so
		dir := damagedDir(t)
		s, _ := opened(t, dir, Options{})
		commit(t, s, records(1, 1000, false, 200))
		_ = s.Close()
		for range 3 {
			db, err := bolt.Open(s.path(), 0o600, &bolt.Options{NoFreelistSync: true})
			must(t, err)
			err = db.Update(func(tx *bolt.Tx) error { return tx.Bucket(headBucket).Put(probeKey, nil) })
			must(t, errors.Join(err, db.Close()))
			if reopened {
				break
			}
		}
		content, err := os.ReadFile(s.path())
		must(t, err)
		key := appendKey(nil, 505)
		content = bytes.ReplaceAll(content, append(key, recordFormat), append(appendKey(nil, 3), recordFormat))
		must(t, os.WriteFile(s.path(), content, 0o600))
		s, log := opened(t, dir, Options{})
		if strings.Count(log.String(), "set aside") != 1 {
			t.Errorf("reopened %v: log %s", reopened, log)
		}
		commit(t, s, records(1, 10, false, 10))
	}
}
