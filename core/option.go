package klime

import "fmt"

// Option tunes a middleware; the same options hold in every framework. The zero
// Option changes nothing.
type Option struct {
	apply func(*Tracker) error
}

// resolver is the Option that sets where to a function of the app.
func resolver(name string, resolve func(any) any, where func(*Tracker) *func(any) any) Option {
	return Option{func(t *Tracker) error {
		if resolve == nil {
			return fmt.Errorf("%w: %s without a function", ErrInvalidOption, name)
		}
		*where(t) = resolve
		return nil
	}}
}

// ResolveUser says how to find a request's user, given the framework's own
// request. It is what an adapter's UserID option is made of. The resolver is
// asked after the handler, and by events tracked before; it may be called from
// several goroutines. Its answer is a string, an integer, an
// encoding.TextMarshaler or a fmt.Stringer; a zero value, and a panic, mean
// that nobody is known. It must not track events or ask the Scope itself, and
// not outlast the request: [Tracker.Observe] waits for it.
func ResolveUser(resolve func(native any) any) Option {
	return resolver("ResolveUser", resolve, func(t *Tracker) *func(any) any { return &t.user })
}

// ResolveGroup says how to find a request's group, like [ResolveUser]. The
// answer is a claim: it counts only together with a known user, and not where
// the app answers 401, 403 or 404. [SetGroup] is the app's own word.
func ResolveGroup(resolve func(native any) any) Option {
	return resolver("ResolveGroup", resolve, func(t *Tracker) *func(any) any { return &t.group })
}

// RequireMembership lets an event have the request's group only if the user was
// linked to it in the same request, by [Link] or an adapter's Link: for apps
// where the active group is something that a client could forge, such as a
// header. Otherwise the event is the user's, without a group; Stats counts it as
// NotLinked or NotMember. It needs a Link in front of every request. Groups that
// [InGroup] and [ForGroup] name are the app's word for one event, and not
// judged.
func RequireMembership() Option {
	return Option{func(t *Tracker) error {
		t.requireMembership = true
		return nil
	}}
}

// Native makes a resolver of a function of the framework's own request type N,
// for adapters' UserID and GroupID options. Given to another framework's
// adapter it finds nothing, and the log says why.
func Native[N, T any](find func(N) T) func(native any) any {
	if find == nil {
		return nil
	}
	return func(native any) any {
		request, ok := native.(N)
		if !ok {
			return foreign{}
		}
		return find(request)
	}
}

// foreign is the answer of a resolver of another framework.
type foreign struct{}

// ResolveRoute says how to find the pattern that a request has matched, given
// the framework's own request and the status of the answer, where the adapter
// does not know it, or knows it worse. It is asked after the handler; "" leaves
// it to the adapter.
func ResolveRoute[N any](find func(native N, status int) string) Option {
	return Option{func(t *Tracker) error {
		if find == nil {
			return fmt.Errorf("%w: ResolveRoute without a function", ErrInvalidOption)
		}
		t.route = func(native any, status int) any {
			return Native(func(n N) string { return find(n, status) })(native)
		}
		return nil
	}}
}
