package klime

import "sync"

// maxBorrowers is how many may ask a scope's resolvers at the same time.
// Beyond, it is a resolver that asks klime for what klime has asked it, which
// would go on until the stack overflows and the app with it.
const maxBorrowers = 1000

// loan lends the framework's request to the app's resolvers, in whichever
// goroutine they are asked. The framework reuses it after the handler, so it
// must be back by then.
type loan struct {
	mu        sync.Mutex
	native    any    // nil when the request is over
	values    valuer // where the framework keeps values; nil likewise
	borrowers int
	circular  bool          // they are asking each other
	back      chan struct{} // closed when the last one is done; nil while nobody waits
}

func (l *loan) bind(native any, values valuer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.native, l.values = native, values
}

// bindLate binds the request of an adapter that did not call Bind.
func (l *loan) bindLate(native any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.native == nil {
		l.native = native
	}
}

// borrow hands out the request. If ok, giveBack must follow. Overdrawn says that
// it was refused as too many have it, for the first time.
//
//nolint:ireturn // it lends what the adapter has bound
func (l *loan) borrow() (native any, values valuer, ok, overdrawn bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.native == nil && l.values == nil || l.circular {
		return nil, nil, false, false
	}
	if l.borrowers == maxBorrowers {
		l.circular = true
		return nil, nil, false, true
	}
	l.borrowers++
	return l.native, l.values, true, false
}

func (l *loan) giveBack() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.borrowers--
	if l.borrowers > 0 {
		return
	}
	l.circular = false
	if l.back != nil {
		close(l.back)
		l.back = nil
	}
}

// end forgets the request, once everybody has given it back. From now on
// nobody gets it, also who has it already and asks again.
func (l *loan) end() {
	l.mu.Lock()
	l.native, l.values = nil, nil
	var back chan struct{}
	if l.borrowers > 0 {
		back = make(chan struct{})
		l.back = back
	}
	l.mu.Unlock()
	if back != nil {
		<-back
	}
}
