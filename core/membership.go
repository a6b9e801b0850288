package klime

import "slices"

// membership holds the groups to which a user was linked in one request: the active one,
// and those of the list.
type membership struct {
	user   string   // "" if there was no Link
	active string   // the group that a Link named last and alone; "" if none, or after a Link with several
	groups []string // sorted, and never changed, as others may be reading it
}

// begin notes that there was a Link of a user.
func (m *membership) begin(user string) {
	if m.user != user {
		*m = membership{user: user}
	}
}

// addActive notes that the user was linked to a group alone, which becomes the active one.
func (m *membership) addActive(group string) {
	if at, known := slices.BinarySearch(m.groups, m.active); m.active != "" && !known {
		m.groups = slices.Concat(m.groups[:at], []string{m.active}, m.groups[at:])
	}
	m.active = group
}

// addSeveral notes that the user was linked to groups, none of which is the active one.
// They must be sorted, and stay as they are.
func (m *membership) addSeveral(groups []string) {
	switch {
	case len(m.groups) == 0:
		m.groups = groups
	case !slices.Equal(m.groups, groups):
		all := slices.Concat(m.groups, groups)
		slices.Sort(all)
		m.groups = slices.Compact(all)
	}
	m.addActive("")
}

// has reports whether the user was linked to a group.
func (m *membership) has(group string) bool {
	if m.active == group {
		return true
	}
	_, found := slices.BinarySearch(m.groups, group)
	return found
}

// knows reports whether groups add nothing to the list of this user.
func (m *membership) knows(user string, groups []Group) bool {
	if m.user != user || len(m.groups) == 0 {
		return false
	}
	return !slices.ContainsFunc(groups, func(g Group) bool {
		_, found := slices.BinarySearch(m.groups, g.ID)
		return !found
	})
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
	if !k.requireMembership || !id.complete() {
		return
	}
	switch m := &k.members; {
	case m.user != id.user:
		id.group, id.checked = "", notLinked
	case !m.has(id.group):
		id.group, id.checked = "", notMember
	}
}

// countLeftOut counts an event from which RequireMembership has left out the group.
func (c *Client) countLeftOut(checked membershipCheck) {
	switch checked {
	case member:
	case notLinked:
		c.notLinked.Add(1)
	case notMember:
		c.notMember.Add(1)
	}
}
