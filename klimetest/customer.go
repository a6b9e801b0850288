package klimetest

import klime "github.com/klimeapp/klime-go/core"

// Customer is a group as Klime shows it. Klime shows a group only after a group call
// for it.
type Customer struct {
	ID     string        // the group's ID
	Traits klime.Traits  // merged from all calls so far
	Users  []string      // IDs of the users linked to it, sorted
	Events []klime.Event // events that count for it, by timestamp
}

// User is a user whom some event has named, as Klime shows it.
type User struct {
	ID     string       // the user's ID
	Traits klime.Traits // merged from all calls so far
	Groups []string     // IDs of the customers that the user is linked to, sorted
}

// Customers returns what Klime would now show of each customer, sorted by ID. In
// user mode there are none; see Users.
func (b *backend) Customers() []Customer {
	known := b.ingest.Customers()
	customers := make([]Customer, 0, len(known))
	for _, c := range known {
		shown := Customer{ID: c.ID, Traits: c.Traits, Users: c.Users}
		timeline := b.ingest.Timeline(c.ID)
		for i := range timeline {
			shown.Events = append(shown.Events, typed(&timeline[i]))
		}
		customers = append(customers, shown)
	}
	return customers
}

// Users returns what Klime would now know of each user, sorted by ID.
func (b *backend) Users() []User {
	known := b.ingest.Users()
	users := make([]User, 0, len(known))
	for _, u := range known {
		users = append(users, User{ID: u.ID, Traits: u.Traits, Groups: u.Groups})
	}
	return users
}
