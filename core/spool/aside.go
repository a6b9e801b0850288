package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	asideInfix   = ".damaged-"
	versionInfix = ".version-" // of another version's files: these are good, and all are kept
	maxAside     = 3           // damaged files that are kept
)

// setAside renames the file, unless it is gone, and keeps only the newest maxAside of
// damaged files.
func (s *store) setAside(why error) error {
	s.closeDB()
	isGood := errors.Is(why, errVersion)
	infix := asideInfix
	if isGood {
		infix = versionInfix
	}
	name := s.path() + infix + time.Now().UTC().Format("20060102T150405.000000000Z")
	err := os.Rename(s.path(), name)
	gone := errors.Is(err, fs.ErrNotExist)
	if err != nil && !gone {
		return fmt.Errorf("spool: file cannot be set aside (%w): %w", why, err)
	}
	s.broken = nil
	if gone {
		return nil
	}
	if aside, err := os.Lstat(name); err == nil && aside.Mode().IsRegular() {
		_ = os.Chmod(name, 0o600) // it may hold events
	}
	if isGood {
		s.warn(warning{"was written by another version of klime-go, and is set aside", name})
		return nil
	}
	s.warn(warning{"was damaged or no regular file, and is set aside", name})
	s.prune(name)
	return nil
}

// prune deletes the oldest files that were set aside, but not the newest, whatever the
// clock says.
func (s *store) prune(newest string) {
	entries, _ := os.ReadDir(s.dir) // sorted by name, which is by age
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool {
		return !strings.HasPrefix(e.Name(), fileName+asideInfix) || e.Name() == filepath.Base(newest)
	})
	for len(entries) >= maxAside {
		_ = os.Remove(filepath.Join(s.dir, entries[0].Name()))
		entries = entries[1:]
	}
}
