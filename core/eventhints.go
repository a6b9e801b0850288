package klime

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/klimeapp/klime-go/internal/idlook"
	"github.com/klimeapp/klime-go/internal/throttle"
)

// eventHints log what Klime accepts but is most likely a mistake: each kind at most once
// in eventHintInterval, and what may be right in this process only once. They name the
// hash of an ID, never the ID. Nil eventHints are switched off.
type eventHints struct {
	logger *slog.Logger
	mode   Mode

	userIDs, groupIDs idHints

	nestedTrait, longTrait, missingUserTrait, missingGroupTrait, misplaced throttle.Throttle

	users, groups census
	served        atomic.Bool  // some request has passed a Middleware
	linked        atomic.Bool  // some user was linked to some group
	unshownTold   atomic.Bool  // see examineLinks
	unshown       atomic.Int64 // how many events no customer's page shows: see examineLinks
	unshownSince  atomic.Int64 // time of the first, in Unix nanoseconds
}

// eventHintInterval is the shortest time between two hints of one kind.
const eventHintInterval = time.Hour

// idHints are the hints about the IDs of users, or of groups.
type idHints struct {
	name      string
	described EventType // the event whose traits describe them

	changes, wrong, padded, hidden, isName throttle.Throttle
}

// newEventHints returns nil if hints are off, or the logger discards warnings.
func newEventHints(cfg *Config) *eventHints {
	if cfg.NoHints || !cfg.Logger.Enabled(context.Background(), slog.LevelWarn) {
		return nil
	}
	return &eventHints{
		logger: cfg.Logger, mode: cfg.Mode,
		userIDs:  idHints{name: "user", described: IdentifyEvent},
		groupIDs: idHints{name: "group", described: GroupEvent},
	}
}

// tell logs a hint, unless it did so within eventHintInterval.
func (h *eventHints) tell(told *throttle.Throttle, text string, attrs ...slog.Attr) {
	if told.Allows(eventHintInterval, time.Now()) {
		h.logger.LogAttrs(context.Background(), slog.LevelWarn, "klime: "+text, attrs...)
	}
}

// noteServed notes that a request has passed a Middleware.
func (h *eventHints) noteServed() {
	if h != nil {
		h.served.Store(true)
	}
}

// examine looks at an event that is about to be queued.
func (h *eventHints) examine(e *Event) {
	if h == nil {
		return
	}
	if e.UserID != "" {
		h.examineID(&h.userIDs, e.UserID, e)
	}
	if e.GroupID != "" {
		h.examineID(&h.groupIDs, e.GroupID, e)
	}
	if e.Type == TrackEvent {
		h.examineLinks(e)
		return
	}
	h.examineTraits(e)
	h.examineFacts(e)
}

func (h *eventHints) examineID(ids *idHints, id string, e *Event) {
	look := idlook.Of(id)
	switch what := unstable(look); {
	case look == idlook.Placeholder:
		h.tell(&ids.wrong, ids.name+" IDs look like a missing value or a pointer that was printed", shortHash(id))
	case look == idlook.Padded:
		h.tell(&ids.padded, ids.name+" IDs begin or end with a space: Klime takes them for others than those without", shortHash(id))
	case look == idlook.Hidden:
		h.tell(&ids.hidden, ids.name+" IDs have characters that cannot be seen: Klime takes them for others than those without", shortHash(id))
	case what != "":
		h.tell(&ids.changes, ids.name+" IDs look like "+what+", which change; use a stable one, such as a database key", shortHash(id))
	}
	if e.Type != ids.described {
		return
	}
	if name, _ := textOrNested(e.Traits["name"]); name == id {
		h.tell(&ids.isName, ids.name+" IDs equal the trait name, and names change; use a stable ID, such as a database key", shortHash(id))
	}
}

// unstable names, in the plural, what an ID looks like if that is something that
// changes, and returns "" otherwise.
func unstable(look idlook.Look) string {
	switch look {
	case idlook.Name:
		return "names"
	case idlook.URL:
		return "URLs"
	case idlook.Email:
		return "e-mail addresses"
	case idlook.Domain:
		return "domains"
	case idlook.Fine, idlook.Placeholder, idlook.Padded, idlook.Hidden:
	}
	return ""
}

// examineChanged looks at an event after Config.BeforeSend.
func (h *eventHints) examineChanged(e *Event) {
	if h == nil {
		return
	}
	if e.Type == TrackEvent && len(e.Traits) > 0 || e.Type != TrackEvent && len(e.Properties) > 0 {
		h.tell(&h.misplaced, "BeforeSend gives an event what its type does not have: a TrackEvent has properties, the others have traits; "+
			"the rest is left out", slog.String("type", e.Type.String()))
	}
	h.examine(e)
}

// maxTrait is how long the text of a trait may be without a hint, in bytes.
const maxTrait = 1000

func (h *eventHints) examineTraits(e *Event) {
	for key, value := range e.Traits {
		switch text, nested := textOrNested(value); {
		case len(text) > maxTrait:
			h.tell(&h.longTrait, "a trait is very long; traits are short facts that Klime shows and searches", traitNamed(key))
		case nested:
			h.tell(&h.nestedTrait, "a trait is a list or an object; Klime knows strings, numbers, booleans and dates", traitNamed(key))
		}
	}
}

// traitNamed returns the key of a trait for the log, or "?" if the key itself may
// identify somebody.
func traitNamed(key string) slog.Attr {
	if idlook.Of(key) != idlook.Fine {
		key = "?"
	}
	return slog.String("trait", quoted(key))
}

// textOrNested returns the text of a value that is encoded as a string, and reports
// whether it is encoded as a list or an object. What encodes itself may be either: to
// find out, it would have to do so once more.
func textOrNested(value any) (text string, nested bool) {
	switch v := value.(type) {
	case string:
		return v, false
	case nil, bool, int, int64, float64, time.Time, json.Number, []byte:
		return "", false
	case json.RawMessage:
		v = bytes.TrimLeft(v, " \t\r\n")
		return "", len(v) > 0 && (v[0] == '{' || v[0] == '[')
	case json.Marshaler, encoding.TextMarshaler:
		return "", false
	}
	switch v := reflect.Indirect(reflect.ValueOf(value)); v.Kind() {
	case reflect.String:
		return v.String(), false
	case reflect.Map, reflect.Struct, reflect.Slice, reflect.Array:
		return "", true
	default:
		return "", false
	}
}

// What is missing from that many facts, or from that many events for that long, is most
// likely a mistake.
const (
	enoughFacts  = 10
	enoughEvents = 100
	enoughTime   = 15 * time.Minute
)

// census counts facts about users, or about groups, and how many of them had the traits
// name and email. A fact is an identify or group event.
type census struct{ facts, names, emails atomic.Int64 }

func (c *census) note(t Traits) {
	c.facts.Add(1)
	if _, ok := t["name"]; ok {
		c.names.Add(1)
	}
	if _, ok := t["email"]; ok {
		c.emails.Add(1)
	}
}

// examineFacts looks for traits that no user or group has. It goes by all facts
// together: Klime merges traits, so no single fact must have them all.
func (h *eventHints) examineFacts(e *Event) {
	if e.Type == IdentifyEvent {
		h.users.note(e.Traits)
	} else {
		h.groups.note(e.Traits)
		if e.UserID != "" {
			h.users.note(nil)
			h.linked.Store(true)
		}
	}
	switch {
	case h.users.facts.Load() < enoughFacts:
	case h.users.names.Load() == 0:
		h.tell(&h.missingUserTrait, "this process has given no user the trait name, which Klime shows and searches")
	case h.users.emails.Load() == 0:
		h.tell(&h.missingUserTrait, "this process has given no user the trait email, which Klime shows and searches")
	}
	if h.groups.facts.Load() >= enoughFacts && h.groups.names.Load() == 0 {
		h.tell(&h.missingGroupTrait, "this process has given no group the trait name, by which Klime shows customers")
	}
}

// examineLinks looks for events that no customer's page will show, as far as this
// process can know. A worker need not link anybody: the app that users sign in to does.
func (h *eventHints) examineLinks(e *Event) {
	shown := h.linked.Load() || e.GroupID != "" && h.groups.facts.Load() > 0
	if h.mode == UserMode || shown || !h.served.Load() {
		return
	}
	now := time.Now().UnixNano()
	h.unshownSince.CompareAndSwap(0, now)
	if h.unshown.Add(1) < enoughEvents || now-h.unshownSince.Load() < int64(enoughTime) || h.unshownTold.Swap(true) {
		return
	}
	h.logger.LogAttrs(context.Background(), slog.LevelWarn, "klime: this process has linked no user to a group so far; "+
		"unless others have, your dashboard will stay empty: call "+
		"klime.Link where users sign in, or client.Group for companies that have API keys only "+
		"(if your customers are single people, set Config.Mode to UserMode)",
		slog.Int64("events", h.unshown.Load()))
}

// shortHash stands for an ID in the log: the first digits of its SHA-256.
func shortHash(id string) slog.Attr {
	sum := sha256.Sum256([]byte(id))
	return slog.String("hash", hex.EncodeToString(sum[:4]))
}
