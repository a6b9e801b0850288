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

// A server of five that hangs costs its own requests their time, and makes no others smaller.
func TestOneServerOfFiveHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hangs := oneOf(5)
		e := &endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
			if hangs() {
				return delivery.Result{}, errHang
			}
			time.Sleep(50 * time.Millisecond)
			return ok(len(ids))
		}}
		d := start(t, config(e))
		const perSecond, seconds = 4, 1500
		for second := range seconds {
			enqueue(t, d, second*perSecond+1, (second+1)*perSecond)
			time.Sleep(time.Second)
		}
		time.Sleep(2 * time.Minute)
		if c := d.Counts(); c.Sent != perSecond*seconds {
			t.Errorf("%d requests, %+v", len(e.seen()), c)
		}
		mustShutdown(t, d)
	})
}

// One bad server of three behind a balancer: a third of the requests fail, whatever is in
// them. The events of these are not taken for bad ones, so that all are soon delivered.
func TestOneBadServerOfThree(t *testing.T) {
	t.Parallel()
	for name, fails := range map[string]error{
		"unavailable": &delivery.SendError{StatusCode: 503},
		"bad gateway": &delivery.SendError{StatusCode: 502},
		"hung up":     errors.New("connection reset by peer"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				isBad := oneOf(3)
				e := &endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
					time.Sleep(50 * time.Millisecond)
					if isBad() {
						return delivery.Result{}, fails
					}
					return ok(len(ids))
				}}
				d := start(t, config(e))
				const perSecond, seconds = 100, 150
				for second := range seconds {
					enqueue(t, d, second*perSecond+1, (second+1)*perSecond)
					time.Sleep(time.Second)
				}
				time.Sleep(time.Minute)
				if c := d.Counts(); c.Sent != perSecond*seconds {
					t.Errorf("%d requests, %+v", len(e.seen()), c)
				}
				mustShutdown(t, d)
			})
		})
	}
}
