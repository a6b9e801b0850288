package klime

import (
	"runtime"
	"sync/atomic"
)

// maxBorrowers is how many may ask a scope's resolvers at the same time. Beyond,
// it is taken for a resolver that asks klime for what klime has asked it, which
// would go on until the memory is full. When there are many, whose stack is deep is
// known to be one: it would overflow, and the app end with it.
const (
	maxBorrowers  = 10_000
	manyBorrowers = 1000
)

// isDeep reports whether the caller's stack is that of a function that calls
// itself.
func isDeep() bool {
	var frame [1]uintptr
	return runtime.Callers(manyBorrowers, frame[:]) > 0
}

// loan lends the framework's request to the app's resolvers, in whichever
// goroutine they are asked. The framework reuses it after the handler, so it
// must be back by then.
type loan struct {
	native any           // read by who has borrowed it only
	values valuer        // where the framework keeps values; likewise
	state  atomic.Int32  // how many have it, and what is said of it below
	back   chan struct{} // closed when the last one is done; made before loanOver is set
}

const (
	loanBound    = 1 << 16 << iota // there is something to lend
	loanCircular                   // who has it asks for it again
	loanOver                       // the request is over

	loanCount = loanBound - 1
)

// bind says what is lent. The first call counts.
func (l *loan) bind(native any, values valuer) {
	if native == nil && values == nil || l.state.Load()&loanBound != 0 {
		return
	}
	l.native, l.values = native, values
	l.state.Or(loanBound)
}

// borrow hands out the request. If ok, giveBack must follow. Overdrawn says that
// it was refused as too many have it, for the first time.
//
//nolint:ireturn // it lends what the adapter has bound
func (l *loan) borrow() (native any, values valuer, ok, foundCircular bool) {
	for {
		state := l.state.Load()
		switch {
		case state&(loanBound|loanCircular|loanOver) != loanBound:
			return nil, nil, false, false
		case state&loanCount == maxBorrowers, state&loanCount >= manyBorrowers && isDeep():
			if l.state.CompareAndSwap(state, state|loanCircular) {
				return nil, nil, false, true
			}
		case l.state.CompareAndSwap(state, state+1):
			return l.native, l.values, true, false
		}
	}
}

func (l *loan) giveBack() {
	state := l.state.Add(-1)
	if state&loanCount > 0 {
		return
	}
	if state&loanOver != 0 {
		close(l.back)
		return
	}
	if state&loanCircular != 0 {
		l.state.And(^loanCircular)
	}
}

// end forgets the request, once everybody has given it back. From now on
// nobody gets it, also who has it already and asks again.
func (l *loan) end() {
	for {
		state := l.state.Load()
		lent := state&loanCount > 0
		if lent && l.back == nil {
			l.back = make(chan struct{})
		}
		if !l.state.CompareAndSwap(state, state|loanOver) {
			continue
		}
		if lent {
			<-l.back
		}
		l.native, l.values = nil, nil
		return
	}
}
