package spool

import "golang.org/x/sys/windows"

// fullErrors returns the system's errors of a disk, a quota or a file without room. The numbers that
// package syscall has for ENOSPC and the like are made up here: the system never returns them.
func fullErrors() []error {
	return []error{
		windows.ERROR_DISK_FULL, windows.ERROR_HANDLE_DISK_FULL, windows.ERROR_DISK_QUOTA_EXCEEDED, windows.ERROR_FILE_TOO_LARGE,
	}
}
