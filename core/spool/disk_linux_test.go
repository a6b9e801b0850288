package spool_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/core/spool"
	"github.com/klimeapp/klime-go/internal/delivery"
)

// Under a client, a real small disk runs full and is made larger, becomes read-only and
// writable again. A child mounts it, in a namespace of its own.
func TestRealDisk(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^$")
	cmd.Env = append(os.Environ(), "KLIME_DISK_DIR="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	switch {
	case strings.Contains(string(out), "no mounts here"), errors.Is(err, syscall.EPERM), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EINVAL):
		t.Skipf("this system lets nobody mount: %v, %s", err, out)
	case err != nil || !strings.Contains(string(out), "all is well\n"):
		t.Errorf("%v\n%s", err, out)
	}
}

// must ends a child that finds something wrong. printPanic, deferred, says what it is.
func must(is bool, what string, args ...any) {
	if !is {
		panic(fmt.Sprintf(what, args...))
	}
}

func printPanic() {
	if p := recover(); p != nil {
		fmt.Println("failed:", p)
	}
}

// wait is eventually for a child.
func wait(what string, is func() bool) {
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
		must(time.Now().Before(deadline), "not in 30 s: %s", what)
	}
}

func diskChild() {
	dir := os.Getenv("KLIME_DISK_DIR")
	mount := func(flags uintptr, size string) error {
		return syscall.Mount("tmpfs", dir, "tmpfs", flags, "size="+size)
	}
	if err := mount(0, "4m"); err != nil {
		fmt.Println("no mounts here:", err)
		return
	}
	defer printPanic()
	// The disk is full at the start: the app starts all the same.
	ballast := filepath.Join(dir, "ballast")
	must(errors.Is(os.WriteFile(ballast, make([]byte, 8<<20), 0o600), syscall.ENOSPC), "the disk is not full")
	s, err := spool.Open(filepath.Join(dir, "spool"), spool.Options{WriteAhead: true})
	must(err == nil, "Open: %v", err)
	log := &syncBuffer{}
	transport := &flaky{}
	client, err := klime.New(klime.Config{Transport: transport, Spool: s, RetryDelay: time.Second, Logger: slog.New(slog.NewTextHandler(log, nil))})
	must(err == nil, "New: %v", err)
	pad := klime.Properties{"pad": strings.Repeat("x", 10_000)}
	accepted := 0
	track := func() error {
		accepted++
		return client.Track(context.Background(), "Done", pad, klime.ForUser("u1"))
	}
	must(errors.Is(track(), klime.ErrNotDurable), "durable on a full disk")
	must(os.Remove(ballast) == nil, "ballast")
	wait("there is room", func() bool { return !client.Stats().SpoolDown })

	idle, err := spool.Open(filepath.Join(dir, "idle"), spool.Options{})
	must(err == nil, "Open: %v", err)
	storage, err := idle.Attach(slog.New(slog.DiscardHandler))
	must(err == nil, "Attach: %v", err)
	disk := storage.Spool

	// The disk runs full.
	for err = nil; err == nil && accepted < 10_000; {
		err = track()
	}
	must(errors.Is(err, klime.ErrNotDurable), "full: %v", err)
	must(client.Stats().SpoolDown, "stats %+v", client.Stats())
	lost, writable, err := disk.Reopen()
	must(!lost && !writable && err == nil, "a full disk: lost %v, writable %v, %v", lost, writable, err)
	must(mount(syscall.MS_REMOUNT, "64m") == nil, "remount")
	lost, writable, err = disk.Reopen()
	must(!lost && writable && err == nil, "a larger disk: lost %v, writable %v, %v", lost, writable, err)
	must(disk.Close() == nil, "Close")
	wait("the disk is larger", func() bool { return !client.Stats().SpoolDown })
	must(track() == nil, "not durable on a large disk")
	wait("all is on disk", func() bool { return client.Stats().Queued == 0 })

	// A read-only disk is mounted over it for a while. Then the events of the first are still there.
	folder := filepath.Join(dir, "spool")
	must(syscall.Mount("tmpfs", folder, "tmpfs", syscall.MS_RDONLY, "") == nil, "mount a read-only disk")
	must(errors.Is(track(), klime.ErrNotDurable), "durable on a read-only disk")
	must(client.Stats().SpoolDown && client.Stats().Queued == 1, "stats %+v", client.Stats())
	time.Sleep(6 * time.Second) // it tries in vain
	must(client.Stats().SpoolDown, "stats %+v", client.Stats())
	wait("unmount", func() bool { return syscall.Unmount(folder, 0) == nil }) // it is busy while it is tried
	wait("the disk is back", func() bool { return !client.Stats().SpoolDown })
	must(track() == nil, "not durable on the disk that is back")

	// The disk becomes read-only between two processes: the system does not allow that while a
	// file is open for writing.
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	must(client.Shutdown(ctx) == nil, "Shutdown")
	left := client.Stats().Spooled
	must(left == accepted, "%d of %d left", left, accepted)
	must(mount(syscall.MS_REMOUNT|syscall.MS_RDONLY, "64m") == nil, "remount read-only")
	_, err = spool.Open(filepath.Join(dir, "spool"), spool.Options{})
	must(errors.Is(err, syscall.EROFS), "Open on a read-only disk: %v", err)
	must(mount(syscall.MS_REMOUNT, "64m") == nil, "remount")

	// All events are still there, and are delivered.
	s, err = spool.Open(filepath.Join(dir, "spool"), spool.Options{})
	must(err == nil, "Open: %v", err)
	transport.up.Store(true)
	client, err = klime.New(klime.Config{Transport: transport, Spool: s})
	must(err == nil, "New: %v", err)
	must(client.Flush(context.Background()) == nil, "Flush")
	must(client.Stats().Sent == uint64(accepted), "%d accepted, stats %+v", accepted, client.Stats())
	must(client.Shutdown(context.Background()) == nil, "Shutdown")
	must(strings.Count(log.String(), "the spool fails") == 3, "log: %s", log)

	// A disk is full to the last page, so that the file has no room to note what is removed. When all
	// of it is, the disk is free again.
	must(mount(0, "8m") == nil, "mount")
	s, err = spool.Open(filepath.Join(dir, "spool"), spool.Options{})
	must(err == nil, "Open: %v", err)
	storage, err = s.Attach(slog.New(slog.DiscardHandler))
	must(err == nil, "Attach: %v", err)
	disk = storage.Spool
	add, kept := make([]delivery.Record, 4000), make([]uint64, 4000)
	for i := range add {
		kept[i] = uint64(i + 1)
		add[i] = delivery.Record{Key: kept[i], Body: make([]byte, 1000)}
	}
	_, err = disk.Commit(add, nil)
	must(err == nil, "Commit: %v", err)
	must(errors.Is(os.WriteFile(ballast, make([]byte, 8<<20), 0o600), syscall.ENOSPC), "the disk is not full")
	_, err = disk.Commit(nil, kept[:1000])
	must(errors.Is(err, syscall.ENOSPC), "remove some: %v", err)
	lost, writable, err = disk.Reopen()
	must(!lost && !writable && err == nil, "a full disk: lost %v, writable %v, %v", lost, writable, err)
	_, err = disk.Commit(nil, kept)
	must(err == nil, "remove all: %v", err)
	lost, writable, err = disk.Reopen()
	must(!lost && writable && err == nil, "an empty spool: lost %v, writable %v, %v", lost, writable, err)
	must(disk.Close() == nil, "Close")
	fmt.Println("all is well")
}

// A limit on the size of files is like a full disk, wherever it strikes. It holds for a
// whole process, so a child sets it.
func TestFileSizeLimit(t *testing.T) {
	t.Parallel()
	if os.Getenv("KLIME_FILE_LIMIT") == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFileSizeLimit$")
		cmd.Env = append(os.Environ(), "KLIME_FILE_LIMIT=on")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	limit := func(size uint64) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: before.Max}); err != nil {
			t.Fatal(err)
		}
	}
	for size := uint64(0); size <= 64<<10; size += 4 << 10 {
		dir := t.TempDir()
		limit(size)
		s, err := spool.Open(dir, spool.Options{})
		if err != nil {
			t.Errorf("%d bytes: %v", size, err)
			continue
		}
		storage, err := s.Attach(slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if _, writable, _ := storage.Spool.Reopen(); writable {
			t.Errorf("%d bytes: writable", size)
		}
		limit(before.Cur)
		if lost, writable, err := storage.Spool.Reopen(); lost || !writable || err != nil {
			t.Errorf("%d bytes, then unlimited: lost %v, writable %v, %v", size, lost, writable, err)
		}
		_ = storage.Spool.Close()
		if aside, _ := filepath.Glob(filepath.Join(dir, "*damaged*")); len(aside) > 0 {
			t.Errorf("%d bytes: set aside %v", size, aside)
		}
	}
}

// Without permission for the folder the app starts. If it loses permission it goes on in
// memory, and uses the folder again when it is allowed to. Root may do anything, so the
// child runs as another user.
func TestLostPermission(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if os.Getuid() == 0 {
		for _, path := range []string{filepath.Dir(dir), dir} {
			if err := errors.Join(os.Chmod(path, 0o755), os.Chown(path, nobody, nobody)); err != nil {
				t.Fatal(err)
			}
		}
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^$")
	cmd.Env = append(os.Environ(), "KLIME_PERMISSION_DIR="+dir)
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "nobody gets there") {
		t.Skipf("the folder for temporary files is one user's: %s", out)
	}
	if err != nil || !strings.Contains(string(out), "all is well\n") {
		t.Errorf("%v\n%s", err, out)
	}
}

const nobody = 65534

func permissionChild() {
	dir := os.Getenv("KLIME_PERMISSION_DIR")
	defer printPanic()
	allow := func(path string, mode os.FileMode) { must(os.Chmod(path, mode) == nil, "chmod %s", path) }
	if os.Getuid() == 0 {
		must(syscall.Setgid(nobody) == nil && syscall.Setuid(nobody) == nil, "become nobody")
	}
	if _, err := os.Stat(dir); err != nil {
		fmt.Println("nobody gets there:", err)
		return
	}

	// At the start: a folder that cannot be made, one that cannot be entered, and a file that cannot be opened.
	folder := filepath.Join(dir, "spool")
	file := filepath.Join(folder, "klime-spool.db")
	denied := func(what string) {
		s, err := spool.Open(folder, spool.Options{})
		must(s == nil && errors.Is(err, os.ErrPermission), "%s: %v", what, err)
	}
	allow(dir, 0o500)
	denied("no folder")
	allow(dir, 0o700)
	s, err := spool.Open(folder, spool.Options{WriteAhead: true})
	must(err == nil && s.Close() == nil, "Open: %v", err)
	allow(folder, 0)
	denied("a closed folder")
	allow(folder, 0o700)
	allow(file, 0)
	denied("a closed file")
	allow(file, 0o600)

	// The app loses permission while it runs.
	s, err = spool.Open(folder, spool.Options{WriteAhead: true})
	must(err == nil, "Open: %v", err)
	log, transport := &syncBuffer{}, &flaky{}
	client, err := klime.New(klime.Config{Transport: transport, Spool: s, RetryDelay: time.Second, Logger: slog.New(slog.NewTextHandler(log, nil))})
	must(err == nil, "New: %v", err)
	track := func() error { return client.Track(context.Background(), "Done", nil, klime.ForUser("u1")) }
	must(track() == nil, "not durable")
	allow(folder, 0)
	must(track() == nil, "not durable in a file that was open before")
	allow(folder, 0o700)
	must(os.RemoveAll(folder) == nil, "remove")
	allow(dir, 0o500)
	for range 10 {
		must(errors.Is(track(), klime.ErrNotDurable), "durable without permission")
	}
	time.Sleep(6 * time.Second) // it tries in vain
	must(client.Stats().SpoolDown && client.Stats().Queued == 10 && client.Stats().Spooled == 2, "stats %+v", client.Stats())
	allow(dir, 0o700)
	wait("there is permission again", func() bool { return !client.Stats().SpoolDown })
	must(track() == nil, "not durable with permission")
	must(strings.Count(log.String(), "the spool fails") == 1, "log: %s", log)
	transport.up.Store(true)
	must(client.Shutdown(context.Background()) == nil, "Shutdown")
	must(client.Stats().Sent == 13, "stats %+v", client.Stats())
	fmt.Println("all is well")
}
