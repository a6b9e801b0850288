package klime

import "slices"

// membership holds the groups to which a user was linked in one request.
type membership struct {
	user   string // "" if there was no Link
	group  string // the first group
	more   []string
	active int // the group that a Link named last and alone, counted from 1; 0 if none, or after a Link with several
}

// begin notes that there was a Link of a user.
func (m *membership) begin(user string) {
	if m.user != user {
		*m = membership{user: user}
	}
}

// add notes that the user was linked to a group, which becomes the active one.
func (m *membership) add(group string) {
	if m.group == "" || m.group == group {
		m.group, m.active = group, 1
		return
	}
	at := slices.Index(m.more, group)
	if at < 0 {
		at = len(m.more)
		m.more = append(slices.Clip(m.more), group) // clipped, as others may be reading the old slice
	}
	m.active = at + 2
}

// activeGroup returns the active group, "" if there is none.
func (m *membership) activeGroup() string {
	switch m.active {
	case 0:
		return ""
	case 1:
		return m.group
	default:
		return m.more[m.active-2]
	}
}

// membershipCheck is what a membership says about a user and a group.
type membershipCheck uint8

const (
	member    membershipCheck = iota // or there is nothing to check
	notLinked                        // there was no Link of the user
	notMember                        // the user was linked, but not to the group
)

// checkMembership leaves out id's group if membership is required and the user was not
// linked to it. A group without a user is not checked: it is for events of the
// organisation itself.
func (k *knowledge) checkMembership(id *identity) {
	if !k.linkRequired || !id.complete() {
		return
	}
	switch m := &k.members; {
	case m.user != id.user:
		id.group, id.checked = "", notLinked
	case m.group != id.group && !slices.Contains(m.more, id.group):
		id.group, id.checked = "", notMember
	}
}

// countLeftOut counts an event from which RequireMembership has left out the group.
func (c *Client) countLeftOut(checked membershipCheck) {
	if c == nil {
		return
	}
	switch checked {
	case member:
	case notLinked:
		c.notLinked.Add(1)
	case notMember:
		c.notMember.Add(1)
	}
}
