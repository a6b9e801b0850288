package delivery_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// An entry of errors that names no event rejects none.
func TestNamelessErrors(t *testing.T) {
	t.Parallel()
	for _, entry := range []string{`{"message":"m"}`, `{"index":"0"}`, `{"index":null}`, `{"index":1.5}`, `{"index":-1}`, `7`} {
		for _, code := range []int{200, 400} {
			transport := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(code)
				_, _ = io.WriteString(w, `{"accepted":0,"failed":1,"errors":[`+entry+`,{"index":2,"code":123,"message":["?"]}]}`)
			})
			result, err := transport.Send(t.Context(), nil, 5)
			rejected := result.Rejected
			var failure *delivery.SendError
			if errors.As(err, &failure) {
				rejected = failure.Rejected
			}
			if len(rejected) != 1 || rejected[0] != (delivery.Rejection{Index: 2}) {
				t.Errorf("%d, %s: rejected %+v", code, entry, rejected)
			}
		}
	}
}

// A server may quote the key anywhere, and its messages may have any length.
func TestAnswersAreCleaned(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 295)
	transport := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"message":"`+long+` key `+long+`","errors":[{"index":0,"code":"key","message":"key `+
			strings.Repeat("x", 100_000)+`"},{"index":1,"code":"jane@acme.test"},{"index":2,"code":"invalid_event"}]}`)
	})
	_, err := transport.Send(t.Context(), nil, 5)
	var failure *delivery.SendError
	if !errors.As(err, &failure) {
		t.Fatal(err)
	}
	for _, text := range []string{failure.Message, failure.Rejected[0].Message, failure.Rejected[0].Code} {
		if strings.Contains(text, "key") && !strings.Contains(text, "[write key]") && !strings.HasSuffix(text, "[write…") || len(text) > 400 {
			t.Errorf("kept %q", text)
		}
	}
	if codes := []string{failure.Rejected[1].Code, failure.Rejected[2].Code}; codes[0] != "" || codes[1] != "invalid_event" {
		t.Errorf("codes %q", codes)
	}
}

// If an endpoint refuses all events but accepts empty batches, the events are kept and
// it is probed once a minute.
func TestRefusalOfEverythingKeepsTheRest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var good atomic.Bool
		var told reports
		e := &endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
			if len(ids) == 0 || good.Load() {
				return ok(len(ids))
			}
			return status(400)
		}}
		cfg := config(e)
		cfg.OnReport = told.add
		d := start(t, cfg)
		enqueue(t, d, 1, 10_000)
		synctest.Wait()
		requests, failed := len(e.seen()), d.Counts().Failed
		time.Sleep(time.Hour)
		if n := len(e.seen()) - requests; n > 60 {
			t.Errorf("%d requests in an hour", n)
		}
		if c := d.Counts(); c.Failed != failed || !d.Halted() {
			t.Errorf("halted %v, counts: %+v", d.Halted(), c)
		}
		halts := 0
		for _, report := range told.list() {
			if len(report.Items) == 0 {
				halts++
			}
		}
		if halts != 1 {
			t.Errorf("told of %d halts", halts)
		}
		good.Store(true)
		time.Sleep(2 * time.Minute)
		if c := d.Counts(); c.Held != 0 || c.Sent != 10_000-failed {
			t.Errorf("when good again: %+v", c)
		}
		if err := shutdown(t, d); err != nil {
			t.Error(err)
		}
	})
}

// How long an answer asks to wait counts even if another failure came before it.
func TestRetryAfterOfTheSecondSender(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: func(n int, ids []int) (delivery.Result, error) {
			time.Sleep(time.Duration(n) * 100 * time.Millisecond) // both requests are in flight when the first answer comes
			switch n {
			case 1:
				return status(503)
			case 2:
				return delivery.Result{}, &delivery.SendError{StatusCode: 429, RetryAfter: 2 * time.Minute}
			default:
				return ok(len(ids))
			}
		}}
		d := start(t, config(e))
		enqueue(t, d, 1, 200)
		time.Sleep(time.Hour)
		if seen := e.seen(); seen[2].at.Sub(seen[1].at) < 2*time.Minute {
			t.Errorf("asked to wait 2 minutes, waited %v", seen[2].at.Sub(seen[1].at))
		}
		if err := shutdown(t, d); err != nil {
			t.Error(err)
		}
	})
}

// Requests on which the server hangs up get smaller: a proxy may find them too large.
func TestLargeRequestsAreCutDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
			if len(ids) > 10 {
				return delivery.Result{}, errors.New("connection reset by peer")
			}
			return ok(len(ids))
		}}
		d := start(t, config(e))
		enqueue(t, d, 1, 500)
		time.Sleep(time.Hour)
		if c := d.Counts(); c.Sent != 500 {
			t.Errorf("counts: %+v", c)
		}
		if err := shutdown(t, d); err != nil {
			t.Error(err)
		}
	})
}

// A queue that is smaller than a batch, or full of large events, is sent before it
// holds a whole batch.
func TestSmallQueuesAreSent(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*delivery.Config){
		"items":     func(c *delivery.Config) { c.QueueSize = 10 },
		"one item":  func(c *delivery.Config) { c.QueueSize = 1 },
		"bytes":     func(c *delivery.Config) { c.QueueBytes = 1 << 20 },
		"automatic": func(c *delivery.Config) { c.QueueSize = 24 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				cfg := config(&endpoint{})
				change(&cfg)
				d := start(t, cfg)
				for id := range 100 {
					if err := d.Enqueue(t.Context(), item(id, name == "automatic", 100_000)); err != nil {
						t.Errorf("item %d: %v", id, err)
					}
					synctest.Wait()
				}
				if err := shutdown(t, d); err != nil {
					t.Error(err)
				}
				if c := d.Counts(); c.Sent != 100 {
					t.Errorf("counts: %+v", c)
				}
			})
		})
	}
}

// An item that cannot fit evicts nothing.
func TestNoEvictionInVain(t *testing.T) {
	t.Parallel()
	for _, overflow := range []delivery.Overflow{delivery.DropOldest, delivery.DropNewest} {
		synctest.Test(t, func(t *testing.T) {
			cfg := config(&endpoint{answer: func(int, []int) (delivery.Result, error) { return delivery.Result{}, errHang }})
			cfg.QueueBytes, cfg.Overflow, cfg.Timeout = 1_000_000, overflow, time.Hour
			d := start(t, cfg)
			for id := range 9 {
				if err := d.Enqueue(t.Context(), item(id, false, 100_000)); err != nil {
					t.Fatal(err)
				}
			}
			_ = d.Enqueue(t.Context(), item(9, true, 50_000))
			synctest.Wait() // half of it is in flight
			held := d.Counts().Held
			if err := d.Enqueue(t.Context(), item(10, false, 900_000)); !errors.Is(err, delivery.ErrFull) {
				t.Errorf("error: %v", err)
			}
			if n := d.Counts().Held; n != held {
				t.Errorf("%d items held of %d", n, held)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_ = d.Shutdown(ctx)
			checkSum(t, d)
		})
	}
}

// Items that a full queue refuses are reported and logged like those that it evicts.
func TestRefusedItemsAreReported(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told reports
		var log bytes.Buffer
		cfg := config(&endpoint{answer: func(int, []int) (delivery.Result, error) { return delivery.Result{}, errHang }})
		cfg.QueueSize, cfg.Overflow, cfg.Timeout, cfg.OnReport = 10, delivery.DropNewest, time.Hour, told.add
		cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
		d := start(t, cfg)
		for id := range 30 {
			_ = d.Enqueue(t.Context(), item(id, false, 0))
		}
		synctest.Wait()
		if items, _, err := told.count(delivery.Evicted); items != 20 || !errors.Is(err, delivery.ErrFull) {
			t.Errorf("reported %d, %v", items, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_ = d.Shutdown(ctx)
		for _, want := range []string{"queue full, events dropped", "shut down before all events were delivered"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("log lacks %q: %s", want, log.String())
			}
		}
	})
}

// A one-shot send that meets a wrong key halts sending like any other.
func TestSendNowHalts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{answer: func(int, []int) (delivery.Result, error) { return status(401) }}
		d := start(t, config(e))
		for id := range 100 {
			_, _ = d.SendNow(t.Context(), item(id, false, 0))
			synctest.Wait()
		}
		if n := len(e.seen()); n != 1 || !d.Halted() {
			t.Errorf("%d requests, halted %v", n, d.Halted())
		}
	})
}

// A one-shot send may take as long as Shutdown may, whatever becomes of the queue. Only
// its caller is told how it ended.
func TestSendNowDuringShutdown(t *testing.T) {
	t.Parallel()
	const minute = time.Minute // of Shutdown
	for _, tt := range []struct {
		name   string
		answer time.Duration // of the one-shot send, 0 for never
		halted bool          // by what was queued
		queued int           // and not delivered
		wait   time.Duration // of Shutdown
	}{
		{name: "in time", answer: 300 * time.Millisecond, wait: 200 * time.Millisecond},
		{name: "in time, while halted", answer: 300 * time.Millisecond, halted: true, queued: 20, wait: 200 * time.Millisecond},
		{name: "never", wait: minute},
		{name: "never, while halted", halted: true, queued: 20, wait: minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var told reports
				cfg := config(&endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
					switch {
					case ids[0] != 0:
						return status(401)
					case tt.answer == 0:
						return delivery.Result{}, errHang
					default:
						time.Sleep(tt.answer)
						return ok(len(ids))
					}
				}})
				cfg.Timeout = time.Hour
				cfg.OnReport = func(r delivery.Report) {
					if len(r.Items)+r.Untold > 0 || r.Outcome != delivery.Failed { // not the halt
						told.add(r)
					}
				}
				d := start(t, cfg)
				sent := make(chan error, 1)
				go func() {
					_, err := d.SendNow(t.Context(), item(0, false, 0))
					sent <- err
				}()
				synctest.Wait()
				enqueue(t, d, 1, tt.queued)
				time.Sleep(100 * time.Millisecond)
				begin := time.Now()
				err := shutdown(t, d)
				if took := time.Since(begin); took != tt.wait {
					t.Errorf("Shutdown took %v", took)
				}
				if text := fmt.Sprint(err); (err != nil) != tt.halted || strings.Contains(text, "%!") ||
					tt.halted && !strings.HasPrefix(text, "20 events not delivered: status 401") {
					t.Errorf("Shutdown: %v", err)
				}
				if err := <-sent; (err != nil) != (tt.answer == 0) || errors.Is(err, delivery.ErrClosed) {
					t.Errorf("SendNow: %v", err)
				}
				items, untold, _ := told.count(delivery.Undone)
				if items != tt.queued || untold != 0 || len(told.list()) != min(tt.queued, 1) {
					t.Errorf("reported: %d undone, and %d more, in %d reports", items, untold, len(told.list()))
				}
				c := d.Counts()
				if c.Sent+c.Failed != 1 || (c.Failed == 1) != (tt.answer == 0) || c.Undone != uint64(tt.queued) || c.Held != 0 {
					t.Errorf("counts: %+v", c)
				}
				checkSum(t, d)
			})
		})
	}
}

// A Transport that does not return when it should does not hold up Shutdown, and its
// item stays in the counts as held until it does.
func TestSendNowOutlivesShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		d := start(t, config(&endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
			<-hang
			return ok(len(ids))
		}}))
		go func() { _, _ = d.SendNow(t.Context(), item(1, false, 0)) }()
		synctest.Wait()
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := d.Shutdown(ctx); err != nil || time.Since(begin) > 2*time.Second {
			t.Errorf("Shutdown: %v after %v", err, time.Since(begin))
		}
		if c := d.Counts(); c.Held != 1 {
			t.Errorf("counts: %+v", c)
		}
		checkSum(t, d)
		close(hang)
		synctest.Wait()
		if c := d.Counts(); c.Sent != 1 || c.Held != 0 {
			t.Errorf("counts: %+v", c)
		}
		checkSum(t, d)
	})
}

// A caller of SendNow that waits for the end of a halt need not wait for the end of
// Shutdown.
func TestSendNowHaltedDuringShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := start(t, config(&endpoint{answer: func(n int, _ []int) (delivery.Result, error) {
			if n == 1 {
				return status(401)
			}
			return delivery.Result{}, errHang // the probe
		}}))
		enqueue(t, d, 1, 20)
		time.Sleep(61 * time.Second)
		begin := time.Now()
		sent := make(chan error, 1)
		go func() {
			_, err := d.SendNow(t.Context(), item(21, false, 0))
			sent <- err
		}()
		synctest.Wait()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = shutdown(t, d)
		}()
		if err := <-sent; !errors.Is(err, delivery.ErrClosed) || time.Since(begin) != 0 {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		<-ended
		if c := d.Counts(); c.Late != 1 {
			t.Errorf("counts: %+v", c)
		}
		checkSum(t, d)
	})
}

// Callbacks may take as long as Shutdown may.
func TestShutdownWaitsForCallbacks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told reports
		cfg := config(&endpoint{})
		cfg.ReportSent = true
		cfg.OnReport = func(r delivery.Report) { time.Sleep(time.Second); told.add(r) }
		d := start(t, cfg)
		enqueue(t, d, 1, 1000)
		if err := shutdown(t, d); err != nil {
			t.Error(err)
		}
		accepted := 0
		for _, report := range told.list() {
			accepted += report.Result.Accepted
		}
		if accepted != 1000 {
			t.Errorf("told of %d", accepted)
		}
	})
}

// Behind a stuck callback reports are merged, and a halt is still reported.
func TestHaltIsToldAfterABacklog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var good atomic.Bool
		good.Store(true)
		hang := make(chan struct{})
		var told reports
		cfg := config(&endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
			if !good.Load() {
				return status(401)
			}
			return ok(len(ids))
		}})
		cfg.BatchSize, cfg.ReportSent = 1, true
		cfg.OnReport = func(r delivery.Report) { <-hang; told.add(r) }
		d := start(t, cfg)
		for id := range 3000 {
			enqueue(t, d, id, id)
			synctest.Wait()
		}
		good.Store(false)
		enqueue(t, d, 1, 1)
		synctest.Wait()
		close(hang)
		synctest.Wait()
		accepted := 0
		for _, report := range told.list() {
			accepted += report.Result.Accepted
		}
		if accepted != 3000 {
			t.Errorf("told of %d", accepted)
		}
		if !slices.ContainsFunc(told.list(), func(r delivery.Report) bool { return r.Outcome == delivery.Failed }) {
			t.Error("not told of the halt")
		}
		_ = shutdown(t, d)
	})
}

// However many batches are sent, there are no more connections than senders of the
// client, and one more.
func TestConnectionsOfManyBatches(t *testing.T) {
	t.Parallel()
	var busy, most atomic.Int64
	transport := serve(t, func(http.ResponseWriter, *http.Request) {
		n := busy.Add(1)
		for {
			m := most.Load()
			if n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		busy.Add(-1)
	})
	cfg := config(transport)
	cfg.BatchSize, cfg.Senders, cfg.QueueSize = 1, 8, 100 // more senders than connections
	d := start(t, cfg)
	for id := range 2000 {
		_ = d.Enqueue(t.Context(), item(id, false, 0))
	}
	if err := shutdown(t, d); err != nil {
		t.Error(err)
	}
	if n := most.Load(); n > 3 { // serve has two senders
		t.Errorf("%d requests at the same time", n)
	}
}

func TestAFailureOfA2xxIsNotTemporary(t *testing.T) {
	t.Parallel()
	if (&delivery.SendError{StatusCode: http.StatusOK}).Temporary() {
		t.Error("an event that Klime has refused would be sent again for ever")
	}
	if text := (&delivery.SendError{Message: "broker full"}).Error(); text != "broker full" {
		t.Errorf("text %q", text)
	}
}

// The app's own HTTP client may decompress answers. How much of them is read is bounded
// all the same.
func TestGzipBombInTheAppsClient(t *testing.T) {
	t.Parallel()
	const unpacked = 64 << 20
	var bomb bytes.Buffer
	packer := gzip.NewWriter(&bomb)
	_, _ = io.CopyN(packer, spaces{}, unpacked)
	_ = packer.Close()
	var read atomic.Int64
	client := &http.Client{Transport: answering(func(*http.Request) *http.Response {
		unpacker, err := gzip.NewReader(&bomb)
		if err != nil {
			t.Error(err)
		}
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(counting{unpacker, &read})}
	})}
	if _, err := delivery.NewHTTP(client, "http://localhost", "key", "test").Send(t.Context(), nil, 1); err != nil {
		t.Error(err)
	}
	if n := read.Load(); n > 2<<20 {
		t.Errorf("%d bytes read", n)
	}
}

type answering func(*http.Request) *http.Response

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) { return a(r), nil }

type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// counting counts the bytes that are read.
type counting struct {
	io.Reader

	n *atomic.Int64
}

func (c counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}
