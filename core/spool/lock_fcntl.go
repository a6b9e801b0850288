//go:build solaris || aix || android

package spool

import (
	"errors"
	"os"
	"syscall"
)

// lockFile locks f until it is closed, or fails with errLocked. Like bbolt's own lock
// on these systems, it keeps out other processes, but not this one.
func lockFile(f *os.File) error {
	for {
		err := syscall.FcntlFlock(f.Fd(), syscall.F_SETLK, &syscall.Flock_t{Type: syscall.F_WRLCK})
		switch {
		case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EACCES):
			return errLocked
		case !errors.Is(err, syscall.EINTR):
			return err //nolint:wrapcheck // explain does
		}
	}
}

// unlockFile does nothing: the lock ends when the file is closed.
func unlockFile(*os.File) {}
