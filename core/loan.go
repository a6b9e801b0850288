package klime

import (
	"runtime"
	"sync/atomic"
)

// A resolver that asks klime whose request it is would be asked again by that call, and
// so on until the stack overflows, or the memory is full if each call is made in a new
// goroutine. So a loan is taken for circular when maxBorrowers have it at the same time,
// or when manyBorrowers have it and the next one's stack has deepStack frames, as each of
// these calls adds more than ten.
const (
	maxBorrowers  = 10_000
	manyBorrowers = 100
	deepStack     = 1000
)

// isDeep reports whether the caller's stack is so deep that it must be of a function
// that calls itself.
func isDeep() bool {
	var frame [1]uintptr
	return runtime.Callers(deepStack, frame[:]) > 0
}

// loan lends the framework's request to the app's resolvers, which may run in any
// goroutine. The framework reuses the request after the handler, so it must be given
// back by then.
type loan struct {
	native any           // read by borrowers only
	values valuer        // where the framework keeps values; read by borrowers only
	state  atomic.Int32  // the number of borrowers, and the flags below
	back   chan struct{} // closed by the last borrower once loanOver is set; made before that
}

// The flags of a loan's state.
const (
	loanBound    = 1 << 16 << iota // there is something to lend
	loanCircular                   // a borrower asks for it again: see maxBorrowers
	loanOver                       // the request is over

	loanCount = loanBound - 1 // the bits that count borrowers
)

// bind sets what is lent. Only the first call counts.
func (l *loan) bind(native any, values valuer) {
	if native == nil && values == nil || l.state.Load()&loanBound != 0 {
		return
	}
	l.native, l.values = native, values
	l.state.Or(loanBound)
}

// borrow lends native and values. If ok, giveBack must be called. foundCircular says that
// this call is the one that was refused because the loan looks circular; later calls are
// refused without it, until all have given the request back.
func (l *loan) borrow() (ok, foundCircular bool) {
	for {
		state := l.state.Load()
		switch {
		case state&(loanBound|loanCircular|loanOver) != loanBound:
			return false, false
		case state&loanCount == maxBorrowers, state&loanCount >= manyBorrowers && isDeep():
			if l.state.CompareAndSwap(state, state|loanCircular) {
				return false, true
			}
		case l.state.CompareAndSwap(state, state+1):
			if l.isReused() {
				l.giveBack()
				return false, false
			}
			return true, false
		}
	}
}

// isReused reports whether the framework has reused the request before the loan has
// ended. The caller must be a borrower, or the one who ends the loan.
func (l *loan) isReused() bool {
	lent, ok := l.values.(interface{ Current() bool })
	return ok && !lent.Current()
}

// giveBack ends a borrow.
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

// end stops lending, even to those who have the request already and ask again. It
// returns when all have given the request back, and then forgets it.
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
