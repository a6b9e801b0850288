//go:build !windows && !solaris && !aix && !android

package spool

import (
	"errors"
	"os"
	"syscall"
)

// lockFile locks f until it is closed, or fails with errLocked.
func lockFile(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case errors.Is(err, syscall.EWOULDBLOCK):
			return errLocked
		case !errors.Is(err, syscall.EINTR):
			return err //nolint:wrapcheck // explain does
		}
	}
}

// unlockFile ends the lock. Closing f alone might not: a child process that the app is
// just starting has f open too, until it runs its own program.
func unlockFile(f *os.File) { _ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }
