package klime

// The plain string keys under which web apps keep the signed-in user and group.
const (
	userKey  = "userId"
	groupKey = "groupId"
)

// identity says whose event it is. An ID that is not known is empty.
type identity struct {
	user, group string
	untrusted   bool            // the group comes from a resolver or context value, and the app does not vouch for it
	orphaned    bool            // the app has declared the group, and has signed out since the user that it had named
	checked     membershipCheck // why RequireMembership has left the group out, if it has
}

// distrust leaves out an untrusted group if no user is known, or if the app has turned
// the request away.
func (id *identity) distrust(turnedAway bool) {
	if id.untrusted && (id.user == "" || turnedAway) {
		id.group = ""
	}
}

// complete reports whether both user and group are known.
func (id *identity) complete() bool { return id.user != "" && id.group != "" }

// fill fills in what id lacks from other.
func (id *identity) fill(other identity) {
	if id.user == "" {
		id.user = other.user
	}
	if id.group == "" {
		id.group, id.untrusted = other.group, other.untrusted
	}
}

// valuer is the part of a context that holds values.
type valuer interface{ Value(key any) any }

// identityIn reads the plain context values.
func identityIn(v valuer, ids *interner) identity {
	if v == nil {
		return identity{}
	}
	user := ask(func(any) answer { return answerOfAny(v.Value(userKey)) }, v, nil)
	group := ask(func(any) answer { return answerOfAny(v.Value(groupKey)) }, v, nil)
	return identity{user: ids.keep(user.known()), group: ids.keep(group.known()), untrusted: true}
}
