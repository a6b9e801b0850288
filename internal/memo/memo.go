// Package memo keeps what an adapter has worked out about a router.
package memo

import (
	"sync"
	"sync/atomic"
)

// Most is how many values a Map keeps. An app that builds its routers anew for each change
// of its routes, or for each request, would else keep them all.
const Most = 256

// Map is a map that is emptied when it is full. Its zero value is empty. It is safe for
// concurrent use.
type Map[K comparable, V any] struct {
	values sync.Map // K → V
	stored atomic.Int64
}

// Load returns the value of a key.
func (m *Map[K, V]) Load(key K) (V, bool) {
	known, _ := m.values.Load(key)
	value, ok := known.(V)
	return value, ok
}

// Store sets the value of a key.
func (m *Map[K, V]) Store(key K, value V) {
	if m.stored.Add(1) > Most {
		m.values.Clear()
		m.stored.Store(1)
	}
	m.values.Store(key, value)
}
