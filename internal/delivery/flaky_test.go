package delivery_test

import (
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

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
				random := rand.New(rand.NewPCG(1, 2))
				e := &endpoint{answer: func(_ int, ids []int) (delivery.Result, error) {
					isBad := random.IntN(3) == 0
					time.Sleep(50 * time.Millisecond)
					if isBad {
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
