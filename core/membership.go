package klime

import "slices"

// membership holds the groups to which a user was linked in one request.
type membership struct {
	user   string // "" if there was no Link
	group  string // the first group
	more   []string
	active string // the group of the last Link that named only one; "" after a Link with several
}

// add notes that a user was linked to a group, or to none if the group is empty.
func (m *membership) add(user, group string) {
	if m.user != user {
		m.user, m.group, m.more, m.active = user, "", nil, ""
	}
	switch {
	case group == "" || m.group == group || slices.Contains(m.more, group):
	case m.group == "":
		m.group = group
	default:
		m.more = append(slices.Clip(m.more), group) // clipped, as others may be reading the old slice
	}
}

// verdict is what membership says about a user and a group.
type verdict uint8

const (
	member    verdict = iota // or there is nothing to judge
	notLinked                // there was no Link of the user
	notMember                // the user was linked, but not to the group
)

// judge leaves out id's group if membership is required and the user was not linked to
// it. A group without a user is not judged: it is for events of the organisation itself.
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

// countVerdict counts an event from which RequireMembership has left out the group.
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
