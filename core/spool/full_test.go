package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"syscall"
	"testing"
)

// fullNumbers returns the system's numbers for a disk, a quota or a file without room.
func fullNumbers() []syscall.Errno {
	if runtime.GOOS == "windows" {
		return []syscall.Errno{112, 39, 1295, 223} // ENOSPC and the like are made up there
	}
	return []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG}
}

// A full disk is told from other faults, and from a damaged file, as each system says it and as
// bbolt hands it on.
func TestFullDiskIsKnown(t *testing.T) {
	t.Parallel()
	s := newStore(t.TempDir(), minMaxBytes, DropOldest)
	for _, full := range fullNumbers() {
		for _, err := range []error{
			full,
			&fs.PathError{Op: "write", Path: s.path(), Err: full},
			os.NewSyscallError("CreateFileMapping", full),
			fmt.Errorf("mmap allocate error: %s", fmt.Errorf("truncate: %s", &fs.PathError{Op: "truncate", Path: s.path(), Err: full})), //nolint:errorlint // as bbolt does
		} {
			if explained := s.explain(err); !isDiskFull(err) || !isDiskFull(explained) || errors.Is(explained, errCorrupt) {
				t.Errorf("number %d: %v: full %v, explained as %v", full, err, isDiskFull(err), explained)
			}
		}
	}
	for _, err := range []error{
		nil, syscall.EIO, fs.ErrPermission, fmt.Errorf("%w: /srv/%s", ErrInUse, fullNumbers()[0].Error()),
		fmt.Errorf("%s: %w", fullNumbers()[0].Error(), errDamaged),
	} {
		if isDiskFull(err) {
			t.Errorf("%v passes for a full disk", err)
		}
	}
}
