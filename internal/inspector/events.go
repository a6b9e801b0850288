package inspector

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/klimeapp/klime-go/internal/ingest"
)

// Event is an event as it is shown.
type Event struct {
	Seq       int             `json:"seq"` // order of arrival, from 1
	Type      string          `json:"type"`
	Event     string          `json:"event,omitempty"`
	UserID    string          `json:"userId,omitempty"`
	GroupID   string          `json:"groupId,omitempty"`
	MessageID string          `json:"messageId"`
	Timestamp time.Time       `json:"timestamp"`
	Received  time.Time       `json:"receivedAt"`
	Repeats   int             `json:"repeats"` // how often it has arrived again
	Library   string          `json:"library,omitempty"`
	Version   string          `json:"libraryVersion,omitempty"`
	TraceID   string          `json:"traceId,omitempty"`
	JSON      json.RawMessage `json:"json"` // the same value; its exact bytes are at /api/event/json
}

func eventOf(r *ingest.Record) Event {
	return Event{
		Seq: r.Seq, Type: r.Type, Event: r.Event.Event, UserID: r.UserID, GroupID: r.GroupID, MessageID: r.MessageID,
		Timestamp: r.Timestamp, Received: r.ReceivedAt, Repeats: r.Repeats(),
		Library: r.Library.Name, Version: r.Library.Version, TraceID: r.TraceID,
		JSON: bytes.ToValidUTF8(r.Raw, []byte("\ufffd")), // otherwise strict parsers could not read the list
	}
}

func eventsOf(records []*ingest.Record) []Event {
	events := make([]Event, len(records))
	for i, r := range records {
		events[i] = eventOf(r)
	}
	return events
}

// filter returns a function that reports whether an event was asked for.
func (q query) filter() func(*ingest.Record) bool {
	typ, event, user, group, trace := q.Get("type"), q.Get("event"), q.Get("user"), q.Get("group"), q.Get("trace")
	repeated := q.Get(showKey) == "repeated"
	text := strings.ToLower(q.Get(searchKey))
	return func(r *ingest.Record) bool {
		switch {
		case typ != "" && r.Type != typ,
			event != "" && !matchesHandle(r.Event.Event, event),
			user != "" && !matchesHandle(r.UserID, user),
			group != "" && !matchesHandle(r.GroupID, group),
			trace != "" && !matchesHandle(r.TraceID, trace),
			repeated && r.Repeats() == 0:
			return false
		}
		return text == "" || rawContains(r.Raw, text)
	}
}

// rawContains reports whether JSON contains a text, which is in lower case, regardless of
// case. As a search goes through all remembered events, it copies nothing, unless the
// text is not ASCII.
func rawContains(raw []byte, text string) bool {
	if strings.IndexFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0 {
		return bytes.Contains(bytes.ToLower(raw), []byte(text))
	}
	for i := 0; i+len(text) <= len(raw); i++ {
		n := 0
		for n < len(text) && lower(raw[i+n]) == text[n] {
			n++
		}
		if n == len(text) {
			return true
		}
	}
	return false
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// maxListBytes bounds the JSON of the events in one answer, as events may be large.
const maxListBytes = 4 << 20

// fitting returns how many of the records go into one answer.
func (q query) fitting(records []*ingest.Record) int {
	limit, sum := min(q.limit(), len(records)), 0
	for i, r := range records[:limit] {
		if sum += len(r.Raw); sum > maxListBytes && i > 0 {
			return i
		}
	}
	return limit
}

// events returns the events that were asked for, the last to arrive first, and only those
// that arrived before the event "before": new arrivals do not move the parts of the list.
func (f *figures) events(q query, path string) List[*ingest.Record] {
	wanted, before, limit := q.filter(), q.int("before"), q.limit()
	var list List[*ingest.Record]
	var found []*ingest.Record // up to one more than the limit
	for _, r := range slices.Backward(f.snap.Records) {
		if !wanted(r) {
			continue
		}
		list.Total++
		if (before == 0 || r.Seq < before) && len(found) <= limit {
			found = append(found, r)
		}
	}
	n := q.fitting(found)
	list.Items = found[:n]
	if n < len(found) {
		list.Next = q.with(path, "before", strconv.Itoa(found[n-1].Seq))
	}
	return list
}

// timeline returns the events of an account that were asked for, the newest timestamp
// first, to the microsecond: the links say no more.
func (a *account) timeline(q query, path string) List[*ingest.Record] {
	wanted := q.filter()
	var records []*ingest.Record
	for r := range a.records() {
		if wanted(r) {
			records = append(records, r)
		}
	}
	slices.SortFunc(records, func(a, b *ingest.Record) int {
		return cmp.Or(cmp.Compare(b.Timestamp.UnixMicro(), a.Timestamp.UnixMicro()), cmp.Compare(b.Seq, a.Seq))
	})
	list := List[*ingest.Record]{Total: len(records)}
	if before := q.int("before"); before > 0 {
		// The last event shown may be forgotten by now, so the link has its time too.
		at, _ := strconv.ParseInt(q.Get("at"), 10, 64) // negative before 1970
		i := slices.IndexFunc(records, func(r *ingest.Record) bool {
			t := r.Timestamp.UnixMicro()
			return t < at || t == at && r.Seq < before
		})
		if i < 0 {
			i = len(records)
		}
		records = records[i:]
	}
	n := q.fitting(records)
	list.Items = records[:n]
	if n < len(records) {
		last := records[n-1]
		list.Next = q.with(path, "before", strconv.Itoa(last.Seq), "at", strconv.FormatInt(last.Timestamp.UnixMicro(), 10))
	}
	return list
}

// event returns the event with this Seq, nil if it is not remembered.
func (f *figures) event(seq int) *ingest.Record {
	i, ok := slices.BinarySearchFunc(f.snap.Records, seq, func(r *ingest.Record, seq int) int { return cmp.Compare(r.Seq, seq) })
	if !ok {
		return nil
	}
	return f.snap.Records[i]
}
