package inspector

import (
	"cmp"
	"slices"
	"time"
)

// Health is what seems to be wrong with the instrumentation.
type Health struct {
	Findings  []Finding `json:"findings"` // the most severe first
	Libraries []Library `json:"libraries"`
}

// Finding is one kind of mistake.
type Finding struct {
	Kind     string    `json:"kind"`
	Severity string    `json:"severity"` // error: data is lost; warning: figures will be wrong; hint
	Title    string    `json:"title"`
	Advice   string    `json:"advice"`
	Count    int       `json:"count"`    // of all instances
	Examples []Example `json:"examples"` // the first maxExamples
}

// Example is one instance of a mistake.
type Example struct {
	What   string `json:"what"`
	Detail string `json:"detail,omitempty"`
	Link   string `json:"link,omitempty"` // a page about it
}

// The severities of findings.
const (
	severityError   = "error"
	severityWarning = "warning"
	severityHint    = "hint"
)

const (
	maxExamples = 10
	maxSkew     = 5 * time.Minute // between clocks, until it counts as wrong
	manyNames   = 100             // names of events: more look as if they are built from data
	manyFields  = 150             // names of one event's properties: more look the same
)

// faults is the number of findings, without hints.
func (f *figures) faults() (n int) {
	for _, x := range f.health().Findings {
		if x.Severity != severityHint {
			n++
		}
	}
	return n
}

// examine looks for mistakes in all that is remembered.
func (f *figures) examine() Health {
	h := Health{Findings: []Finding{}, Libraries: f.libraries()}
	all := f.fields()
	ofMode := []func() Finding{f.groupIDs, f.usersAlone, f.groupsUncalled, f.customersUnnamed}
	if f.mode == UserMode {
		ofMode = []func() Finding{f.groupCalls}
	}
	for _, find := range slices.Concat([]func() Finding{f.rejected, f.refused, f.userIDs}, ofMode, []func() Finding{
		f.usersUnnamed, f.deferred, f.coarseRoutes, f.badNames, f.tooManyNames, all.tooMany, all.conflicts, f.clocks, f.unsetTimes,
	}) {
		if finding := find(); finding.Count > 0 {
			if finding.Examples == nil {
				finding.Examples = []Example{}
			}
			h.Findings = append(h.Findings, finding)
		}
	}
	rank := map[string]int{severityError: 0, severityWarning: 1, severityHint: 2}
	slices.SortStableFunc(h.Findings, func(a, b Finding) int { return cmp.Compare(rank[a.Severity], rank[b.Severity]) })
	return h
}

// example counts an instance, and adds it to the examples if there is room.
func (x *Finding) example(what, detail, link string) {
	x.Count++
	if len(x.Examples) < maxExamples {
		x.Examples = append(x.Examples, Example{what, detail, link})
	}
}
