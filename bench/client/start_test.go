package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
)

var errLost = errors.New("events were lost")

// BenchmarkMemory queues 10,000 events that cannot be sent, and compares the growth of the
// heap with their size on the wire.
func BenchmarkMemory(b *testing.B) {
	const events = 10_000
	ctx := context.Background()
	var ratio, onWire float64
	for b.Loop() {
		held := &gate{}
		held.closed.Lock()
		client, err := klime.New(klime.Config{Transport: held, QueueSize: events})
		if err != nil {
			b.Fatal(err)
		}
		before := live()
		for range events {
			if err := client.Track(ctx, event, properties(), klime.ForUser(user), klime.InGroup(customer)); err != nil {
				b.Fatal(err)
			}
		}
		grown, stats := live()-before, client.Stats()
		if stats.Queued != events || stats.Dropped[klime.DropQueueFull] != 0 {
			b.Fatalf("%+v", stats)
		}
		onWire = float64(stats.QueuedBytes)
		ratio = grown / onWire
		held.closed.Unlock()
		if err := client.Shutdown(ctx); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(ratio, "heap/wire")
	b.ReportMetric(onWire/events, "wire-B/event")
}

// live is the size of the live heap.
func live() float64 {
	runtime.GC()
	runtime.GC() // frees what finalizers have released
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc)
}

// BenchmarkNew makes a client and shuts it down. ns/op is only for New.
func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	var took time.Duration
	var allocated uint64
	runs := 0
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		client, err := klime.New(klime.Config{WriteKey: key})
		took += time.Since(start)
		runtime.ReadMemStats(&after)
		if err != nil {
			b.Fatal(err)
		}
		allocated += after.TotalAlloc - before.TotalAlloc
		_ = client.Shutdown(context.Background())
		runs++
	}
	b.ReportMetric(float64(took)/float64(runs), "ns/op")
	b.ReportMetric(float64(allocated)/float64(runs), "B/op")
	b.ReportMetric(float64(spin()), "spin-ns")
}

// BenchmarkNewCold is New in a process that has done nothing before.
func BenchmarkNewCold(b *testing.B) {
	binary, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	var took float64
	runs := 0
	for b.Loop() {
		command := exec.CommandContext(b.Context(), binary)
		command.Env = append(os.Environ(), role+"=start")
		out, err := command.Output()
		if err != nil {
			b.Fatal(err)
		}
		ns, err := strconv.Atoi(string(bytes.TrimSpace(out)))
		if err != nil {
			b.Fatal(err)
		}
		took += float64(ns)
		runs++
	}
	b.ReportMetric(took/float64(runs), "ns/op")
	b.ReportMetric(float64(spin()), "spin-ns")
}

// runStart prints how many nanoseconds New takes.
func runStart() error {
	start := time.Now()
	client, err := klime.New(klime.Config{WriteKey: key})
	took := time.Since(start)
	if err != nil {
		return err
	}
	fmt.Println(took.Nanoseconds())
	return client.Shutdown(context.Background())
}

// BenchmarkBinary builds a program that serves net/http, with and without the middleware,
// by plain `go build`, and stripped (-ldflags "-s -w").
func BenchmarkBinary(b *testing.B) {
	for _, how := range []struct{ name, flags string }{{"plain", ""}, {"stripped", "-s -w"}} {
		b.Run(how.name, func(b *testing.B) {
			for b.Loop() {
				bare, with := built(b, "./size/bare", how.flags), built(b, "./size/klime", how.flags)
				b.ReportMetric((with-bare)/1e6, "added-MB")
				b.ReportMetric(bare/1e6, "bare-MB")
			}
		})
	}
}

// built is the size of a program in bytes.
func built(b *testing.B, program, flags string) float64 {
	b.Helper()
	binary := filepath.Join(b.TempDir(), "program")
	command := exec.CommandContext(b.Context(), "go", "build", "-ldflags", flags, "-o", binary, program)
	if out, err := command.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	info, err := os.Stat(binary)
	if err != nil {
		b.Fatal(err)
	}
	return float64(info.Size())
}
