package klime

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/klimeapp/klime-go/internal/pathpattern"
)

// rule is a pattern that an option was given, such as "GET /internal/*", and what it
// says of the requests that match.
type rule struct {
	pathpattern.Pattern

	text    string      // the pattern as the app has written it
	literal string      // the only path that matches; "" if there are several
	name    string      // with NameRoutes, the event's
	ignores outcome     // with IgnoreRoutes, the reason for ignoring the request
	used    atomic.Bool // a request has matched
}

// parseRules parses the patterns of an option. Malformed ones are left out and reported.
func parseRules(option string, texts []string) ([]*rule, error) {
	var rules []*rule
	var errs []error
	for _, text := range texts {
		if r, err := parseRule(text); err != nil {
			errs = append(errs, fmt.Errorf("%w: %s: pattern %q: %w", ErrInvalidOption, option, text, err))
		} else {
			rules = append(rules, r)
		}
	}
	return rules, errors.Join(errs...)
}

// parseRule parses a path, before which there may be a method.
func parseRule(text string) (*rule, error) {
	method, path := "", strings.TrimSpace(text)
	if before, after, ok := strings.Cut(path, " "); ok {
		method, path = before, strings.TrimSpace(after)
	}
	if method != "" && method != knownMethod(method) {
		return nil, errors.New("before the path there is room for one method, in capitals: POST /reports")
	}
	pattern, err := pathpattern.Parse(method, path)
	if err != nil {
		return nil, err
	}
	literal, _ := pattern.Literal()
	return &rule{Pattern: pattern, text: text, literal: literal}, nil
}

// matches reports whether a request matches by its route or, if that is nil, not known or
// ends in *, by its path.
func (r *rule) matches(method string, rt *route, path string) bool {
	switch {
	case rt == nil:
		return r.MatchesPath(method, path)
	case rt.catchAll:
		return r.MatchesPath(method, path) || r.HasSubtree() && r.MatchesRoute(method, rt.text)
	default:
		return r.MatchesRoute(method, rt.text)
	}
}

// firstOf returns the first rule that matches a request, and marks it as used. It returns
// nil if none does.
func firstOf(rules []*rule, method string, rt *route, path string) *rule {
	for _, r := range rules {
		if r.matches(method, rt, path) {
			r.used.Store(true)
			return r
		}
	}
	return nil
}

// distinct returns rules sorted by bySpecificity. Of those whose patterns mean the same,
// it keeps the first.
func distinct(rules []*rule) []*rule {
	known := map[string]bool{}
	var kept []*rule
	for _, r := range rules {
		if shape := r.Shape(); !known[shape] {
			known[shape], kept = true, append(kept, r)
		}
	}
	slices.SortStableFunc(kept, bySpecificity)
	return kept
}

// bySpecificity compares rules so that the most specific one is sorted first.
func bySpecificity(a, b *rule) int { return a.Compare(&b.Pattern) }

// separate takes from each rule the subtree for which there is a rule of its own.
func separate(rules []*rule) {
	for _, r := range rules {
		for _, other := range rules {
			r.LeaveSubtreeTo(&other.Pattern)
		}
	}
}
