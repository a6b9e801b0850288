package ingest

import (
	"container/list"
	"iter"
)

// lru is a map that creates values on first use. Beyond its limit, it forgets the
// value used least recently.
type lru[V any] struct {
	limit  int
	create func(id string) V
	forget func(V) // called for every value that is forgotten
	byID   map[string]*list.Element
	order  *list.List // of entry[V], the last used in front
}

type entry[V any] struct {
	id    string
	value V
}

func newLRU[V any](limit int, create func(id string) V, forget func(V)) *lru[V] {
	return &lru[V]{limit: limit, create: create, forget: forget, byID: make(map[string]*list.Element), order: list.New()}
}

// use returns the value of id, creates it if needed, and marks it as used last.
func (m *lru[V]) use(id string) V {
	if e, ok := m.byID[id]; ok {
		m.order.MoveToFront(e)
		return m.entry(e).value
	}
	v := m.create(id)
	m.byID[id] = m.order.PushFront(entry[V]{id, v})
	if m.order.Len() > m.limit {
		m.forgetOldest()
	}
	return v
}

func (m *lru[V]) forgetOldest() {
	oldest := m.entry(m.order.Back())
	m.order.Remove(m.order.Back())
	delete(m.byID, oldest.id)
	m.forget(oldest.value)
}

// peek returns the value of id, if there is one, and does not mark it as used.
func (m *lru[V]) peek(id string) (V, bool) {
	e, ok := m.byID[id]
	if !ok {
		var zero V
		return zero, false
	}
	return m.entry(e).value, true
}

func (m *lru[V]) all() iter.Seq[V] {
	return func(yield func(V) bool) {
		for e := m.order.Front(); e != nil; e = e.Next() {
			if !yield(m.entry(e).value) {
				return
			}
		}
	}
}

func (*lru[V]) entry(e *list.Element) entry[V] {
	return e.Value.(entry[V]) //nolint:forcetypeassert // nothing else is put into the list
}
