package klime

// identify finds out whose event it is. The first that answers: what the app
// said, the resolvers from the innermost to the outermost, the plain values of
// ctx, those at the end of the request, if it has ended, those of the
// framework's requests, and the request within which it was made.
func (s *Scope) identify(ctx, end valuer) identity {
	if s == nil {
		return identity{}
	}
	root := s.root()
	known := &root.state.knowledge
	for {
		root.mu.Lock()
		said, complete := known.spoken()
		if complete {
			said = known.judge(said)
			root.mu.Unlock()
			return said
		}
		innermost, closed, hasUser := root.innermost, known.closed, known.hasUser
		root.mu.Unlock()

		if !innermost.isWithin(s) { // the request is over, or others go on beside s
			innermost = s
		}
		id := innermost.find(ctx, end, closed > 0)
		if enclosing := s.enclosing(); enclosing != nil && !id.complete() {
			if hasUser {
				id.user = said.user
			}
			fillAround(&id, hasUser, enclosing.identify(enclosing, nil))
		}

		root.mu.Lock()
		if known.closed != closed {
			// A scope has ended meanwhile and may have had no answer. What it knew
			// is kept by now.
			root.mu.Unlock()
			continue
		}
		if known.hasUser {
			id.user = known.said.user
		}
		if known.hasGrp {
			id.group, id.claim = known.said.group, false
		}
		id = known.judge(id.trusted(0))
		root.mu.Unlock()
		return id
	}
}

// find asks for what the app has not said by itself, from the innermost s on. Others
// may have ended within.
func (s *Scope) find(ctx, end valuer, ended bool) (id identity) {
	for open := s; open != nil && !id.complete(); open = open.outer {
		if ended {
			fill(&id, open.left().found)
		}
		fill(&id, open.resolve())
	}
	if id.complete() {
		return id
	}
	ids := s.client().interner()
	fill(&id, identityIn(ctx, ids))
	for open := s; ended && open != nil && !id.complete(); open = open.outer {
		fill(&id, open.left().held)
	}
	if !id.complete() && end != ctx {
		fill(&id, identityIn(end, ids))
	}
	for open := s; open != nil && !id.complete(); open = open.outer {
		fill(&id, open.stored())
	}
	return id
}

// fillAround fills in what id lacks with what is known of the request around. A group
// is not taken from another user, nor for nobody, if the app has said so.
func fillAround(id *identity, hasUser bool, around identity) {
	if around.user != "" && around.user != id.user && (hasUser || id.user != "") {
		around.group = ""
	}
	fill(id, around)
}

// spoken is whose request it is by the app's own word, and whether that leaves
// nothing to ask for. A Link's group is that of its user, and of nobody else who is
// named later.
func (k *knowledge) spoken() (_ identity, complete bool) {
	id := k.said
	if !k.hasGrp && k.hasUser && id.user == k.members.user {
		id.group = k.members.active
	}
	return id, k.hasUser && (k.hasGrp || id.group != "")
}

// resolve asks this scope's resolvers with its own request.
func (s *Scope) resolve() identity {
	native, _, ok, overdrawn := s.request.borrow()
	if overdrawn {
		s.tracker.hints.circularResolver(s.client())
	}
	if !ok {
		return identity{}
	}
	defer s.request.giveBack()
	return s.tracker.resolve(native)
}

// stored reads the values of this scope's own request.
func (s *Scope) stored() identity {
	_, values, ok, _ := s.request.borrow()
	if !ok {
		return identity{}
	}
	defer s.request.giveBack()
	return identityIn(values, s.client().interner())
}

// finish ends the outermost scope and fixes whose request it was. If it is not
// wanted, nobody is asked. It also returns what the app has said of it, and what the
// app has added to the event.
func (s *Scope) finish(x *Exchange, wanted bool) (id, said identity, extra []property) {
	if wanted {
		id = s.identify(s, x.Values).trusted(x.Status)
	}
	s.mu.Lock()
	s.state.closed++
	said, _ = s.state.spoken()
	if wanted {
		s.state.said, s.state.hasUser, s.state.hasGrp = id, true, true
	}
	extra = s.state.properties
	s.state.properties = nil
	s.innermost, s.came = nil, nil
	s.mu.Unlock()
	s.request.end()
	return id, said, extra
}
