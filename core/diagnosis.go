package klime

import (
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

// diagnosis logs what Klime accepts but is most likely a mistake: each kind at most once
// in diagnosisInterval. It logs the hash of an ID, never the ID. A nil diagnosis is
// switched off.
type diagnosis struct {
	logger *slog.Logger
	mode   Mode
	told   [numFindings]throttle.Throttle

	users, groups census
	linked        atomic.Bool  // some user was linked to some group
	unshown       atomic.Int64 // how many events no customer's page shows: see examineLinks
	unshownSince  atomic.Int64 // time of the first, in Unix nanoseconds
}

// diagnosisInterval is the shortest time between two hints of one kind.
const diagnosisInterval = time.Hour

// finding is a kind of mistake.
type finding int

const (
	userIDChanges finding = iota
	groupIDChanges
	userIDWrong
	groupIDWrong
	userIDIsName
	groupIDIsName
	nestedTrait
	longTrait
	missingUserTrait
	missingGroupTrait
	emptyDashboard
	misplaced
	numFindings
)

// newDiagnosis returns nil if hints are off, or the logger discards warnings.
func newDiagnosis(cfg *Config) *diagnosis {
	if cfg.NoHints || !cfg.Logger.Enabled(context.Background(), slog.LevelWarn) {
		return nil
	}
	return &diagnosis{logger: cfg.Logger, mode: cfg.Mode}
}

// tell logs a finding, unless it did so within diagnosisInterval.
func (d *diagnosis) tell(f finding, hint string, args ...slog.Attr) {
	if d.told[f].Allows(diagnosisInterval, time.Now()) {
		d.logger.LogAttrs(context.Background(), slog.LevelWarn, "klime: "+hint, args...)
	}
}

// examine looks at an event that is about to be queued.
func (d *diagnosis) examine(e *Event) {
	if d == nil {
		return
	}
	if e.UserID != "" {
		d.examineID("user", e.UserID, e, userIDChanges, userIDWrong, userIDIsName)
	}
	if e.GroupID != "" {
		d.examineID("group", e.GroupID, e, groupIDChanges, groupIDWrong, groupIDIsName)
	}
	if e.Type == TrackEvent {
		d.examineLinks(e)
		return
	}
	d.examineTraits(e)
	d.examineFacts(e)
}

func (d *diagnosis) examineID(kind, id string, e *Event, changes, wrong, isName finding) {
	look := idlook.Of(id)
	if look == idlook.Placeholder {
		d.tell(wrong, kind+" IDs look like a missing value that was printed", shortHash(id))
	} else if what := unstable(look); what != "" {
		d.tell(changes, kind+" IDs look like "+what+", which change; use a stable one, such as a database key", shortHash(id))
	}
	about := e.Type == IdentifyEvent && kind == "user" || e.Type == GroupEvent && kind == "group"
	if name, ok := e.Traits["name"].(string); about && ok && name == id {
		d.tell(isName, kind+" IDs equal the trait name, and names change; use a stable ID, such as a database key", shortHash(id))
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
	case idlook.Fine, idlook.Placeholder:
	}
	return ""
}

// examineChanged looks at an event after Config.BeforeSend.
func (d *diagnosis) examineChanged(e *Event) {
	if d == nil {
		return
	}
	if e.Type == TrackEvent && len(e.Traits) > 0 || e.Type != TrackEvent && len(e.Properties) > 0 {
		d.tell(misplaced, "BeforeSend gives an event what its type does not have: a TrackEvent has properties, the others have traits; "+
			"the rest is left out", slog.String("type", e.Type.String()))
	}
	d.examine(e)
}

// maxTrait is how long the text of a trait may be without a hint, in bytes.
const maxTrait = 1000

func (d *diagnosis) examineTraits(e *Event) {
	for key, value := range e.Traits {
		if text, ok := value.(string); ok {
			if len(text) > maxTrait {
				d.tell(longTrait, "a trait is very long; traits are short facts that Klime shows and searches", traitNamed(key))
			}
		} else if isNested(value) {
			d.tell(nestedTrait, "a trait is a list or an object; Klime knows strings, numbers, booleans and dates", traitNamed(key))
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

// isNested reports whether a value is encoded as a list or an object.
func isNested(value any) bool {
	switch value.(type) {
	case nil, bool, int, int64, float64, time.Time, json.Number:
		return false
	case json.Marshaler:
		return false // it may encode itself as anything
	case encoding.TextMarshaler:
		return false
	}
	switch reflect.Indirect(reflect.ValueOf(value)).Kind() {
	case reflect.Map, reflect.Struct, reflect.Slice, reflect.Array:
		return true
	default:
		return false
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
func (d *diagnosis) examineFacts(e *Event) {
	switch {
	case e.Type == IdentifyEvent:
		d.users.note(e.Traits)
	case e.UserID != "":
		d.users.note(nil)
		d.linked.Store(true)
		fallthrough
	default:
		d.groups.note(e.Traits)
	}
	switch {
	case d.users.facts.Load() < enoughFacts:
	case d.users.names.Load() == 0:
		d.tell(missingUserTrait, "this process has given no user the trait name, which Klime shows and searches")
	case d.users.emails.Load() == 0:
		d.tell(missingUserTrait, "this process has given no user the trait email, which Klime shows and searches")
	}
	if d.groups.facts.Load() >= enoughFacts && d.groups.names.Load() == 0 {
		d.tell(missingGroupTrait, "this process has given no group the trait name, by which Klime shows customers")
	}
}

// examineLinks looks for events that no customer's page will show, as far as this
// process can know.
func (d *diagnosis) examineLinks(e *Event) {
	shown := d.linked.Load() || e.GroupID != "" && d.groups.facts.Load() > 0
	if d.mode == UserMode || shown {
		return
	}
	now := time.Now().UnixNano()
	d.unshownSince.CompareAndSwap(0, now)
	if d.unshown.Add(1) < enoughEvents || now-d.unshownSince.Load() < int64(enoughTime) {
		return
	}
	d.tell(emptyDashboard, "this process has linked no user to a group so far; unless others have, your dashboard will stay empty: call "+
		"klime.Link where users sign in (if your customers are single people, set Config.Mode to UserMode)",
		slog.Int64("events", d.unshown.Load()))
}

// shortHash stands for an ID in the log: the first digits of its SHA-256.
func shortHash(id string) slog.Attr {
	sum := sha256.Sum256([]byte(id))
	return slog.String("hash", hex.EncodeToString(sum[:4]))
}
