package klime_test

import (
	"context"
	"strings"
	"testing"

	klime "github.com/klimeapp/klime-go/core"
)

// With RequireMembership an event has the request's group only if its user was
// linked to that in the same request.
func TestRequireMembership(t *testing.T) {
	t.Parallel()
	claims := func(user, group string) []klime.Option {
		return []klime.Option{asUser(user), klime.ResolveGroup(answerWith(group))}
	}
	tests := []struct {
		name                 string
		opts                 []klime.Option
		do                   []func(context.Context)
		want                 string
		notLinked, notMember uint64
	}{
		{"linked to the claimed group", claims("u1", "g1"), []func(context.Context){link("u1", "g1")}, "u1/g1", 0, 0},
		{"one of several", claims("u1", "g3"), []func(context.Context){link("u1", "g1", "g2", "g3")}, "u1/g3", 0, 0},
		{"linked one after the other", claims("u1", "g1"), []func(context.Context){link("u1", "g1"), link("u1", "g2"), setGroup("g1")}, "u1/g1", 0, 0},
		{"several, then others", claims("u1", "g3"), []func(context.Context){link("u1", "g4", "g3"), link("u1", "g1", "g4", "g2")}, "u1/g3", 0, 0},
		{"one, then several others", claims("u1", "g2"), []func(context.Context){link("u1", "g2"), link("u1", "g3", "g1")}, "u1/g2", 0, 0},
		{"several, then one of them, then another", claims("u1", ""), []func(context.Context){link("u1", "g2", "g1"), link("u1", "g2"), link("u1", "g3"), setGroup("g1")}, "u1/g1", 0, 0},
		{"none of several", claims("u1", "g4"), []func(context.Context){link("u1", "g1", "g2", "g3")}, "u1/", 0, 1},
		{"no Link", claims("u1", "g1"), nil, "u1/", 1, 0},
		{"a Link without groups", claims("u1", "g1"), []func(context.Context){link("u1")}, "u1/", 0, 1},
		{"another user's Link", claims("u1", "g1"), []func(context.Context){link("u2", "g1"), setUser("u1")}, "u1/", 1, 0},
		{"a Link like another user's, of fewer groups", nil, []func(context.Context){link("u1", "g1", "g2", "g3"), link("u2", "g1", "g2"), setGroup("g3")}, "u2/", 0, 1},
		{"then the user's own", claims("u1", "g1"), []func(context.Context){link("u2", "g1"), link("u1", "g2")}, "u1/g2", 0, 0},
		{"the app's word", nil, []func(context.Context){link("u1", "g1"), setGroup("g2")}, "u1/", 0, 1},
		{"no group", claims("u1", ""), nil, "u1/", 0, 0},
		{"an organisation's own", nil, []func(context.Context){setGroup("g1")}, "/g1", 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client, wire := newClient(t)
			tracker := klime.NewTracker(client, append(tt.opts, klime.RequireMembership())...)
			traffic{tracker: tracker}.serve(func(ctx context.Context) {
				for _, do := range tt.do {
					do(ctx)
				}
				scope := klime.ScopeFrom(ctx)
				if got := scope.UserID() + "/" + scope.GroupID(); got != tt.want {
					t.Errorf("in the handler it is %s, want %s", got, tt.want)
				}
				klime.Track(ctx, "Done", nil)
				klime.Track(ctx, "Done", nil, klime.InGroup("g9")) // the app's word for one event
			})
			var got []string
			for _, e := range wire.events(t, client) {
				if e["type"] == "track" {
					got = append(got, who(e))
				}
			}
			user, _, _ := strings.Cut(tt.want, "/")
			if len(got) != 3 || got[0] != tt.want || got[1] != user+"/g9" || got[2] != tt.want {
				t.Errorf("events of %q, want %s twice", got, tt.want)
			}
			if s := client.Stats(); s.NotLinked != 2*tt.notLinked || s.NotMember != 2*tt.notMember {
				t.Errorf("NotLinked %d, NotMember %d", s.NotLinked, s.NotMember)
			}
		})
	}
}

// A middleware further in may require it for the whole request.
func TestRequireMembershipFurtherIn(t *testing.T) {
	t.Parallel()
	client, wire := newClient(t)
	outer := klime.NewTracker(client, asUser("u1"), klime.ResolveGroup(answerWith("g1")))
	inner := klime.NewTracker(client, klime.RequireMembership())
	traffic{tracker: outer}.serve(func(ctx context.Context) {
		traffic{tracker: inner, ctx: ctx}.serve(nil)
	})
	if got := who(wire.one(t, client)); got != "u1/" {
		t.Errorf("event of %s", got)
	}
}

// In user mode there is no group to leave out.
func TestRequireMembershipInUserMode(t *testing.T) {
	t.Parallel()
	var log *syncBuffer
	client, wire := newClient(t, userMode, func(cfg *klime.Config) { log = logTo(cfg) })
	tracker := klime.NewTracker(client, asUser("u1"), klime.ResolveGroup(answerWith("g1")), klime.RequireMembership())
	for _, do := range []func(context.Context){link("u1", "g1"), func(context.Context) {}, setGroup("g1")} {
		traffic{tracker: tracker}.serve(func(ctx context.Context) {
			do(ctx)
			klime.Track(ctx, "Done", nil)
		})
	}
	if n := len(wire.events(t, client)); n != 6 {
		t.Errorf("%d events, want 6", n)
	}
	if s := client.Stats(); s.NotLinked != 0 || s.NotMember != 0 || log.String() != "" {
		t.Errorf("NotLinked %d, NotMember %d, log %s", s.NotLinked, s.NotMember, log)
	}
}

func setUser(id string) func(context.Context) {
	return func(ctx context.Context) { klime.SetUser(ctx, id) }
}
func setGroup(id string) func(context.Context) {
	return func(ctx context.Context) { klime.SetGroup(ctx, id) }
}

func link(user string, groups ...string) func(context.Context) {
	return func(ctx context.Context) {
		var list []klime.Group
		for _, id := range groups {
			list = append(list, klime.Group{ID: id})
		}
		klime.Link(ctx, klime.User{ID: user}, list...)
	}
}
