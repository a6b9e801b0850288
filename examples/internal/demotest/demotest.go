// Package demotest tests the example programs. All that serve pages are the same app, so
// all must behave alike and send the same events to Klime.
package demotest

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/klimeapp/klime-go/examples/internal/demo"
)

const timeout = 30 * time.Second

const acme = "org_1001" // the ID of a company

// Run tests an example that serves pages.
func Run[S demo.Server](t *testing.T, newServer demo.NewServer[S]) {
	t.Helper()
	t.Run("usage arrives at Klime", func(t *testing.T) {
		before := len(goroutines())
		d, stop := Start(t, demo.Options{Pace: 100 * time.Microsecond}, newServer)
		waitForAll(t, d.Klime)
		stop()
		checkTraffic(t, d.Klime)
		checkGoroutines(t, before)
	})
	tests := visits()
	var server S
	if _, ok := any(server).(*http.Server); ok {
		tests["large body"] = largeBody
	}
	for name, visit := range tests {
		t.Run(name, func(t *testing.T) {
			d, stop := Start(t, demo.Options{NoTraffic: true}, newServer)
			visit(&visitor{NewBrowser(t), d, stop})
		})
	}
}

// Start starts an example on free ports, with a local Klime. Stop ends it, and checks that
// nothing is lost.
func Start[S demo.Server](t *testing.T, opts demo.Options, newServer demo.NewServer[S]) (d *demo.Demo, stop func()) {
	t.Helper()
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "KLIME_") || strings.HasPrefix(name, "OTEL_") {
			t.Setenv(name, "") // use the local Klime, with the defaults
		}
	}
	var stdout bytes.Buffer
	opts.Addr, opts.KlimeAddr, opts.TracesAddr = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	opts.Stdout, opts.Stderr = &stdout, complaints{t}
	d, err := demo.Start(opts, newServer)
	if err != nil {
		t.Fatal(err)
	}
	return d, func() {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := d.Wait(ctx); err != nil {
			t.Error(err)
		}
		counts := d.Klime.Counts()
		wantDelivered(t, counts.Accepted+counts.Repeated, &stdout)
	}
}

// wantDelivered checks the last line that an example prints.
func wantDelivered(t *testing.T, events int, stdout *bytes.Buffer) {
	t.Helper()
	if want := fmt.Sprintf("\n%d events delivered, none lost.\n", events); !strings.HasSuffix(stdout.String(), want) {
		t.Errorf("want %q at the end of:\n%s", want, stdout)
	}
}

// complaints is a writer that fails the test when anything is written to it.
type complaints struct{ t *testing.T }

func (c complaints) Write(p []byte) (int, error) {
	c.t.Errorf("stderr: %s", p)
	return len(p), nil
}
