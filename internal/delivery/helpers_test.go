package delivery_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// errHang has an endpoint not answer until the request is given up.
var errHang = errors.New("hang")

// endpoint is a Transport that answers as it is told and remembers its requests.
type endpoint struct {
	// answer answers the n-th request, counted from 1. If nil, all is accepted.
	answer func(n int, ids []int) (delivery.Result, error)

	mu       sync.Mutex
	requests []request
	inFlight int
	most     int // the most requests in flight at once
}

type request struct {
	at    time.Time
	ids   []int
	bytes int
}

func (e *endpoint) Send(ctx context.Context, batch delivery.Batch) (delivery.Result, error) {
	body, events := batch.AppendBody(nil), len(batch)
	ids, err := idsIn(body)
	if err != nil || len(ids) != events {
		return delivery.Result{}, fmt.Errorf("not a batch of %d (%w): %.80s", events, err, body)
	}
	e.mu.Lock()
	e.requests = append(e.requests, request{at: time.Now(), ids: ids, bytes: len(body)})
	n := len(e.requests)
	e.inFlight++
	e.most = max(e.most, e.inFlight)
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		e.inFlight--
		e.mu.Unlock()
	}()
	if e.answer == nil {
		return delivery.Result{Accepted: events}, nil
	}
	result, err := e.answer(n, ids)
	if errors.Is(err, errHang) {
		<-ctx.Done()
		err = ctx.Err()
	}
	return result, err
}

func (e *endpoint) seen() []request {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.requests)
}

// ids returns the events of all requests, in order, repeats included.
func (e *endpoint) ids() []int {
	var ids []int
	for _, r := range e.seen() {
		ids = append(ids, r.ids...)
	}
	return ids
}

// idsIn returns the IDs of the events in a body.
func idsIn(body []byte) ([]int, error) {
	var parsed struct {
		Batch []struct{ ID int } `json:"batch"`
	}
	if err := json.Unmarshal(body, &parsed); err != nil {
		return nil, err
	}
	var ids []int
	for _, e := range parsed.Batch {
		ids = append(ids, e.ID)
	}
	return ids, nil
}

// idIn returns the ID of an event.
func idIn(event []byte) (int, error) {
	ids, err := idsIn(fmt.Appendf(nil, `{"batch":[%s]}`, event))
	if err != nil {
		return 0, err
	}
	return ids[0], nil
}

// status is an answer with this status.
func status(code int) (delivery.Result, error) {
	return delivery.Result{}, &delivery.SendError{StatusCode: code}
}

// ok is an answer that accepts n events.
func ok(n int) (delivery.Result, error) { return delivery.Result{Accepted: n}, nil }

// item returns an event with this ID and about this size.
func item(id int, automatic bool, size int) delivery.Item {
	body := fmt.Sprintf(`{"id":%d,"pad":"%0*d"}`, id, max(size-20, 1), 0)
	return delivery.Item{Body: []byte(body), Queued: time.Now(), Automatic: automatic}
}

// patientItem returns an automatic event, such as a roll-up, that waits for room.
func patientItem(id, size int) delivery.Item {
	it := item(id, true, size)
	it.Patient = true
	return it
}

// config has the defaults of klime.Config.
func config(t delivery.Transport) delivery.Config {
	return delivery.Config{
		Transport:     t,
		FlushInterval: 2 * time.Second,
		BatchSize:     20,
		QueueSize:     10_000,
		QueueBytes:    64 << 20,
		Senders:       2,
		RetryDelay:    time.Second,
		Timeout:       10 * time.Second,
		Logger:        slog.New(slog.DiscardHandler),
	}
}

// keepLog returns what a Deliverer with this Config will log.
func keepLog(cfg *delivery.Config) *bytes.Buffer {
	var log bytes.Buffer
	cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	return &log
}

// start returns a Deliverer that is shut down when the test ends. Every item that it
// accepted must be accounted for then.
func start(tb testing.TB, cfg delivery.Config) *delivery.Deliverer {
	tb.Helper()
	d := delivery.New(cfg)
	tb.Cleanup(func() {
		_ = shutdown(tb, d)
		checkSum(tb, d)
	})
	return d
}

// enqueue enqueues explicit items with IDs from first to last.
func enqueue(tb testing.TB, d *delivery.Deliverer, first, last int) {
	tb.Helper()
	for id := first; id <= last; id++ {
		if err := d.Enqueue(tb.Context(), item(id, false, 0)); err != nil {
			tb.Fatalf("item %d: %v", id, err)
		}
	}
}

// tally counts the outcomes that the owners of tokens are told.
type tally struct {
	mu   sync.Mutex
	told map[delivery.Outcome]int
}

func newTally() *tally { return &tally{told: map[delivery.Outcome]int{}} }

// add is a Config.OnOutcome.
func (y *tally) add(_ uint64, outcome delivery.Outcome) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.told[outcome]++
}

func (y *tally) of(outcome delivery.Outcome) int {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.told[outcome]
}

// enqueueOwned is enqueue for items with tokens.
func enqueueOwned(tb testing.TB, d *delivery.Deliverer, first, last int) {
	tb.Helper()
	for id := first; id <= last; id++ {
		it := item(id, false, 0)
		it.Token = uint64(id)
		if err := d.Enqueue(tb.Context(), it); err != nil {
			tb.Fatalf("item %d: %v", id, err)
		}
	}
}

// shutdownWithin shuts d down and returns its error.
func shutdownWithin(tb testing.TB, d *delivery.Deliverer, patience time.Duration) error {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return d.Shutdown(ctx)
}

// shutdown is shutdownWithin a minute.
func shutdown(tb testing.TB, d *delivery.Deliverer) error {
	tb.Helper()
	return shutdownWithin(tb, d, time.Minute)
}

// mustShutdown is a shutdown that loses nothing.
func mustShutdown(tb testing.TB, d *delivery.Deliverer) {
	tb.Helper()
	if err := shutdown(tb, d); err != nil {
		tb.Error(err)
	}
}

func mustFlush(tb testing.TB, d *delivery.Deliverer) {
	tb.Helper()
	if err := d.Flush(tb.Context()); err != nil {
		tb.Error(err)
	}
}

// checkSum fails unless every accepted item is accounted for.
func checkSum(tb testing.TB, d *delivery.Deliverer) {
	tb.Helper()
	c := d.Counts()
	sum := c.Sent + c.Failed + c.Evicted + c.Abandoned + c.SpoolBusy + c.SpoolFull + c.SpoolLost + uint64(c.Held) + uint64(c.Spooled)
	if sum != c.Accepted {
		tb.Errorf("accepted %d, but %d accounted for: %+v", c.Accepted, sum, c)
	}
}

// upTo returns the IDs from 1 to n.
func upTo(n int) []int {
	ids := make([]int, n)
	for i := range ids {
		ids[i] = i + 1
	}
	return ids
}

// outage is an endpoint that can be down.
type outage struct {
	endpoint

	state sync.Mutex
	code  int // of its answers; 200 if it is up
	took  []int
}

func (o *outage) setStatus(code int) {
	o.state.Lock()
	defer o.state.Unlock()
	o.code = code
}

// delivered returns the events that were accepted, repeats included, sorted.
func (o *outage) delivered() []int {
	o.state.Lock()
	defer o.state.Unlock()
	ids := slices.Clone(o.took)
	slices.Sort(ids)
	return ids
}

func newOutage(code int) *outage {
	o := &outage{code: code}
	o.answer = func(_ int, ids []int) (delivery.Result, error) {
		o.state.Lock()
		defer o.state.Unlock()
		if o.code != 200 {
			return status(o.code)
		}
		o.took = append(o.took, ids...)
		return ok(len(ids))
	}
	return o
}
