//go:build !windows

package spool

import "syscall"

// fullErrors returns the system's errors of a disk, a quota or a file without room.
func fullErrors() []error { return []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG} }
