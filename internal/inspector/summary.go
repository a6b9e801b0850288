package inspector

// Summary is how much there is of everything.
type Summary struct {
	Mode         Mode `json:"mode"`
	Version      int  `json:"version"` // grows with every change
	Customers    int  `json:"customers"`
	Users        int  `json:"users"`
	Events       int  `json:"events"`    // remembered events
	Bytes        int  `json:"bytes"`     // of their JSON
	MaxEvents    int  `json:"maxEvents"` // the most events that are remembered
	MaxBytes     int  `json:"maxBytes"`  // the most bytes of JSON that are remembered
	Accepted     int  `json:"accepted"`  // events, without repeats
	Repeated     int  `json:"repeated"`  // events that were already known
	Rejected     int  `json:"rejected"`  // events that are not valid
	Forgotten    int  `json:"forgotten"` // events no longer remembered, for lack of room
	LostUsers    int  `json:"forgottenUsers"`
	LostGroups   int  `json:"forgottenGroups"`
	Unlinked     int  `json:"unlinked"`     // track events that no customer shows
	Batches      int  `json:"batches"`      // accepted
	Refused      int  `json:"refused"`      // batches refused for their form or size
	Unauthorized int  `json:"unauthorized"` // batches refused for their write key
	Deferred     int  `json:"deferred"`     // batches answered 429, which SDKs send again
}

func (f *figures) summary() Summary {
	c := f.snap.Counts
	s := Summary{
		Mode: f.mode, Version: f.snap.Version, Customers: len(f.customers), Users: len(f.users), Events: len(f.snap.Records),
		Bytes: f.snap.Bytes, MaxEvents: f.snap.Options.MaxEvents, MaxBytes: f.snap.Options.MaxBytes,
		Accepted: c.Accepted, Repeated: c.Repeated, Rejected: c.Rejected,
		Forgotten: c.Forgotten, LostUsers: c.ForgottenUsers, LostGroups: c.ForgottenGroups, Unlinked: c.Unlinked,
		Batches: c.Batches, Refused: c.Refused, Unauthorized: c.Unauthorized, Deferred: c.Deferred,
	}
	if f.mode == UserMode {
		s.Unlinked = c.Userless // a user is a customer
	}
	return s
}
