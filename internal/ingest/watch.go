package ingest

// markChanged begins a new version, and tells the watchers. The caller must hold the
// lock.
func (s *Server) markChanged() {
	s.version++
	s.snapshot = nil
	for changed := range s.watchers {
		select {
		case changed <- struct{}{}:
		default: // the watcher has not yet taken the last change
		}
	}
}

// Watch returns a channel that has a value if something has changed since the last
// value was taken. The caller must call stop in the end.
func (s *Server) Watch() (changed <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers[c] = struct{}{}
	return c, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchers, c)
	}
}
