package ingest

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
)

// A kind is counted, and forgotten with the last event of it.
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

// An event of very many properties takes no more memory than others.
func TestKindsAreBounded(t *testing.T) {
	many := make(map[string]any)
	for i := range 5000 {
		many[fmt.Sprintf("p%04d", i)] = 1.0
	}
	many["a"+strings.Repeat("b", 1000)] = 1.0
	many["null"] = nil
	s := kindOf("track", "Report Generated", many)
	if len(s.Fields) != maxFields || s.Fields[0] != (Field{"p0000", "number"}) || s.Fields[maxFields-1].Name != "p0199" || len(s.key) > 10_000 {
		t.Errorf("%d fields, the first %v; %d bytes", len(s.Fields), s.Fields[0], len(s.key))
	}
}

// Merging one trait leaves the many that are known where they are; what a
// snapshot has, it leaves alone. The bytes are those of all, whatever was merged.
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
