package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klimeapp/klime-go/internal/ingest"
)

func TestRepeats(t *testing.T) {
	s := ingest.New(ingest.Options{})
	link := event("group", "1", "09:00", "groupId", `"acme"`, "userId", `"ann"`)
	opened := event("track", "2", "09:10", "event", `"Opened"`, "userId", `"ann"`)
	post(t, s, link, opened, opened) // the answer says that all three are accepted
	post(t, s, opened)

	if got, want := names(s.Events()), []string{"", "Opened"}; !slices.Equal(got, want) {
		t.Errorf("events %q, want %q", got, want)
	}
	if c, _ := customer(s, "acme"); c.EventCount != 1 {
		t.Errorf("%d events counted, want 1", c.EventCount)
	}
	if got, want := s.Counts(), (ingest.Counts{Batches: 2, Accepted: 2, Repeated: 2}); got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
}

// The messageId of a rejected event does not become known: the event may be corrected
// and sent again.
func TestRefusedIsNotRepeated(t *testing.T) {
	s := ingest.New(ingest.Options{})
	if _, a := send(t, s, batch(event("track", "1", "09:00", "userId", `"ann"`))); a.Failed != 1 {
		t.Fatalf("answer %+v", a)
	}
	post(t, s, event("track", "1", "09:00", "event", `"Opened"`, "userId", `"ann"`))
	if got := len(s.Events()); got != 1 {
		t.Errorf("%d events, want 1", got)
	}
}

func TestCounts(t *testing.T) {
	s := ingest.New(ingest.Options{WriteKey: "key"})
	serve(s, "POST", "/v1/batch", batch(), "Authorization", "Bearer other")
	serve(s, "GET", "/elsewhere", "") // not counted
	send(t, s, `nonsense`)
	send(t, s, batch())
	send(t, s, batch(`7`, event("track", "1", "09:00", "event", `"Opened"`, "userId", `"ann"`)))
	want := ingest.Counts{Batches: 2, Refused: 1, Unauthorized: 1, Accepted: 1, Rejected: 1, Unlinked: 1}
	if got := s.Counts(); got != want {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
}

func TestRetention(t *testing.T) {
	s := ingest.New(ingest.Options{MaxEvents: 3})
	post(t, s,
		event("group", "1", "09:00", "groupId", `"acme"`, "userId", `"ann"`, "traits", `{"name":"Acme"}`),
		event("track", "2", "09:10", "event", `"First"`, "userId", `"ann"`),
		event("track", "3", "09:20", "event", `"Second"`, "groupId", `"acme"`),
		event("track", "4", "09:30", "event", `"Third"`, "userId", `"ann"`),
		event("track", "5", "09:40", "event", `"Fourth"`, "userId", `"ann"`))

	if got, want := names(s.Events()), []string{"Second", "Third", "Fourth"}; !slices.Equal(got, want) {
		t.Errorf("events %q, want %q", got, want)
	}
	if got, want := names(s.Timeline("acme")), []string{"Second", "Third", "Fourth"}; !slices.Equal(got, want) {
		t.Errorf("timeline %q, want %q", got, want)
	}
	// The results of forgotten events stay.
	c, _ := customer(s, "acme")
	if c.EventCount != 4 || c.Traits["name"] != "Acme" || !slices.Equal(c.Users, []string{"ann"}) {
		t.Errorf("customer %+v, want 4 events, a name and ann", c)
	}
	if got, want := s.Counts(), (ingest.Counts{Batches: 1, Accepted: 5, Forgotten: 2, Userless: 1}); got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}

	// A messageId is forgotten together with its event, and not before.
	post(t, s, event("track", "3", "09:20", "event", `"Second"`, "groupId", `"acme"`))
	if got := s.Counts().Repeated; got != 1 {
		t.Errorf("%d repeated, want 1", got)
	}
	post(t, s, event("track", "2", "09:10", "event", `"First"`, "userId", `"ann"`))
	if got := s.Counts().Accepted; got != 6 {
		t.Errorf("%d accepted, want 6", got)
	}

	// The timeline forgets events of the group and of its users alike.
	post(t, s, event("track", "6", "09:50", "event", `"Fifth"`, "userId", `"ann"`))
	if got, want := names(s.Timeline("acme")), []string{"First", "Fourth", "Fifth"}; !slices.Equal(got, want) {
		t.Errorf("timeline %q, want %q", got, want)
	}
}

func TestRetentionByBytes(t *testing.T) {
	first := event("track", "1", "09:00", "event", `"First"`, "userId", `"ann"`)
	other := event("track", "2", "09:10", "event", `"Other"`, "userId", `"ann"`)
	third := event("track", "3", "09:20", "event", `"Third"`, "userId", `"ann"`)
	for _, tt := range []struct {
		bytes int
		want  []string
	}{
		{3 * len(first), []string{"First", "Other", "Third"}},
		{3*len(first) - 1, []string{"Other", "Third"}},
		{2 * len(first), []string{"Other", "Third"}},
		{2*len(first) - 1, []string{"Third"}},
		{1, []string{"Third"}},
	} {
		s := ingest.New(ingest.Options{MaxBytes: tt.bytes})
		post(t, s, first, other, third)
		if got := names(s.Events()); !slices.Equal(got, tt.want) {
			t.Errorf("%d bytes hold %q, want %q", tt.bytes, got, tt.want)
		}
	}
}

func TestRetentionOfUsersAndGroups(t *testing.T) {
	s := ingest.New(ingest.Options{MaxEvents: 2})
	link := func(group, user string) {
		post(t, s, event("group", group+user, "09:00", "groupId", `"`+group+`"`, "userId", `"`+user+`"`))
	}
	link("acme", "ann")
	link("globex", "bob")
	link("acme", "bob")
	link("acme", "cid") // ann was named least recently
	if c, _ := customer(s, "acme"); !slices.Equal(c.Users, []string{"bob", "cid"}) {
		t.Errorf("users of acme: %q, want bob and cid", c.Users)
	}
	link("initech", "cid") // globex was named least recently
	if _, ok := customer(s, "globex"); ok {
		t.Error("globex is remembered")
	}
	for _, u := range s.Users() {
		if slices.Contains(u.Groups, "globex") {
			t.Errorf("%s is linked to globex", u.ID)
		}
	}
	if got := len(s.Users()); got != 2 {
		t.Errorf("%d users, want 2", got)
	}
	if c := s.Counts(); c.ForgottenUsers != 1 || c.ForgottenGroups != 1 {
		t.Errorf("forgotten: %d users, %d groups; want ann and globex", c.ForgottenUsers, c.ForgottenGroups)
	}
}

// What a customer's users have done counts for it also when they are forgotten, once, though
// they are linked again.
func TestCustomerOfForgottenUsers(t *testing.T) {
	s := ingest.New(ingest.Options{MaxEvents: 2})
	n := 0
	send := func(typ, clock, user string, more ...string) {
		n++
		post(t, s, event(typ, fmt.Sprint(n), clock, append(more, "userId", `"`+user+`"`)...))
	}
	link := func(user string) { send("group", "08:00", user, "groupId", `"acme"`) }
	track := func(clock, user string) { send("track", clock, user, "event", `"Done"`) }
	check := func(users, events int, seen string) {
		t.Helper()
		if c, _ := customer(s, "acme"); len(c.Users) != users || c.EventCount != events || !c.LastSeen.Equal(at(seen)) {
			t.Errorf("%d users, %d events, last seen %v; want %d, %d, %s", len(c.Users), c.EventCount, c.LastSeen, users, events, seen)
		}
	}
	link("ann")
	track("09:00", "ann")
	track("09:30", "ann")
	link("bob")
	track("09:10", "bob")
	send("track", "09:20", "bob", "event", `"Done"`, "groupId", `"acme"`)
	check(2, 4, "09:30")
	send("identify", "09:00", "cid")
	check(1, 4, "09:30")
	send("identify", "09:00", "dan")
	check(0, 4, "09:30")
	link("ann")
	check(1, 4, "09:30")
	track("09:40", "ann")
	check(1, 5, "09:40")
	if c := s.Counts(); c.ForgottenUsers != 3 || c.Unlinked != 0 {
		t.Errorf("counts %+v", c)
	}
}

func TestWait(t *testing.T) {
	outside := ingest.New(ingest.Options{}) // a Server may be made outside the bubble
	synctest.Test(t, func(t *testing.T) {
		for _, s := range []*ingest.Server{outside, ingest.New(ingest.Options{})} {
			if err := s.Wait(t.Context(), 0); err != nil {
				t.Fatalf("nothing to wait for, but %v", err)
			}
			done := make(chan error, 1)
			go func() { done <- s.Wait(t.Context(), 2) }()

			opened := event("track", "1", "09:00", "event", `"Opened"`, "userId", `"ann"`)
			post(t, s, opened)
			post(t, s, opened) // a repeat does not count
			synctest.Wait()
			select {
			case err := <-done:
				t.Fatalf("done after one event: %v", err)
			default:
			}

			post(t, s, event("identify", "2", "09:00", "userId", `"ann"`))
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			post(t, s, event("identify", "3", "09:00", "userId", `"ann"`)) // nobody is waiting any more
			// If enough events have already arrived, Wait returns even with an ended context.
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := s.Wait(ctx, 2); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestWaitEndsWithContext(t *testing.T) {
	s := ingest.New(ingest.Options{})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := s.Wait(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want the context's", err)
		}
	})
	// The Server keeps nothing of the bubble.
	post(t, s, event("identify", "1", "09:00", "userId", `"ann"`))
}

func TestConcurrentUse(t *testing.T) {
	const senders, batches, size = 8, 20, 10
	s := ingest.New(ingest.Options{MaxEvents: senders * batches * size / 2})
	var wg sync.WaitGroup
	for sender := range senders {
		wg.Go(func() {
			for n := range batches {
				var events []string
				for i := range size {
					id := fmt.Sprintf("%d-%d-%d", sender, n, i)
					switch i % 3 {
					case 0:
						events = append(events, event("track", id, "09:00", "event", `"Opened"`, "userId", fmt.Sprintf(`"u%d"`, sender)))
					case 1:
						events = append(events, event("group", id, "09:00", "groupId", `"acme"`, "userId", fmt.Sprintf(`"u%d"`, sender), "traits", `{"a":1}`))
					case 2:
						events = append(events, event("track", id, "09:00", "event", `"Billed"`, "groupId", `"acme"`))
					}
				}
				post(t, s, events...)
			}
		})
		wg.Go(func() {
			for range 5 {
				s.Snapshot()
				s.Customers()
				s.Users()
				s.Timeline("acme")
				s.Events()
			}
		})
		wg.Go(func() {
			if err := s.Wait(t.Context(), senders*batches*size); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()

	// Of every ten events, four are of a linked user and three name the group.
	c, _ := customer(s, "acme")
	if got, want := c.EventCount, senders*batches*7; got != want {
		t.Errorf("%d events counted, want %d", got, want)
	}
	if got, want := s.Counts().Forgotten, senders*batches*size/2; got != want {
		t.Errorf("%d events forgotten, want %d", got, want)
	}
}
