package inspector

import (
	"net/url"
	"strconv"
	"strings"
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

// pageNumber counts from 1.
func (q query) pageNumber() int {
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
		return q.pageNumber()
	}
	last := max((total-1)/q.limit()+1, 1)
	return min(q.pageNumber(), last)
}

func (q query) int(name string) int {
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
