package spool

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// A shared folder has parts, one for each process: the folder itself, and subfolders
// with this prefix and a number from 1 on.
const (
	partPrefix = "klime-spool."
	maxParts   = 256
)

// openShared opens the first part of a shared folder that no other process has.
func openShared(dir string, opts Options) (s *store, err error) {
	for i := range maxParts {
		s = newStore(part(dir, i), opts.MaxBytes, opts.WhenFull)
		if errors.Is(s.reserve(), errLocked) {
			continue
		}
		if err := s.open(); !errors.Is(err, ErrInUse) {
			return s, err
		}
		s.lock.release()
	}
	return s, fmt.Errorf("%w: %s, by %d processes", ErrInUse, dir, maxParts)
}

// part returns the path of a part of a shared folder.
func part(dir string, i int) string {
	if i == 0 {
		return dir
	}
	return filepath.Join(dir, partPrefix+strconv.Itoa(i))
}

// parts returns the paths of all parts that a shared folder has.
func parts(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	found := []string{dir}
	for _, e := range entries {
		if number, is := strings.CutPrefix(e.Name(), partPrefix); is {
			if _, err := strconv.ParseUint(number, 10, 32); err == nil {
				found = append(found, filepath.Join(dir, e.Name()))
			}
		}
	}
	return found, nil
}

// leftovers implements delivery.Leftovers with the parts of a shared folder that no
// process has.
type leftovers struct {
	dir    string
	own    *store
	logger *slog.Logger

	from  *store          // what was taken from last, locked; nil after Done
	taken []uint64        // keys in it
	kept  map[string]bool // parts from which records could not be removed: they would be taken again and again
}

// Take implements delivery.Leftovers. A part that cannot be read does not keep it from the
// others, so that there may be both records and an error.
func (l *leftovers) Take(records, size int) ([]delivery.Record, error) {
	if sizeOnDisk(l.own.totals.records, l.own.totals.size) > l.own.max/2 {
		return nil, nil
	}
	found, err := parts(l.dir)
	for _, dir := range found {
		if dir == l.own.dir || l.kept[dir] {
			continue
		}
		read, cause := l.takeFrom(dir, records, min(size, int(l.own.max/4)))
		err = errors.Join(err, cause)
		if len(read) > 0 {
			return read, err
		}
	}
	return nil, err
}

// takeFrom takes records from one part, if there is one and no process has it.
func (l *leftovers) takeFrom(dir string, records, size int) ([]delivery.Record, error) {
	s := newStore(dir, math.MaxInt64, DropOldest)
	s.logger = l.logger
	if _, err := os.Lstat(s.path()); err != nil {
		return nil, nil //nolint:nilerr // then there is nothing
	}
	err := s.reserve()
	switch {
	case errors.Is(err, errLocked):
		return nil, nil
	case err == nil:
		err = s.open()
	}
	var read []delivery.Record
	if err == nil {
		read, err = s.Read(0, records, size, func(uint64) bool { return false })
	}
	if errors.Is(err, errCorrupt) {
		err = s.open() // which sets the file aside, and says so
	}
	if len(read) == 0 {
		return nil, errors.Join(err, s.Close())
	}
	l.from = s
	for i := range read {
		l.taken = append(l.taken, read[i].Key)
	}
	return read, nil
}

// Done implements delivery.Leftovers.
func (l *leftovers) Done(safe bool) (err error) {
	if safe {
		if _, err = l.from.Commit(nil, l.taken); err != nil {
			l.kept[l.from.dir] = true
		}
	}
	err = errors.Join(err, l.from.Close())
	l.from, l.taken = nil, nil
	return err
}
