package inspector

import "strconv"

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

// pager holds the links to the pages before and after, and where in the list this one is.
type pager struct {
	From, To, Total int
	Before, Next    string
}

func pagerOf[T any](list List[T], q query, path string) pager {
	page := q.pageOf(list.Total)
	from := (page-1)*q.limit() + 1
	p := pager{From: from, To: from + len(list.Items) - 1, Total: list.Total, Next: list.Next}
	if page > 1 {
		p.Before = q.with(path, "page", strconv.Itoa(page-1))
	}
	return p
}
