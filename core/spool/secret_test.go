package spool_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/klimeapp/klime-go/core/spool"
)

// Events are on disk in clear text, readable for their owner alone. The write key is not
// on disk, and neither is in the log.
func TestWhatIsOnDisk(t *testing.T) {
	t.Parallel()
	const key = "wk_very-secret"
	srv, dir := newServer(t, http.StatusServiceUnavailable), filepath.Join(t.TempDir(), "new", "folder")
	cfg, log := config(t, srv.URL, dir, spool.Options{WriteAhead: true})
	cfg.WriteKey = key
	client := newClient(t, cfg)
	track(t, client, ids("jane@acme.test", 10)...)
	shutdown(t, client, 0)
	if n := client.Stats().Spooled; n != 10 {
		t.Fatalf("%d events on disk", n)
	}
	events := 0
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		want := os.FileMode(0o600)
		if entry.IsDir() {
			want = 0o700
		}
		if mode := info.Mode().Perm(); mode != want && runtime.GOOS != "windows" {
			t.Errorf("%s has the mode %v", path, mode)
		}
		if entry.IsDir() {
			return nil
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte(key)) {
			t.Errorf("the write key is in %s", path)
		}
		events += bytes.Count(content, []byte("jane@acme.test-"))
		return err
	})
	if err != nil || events < 10 {
		t.Errorf("%d events found: %v", events, err)
	}
	if strings.Contains(log.String(), key) || strings.Contains(log.String(), "jane") {
		t.Errorf("log: %s", log)
	}
}

// A file that others may read, from a backup say, is for its owner alone again.
func TestModeOfAFileThatIsThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for range 2 {
		s, err := spool.Open(dir, spool.Options{})
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "klime-spool.db")
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := os.Chmod(file, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
