package demotest

import (
	"bytes"
	"context"
	"errors"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/klimeapp/klime-go/internal/ingest"
)

// mainVariable makes a test binary run the program that it tests.
const mainVariable = "KLIME_DEMO_MAIN"

// Main must be called by TestMain, so that Terminate can run the program.
func Main(m *testing.M, program func()) {
	if os.Getenv(mainVariable) != "" {
		_ = os.Unsetenv(mainVariable) // klime.FromEnv would wonder about it
		program()
	}
	os.Exit(m.Run())
}

// Terminate tests the whole program: if it gets SIGTERM amid its traffic, as from an
// orchestrator, it loses nothing and ends in less than 10 s.
func Terminate(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("it has no SIGTERM")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	klime := ingest.New(ingest.Options{})
	server := httptest.NewServer(klime)
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	var stdout bytes.Buffer
	program := exec.CommandContext(ctx, exe, "-addr", "127.0.0.1:0", "-traffic") //nolint:gosec // this program
	program.Env = append(os.Environ(), mainVariable+"=1", "KLIME_WRITE_KEY=key", "KLIME_ENDPOINT="+server.URL)
	program.Stdout, program.Stderr = &stdout, complaints{t}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	const amid = 5 // events
	err = errors.Join(klime.Wait(ctx, amid), program.Process.Signal(syscall.SIGTERM))
	kill := time.AfterFunc(10*time.Second, cancel)
	defer kill.Stop()
	if err := errors.Join(err, program.Wait()); err != nil {
		t.Error(err)
	}
	counts := klime.Counts()
	wantDelivered(t, counts.Accepted+counts.Repeated, &stdout)
}
