// Package accounts stands in for an app's own users and companies. The recipes in the
// other packages share it.
package accounts

import (
	"crypto/subtle"
	"slices"
	"strconv"

	"github.com/google/uuid"

	klime "github.com/klimeapp/klime-go/core"
)

// Password is the password of every user. (A real app stores a hash for each.)
const Password = "correct horse"

// User is a person who signs in.
type User struct {
	ID          int
	Email, Name string
	Staff       bool
	Orgs        []Org // the user's companies, maybe none
}

// Org is a company that pays: a customer.
type Org struct {
	ID   uuid.UUID
	Name string
	Slug string // name of its subdomain; it may change, so it is no ID
}

// Acme is a customer.
func Acme() Org {
	return Org{uuid.MustParse("0199a1c2-0000-7000-8000-00000000ac3e"), "Acme Robotics", "acme"}
}

// Cobalt is a customer.
func Cobalt() Org {
	return Org{uuid.MustParse("0199a1c2-0000-7000-8000-00000000c0ba"), "Cobalt Health", "cobalt"}
}

// Harbor is a customer.
func Harbor() Org {
	return Org{uuid.MustParse("0199a1c2-0000-7000-8000-00000000ba4b"), "Blue Harbor Foods", "blue-harbor"}
}

// Users returns everybody: Jane of Acme, Alex of an agency that works for Acme
// and Cobalt, and Sam of our own staff.
func Users() []User {
	return []User{
		{ID: 1001, Email: "jane@acme.example", Name: "Jane", Orgs: []Org{Acme()}},
		{ID: 1002, Email: "alex@agency.example", Name: "Alex", Orgs: []Org{Acme(), Cobalt()}},
		{ID: 1003, Email: "sam@us.example", Name: "Sam", Staff: true},
	}
}

// SignIn checks a password.
func SignIn(email, password string) (User, bool) {
	right := subtle.ConstantTimeCompare([]byte(password), []byte(Password)) == 1
	return find(func(u User) bool { return right && u.Email == email })
}

// ByEmail returns a user.
func ByEmail(email string) (User, bool) { return find(func(u User) bool { return u.Email == email }) }

// ByID returns a user.
func ByID(id int) (User, bool) { return find(func(u User) bool { return u.ID == id }) }

func find(is func(User) bool) (User, bool) {
	users := Users()
	if i := slices.IndexFunc(users, is); i >= 0 {
		return users[i], true
	}
	return User{}, false
}

// Org returns a company that the user belongs to.
func (u User) Org(id string) (Org, bool) {
	i := slices.IndexFunc(u.Orgs, func(o Org) bool { return o.ID.String() == id })
	if i < 0 {
		return Org{}, false
	}
	return u.Orgs[i], true
}

// StartOrg returns the ID of the company that the user starts in, "" if there is none.
func (u User) StartOrg() string {
	if len(u.Orgs) == 0 {
		return ""
	}
	return u.Orgs[0].ID.String()
}

// Klime returns the user and all of the user's companies, as klime.Link takes them. Both
// are zero for the zero User.
func (u User) Klime() (klime.User, []klime.Group) {
	if u.ID == 0 {
		return klime.User{}, nil
	}
	groups := make([]klime.Group, len(u.Orgs))
	for i, org := range u.Orgs {
		groups[i] = klime.Group{ID: org.ID.String(), Traits: klime.Traits{"name": org.Name}}
	}
	return klime.User{ID: strconv.Itoa(u.ID), Traits: klime.Traits{"email": u.Email, "name": u.Name}}, groups
}

// OrgBySlug returns the ID of the company with this subdomain, "" if there is none.
func OrgBySlug(slug string) string {
	for _, org := range []Org{Acme(), Cobalt(), Harbor()} {
		if org.Slug == slug {
			return org.ID.String()
		}
	}
	return ""
}
