package ingest

// What users, groups, links and traits take in memory, roughly, in addition to their
// text.
const (
	nodeBytes  = 400
	linkBytes  = 150
	traitBytes = 100
)

func (u *user) bytes() int  { return nodeBytes + len(u.id) + len(u.groups)*linkBytes + u.traits.bytes }
func (g *group) bytes() int { return nodeBytes + len(g.id) + g.traits.bytes }

func (s *Server) forgetUser(u *user) {
	s.counts.ForgottenUsers++
	s.factBytes -= u.bytes()
	for _, g := range u.groups {
		delete(g.users, u.id)
		g.left.add(u.ungrouped.count, u.ungrouped.last)
	}
}

func (s *Server) forgetGroup(g *group) {
	s.counts.ForgottenGroups++
	s.factBytes -= g.bytes()
	for _, u := range g.users {
		delete(u.groups, g.id)
		s.factBytes -= linkBytes
	}
}

// makeRoom forgets the users or the groups that were named least recently, whichever
// there are more of, until what is known about all of them fits into MaxBytes. The
// bound on their number is not enough, as it does not bound what is known about each.
// A single user or group that does not fit is forgotten too.
func (s *Server) makeRoom() {
	for s.factBytes > s.opts.MaxBytes {
		if s.users.order.Len() >= s.groups.order.Len() {
			s.users.forgetOldest()
		} else {
			s.groups.forgetOldest()
		}
	}
}
