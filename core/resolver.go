package klime

import "fmt"

// resolver finds an ID in a framework's request.
type resolver func(native any) answer

// answer is what a resolver said: an ID, in memory that may be the framework's, "" if
// it knows nobody.
type answer struct {
	id      string // with wrongType the type instead
	trouble trouble
}

// trouble is what is wrong with an answer.
type trouble uint8

const (
	noTrouble trouble = iota
	panicked          // the resolver has
	foreign           // the resolver is of another framework
	wrongType         // what it returned is never an ID
)

// known is the ID, if there is one.
func (a answer) known() string {
	if a.trouble != noTrouble {
		return ""
	}
	return a.id
}

// resolverOf makes a resolver of a function of a framework's own request type.
func resolverOf[N, T any](find func(N) T) resolver {
	if find == nil {
		return nil
	}
	return func(native any) answer {
		request, ok := native.(N)
		if !ok {
			return answer{trouble: foreign}
		}
		return answerOf(find(request))
	}
}

// answerOf reads an ID. The usual types are not put into an interface for it.
func answerOf[T any](v T) answer {
	switch id := any(&v).(type) {
	case *string:
		if isBlank(*id) {
			return answer{}
		}
		return answer{id: *id}
	case *int:
		return answer{id: nonZero(int64(*id))}
	case *int64:
		return answer{id: nonZero(*id)}
	default:
		return answerOfAny(v)
	}
}

func answerOfAny(v any) answer {
	id := idString(v)
	if id == "" && !canBeID(v) {
		return answer{fmt.Sprintf("%T", v), wrongType}
	}
	return answer{id: id}
}

// ask calls a resolver. One that panics has no answer: a session that is not
// there must not break the request.
func ask(find resolver, native any) (a answer) {
	if find == nil || native == nil {
		return a
	}
	defer func() {
		if recover() != nil {
			a = answer{trouble: panicked}
		}
	}()
	return find(native)
}

// resolve asks the tracker's resolvers.
func (t *Tracker) resolve(native any) identity {
	ids := t.client.interner()
	return identity{user: ids.keep(t.hear(ask(t.user, native))), group: ids.keep(t.hear(ask(t.group, native))), claim: true}
}

func (t *Tracker) askRoute(s *Scope) string {
	native, _, ok, _ := s.request.borrow()
	if !ok {
		return ""
	}
	defer s.request.giveBack()
	return t.hear(ask(t.route, native))
}

// hear takes an answer, and tells the log what is wrong with it.
func (t *Tracker) hear(a answer) string {
	switch a.trouble {
	case panicked:
		t.hints.resolverPanicked(t.client)
	case foreign:
		t.hints.foreignOption(t.client)
	case wrongType:
		t.hints.noID(t.client, a.id)
	case noTrouble:
		return a.id
	}
	return ""
}
