package klime

import (
	"fmt"
	"time"
)

// Properties describe an event. Values are strings, numbers, booleans, times
// (sent in UTC with milliseconds), and slices and maps of these; anything else
// is sent as encoding/json encodes it: a time.Duration as nanoseconds, and most errors as
// {}, so give Milliseconds and err.Error(). They may be nested 1,000 levels deep. By
// Klime's convention, keys are camelCase.
type Properties map[string]any

// Traits describe a user or a group. Klime merges them into what it has: send what
// changed. Values are strings, numbers, booleans and times; keys are camelCase.
// Klime itself shows and searches "email" and "name".
type Traits map[string]any

// EventType is what an event tells Klime.
type EventType int

// The three kinds of event, one for each of Klime's calls.
const (
	TrackEvent    EventType = iota // somebody did something
	IdentifyEvent                  // who a user is
	GroupEvent                     // what a group is, and who belongs to it
)

// String returns the type as it stands on the wire.
func (t EventType) String() string {
	switch t {
	case TrackEvent:
		return "track"
	case IdentifyEvent:
		return "identify"
	case GroupEvent:
		return "group"
	default:
		return "unknown"
	}
}

// Event is one event on its way to Klime. Its JSON has at most 200 KiB.
type Event struct {
	Type       EventType      // which of Klime's calls
	MessageID  string         // a UUID unless WithMessageID says otherwise, the same on every retry
	Timestamp  time.Time      // when it happened
	Event      string         // the name of a TrackEvent
	UserID     string         // "" for no user
	GroupID    string         // "" for no group
	Properties Properties     // sent with a TrackEvent only
	Traits     Traits         // sent with an IdentifyEvent or GroupEvent only
	Context    map[string]any // of WithContext; in callbacks also what the library adds: library, app, trace
}

// makeMaps makes the maps that an event of this type may have, so that BeforeSend
// can add to them.
func (e *Event) makeMaps() {
	if e.Type == TrackEvent && e.Properties == nil {
		e.Properties = Properties{}
	}
	if e.Type != TrackEvent && e.Traits == nil {
		e.Traits = Traits{}
	}
	if e.Context == nil {
		e.Context = map[string]any{}
	}
}

// validate returns an error if Klime would refuse the event. There are no anonymous
// events: a TrackEvent has a user, a group, or both.
func (e *Event) validate() error {
	switch {
	case e.Type < TrackEvent || e.Type > GroupEvent:
		return fmt.Errorf("%w: an event of type %d", ErrNotEncodable, e.Type)
	case e.Type == TrackEvent && isBlank(e.Event):
		return ErrMissingEvent
	case e.Type == TrackEvent && e.UserID == "" && e.GroupID == "":
		return ErrMissingIdentity
	case !isID(e.UserID) && (e.UserID != "" || e.Type == IdentifyEvent):
		return noID(ErrMissingUser, e.UserID)
	case !isID(e.GroupID) && (e.GroupID != "" || e.Type == GroupEvent):
		return noID(ErrMissingGroup, e.GroupID)
	case e.MessageID != "" && !isID(e.MessageID):
		return fmt.Errorf("%w: MessageID is blank, or not valid UTF-8", ErrInvalidOption)
	default:
		return nil
	}
}

// EventOption changes one event. The zero value changes nothing.
type EventOption struct {
	kind  optionKind
	text  string
	time  time.Time
	value any
}

type optionKind int

const (
	_ optionKind = iota
	optForUser
	optInGroup
	optForGroup
	optAt
	optWithMessageID
	optWithContext
)

// ForUser says whose event it is, in place of the request's user. The request's
// group is dropped as well: add [InGroup] to name one. Given to [Client.Group], it
// links that user to the group. An empty ID makes the call fail with
// [ErrMissingUser].
func ForUser(id string) EventOption { return EventOption{kind: optForUser, text: id} }

// InGroup says in which group the event happened. The request's user stays. An
// empty ID makes the call fail with [ErrMissingGroup].
func InGroup(id string) EventOption { return EventOption{kind: optInGroup, text: id} }

// ForGroup makes it an event of the organisation itself, such as a webhook or
// a nightly job: this group and no user. An empty ID makes the call fail with
// [ErrMissingGroup], and [ForUser] beside it with [ErrInvalidOption].
func ForGroup(id string) EventOption { return EventOption{kind: optForGroup, text: id} }

// At says when the event happened. The default is now, and so is the zero time. It
// is sent in UTC with milliseconds. A year that does not have four digits makes the
// call fail with [ErrNotEncodable].
func At(t time.Time) EventOption { return EventOption{kind: optAt, time: t} }

// WithMessageID sets the ID by which Klime recognises a repeat, for events that a
// job may send twice. The default is a random UUID, and so is the empty ID. An ID is for
// one event: if events share one, also of different types, users or groups, only one of
// them counts. An ID that is blank or not valid UTF-8, such as the bytes of a hash, makes
// the call fail with [ErrInvalidOption]: write these as hexadecimal digits.
func WithMessageID(id string) EventOption { return EventOption{kind: optWithMessageID, text: id} }

// WithContext adds a value to the event's context. The key "library" is the
// library's own and is ignored.
func WithContext(key string, value any) EventOption {
	return EventOption{kind: optWithContext, text: key, value: value}
}

// apply applies the options to e, which may have the identity of the request
// already. Of two groups, the last one wins.
func (e *Event) apply(opts []EventOption) error {
	groupNamed, userNamed, userless := false, false, false
	for i := range opts {
		o := &opts[i]
		switch o.kind {
		case optForUser:
			if o.text == "" {
				return ErrMissingUser
			}
			e.UserID, userNamed = o.text, true
		case optInGroup, optForGroup:
			if o.text == "" {
				return ErrMissingGroup
			}
			e.GroupID, groupNamed = o.text, true
			userless = userless || o.kind == optForGroup
		case optAt:
			e.Timestamp = o.time
		case optWithMessageID:
			e.MessageID = o.text
		case optWithContext:
			if e.Context == nil {
				e.Context = make(map[string]any, len(opts)-i)
			}
			e.Context[o.text] = o.value
		}
	}
	switch {
	case userNamed && userless:
		return fmt.Errorf("%w: ForGroup is for an event without a user; beside ForUser use InGroup", ErrInvalidOption)
	case userless:
		e.UserID = ""
	case userNamed && !groupNamed && e.Type == TrackEvent:
		e.GroupID = ""
	}
	return nil
}

// checkOptions refuses options that would change whom e is about: a call of
// Identify names its user itself, and a call of Group its group.
func (e *Event) checkOptions(opts []EventOption) error {
	for i := range opts {
		var name string
		switch kind := opts[i].kind; {
		case kind == optInGroup:
			name = "InGroup"
		case kind == optForGroup:
			name = "ForGroup"
		case kind == optForUser && e.Type == IdentifyEvent:
			name = "ForUser"
		default:
			continue
		}
		return fmt.Errorf("%w: %s takes no %s, which would change whom it is about", ErrInvalidOption, e.Type, name)
	}
	return nil
}
