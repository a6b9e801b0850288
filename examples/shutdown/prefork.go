//go:build linux || darwin || freebsd

package shutdown

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gofiber/fiber/v2"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/core/spool"
)

// togetherVariable names the file that together locks.
const togetherVariable = "PREFORK_CHILDREN"

// ServePrefork is for Fiber with Config.Prefork, where this program runs once as the
// parent, and once for each CPU as its child. Orchestrators send SIGTERM only to the
// parent, so the parent passes it on. When the first child has ended, Fiber's parent
// kills the others, so no child may end before all are done.
func ServePrefork(ctx context.Context, addr, dir string, cfg klime.Config, newApp func(*klime.Client) *fiber.App) error {
	if !fiber.IsChild() {
		// The children of a deploy that overlaps with this one wait for each other, not for
		// these: each parent has a file of its own.
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		removeLeftBehind(dir)
		file, err := os.CreateTemp(dir, "children-*")
		if err != nil {
			return err
		}
		defer func() { _ = errors.Join(file.Close(), os.Remove(file.Name())) }()
		if err := os.Setenv(togetherVariable, file.Name()); err != nil { // which children inherit
			return err
		}
		parent := newApp(nil) // it serves no requests, and needs no client
		parent.Hooks().OnFork(func(pid int) error {
			context.AfterFunc(ctx, func() { _ = syscall.Kill(pid, syscall.SIGTERM) })
			return nil
		})
		return parent.Listen(addr)
	}

	leave, err := together(os.Getenv(togetherVariable))
	if err != nil {
		return err
	}
	defer leave()
	if cfg.Spool, err = spool.Open(dir, spool.Options{Shared: true}); err != nil {
		slog.Warn("events are kept in memory only", "error", err)
	}
	client, err := klime.New(cfg)
	if err != nil {
		slog.Warn("no analytics", "error", err)
	}
	return ServeFiber(ctx, newApp(client), addr, client)
}

// removeLeftBehind removes the files of parents that were killed. Children open theirs as they
// begin, so that one which is an hour old is not looked for any more, even if it is in use.
func removeLeftBehind(dir string) {
	files, _ := filepath.Glob(filepath.Join(dir, "children-*"))
	for _, file := range files {
		if info, err := os.Stat(file); err == nil && time.Since(info.ModTime()) > time.Hour {
			_ = os.Remove(file)
		}
	}
}

// together is called by each child when it begins. The returned function waits until all
// other children have called theirs, or have died.
func together(path string) (leave func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0) //nolint:gosec // the parent has made it
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = syscall.Flock(int(f.Fd()), syscall.LOCK_EX) }, nil // until the process ends
}
