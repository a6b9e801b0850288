package klime

import (
	"log/slog"
	"reflect"
)

// resolver finds an ID in a framework's request.
type resolver func(native any) answer

// answer is what a resolver has returned. The ID is "" if it knows nobody, and may lie
// in memory that the framework reuses.
type answer struct {
	id      string // with problemWrongType, the name of the type instead
	problem problem
}

// problem is what is wrong with an answer.
type problem uint8

const (
	noProblem        problem = iota
	problemPanicked          // the resolver panicked
	problemForeign           // the resolver is for another framework's request
	problemWrongType         // the resolver returns a type that is never an ID
	problemNotUTF8           // the resolver returns bytes that are no text
)

// known is the ID, if there is one.
func (a answer) known() string {
	if a.problem != noProblem {
		return ""
	}
	return a.id
}

// resolverOf makes a resolver from a function that takes a framework's request type.
func resolverOf[N, T any](find func(N) T) resolver {
	if find == nil {
		return nil
	}
	return func(native any) answer {
		request, ok := native.(N)
		if !ok {
			return answer{problem: problemForeign}
		}
		return answerOf(find(request))
	}
}

// answerOf reads an ID. It takes the usual types by pointer, so that their values are
// not allocated.
func answerOf[T any](v T) answer {
	switch id := any(&v).(type) {
	case *string:
		return answerOfText(nonBlank(*id))
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
		return answer{reflect.TypeOf(v).String(), problemWrongType}
	}
	return answerOfText(id)
}

func answerOfText(id string) answer {
	if !isUTF8(id) {
		return answer{problem: problemNotUTF8}
	}
	return answer{id: id}
}

// ask calls a resolver. It recovers from a panic, and tells f: a missing session must not
// break the request.
func ask(find resolver, native any, f *appFunc) (a answer) {
	if find == nil || native == nil {
		return a
	}
	defer func() {
		if v := recover(); v != nil {
			a = answer{problem: problemPanicked}
			f.panicked(v)
		}
	}()
	return find(native)
}

// resolve asks the tracker's resolvers.
func (t *Tracker) resolve(native any) identity {
	ids := t.client.interner()
	user := ids.keep(t.askID(t.user, native, &t.funcs.user))
	group := ids.keep(t.askID(t.group, native, &t.funcs.group))
	return identity{user: user, group: group, untrusted: true}
}

func (t *Tracker) askRoute(s *Scope) string {
	if ok, _ := s.loan.borrow(); !ok {
		return ""
	}
	defer s.loan.giveBack()
	return t.askID(t.route, s.loan.native, &t.funcs.route)
}

// askID is ask for the ID alone. It logs what is wrong with the answer of f.
func (t *Tracker) askID(find resolver, native any, f *appFunc) string {
	a := ask(find, native, f)
	if a.problem != noProblem {
		t.tellProblem(a, f)
	}
	return a.known()
}

func (t *Tracker) tellProblem(a answer, f *appFunc) {
	switch a.problem {
	case noProblem, problemPanicked: // ask has told of the panic
	case problemForeign:
		t.setupHints.foreignOption(t.client)
	case problemWrongType:
		t.client.hintOnce(&f.toldType, "a function given to klime returns a type that cannot be an ID; its answer is ignored; "+
			"return a string, an integer, a fmt.Stringer or an encoding.TextMarshaler",
			slog.String("function", f.name), slog.String("type", a.id))
	case problemNotUTF8:
		t.client.hintOnce(&f.toldBinary, "a function given to klime returns bytes that are not UTF-8; its answer is ignored; "+
			"return text, such as the String of a UUID", slog.String("function", f.name))
	}
}
