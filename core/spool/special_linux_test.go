package spool

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A link to somebody else's file, or a pipe, in place of one of the spool's files is
// neither followed nor waited for.
func TestSpecialFiles(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		file   string
		theirs string // content of the file to which a link leads; "-" for a pipe
	}{
		"ID is a link":                {file: holderName, theirs: "precious"},
		"ID is a pipe":                {file: holderName, theirs: "-"},
		"events are a link":           {file: fileName, theirs: "precious"},
		"events are an empty link":    {file: fileName},
		"events are a pipe":           {file: fileName, theirs: "-"},
		"events are a link to events": {file: fileName, theirs: string(filled(t))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, other := t.TempDir(), filepath.Join(t.TempDir(), "other")
			path := filepath.Join(dir, test.file)
			err := os.WriteFile(other, []byte(test.theirs), 0o644)
			must(t, err)
			if test.theirs == "-" {
				err = syscall.Mkfifo(path, 0o600)
			} else {
				err = os.Symlink(other, path)
			}
			must(t, err)
			s, log := opened(t, dir, Options{})
			commit(t, s, records(1, 10, false, 10))
			if aside := strings.Contains(log.String(), "set aside"); aside != (test.file == fileName) {
				t.Errorf("log: %s", log)
			}
			if pid := holder(dir); pid != ownPID() {
				t.Errorf("the process is %q", pid)
			}
			if own, err := os.Lstat(path); err != nil || !own.Mode().IsRegular() {
				t.Errorf("in its place: %v, %v", own, err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			content, err := os.ReadFile(other)
			info, _ := os.Stat(other)
			if err != nil || string(content) != test.theirs || info.Mode().Perm() != 0o644 {
				t.Errorf("their file: %d bytes, mode %v, %v", len(content), info.Mode(), err)
			}
		})
	}
}

// In place of the lock's file, they keep the folder from being used.
func TestSpecialLock(t *testing.T) {
	t.Parallel()
	for name, put := range map[string]func(path, other string) error{
		"link":          func(path, other string) error { return os.Symlink(other, path) },
		"dangling link": func(path, other string) error { return os.Symlink(other+"-gone", path) },
		"pipe":          func(path, _ string) error { return syscall.Mkfifo(path, 0o600) },
	} {
		dir, other := t.TempDir(), filepath.Join(t.TempDir(), "other")
		must(t, os.WriteFile(other, []byte("precious"), 0o600))
		must(t, put(filepath.Join(dir, lockName), other))
		s, err := Open(dir, Options{})
		if s != nil || !errors.Is(err, errSpecial) || !strings.Contains(err.Error(), lockName) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(other + "-gone"); err == nil {
			t.Errorf("%s: a file was made elsewhere", name)
		}
	}
}

// The folder itself may be a link.
func TestLinkedFolder(t *testing.T) {
	t.Parallel()
	dir, link := t.TempDir(), filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(dir, link))
	s, _ := opened(t, link, Options{})
	commit(t, s, records(1, 10, false, 10))
	_ = s.Close()
	s, log := opened(t, dir, Options{})
	if n := len(keys(t, s)); n != 10 || log.Len() > 0 {
		t.Errorf("%d records, log %s", n, log)
	}
}

// Close repeats the last commit. If the disk does not let it, one line says so, and
// nothing else changes.
func TestCloseOnABadDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, log := opened(t, dir, Options{})
	commit(t, s, records(1, 10, false, 10))
	readOnly, err := os.Open(s.path())
	must(t, err)
	defer func() { _ = readOnly.Close() }()
	must(t, syscall.Dup3(int(readOnly.Fd()), int(s.file.Fd()), 0))
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 1 || !strings.Contains(log.String(), "could not be repeated") {
		t.Errorf("log: %s", log)
	}
	s, log = opened(t, dir, Options{})
	if got := keys(t, s); !same(got, rangeOf(1, 10)) || log.Len() > 0 {
		t.Errorf("keys %v, log %s", got, log)
	}
}

// Nor is a pipe read that another process has put in place of its ID.
func TestSpecialHolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, syscall.Mkfifo(filepath.Join(dir, holderName), 0o600))
	if pid := holder(dir); pid != "" {
		t.Errorf("the process is %q", pid)
	}
}
