package ingest

import (
	"fmt"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
)

// A kind is forgotten together with its last event.
func TestKindsAreForgotten(t *testing.T) {
	s := New(Options{MaxEvents: 2})
	for i := range 20 {
		r := httptest.NewRequest("POST", "/v1/batch", strings.NewReader(fmt.Sprintf(`{"batch":[{"type":"track","messageId":"%d",
			"timestamp":"2026-11-23T10:00:00Z","event":"Report Generated","userId":"u","properties":{"p%d":1}}]}`, i, i/5)))
		r.Header.Set("Authorization", "Bearer key")
		s.ServeHTTP(httptest.NewRecorder(), r)
	}
	kinds := s.Snapshot().Kinds
	if len(s.log) != 2 || len(kinds) != 1 || kinds[0].Count != 2 || kinds[0].Last != 20 || kinds[0].Name != "Report Generated" {
		t.Errorf("%d events have the kinds %+v", len(s.log), kinds)
	}
}

// An event with very many properties makes no larger kind than others.
func TestKindsAreBounded(t *testing.T) {
	many := make(map[string]any)
	for i := range 5000 {
		many[fmt.Sprintf("p%04d", i)] = 1.0
	}
	many["a"+strings.Repeat("b", 1000)] = 1.0
	many["null"] = nil
	s := kindOf("track", "Report Generated", many)
	if len(s.Fields) != maxFields || s.Fields[0] != (Field{"p0000", "number"}) || s.Fields[maxFields-1].Name != "p0199" || len(s.shape) > 10_000 {
		t.Errorf("%d fields, the first %v; %d bytes", len(s.Fields), s.Fields[0], len(s.shape))
	}
}

// Events that have no properties in common each make a kind, until the limits are
// reached. They leave room for the kinds of other names. Once they are forgotten, their
// room is free again.
func TestKindsOfManyShapesAreBounded(t *testing.T) {
	for _, tt := range []struct {
		test        string
		fields      int // of each event
		names       int // how many names the events have
		kinds, rest int
		sum         int // of fields
	}{
		{"few", 10, 1, 500, 0, 5_000},
		{"of one name", 10, 2, 1_000, 2, maxNameFields * 2},
		{"of many names", 100, 2_000, 500, 2_000, maxKindFields},
		{"as many as they may be", maxFields, 1, maxNameFields / maxFields, 1, maxNameFields},
	} {
		t.Run(tt.test, func(t *testing.T) {
			s, events := New(Options{MaxEvents: 2_500}), 2_500
			if tt.rest == 0 {
				events = tt.kinds
			}
			send := func(i int, name string, fields int) {
				m := make(map[string]any)
				for j := range fields {
					m[fmt.Sprintf("item_%d_%d", i, j)] = "x"
				}
				s.store([]*Record{{
					Event: Event{Type: TypeTrack, MessageID: fmt.Sprint(i), Event: name, UserID: "u"}, kind: kindOf(TypeTrack, name, m),
				}}, nil)
			}
			for i := range events {
				send(i, fmt.Sprint("Item Viewed ", i%tt.names), tt.fields)
			}
			sum, rest, count := 0, 0, 0
			for _, k := range s.Snapshot().Kinds {
				sum += len(k.Fields)
				count += k.Count
				if k.Rest {
					rest++
				}
			}
			if n := len(s.kinds.byKey) - rest; n != tt.kinds || rest != tt.rest || sum != tt.sum || s.kinds.sum != sum || count != events {
				t.Errorf("%d kinds and %d of the rest have %d fields, %d counted, of %d events", n, rest, sum, s.kinds.sum, count)
			}
			for i := range 2_500 {
				send(10_000+i, "Report Generated", 0)
			}
			if len(s.kinds.byKey) != 1 || s.kinds.sum != 0 || len(s.kinds.fields) != 0 {
				t.Errorf("forgotten events left %d kinds, %d fields, %d names", len(s.kinds.byKey)-1, s.kinds.sum, len(s.kinds.fields))
			}
		})
	}
}

// Events share the strings that they have in common: nearly all the memory that they
// take is their JSON.
func TestEventsShareWhatTheyHaveInCommon(t *testing.T) {
	text := strings.Repeat("x", 4000)
	heap := func() int {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	s, before := New(Options{}), heap()
	for i := range 200 {
		r := httptest.NewRequest("POST", "/v1/batch", strings.NewReader(fmt.Sprintf(`{"batch":[{"type":"track","messageId":"%d",
			"timestamp":"2026-11-23T10:00:00Z","event":%q,"userId":%q,"groupId":%q,"context":{"library":{"name":%q}}}]}`, i, text, text, text, text)))
		r.Header.Set("Authorization", "Bearer key")
		s.ServeHTTP(httptest.NewRecorder(), r)
	}
	snap := s.Snapshot()
	if took := heap() - before; len(snap.Records) != 200 || took > snap.Bytes*3/2 {
		t.Errorf("%d events of %d bytes take %d", len(snap.Records), snap.Bytes, took)
	}
	if e := snap.Records[199]; e.Event.Event != text || e.UserID != text || e.GroupID != text || e.Library.Name != text {
		t.Error("the events have changed")
	}
}

// A merge does not copy the traits that are known, unless a snapshot shares them: what a
// snapshot has does not change. The bytes remain those of all traits.
func TestMergeCostsWhatIsMerged(t *testing.T) {
	event := func(traits string) *Event {
		return &Event{Raw: []byte(`{"traits":` + traits + `}`)}
	}
	var f facts
	f.merge(event(`{"name":"Acme","seats":12}`))
	before := f.Traits
	f.merge(event(`{"name":"Acme Inc","plan":"pro"}`))
	if before.Text("plan") != "pro" {
		t.Error("all traits were copied for one")
	}
	given := f.share()
	f.merge(event(`{"name":"A","plan":null}`))
	if given.Text("name") != "Acme Inc" || f.Text("name") != "A" {
		t.Errorf("a snapshot says %q, and it is %q", given.Text("name"), f.Text("name"))
	}
	if f.merge(event(`{}`)) != 0 || f.merge(&Event{Raw: []byte(`{}`)}) != 0 {
		t.Error("nothing has a size")
	}
	sum := 0
	for key, trait := range f.Traits {
		sum += traitBytes + len(key) + len(trait.Value)
	}
	if f.bytes != sum || len(f.Traits) != 3 {
		t.Errorf("%d traits of %d bytes, counted are %d", len(f.Traits), sum, f.bytes)
	}
}
