package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// A shared folder has parts, one for each process: the folder itself, and subfolders
// with this prefix and a number from 1 on.
const (
	partPrefix = "klime-spool."
	maxParts   = 256
)

// part returns the path of a part of a shared folder.
func part(dir string, i int) string {
	if i == 0 {
		return dir
	}
	return filepath.Join(dir, partPrefix+strconv.Itoa(i))
}

// parts returns the paths of all parts that a shared folder has. A link is none: it may lead
// anywhere.
func parts(dir string) []string {
	found := []string{dir}
	for i := 1; i < maxParts; i++ {
		if info, err := os.Lstat(part(dir, i)); err == nil && info.IsDir() {
			found = append(found, part(dir, i))
		}
	}
	return found
}

// leftovers implements delivery.Leftovers with the parts of a shared folder that no
// process has.
type leftovers struct {
	own     *store
	checked map[string]fs.FileInfo // by part, the file as it was when the last records had been taken from it
	undone  map[string]undone      // by part, what is safe elsewhere and could not be removed
}

// undone is what is still to be removed from a part, as long as no other process has used
// it since.
type undone struct {
	totals totals
	keys   []uint64
}

func newLeftovers(own *store) *leftovers {
	return &leftovers{own: own, checked: map[string]fs.FileInfo{}, undone: map[string]undone{}}
}

// TakeOver implements delivery.Leftovers. A part that cannot be read does not keep it from
// the others.
func (l *leftovers) TakeOver(records, size int, keep func([]delivery.Record) error) (n int, err error) {
	if sizeOnDisk(l.own.totals.records, l.own.totals.size) > l.own.max/2 {
		return 0, delivery.ErrSpoolFull
	}
	for _, dir := range parts(l.own.shared) {
		if dir == l.own.dir {
			continue
		}
		s, read, cause := l.open(dir, records, min(size, int(l.own.max/4)))
		if cause != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", dir, cause))
		}
		if len(read) > 0 {
			n, cause = l.handOver(s, read, keep)
			return n, errors.Join(err, cause)
		}
	}
	return 0, err
}

// open opens a part, if there is one and no process has it, and reads what is in it. If that
// is nothing, it is closed again.
func (l *leftovers) open(dir string, records, size int) (s *store, read []delivery.Record, err error) {
	s = newStore(dir, math.MaxInt64, DropOldest)
	s.shared, s.logger = l.own.shared, l.own.logger
	there, err := os.Lstat(s.path())
	switch last := l.checked[dir]; {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil, nil
	case err == nil && last != nil && last.ModTime().Equal(there.ModTime()): // else another process has used the part since
		s.info = last
	}
	err = s.openDir(true)
	if errors.Is(err, ErrInUse) {
		s.lock.release()
		return nil, nil, nil
	}
	if err == nil {
		err = l.removeUndone(s)
	}
	if err == nil {
		read, err = s.Read(0, records, size, func(uint64) bool { return false })
	}
	if errors.Is(err, errCorrupt) {
		read, err = nil, s.openDir(true) // which sets the file aside, and says so
	}
	if len(read) == 0 {
		return nil, nil, errors.Join(err, s.release())
	}
	return s, read, nil
}

// removeUndone removes from a part what could not be removed before.
func (l *leftovers) removeUndone(s *store) error {
	u, is := l.undone[s.dir]
	if is && s.totals == u.totals {
		if _, err := s.Commit(nil, u.keys); err != nil {
			return err
		}
	}
	delete(l.undone, s.dir)
	return nil
}

// handOver has keep write what was read from a part, removes it there, and closes the part.
func (l *leftovers) handOver(s *store, read []delivery.Record, keep func([]delivery.Record) error) (int, error) {
	defer func() { _ = s.release() }()
	keys := make([]uint64, len(read))
	for i := range read {
		keys[i] = read[i].Key
	}
	if err := keep(read); err != nil {
		return 0, err
	}
	before := s.totals
	if _, err := s.Commit(nil, keys); err != nil {
		l.undone[s.dir] = undone{before, keys}
		l.own.logger.Warn("klime: what an ended process left was taken over, but not removed",
			slog.String("folder", s.dir), slog.Any("error", err))
		return 0, nil
	}
	if s.oneMeta && s.db != nil { // else it was emptied, and could not be made anew
		s.repeatCommit()
	}
	s.closeDB() // Windows may note only then when the file was written
	info, _ := os.Lstat(s.path())
	if os.SameFile(s.info, info) { // the disk has not failed since the check
		l.checked[s.dir] = info
	}
	return len(keys), nil
}
