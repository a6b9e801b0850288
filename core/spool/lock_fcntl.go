//go:build solaris || aix || android

package spool

import (
	"errors"
	"os"
	"syscall"
)

// lockFile locks f until it is closed, or fails with errLocked. As bbolt's here,
// the lock keeps out other processes, not this one.
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

// unlockFile has nothing to do: the lock ends as the file is closed.
func unlockFile(*os.File) {}
