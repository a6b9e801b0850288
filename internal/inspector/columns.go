package inspector

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Traits that are shown and searched, and by which tables can be sorted.
const (
	nameKey  = "name"
	emailKey = "email"
	planKey  = "plan"
)

// More columns by which tables can be sorted.
const (
	eventsKey = "events"
	seenKey   = "seen"
)

func isText(column string) bool { return column == nameKey || column == planKey || column == emailKey }

// ascending reports whether to sort a column in ascending order. Unless the query gives an
// order, text is sorted from A, and numbers from the largest.
func (q query) ascending(column string) bool {
	switch q.Get("order") {
	case "asc":
		return true
	case "desc":
		return false
	default:
		return isText(column)
	}
}

// column is the head of a sortable column.
type column struct {
	Title, Link, Sort string
	Number            bool
	Order             string // the value of aria-sort, "" if the table is not sorted by this column
}

// columnsOf returns column heads for pairs of names and titles. The table is sorted by
// events unless the query names another column.
func columnsOf(q query, path string, names ...string) []column {
	sorted := cmp.Or(q.Get("sort"), eventsKey)
	up := q.ascending(sorted)
	heads := make([]column, 0, len(names)/2)
	for i := 0; i+1 < len(names); i += 2 {
		c := column{Sort: names[i], Title: names[i+1], Number: !isText(names[i])}
		order := ""
		if c.Sort == sorted {
			if c.Order, order = "descending", "asc"; up {
				c.Order, order = "ascending", "desc"
			}
		}
		c.Link = q.with(path, "sort", c.Sort, "order", order, "page", "")
		heads = append(heads, c)
	}
	return heads
}

// sortRows sorts rows by a column, by events if there is no such column, and rows that
// are equal in it by ID.
func sortRows[R any](rows []R, columns map[string]func(a, b *R) int, column string, up bool, id func(*R) string) {
	by, ok := columns[column]
	if !ok {
		by = columns[eventsKey]
	}
	slices.SortFunc(rows, func(a, b R) int {
		order := by(&a, &b)
		if !up {
			order = -order
		}
		return cmp.Or(order, strings.Compare(id(&a), id(&b)))
	})
}

func compareNames(aName, aID, bName, bID string) int {
	return strings.Compare(strings.ToLower(cmp.Or(aName, aID)), strings.ToLower(cmp.Or(bName, bID)))
}

// compareTimes puts what never was before all times.
func compareTimes(a, b *time.Time) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	default:
		return a.Compare(*b)
	}
}
