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
)

// A real small disk runs full and is made larger, becomes read-only and writable
// again, under a client. It is mounted by a child, in a namespace of its own.
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

func diskChild() {
	dir := os.Getenv("KLIME_DISK_DIR")
	mount := func(flags uintptr, size string) error {
		return syscall.Mount("tmpfs", dir, "tmpfs", flags, "size="+size)
	}
	if err := mount(0, "4m"); err != nil {
		fmt.Println("no mounts here:", err)
		return
	}
	defer func() {
		if p := recover(); p != nil {
			fmt.Println("failed:", p)
		}
	}()
	must := func(is bool, what string, args ...any) {
		if !is {
			panic(fmt.Sprintf(what, args...))
		}
	}
	wait := func(what string, is func() bool) {
		for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
			must(time.Now().Before(deadline), "not in 30 s: %s", what)
		}
	}
	// At the start it is full already: the app starts all the same.
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

	// It runs full.
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

	// It becomes read-only, between two processes: the system lets no disk become that while a file
	// is open for writing.
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	must(client.Shutdown(ctx) == nil, "Shutdown")
	left := client.Stats().Spooled
	must(left == accepted, "%d of %d left", left, accepted)
	must(mount(syscall.MS_REMOUNT|syscall.MS_RDONLY, "64m") == nil, "remount read-only")
	_, err = spool.Open(filepath.Join(dir, "spool"), spool.Options{})
	must(errors.Is(err, syscall.EROFS), "Open on a read-only disk: %v", err)
	must(mount(syscall.MS_REMOUNT, "64m") == nil, "remount")

	// All is there, and is delivered.
	s, err = spool.Open(filepath.Join(dir, "spool"), spool.Options{})
	must(err == nil, "Open: %v", err)
	transport.up.Store(true)
	client, err = klime.New(klime.Config{Transport: transport, Spool: s})
	must(err == nil, "New: %v", err)
	must(client.Flush(context.Background()) == nil, "Flush")
	must(client.Stats().Sent == uint64(accepted), "%d accepted, stats %+v", accepted, client.Stats())
	must(client.Shutdown(context.Background()) == nil, "Shutdown")
	must(strings.Count(log.String(), "the spool fails") == 2, "log: %s", log)
	fmt.Println("all is well")
}
