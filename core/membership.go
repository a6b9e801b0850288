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

// add notes that the user was linked to groups. If they are but one, it becomes the active one;
// otherwise none is.
func (m *membership) add(groups []Group, ids *interner) {
	if len(groups) == 0 {
		return
	}
	former := m.active
	isOther := func(g Group) bool { return g.ID != groups[0].ID }
	switch {
	case slices.ContainsFunc(groups, isOther):
		m.active = ""
	case groups[0].ID == former:
		return
	default:
		m.active, groups = ids.keep(groups[0].ID), nil
	}
	isNew := func(g Group) bool { return !m.lists(g.ID) }
	if (former == "" || m.lists(former)) && !slices.ContainsFunc(groups, isNew) {
		return
	}
	list := make([]string, len(m.groups), len(m.groups)+len(groups))
	copy(list, m.groups)
	for i := range groups {
		list = append(list, ids.keep(groups[i].ID))
	}
	if former != "" {
		list = append(list, former)
	}
	slices.Sort(list) // not a look for each: there may be thousands
	m.groups = slices.Compact(list)
}

// has reports whether the user was linked to a group.
func (m *membership) has(group string) bool { return m.active == group || m.lists(group) }

func (m *membership) lists(group string) bool {
	_, found := slices.BinarySearch(m.groups, group)
	return found
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
