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

// holder returns the ID of the process that has the folder, "" if it is not known.
func holder(dir string) string {
	pid, err := os.ReadFile(filepath.Join(dir, holderName)) //nolint:gosec // a file of our own
	if err != nil || len(pid) > 20 {
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
