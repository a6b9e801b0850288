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
	own    *store
	logger *slog.Logger

	from   *store            // what was taken from last, locked; nil after Done
	taken  []uint64          // keys in it
	undone map[string]undone // by part, what is safe elsewhere and could not be removed
}

// undone is what is still to be removed from a part, as long as no other process has used
// it since.
type undone struct {
	totals totals
	keys   []uint64
}

func newLeftovers(own *store, logger *slog.Logger) *leftovers {
	return &leftovers{own: own, logger: logger, undone: map[string]undone{}}
}

// Take implements delivery.Leftovers. A part that cannot be read does not keep it from the
// others, so that there may be both records and an error.
func (l *leftovers) Take(records, size int) ([]delivery.Record, error) {
	if sizeOnDisk(l.own.totals.records, l.own.totals.size) > l.own.max/2 {
		return nil, delivery.ErrSpoolFull
	}
	var err error
	for _, dir := range parts(l.own.shared) {
		if dir == l.own.dir {
			continue
		}
		read, cause := l.takeFrom(dir, records, min(size, int(l.own.max/4)))
		if cause != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", dir, cause))
		}
		if len(read) > 0 {
			return read, err
		}
	}
	return nil, err
}

// takeFrom takes records from one part, if there is one and no process has it.
func (l *leftovers) takeFrom(dir string, records, size int) ([]delivery.Record, error) {
	s := newStore(dir, math.MaxInt64, DropOldest)
	s.logger, s.keepsNewer = l.logger, true
	if _, err := os.Lstat(s.path()); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	err := s.open()
	if errors.Is(err, ErrInUse) {
		s.lock.release()
		return nil, nil
	}
	if err == nil {
		err = l.removeUndone(s)
	}
	var read []delivery.Record
	if err == nil {
		read, err = s.Read(0, records, size, func(uint64) bool { return false })
	}
	if errors.Is(err, errCorrupt) {
		read, err = nil, s.open() // which sets the file aside, and says so
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

// Done implements delivery.Leftovers.
func (l *leftovers) Done(safe bool) (err error) {
	s := l.from
	before := s.totals
	if safe {
		if _, err = s.Commit(nil, l.taken); err != nil {
			l.undone[s.dir] = undone{before, l.taken}
			err = fmt.Errorf("%s: %w", s.dir, err)
		}
	}
	s.totals.records = 0 // for Close, which has nothing to rescue here
	_ = s.Close()
	l.from, l.taken = nil, nil
	return err
}
