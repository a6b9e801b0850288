package spool

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// must ends a test at an error.
func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// NeedsFilesSetFree skips a test of files that are removed, moved or cut off while a process
// has them open: Windows does not let that happen.
func NeedsFilesSetFree(tb testing.TB) {
	tb.Helper()
	if runtime.GOOS == "windows" {
		tb.Skip("an open file stays where it is")
	}
}

// damagedDir is a folder for a file that is damaged. It stays mapped once that has been
// noticed, and then Windows removes it only after the process's end.
func damagedDir(tb testing.TB) string {
	tb.Helper()
	if runtime.GOOS != "windows" {
		return tb.TempDir()
	}
	dir, err := os.MkdirTemp("", "klime-spool-test") //nolint:usetesting // see above
	must(tb, err)
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// opened returns the store of a folder, and what is logged. It is closed at the test's end.
func opened(tb testing.TB, dir string, opts Options) (*store, *bytes.Buffer) {
	tb.Helper()
	var log bytes.Buffer
	s, _ := attached(tb, dir, opts, slog.NewTextHandler(&log, nil))
	return s, &log
}

// attached opens a folder as a client does.
func attached(tb testing.TB, dir string, opts Options, log slog.Handler) (*store, delivery.Storage) {
	tb.Helper()
	s, err := Open(dir, opts)
	must(tb, err)
	storage, err := s.Attach(slog.New(log))
	must(tb, err)
	tb.Cleanup(func() { _ = storage.Spool.Close() })
	return storage.Spool.(*store), storage
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
	must(tb, err)
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
		must(tb, err)
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

func rangeOf(first, last uint64) (all []uint64) {
	for key := first; key <= last; key++ {
		all = append(all, key)
	}
	return all
}

// filled returns the bytes of a spool's file with many records.
func filled(tb testing.TB) []byte {
	tb.Helper()
	dir := tb.TempDir()
	s, _ := opened(tb, dir, Options{})
	for first := uint64(1); first <= 2000; first += 100 {
		commit(tb, s, append(records(first, first+49, false, 200), records(first+50, first+99, true, 200)...), first-1, first-7)
	}
	must(tb, s.Close())
	content, err := os.ReadFile(filepath.Join(dir, fileName))
	must(tb, err)
	return content
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

// mustReopen has a store work again, with what was in it.
func mustReopen(tb testing.TB, s *store) {
	tb.Helper()
	if lost, writable, err := s.Reopen(); lost || !writable || err != nil {
		tb.Fatalf("reopen: lost %v, writable %v, %v", lost, writable, err)
	}
}
