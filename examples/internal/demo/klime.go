package demo

import (
	"log/slog"

	klime "github.com/klimeapp/klime-go/core"
)

// Traits returns what Klime is told of a company.
func Traits(org Org) klime.Traits {
	return klime.Traits{"name": org.Name, "plan": org.Plan, "industry": org.Industry}
}

// Groups returns companies as Klime knows them.
func Groups(orgs []Org) []klime.Group {
	groups := make([]klime.Group, len(orgs))
	for i, org := range orgs {
		groups[i] = klime.Group{ID: org.ID, Traits: Traits(org)}
	}
	return groups
}

// Warn logs what a method of the client says is wrong with a call. No request
// fails for it. (klime.Track and klime.Link log by themselves.)
func Warn(err error) {
	if err != nil {
		slog.Warn("not recorded", "error", err)
	}
}
