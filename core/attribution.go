package klime

// knowledge is the part of a request that says whose request it is.
type knowledge struct {
	declared          identity // what the app has said by SetUser, SetGroup and Link; at the request's end, also what else was found
	members           membership
	hasUser           bool  // declared.user counts even if it is empty
	hasGroup          bool  // declared.group counts even if it is empty
	frozen            bool  // the request is over, and what was found at its end is in declared
	requireMembership bool  // by the option RequireMembership
	ended             int32 // how many of the request's scopes have ended
}

// identify finds out to whom an event belongs. For the user and for the group, the
// first source that has an answer counts:
//
//  1. what the app has declared. When the request ends, what else was found is added to it
//     for good (frozen), and no other source is asked from then on; not so for requests
//     that were silenced or had no route
//  2. the resolvers, from the innermost scope to the outermost; for those that have
//     ended, what they found
//  3. the plain values in ctx; none when the request ends
//  4. from the innermost scope to the outermost, the plain values that ended scopes have
//     left and, unless ctx has shown them, those that lay in the request's context outside
//     the middleware
//  5. the plain values in end, given when the request ends: see identifyAndLock
//  6. the plain values in the framework's requests (see Bind), from the innermost scope
//     to the outermost
//  7. the request within which this one was made
func (s *Scope) identify(ctx valuer) (id identity) {
	if s != nil {
		s.identifyAndLock(&id, ctx, nil)
		r := s.request()
		r.checkMembership(&id)
		r.mu.Unlock()
	}
	return id
}

// identifyAndLock is identify without the check of the membership, and leaves the request
// locked: what it has found stays true until the caller unlocks it. When the request ends,
// ctx is nil, and end is where the framework keeps what handlers have set.
func (s *Scope) identifyAndLock(id *identity, ctx, end valuer) {
	r := s.request()
	for {
		r.mu.Lock()
		declared, complete := r.declaredIdentity()
		if complete {
			*id = declared
			break
		}
		innermost, ended, hasUser := r.innermost, r.ended, r.hasUser
		r.mu.Unlock()

		if !innermost.isWithin(s) { // the request is over, or the innermost scope is in another branch
			innermost = s
		}
		*id = identity{user: declared.user} // need not be found
		innermost.find(id, ctx, end, ended > 0)
		if hasUser {
			id.user = declared.user
		}
		if !id.complete() {
			enclosing := s.enclosing()
			id.fillAround(enclosing.identify(enclosing))
		}

		r.mu.Lock()
		if r.ended == ended {
			r.overrule(id)
			id.distrust(false)
			break
		}
		// A scope has ended meanwhile, and may have been asked too late. Ask again: what it
		// knew is kept by now.
		r.mu.Unlock()
	}
}

// find asks the sources 2 to 6 of identify for what id lacks. s is the innermost scope;
// ended says whether any scope of the request has ended.
func (s *Scope) find(id *identity, ctx, end valuer, ended bool) {
	for open := s; open != nil && !id.complete(); open = open.outer() {
		if ended {
			id.fill(open.findings().resolved)
		}
		id.fill(open.resolve())
	}
	id.fillIn(ctx, s)
	if id.complete() {
		return
	}
	shown := ctx != nil && ctx.Value(scopeKey{}) != nil // not by a *gin.Context
	for open := s; open != nil && !id.complete(); open = open.outer() {
		if ended {
			id.fill(open.findings().stored)
		}
		if !shown {
			id.fillIn(open.parent, s)
		}
	}
	if !id.complete() && end != valuer(s.root) {
		id.fillIn(end, s)
	}
	for open := s; open != nil && !id.complete(); open = open.outer() {
		open.fillStored(id)
	}
}

// fillAround fills in what id lacks from the request around. It does not take the group
// if that request is another user's.
func (id *identity) fillAround(around identity) {
	if around.user != "" && id.user != "" && around.user != id.user {
		around.group = ""
	}
	id.fill(around)
}

// declaredIdentity is whose request it is by the app's own word, and whether that is
// complete, so that no other source need be asked. The group of a Link counts only for
// the user of that Link, and not for one named later.
func (k *knowledge) declaredIdentity() (_ identity, complete bool) {
	id := k.declared
	if m := &k.members; !k.hasGroup && k.hasUser && id.user == m.user && m.active != "" {
		id.group, id.untrusted = m.active, false
	}
	return id, k.frozen || k.hasUser && (k.hasGroup || id.group != "")
}

// overrule lets what the app has declared by now count before what was found. Where it has
// named another user than was found, or none, the group was found for that one.
func (k *knowledge) overrule(found *identity) {
	declared, _ := k.declaredIdentity()
	if k.hasUser {
		if found.user != "" && found.user != declared.user {
			found.group = ""
		}
		found.user = declared.user
	}
	if k.hasGroup || declared.group != "" {
		found.group, found.untrusted = declared.group, declared.untrusted
	}
}

// isUndecided reports whether the app has linked the user to several groups and has not
// said which is the active one.
func (k *knowledge) isUndecided() bool {
	m := &k.members
	return !k.hasGroup && m.active == "" && len(m.groups) > 0 && m.user == k.declared.user
}

// freeze keeps what was found at the end of the request, where the app has declared
// nothing: it may still do so.
func (k *knowledge) freeze(found identity) {
	declared, _ := k.declaredIdentity()
	k.declared.user = found.user // the app's word, if it has named one: see overrule
	if declared.group == "" {
		k.declared.group, k.declared.untrusted = found.group, found.untrusted
	}
	k.frozen = true
}

// declareUser takes the app's word for the user. The group of another one is dropped,
// whether it was found or declared: who signs in over somebody else's session need not
// belong there.
func (k *knowledge) declareUser(id string) {
	d := &k.declared
	if d.group != "" && d.user != id && (d.user != "" || d.orphaned) {
		if id != "" || !k.hasGroup {
			d.group, d.untrusted, k.hasGroup = "", false, false
		}
		d.orphaned = d.group != ""
	}
	d.user, k.hasUser = id, true
}

// declareGroup takes the app's word for the group.
func (k *knowledge) declareGroup(id string) {
	k.declared.group, k.declared.untrusted, k.declared.orphaned, k.hasGroup = id, false, false, true
}

// resolve asks this scope's resolvers with its own request.
func (s *Scope) resolve() identity {
	ok, foundCircular := s.loan.borrow()
	if foundCircular {
		s.tracker.setupHints.circularResolver(s.client())
	}
	if !ok {
		return identity{}
	}
	defer s.loan.giveBack()
	return s.tracker.resolve(s.loan.native)
}

// fillStored fills in what id lacks from the plain values of this scope's own request.
func (s *Scope) fillStored(id *identity) {
	if ok, _ := s.loan.borrow(); !ok {
		return
	}
	defer s.loan.giveBack()
	id.fillIn(s.loan.values, s)
}

// finish ends the outermost scope, and sets what only the scope knows of the decision. If
// wanted, it freezes whose request it was, also for events that are tracked later;
// otherwise no source is asked.
func (s *Scope) finish(dec *decision, x *Exchange, wanted bool) {
	r := s.request()
	if wanted {
		s.identifyAndLock(&dec.id, nil, x.Values)
		s.client().noteSeen(&dec.id)
	} else {
		r.mu.Lock()
	}
	r.ended++
	dec.declared, _ = r.declaredIdentity()
	dec.undecided = r.isUndecided() && !x.turnsAway()
	if wanted {
		found := dec.id
		found.distrust(x.turnsAway())
		r.freeze(found)
		r.checkMembership(&dec.id)
		dec.id.distrust(x.turnsAway())
	}
	dec.fallback, dec.extra, dec.webhook = r.fallback, r.properties, s.webhook
	r.properties = nil
	r.innermost, r.incoming = nil, nil
	r.mu.Unlock()
	s.loan.end()
}
