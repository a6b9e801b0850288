package demo

import (
	"log/slog"

	klime "github.com/klimeapp/klime-go/core"
)

// Traits returns the traits of a company that are sent to Klime.
func Traits(org Org) klime.Traits {
	return klime.Traits{"name": org.Name, "plan": org.Plan, "industry": org.Industry}
}

// Groups returns companies as groups of Klime.
func Groups(orgs []Org) []klime.Group {
	groups := make([]klime.Group, len(orgs))
	for i, org := range orgs {
		groups[i] = klime.Group{ID: org.ID, Traits: Traits(org)}
	}
	return groups
}

// Warn logs an error of one of the client's methods: no request should fail for it.
// (klime.Track and klime.Link log errors themselves.)
func Warn(err error) {
	if err != nil {
		slog.Warn("not recorded", "error", err)
	}
}
