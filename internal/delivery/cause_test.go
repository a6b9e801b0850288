package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// Whoever waits until a context ends learns why it did.
func TestCauseOfAnEndedContext(t *testing.T) {
	t.Parallel()
	waits := map[string]func(ctx context.Context, d *delivery.Deliverer) error{
		"Enqueue": func(ctx context.Context, d *delivery.Deliverer) error { return d.Enqueue(ctx, item(11, false, 0)) },
		"Flush":   func(ctx context.Context, d *delivery.Deliverer) error { return d.Flush(ctx) },
		"SendNow": func(ctx context.Context, d *delivery.Deliverer) error {
			_, err := d.SendNow(ctx, item(11, false, 0))
			return err
		},
		"Shutdown": func(ctx context.Context, d *delivery.Deliverer) error { return d.Shutdown(ctx) },
		"a second Shutdown": func(ctx context.Context, d *delivery.Deliverer) error {
			go func() { _ = d.Shutdown(context.Background()) }()
			synctest.Wait()
			return d.Shutdown(ctx)
		},
	}
	deploy := fmt.Errorf("deploy: %w", delivery.ErrSpoolLost) // Flush goes on after a lost spool, but not after a cause that wraps this error
	for name, wait := range waits {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d, good := full(t, delivery.Block)
				defer close(good)
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(time.Second, func() { cancel(deploy) })
				if err := wait(ctx, d); !errors.Is(err, context.Canceled) || !errors.Is(err, deploy) {
					t.Errorf("error %v", err)
				}
			})
		})
	}
}

// A Shutdown that keeps time for what is left ends before its context has a cause.
func TestShutdownEndsBeforeItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := config(newOutage(503))
		cfg.OnReport, cfg.ReportLost = func(delivery.Report) {}, true
		d := delivery.New(cfg)
		enqueue(t, d, 1, 100)
		deploy := errors.New("deploy")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, deploy)
		defer cancel()
		if err := d.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, deploy) || ctx.Err() != nil {
			t.Errorf("error %v, context %v", err, ctx.Err())
		}
	})
}

// A request has both too, though net/http returns the cause alone.
func TestCauseOfAnEndedRequest(t *testing.T) {
	t.Parallel()
	arrived, end := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-end
	}))
	defer server.Close()
	defer close(end)
	deploy := errors.New("deploy")
	d := start(t, config(delivery.NewHTTP(server.Client(), server.URL, "key", "test")))
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-arrived
		cancel(deploy)
	}()
	if _, err := d.SendNow(ctx, item(1, false, 0)); !errors.Is(err, context.Canceled) || !errors.Is(err, deploy) {
		t.Errorf("error %v", err)
	}
}
