package spool

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"
)

// A child process that is just being started has the lock's file open for a moment. That
// must not keep the folder locked after it was released.
func TestLockEndsWithItsOwner(t *testing.T) {
	t.Parallel()
	first := lock{path: filepath.Join(t.TempDir(), "lock")}
	must(t, first.take())
	child, err := syscall.Dup(int(first.file.Fd()))
	must(t, err)
	defer func() { _ = syscall.Close(child) }()
	second := lock{path: first.path}
	if err := second.take(); !errors.Is(err, errLocked) {
		t.Fatalf("locked twice: %v", err)
	}
	first.release()
	if err := second.take(); err != nil {
		t.Error(err)
	}
	second.release()
}
