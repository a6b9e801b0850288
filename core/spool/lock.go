package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

const lockTries = 3

var (
	// errLocked says that another process has the lock.
	errLocked = errors.New("locked")
	// errSpecial is of a link or pipe in place of the lock's file: to open it would lock,
	// or make, somebody else's, and to remove it could remove another process's lock.
	errSpecial = errors.New("not a regular file")
)

// lock reserves a folder for one process for as long as it uses the folder. bbolt's
// own lock is not enough, as it ends whenever the file of events is closed, such as
// after an error. The lock has a file of its own, which nobody reads, writes or
// removes.
type lock struct {
	path string
	file *os.File // nil while it is not held
}

func newLock(dir string) *lock { return &lock{path: filepath.Join(dir, lockName)} }

// take takes the lock, unless it is held already. If the folder was deleted
// meanwhile, it takes the lock of the new folder.
func (l *lock) take() error {
	if l.file != nil && checkIsAt(l.file, l.path) == nil {
		return nil
	}
	for range lockTries {
		if there, err := os.Lstat(l.path); err == nil && !there.Mode().IsRegular() {
			return &fs.PathError{Op: "lock", Path: l.path, Err: errSpecial}
		}
		f, err := os.OpenFile(l.path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return err //nolint:wrapcheck // explain does
		}
		if err := lockFile(f); err != nil {
			_ = f.Close()
			return err
		}
		if checkIsAt(f, l.path) == nil {
			l.release()
			l.file = f
			return nil
		}
		_ = f.Close() // it was deleted before it was locked
	}
	return fmt.Errorf("%s: %w", l.path, errGone)
}

// release ends the lock, if it is held.
func (l *lock) release() {
	if l.file != nil {
		unlockFile(l.file)
		_ = l.file.Close()
		l.file = nil
	}
}

// checkIsAt returns an error if an open file was deleted, or replaced at its path.
func checkIsAt(f *os.File, path string) error {
	own, err := f.Stat()
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	there, err := os.Stat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) { // that is: a file has a folder's name
		return nil // it may still be there
	}
	if err != nil || !os.SameFile(own, there) {
		return fmt.Errorf("spool: %s: %w", path, errGone)
	}
	return nil
}
