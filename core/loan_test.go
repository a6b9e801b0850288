package klime

import (
	"sync"
	"sync/atomic"
	"testing"
)

// Whoever asks, and whenever the request ends: nobody has it afterwards, and it
// does not end while somebody has it.
func TestLoan(t *testing.T) {
	t.Parallel()
	for range 200 {
		var l loan
		var have atomic.Int32
		var asking sync.WaitGroup
		begun := make(chan struct{}, 4)
		for range 4 {
			asking.Go(func() {
				for first := true; ; first = false {
					ok, _ := l.borrow()
					if ok {
						have.Add(1)
						if l.native != "request" {
							t.Errorf("lent %v", l.native)
						}
						have.Add(-1)
						l.giveBack()
					}
					if first {
						begun <- struct{}{}
					}
					if !ok && l.state.Load()&loanOver != 0 {
						return
					}
				}
			})
		}
		l.bind("request", nil)
		l.bind("another", nil)
		<-begun
		l.end()
		if n := have.Load(); n != 0 || l.native != nil {
			t.Errorf("over, and %d have %v", n, l.native)
		}
		l.end() // again
		asking.Wait()
	}
}

// One that asks itself is refused before its stack has grown much.
func TestLoanToOneThatAsksItself(t *testing.T) {
	t.Parallel()
	var l loan
	l.bind("request", nil)
	var ask func(depth int) (most int)
	ask = func(depth int) int {
		if ok, _ := l.borrow(); !ok {
			return depth
		}
		defer l.giveBack()
		return ask(depth + 1)
	}
	for range 2 {
		if depth := ask(0); depth < manyBorrowers || depth > deepStack {
			t.Errorf("refused after %d times, want %d to %d", depth, manyBorrowers, deepStack)
		}
	}
}

// Too many at a time are one that asks itself: nobody gets it until all have given
// it back.
func TestLoanOverdrawn(t *testing.T) {
	t.Parallel()
	var l loan
	l.bind("request", nil)
	for range maxBorrowers {
		if ok, _ := l.borrow(); !ok {
			t.Fatal("not lent")
		}
	}
	for _, first := range []bool{true, false} {
		if ok, overdrawn := l.borrow(); ok || overdrawn != first {
			t.Errorf("lent %v, overdrawn %v", ok, overdrawn)
		}
	}
	for range maxBorrowers {
		l.giveBack()
	}
	if ok, overdrawn := l.borrow(); !ok || overdrawn {
		t.Fatalf("when all is back: lent %v, overdrawn %v", ok, overdrawn)
	}
	l.giveBack()
	l.end()
}

// reusable is where a framework keeps values that reuses its request too early.
type reusable struct{ reused bool }

func (*reusable) Value(any) any   { return nil }
func (r *reusable) Current() bool { return !r.reused }

// What already serves another request is not lent.
func TestLoanOfWhatIsReused(t *testing.T) {
	t.Parallel()
	var l loan
	var values reusable
	l.bind("request", &values)
	for _, reused := range []bool{false, true, false} {
		values.reused = reused
		ok, foundCircular := l.borrow()
		if ok == reused || foundCircular {
			t.Errorf("reused %v: lent %v, circular %v", reused, ok, foundCircular)
		}
		if ok {
			l.giveBack()
		}
	}
	l.end()
}
