package spool

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

const (
	holderName = "klime-spool.pid"

	holderTries = 20
	holderPause = 10 * time.Millisecond
)

// noteHolder writes the ID of this process. What is there is removed, not opened: it
// may be a link to somebody else's file, or a pipe.
func noteHolder(dir string) {
	path := filepath.Join(dir, holderName)
	_ = os.Remove(path)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // a file of our own
	if err != nil {
		return // it only tells other processes who has the folder
	}
	_, _ = f.WriteString(ownPID())
	_ = f.Close()
}

// forgetHolder removes what noteHolder has written, unless another process has since.
func forgetHolder(dir string) {
	if holder(dir) == ownPID() {
		_ = os.Remove(filepath.Join(dir, holderName))
	}
}

// holder returns the ID of the process that has the folder, "" if it is not known.
func holder(dir string) string {
	path := filepath.Join(dir, holderName)
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > 20 {
		return ""
	}
	pid, err := os.ReadFile(path) //nolint:gosec // a file of our own
	if err != nil {
		return ""
	}
	return string(pid)
}

// awaitHolder is holder, but waits a little for a process that has taken the lock and
// not written its ID yet: until then there is no ID, or that of a dead process.
func awaitHolder(dir string) string {
	pid := holder(dir)
	for range holderTries {
		if lives(pid) {
			break
		}
		time.Sleep(holderPause)
		pid = holder(dir)
	}
	return pid
}

// lives reports whether a process with that ID runs, as far as this one can tell.
func lives(pid string) bool {
	n, err := strconv.Atoi(pid)
	if err != nil {
		return false
	}
	p, err := os.FindProcess(n)
	if err != nil {
		return false
	}
	defer func() { _ = p.Release() }()
	err = p.Signal(syscall.Signal(0))
	return !errors.Is(err, os.ErrProcessDone) && !errors.Is(err, syscall.ESRCH)
}

func ownPID() string { return strconv.Itoa(os.Getpid()) }
