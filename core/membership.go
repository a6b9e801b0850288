package klime

import "slices"

// membership is which groups a user was linked to in one request.
type membership struct {
	user   string // "" while there was no Link
	group  string // the first of them
	more   []string
	active string // the one of the last Link that named just one, unless one with several followed
}

// add notes a Link; the empty group stands for a user without any.
func (m *membership) add(user, group string) {
	if m.user != user {
		m.user, m.group, m.more, m.active = user, "", nil, ""
	}
	switch {
	case group == "" || m.group == group || slices.Contains(m.more, group):
	case m.group == "":
		m.group = group
	default:
		m.more = append(slices.Clip(m.more), group) // others may be reading the old one
	}
}

// verdict is what membership says of a user and a group.
type verdict uint8

const (
	member    verdict = iota // or nothing to judge
	notLinked                // there was no Link of that user
	notMember                // the group is not among the linked
)

// judge returns id without its group if its user was not linked to that, where
// that is required. A group without a user is an organisation's own event, and
// nobody's membership.
func (k *knowledge) judge(id identity) identity {
	if !k.linkRequired || id.user == "" || id.group == "" {
		return id
	}
	switch m := &k.members; {
	case m.user != id.user:
		id.group, id.verdict = "", notLinked
	case m.group != id.group && !slices.Contains(m.more, id.group):
		id.group, id.verdict = "", notMember
	}
	return id
}

// countVerdict counts an event that goes without the request's group.
func (c *Client) countVerdict(v verdict) {
	if c == nil {
		return
	}
	switch v {
	case member:
	case notLinked:
		c.notLinked.Add(1)
	case notMember:
		c.notMember.Add(1)
	}
}
