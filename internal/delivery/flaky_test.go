package delivery_test

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// oneOf returns a function that is true by chance, once in n calls.
func oneOf(n int) func() bool {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(1, 2)) // the same each time
	return func() bool {
		mu.Lock()
		defer mu.Unlock()
		return random.IntN(n) == 0
	}
}

// One bad server of several behind a balancer: some requests fail, whatever is in them. The
// events of these are not taken for bad ones, nor are batches for too large, so that all are
// soon delivered.
func TestOneBadServer(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fails              error
		of                 int // servers
		perSecond, seconds int
		soon               time.Duration
	}{
		"unavailable": {&delivery.SendError{StatusCode: 503}, 3, 100, 150, time.Minute},
		"bad gateway": {&delivery.SendError{StatusCode: 502}, 3, 100, 150, time.Minute},
		"hung up":     {errors.New("connection reset by peer"), 3, 100, 150, time.Minute},
		"hangs":       {errHang, 5, 4, 1500, 2 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				isBad := oneOf(test.of)
				e := &endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
					if isBad() {
						return delivery.Result{}, test.fails
					}
					time.Sleep(50 * time.Millisecond)
					return ok(len(ids))
				}}
				d := start(t, config(e))
				for second := range test.seconds {
					enqueue(t, d, second*test.perSecond+1, (second+1)*test.perSecond)
					time.Sleep(time.Second)
				}
				time.Sleep(test.soon)
				if c := d.Counts(); c.Sent != uint64(test.perSecond*test.seconds) {
					t.Errorf("%d requests, %+v", len(e.seen()), c)
				}
				mustShutdown(t, d)
			})
		})
	}
}
