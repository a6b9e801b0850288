package ingest

import (
	"container/list"
	"iter"
)

// recent is a map that makes values on first use, and forgets the one used
// least recently beyond its limit.
type recent[V any] struct {
	limit  int
	create func(id string) V
	forget func(V) // told of every value that goes
	byID   map[string]*list.Element
	order  *list.List // of entry[V], the last used in front
}

type entry[V any] struct {
	id    string
	value V
}

func newRecent[V any](limit int, create func(id string) V, forget func(V)) *recent[V] {
	return &recent[V]{limit: limit, create: create, forget: forget, byID: make(map[string]*list.Element), order: list.New()}
}

// use returns the value of id, made if need be, as the last used.
func (m *recent[V]) use(id string) V {
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

func (m *recent[V]) forgetOldest() {
	oldest := m.entry(m.order.Back())
	m.order.Remove(m.order.Back())
	delete(m.byID, oldest.id)
	m.forget(oldest.value)
}

// peek returns the value of id, if there is one, and leaves the order alone.
func (m *recent[V]) peek(id string) (V, bool) {
	e, ok := m.byID[id]
	if !ok {
		var zero V
		return zero, false
	}
	return m.entry(e).value, true
}

func (m *recent[V]) all() iter.Seq[V] {
	return func(yield func(V) bool) {
		for e := m.order.Front(); e != nil; e = e.Next() {
			if !yield(m.entry(e).value) {
				return
			}
		}
	}
}

func (*recent[V]) entry(e *list.Element) entry[V] {
	return e.Value.(entry[V]) //nolint:forcetypeassert // nothing else is put into the list
}
