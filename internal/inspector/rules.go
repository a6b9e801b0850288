package inspector

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// rule says which values a parameter of the query API may have. Pages are lenient, as
// links may be old. A script should be told of its mistakes.
type rule struct {
	must     string // follows the name of the parameter in an error
	ok       func(value string) bool
	required bool
	with     string // another parameter that this one needs
}

func anyText() rule { return rule{ok: func(string) bool { return true }} }

func oneOf(values ...string) rule {
	return rule{
		must: "must be one of " + strings.Join(values, ", "),
		ok:   func(value string) bool { return slices.Contains(values, value) },
	}
}

func integer(from, to int64) rule {
	return rule{
		must: fmt.Sprintf("must be a whole number from %d to %d", from, to),
		ok: func(value string) bool {
			n, err := strconv.ParseInt(value, 10, 64)
			return err == nil && n >= from && n <= to
		},
	}
}

func required(r rule) rule {
	r.required = true
	return r
}

// rules are the rules for the parameters of one path, by name.
type rules map[string]rule

// and returns the rules of both.
func (r rules) and(more rules) rules {
	all := maps.Clone(r)
	maps.Copy(all, more)
	return all
}

// check parses a query, or says what is wrong with it. A parameter without a value
// counts as absent.
func (r rules) check(raw string) (query, string) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return query{}, "the query is malformed: " + err.Error()
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value := values.Get(name)
		is, known := r[name]
		switch {
		case !known && len(r) == 0:
			return query{}, "there are no parameters here"
		case !known:
			return query{}, fmt.Sprintf("there is no parameter %q here, but %s", name, strings.Join(slices.Sorted(maps.Keys(r)), ", "))
		case len(values[name]) > 1:
			return query{}, name + " is there more than once"
		case value != "" && !is.ok(value):
			return query{}, name + " " + is.must
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r)) {
		if r[name].required && values.Get(name) == "" {
			return query{}, name + " is missing"
		}
		if with := r[name].with; with != "" && values.Get(name) != "" && values.Get(with) == "" {
			return query{}, name + " needs " + with + ": take both from next"
		}
	}
	return query{Values: values}, ""
}
