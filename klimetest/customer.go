package klimetest

import klime "github.com/klimeapp/klime-go/core"

// Customer is a group as Klime shows it: one for which a group call was made.
type Customer struct {
	ID     string        // of the group
	Traits klime.Traits  // merged, as of now
	Users  []string      // linked to it, sorted
	Events []klime.Event // that count for it, by timestamp
}

// User is a user as Klime shows it, whom any event has named.
type User struct {
	ID     string       // of the user
	Traits klime.Traits // merged, as of now
	Groups []string     // the customers that the user is linked to, sorted
}

// Customers returns what Klime would show of each customer by now, sorted by ID.
// In user mode there are none; see Users.
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

// Users returns what Klime would know of each user by now, sorted by ID.
func (b *backend) Users() []User {
	known := b.ingest.Users()
	users := make([]User, 0, len(known))
	for _, u := range known {
		users = append(users, User{ID: u.ID, Traits: u.Traits, Groups: u.Groups})
	}
	return users
}
