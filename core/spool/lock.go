package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

const lockTries = 3

// errLocked says that another process has the lock.
var errLocked = errors.New("locked")

// lock makes a folder one process's for as long as that uses it: bbolt's own
// lock ends whenever its file is closed, as in a fault. It is a file of its own,
// which nobody reads, writes or removes.
type lock struct {
	path string
	file *os.File // nil while it is not held
}

// take takes the lock, unless it has it already. If the folder was deleted, that
// is worth nothing, and the lock of the new one is taken.
func (l *lock) take() error {
	if l.file != nil && isAt(l.file, l.path) == nil {
		return nil
	}
	for range lockTries {
		f, err := os.OpenFile(l.path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return err //nolint:wrapcheck // explain does
		}
		if err := lockFile(f); err != nil {
			_ = f.Close()
			return err
		}
		if isAt(f, l.path) == nil {
			l.release()
			l.file = f
			return nil
		}
		_ = f.Close() // it was deleted before it was locked
	}
	return fmt.Errorf("%s: %w", l.path, errGone)
}

// release gives the folder free, if it is held.
func (l *lock) release() {
	if l.file != nil {
		unlockFile(l.file)
		_ = l.file.Close()
		l.file = nil
	}
}

// isAt reports whether a file is still where it was.
func isAt(f *os.File, path string) error {
	own, err := f.Stat()
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	there, err := os.Stat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil // it may be there; that it cannot be seen is no harm
	}
	if err != nil || !os.SameFile(own, there) {
		return fmt.Errorf("spool: %s: %w", path, errGone)
	}
	return nil
}
