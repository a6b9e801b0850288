package inspector

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/klimeapp/klime-go/internal/ingest"
)

// query holds the parameters of a page or an API call. A malformed parameter counts as
// absent. The API has refused those before: see [rules].
type query struct {
	url.Values

	ofPage bool // it is of a page, not of the API
}

// searchKey is the parameter for the text to search for. A handle never stands for it, as
// it is not an ID.
const searchKey = "q"

// maxLinkedSearch is how many bytes of that text the links of a page hold at most: every
// row has links.
const maxLinkedSearch = 2000

// maxHandle is the length in bytes beyond which links hold a hash of a text.
const maxHandle = 300

// handle stands for an ID or a name in links and forms. It is the text itself, or, as a
// page full of long ones could not be loaded, the hash of a long text.
func handle(s string) string {
	if len(s) <= maxHandle {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + hex.EncodeToString(sum[:])
}

// matchesHandle reports whether a link or a script asks for s, by itself or by its hash.
func matchesHandle(s, asked string) bool {
	return s == asked || len(s) > maxHandle && handle(s) == asked
}

// accountOf returns the account that was asked for, nil if there is none.
func accountOf(all map[string]*account, asked string) *account {
	if a := all[asked]; a != nil || !strings.HasPrefix(asked, "sha256-") {
		return a
	}
	for id, a := range all {
		if matchesHandle(id, asked) {
			return a
		}
	}
	return nil
}

// short returns q for use in pages, with handles in place of long values. The text to
// search for stays whole: only links cut it.
func (q query) short() query {
	values := make(url.Values, len(q.Values))
	for name, all := range q.Values {
		switch {
		case len(all) == 0 || len(name) > maxHandle:
		case name == searchKey:
			values[name] = all[:1]
		default:
			values[name] = []string{handle(all[0])}
		}
	}
	return query{values, true}
}

// showKey is the parameter that asks for only some items of a list, such as repeated
// events.
const showKey = "show"

const (
	defaultLimit = 50
	maxLimit     = 500
	maxPage      = 1_000_000
)

func (q query) limit() int {
	n, err := strconv.Atoi(q.Get("limit"))
	if err != nil || n < 1 {
		return defaultLimit
	}
	return min(n, maxLimit)
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

// page counts from 1.
func (q query) page() int {
	n, err := strconv.Atoi(q.Get("page"))
	if err != nil {
		return 1
	}
	return min(max(n, 1), maxPage)
}

// pageOf is the number of the page that is shown of a list with total items. On web
// pages, a number past the end means the last page, as a list may have become shorter
// since the link was made. The API returns no items past the end, or a script might go
// on for ever.
func (q query) pageOf(total int) int {
	if !q.ofPage {
		return q.page()
	}
	last := max((total-1)/q.limit()+1, 1)
	return min(q.page(), last)
}

func (q query) number(name string) int {
	n, err := strconv.Atoi(q.Get(name))
	if err != nil {
		return 0
	}
	return max(n, 0)
}

// with returns a link to path with the parameters of q, changed by pairs of names and
// values. Empty values are left out.
func (q query) with(path string, pairs ...string) string {
	values := make(url.Values, len(q.Values))
	for name, value := range q.Values {
		if len(value) > 0 && value[0] != "" {
			values[name] = value[:1]
		}
	}
	if text := values.Get(searchKey); q.ofPage && len(text) > maxLinkedSearch {
		values.Set(searchKey, strings.ToValidUTF8(text[:maxLinkedSearch], ""))
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		values.Del(pairs[i])
		if pairs[i+1] != "" {
			values.Set(pairs[i], pairs[i+1])
		}
	}
	if len(values) == 0 {
		return path
	}
	return path + "?" + values.Encode()
}

// List is a part of something longer.
type List[T any] struct {
	Items []T    `json:"items"`
	Total int    `json:"total"`          // items in all parts
	Next  string `json:"next,omitempty"` // path of the next part
}

// paged cuts out the page that was asked for.
func paged[T any](all []T, q query, path string) List[T] {
	limit, page := q.limit(), q.pageOf(len(all))
	start := min((page-1)*limit, len(all))
	end := min(start+limit, len(all))
	list := List[T]{Items: all[start:end], Total: len(all)}
	if end < len(all) {
		list.Next = q.with(path, "page", strconv.Itoa(page+1))
	}
	return list
}

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

// events returns the events that were asked for, the last to arrive first, and only those
// that arrived before the event "before": new arrivals do not move the parts of the list.
func (f *figures) events(q query, path string) List[*ingest.Record] {
	wanted, before, limit := q.filter(), q.number("before"), q.limit()
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
// first.
func (a *account) timeline(q query, path string) List[*ingest.Record] {
	wanted := q.filter()
	var records []*ingest.Record
	for r := range a.records() {
		if wanted(r) {
			records = append(records, r)
		}
	}
	slices.SortFunc(records, func(a, b *ingest.Record) int {
		return cmp.Or(b.Timestamp.Compare(a.Timestamp), cmp.Compare(b.Seq, a.Seq))
	})
	list := List[*ingest.Record]{Total: len(records)}
	if before := q.number("before"); before > 0 {
		// The last event shown may be forgotten by now, so the link has its time too.
		micros, _ := strconv.ParseInt(q.Get("at"), 10, 64) // negative before 1970
		at := time.UnixMicro(micros).UTC()
		i := slices.IndexFunc(records, func(r *ingest.Record) bool {
			t := r.Timestamp.Truncate(time.Microsecond)
			return t.Before(at) || t.Equal(at) && r.Seq < before
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

// Problem is an event that was rejected, or a batch that was refused as a whole.
type Problem struct {
	Seq     int       `json:"seq"`
	At      time.Time `json:"receivedAt"`
	Status  int       `json:"status,omitempty"` // the answer to a refused batch
	Code    string    `json:"code"`
	Message string    `json:"message"`
	Index   int       `json:"index"` // of an event in its batch
	Sender  string    `json:"userAgent,omitempty"`
	Text    string    `json:"text,omitempty"` // as it was sent
	Cut     bool      `json:"cut,omitempty"`  // text is only the beginning
}

func (f *figures) problems(q query, path string) List[Problem] {
	code := q.Get("code")
	all := []Problem{}
	for _, p := range slices.Backward(f.snap.Problems) {
		if code == "" || p.Code == code {
			all = append(all, Problem{p.Seq, p.At, p.Status, p.Code, p.Message, p.Index, p.Sender, string(p.Raw), p.Cut})
		}
	}
	return paged(all, q, path)
}
