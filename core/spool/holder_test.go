package spool

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const deadPID = "2147483647" // no system has so many

func writeHolder(tb testing.TB, dir, pid string) {
	tb.Helper()
	must(tb, os.WriteFile(filepath.Join(dir, holderName), []byte(pid), 0o600))
}

func TestLives(t *testing.T) {
	t.Parallel()
	for pid, want := range map[string]bool{ownPID(): true, deadPID: false, "": false, "someone": false} {
		if got := lives(pid); got != want {
			t.Errorf("%q: %v", pid, got)
		}
	}
}

// Who has just taken the lock may not have written its ID yet.
func TestAwaitHolder(t *testing.T) {
	t.Parallel()
	for _, before := range []string{"", deadPID} {
		for _, writes := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				dir, begin, want, wait := t.TempDir(), time.Now(), before, holderTries*holderPause
				if before != "" {
					writeHolder(t, dir, before)
				}
				if writes {
					want, wait = ownPID(), 5*holderPause
					time.AfterFunc(wait-time.Millisecond, func() { writeHolder(t, dir, want) })
				}
				if got, took := awaitHolder(dir), time.Since(begin); got != want || took != wait {
					t.Errorf("%q after %v, want %q after %v", got, took, want, wait)
				}
			})
		}
	}
}

// What somebody else has put there is not read, and stays.
func TestHolderOfAnother(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeHolder(t, dir, strings.Repeat("7", 21))
	if pid := holder(dir); pid != "" {
		t.Errorf("the process is %q", pid)
	}
	writeHolder(t, dir, deadPID)
	forgetHolder(dir)
	if pid := holder(dir); pid != deadPID {
		t.Errorf("the process is %q", pid)
	}
	noteHolder(dir)
	if pid := holder(dir); pid != ownPID() {
		t.Errorf("the process is %q", pid)
	}
}

// An Open that fails keeps nothing locked.
func TestOpenThatFails(t *testing.T) {
	t.Parallel()
	NeedsFilesSetFree(t)
	dir := t.TempDir()
	first, _ := opened(t, dir, Options{})
	must(t, os.Remove(first.lock.path)) // bbolt's own lock is left
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrInUse) {
		t.Errorf("while it is in use: %v", err)
	}
	must(t, first.Close())
	next, err := Open(dir, Options{})
	must(t, err)
	must(t, next.Close())
}
