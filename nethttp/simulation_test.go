package nethttp_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"testing"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
	"github.com/klimeapp/klime-go/nethttp"
)

// TestAttributionSimulation has random requests pass one to three middlewares. Before the
// handler, in it and after it the app says at random whose the request is, tracks, skips and
// silences. Each event must have the user and the group that docs/who-is-the-customer.md
// says, in the words of attribution below.
//
// KLIME_SIMULATIONS says how many requests to try. The name of a failed test is its seed.
func TestAttributionSimulation(t *testing.T) {
	t.Parallel()
	requests, err := strconv.Atoi(cmp.Or(os.Getenv("KLIME_SIMULATIONS"), "1000"))
	if err != nil {
		t.Fatal(err)
	}
	for seed := range requests {
		t.Run(strconv.Itoa(seed), func(t *testing.T) {
			t.Parallel()
			newSimulated(rand.New(rand.NewPCG(uint64(seed), 0))).run(t)
		})
	}
}

// simulated is a random request.
type simulated struct {
	*rand.Rand
	attribution

	layers []*layer          // its middlewares, from the outermost
	inside []context.Context // each one's context
	values [2]string         // userId and groupId in the context outside of all
	want   []string          // events
	did    []string          // what the app did
}

// layer is a middleware.
type layer struct {
	user, group string // what its options find now
	asked       bool   // it has such options
	membership  bool   // it requires membership
	ended       bool   // its options are no longer asked
}

// attribution is what the app has said of a request.
type attribution struct {
	user, group     *string // by SetUser, SetGroup and the user of Link; nil if it has not
	signedOut       bool    // the user for whom the group was named has
	linked          string  // the user of the last Link
	active          string  // the group of the last Link with groups, if it had one
	groups          []string
	skipped, silent bool
	status          int
}

func newSimulated(r *rand.Rand) *simulated {
	s := &simulated{Rand: r, values: [2]string{oneOf(r, "u"), oneOf(r, "g")}}
	s.status = []int{200, 201, 302, 400, 401, 403, 404, 500}[r.IntN(8)]
	for range 1 + r.IntN(3) {
		s.layers = append(s.layers, &layer{oneOf(r, "u"), oneOf(r, "g"), r.IntN(2) == 0, r.IntN(6) == 0, false})
	}
	return s
}

// oneOf returns one of three IDs, or none.
func oneOf(r *rand.Rand, prefix string) string {
	if n := r.IntN(4); n > 0 {
		return fmt.Sprint(prefix, n)
	}
	return ""
}

// who is to whom an event belongs. At the end of the request it is known how it was answered.
func (s *simulated) who(atEnd bool) (user, group string) {
	claim := false
	if s.user != nil {
		user = *s.user
	}
	switch {
	case s.group != nil:
		group = *s.group
	case s.user != nil && user == s.linked:
		group = s.active
	}
	find := func(u, g string) {
		if s.user == nil {
			user = cmp.Or(user, u)
		}
		if s.group == nil && group == "" {
			group, claim = g, true
		}
	}
	membership := false
	open := s.layers[:len(s.inside)]
	for _, l := range slices.Backward(open) { // the innermost first
		if l.asked {
			find(l.user, l.group)
		}
	}
	find(s.values[0], s.values[1])
	for _, l := range open {
		membership = membership || l.membership
	}
	turnedAway := atEnd && (s.status == http.StatusUnauthorized || s.status == http.StatusForbidden || s.status == http.StatusNotFound)
	isMember := user == s.linked && slices.Contains(s.groups, group)
	if claim && (user == "" || turnedAway) || membership && user != "" && !isMember {
		group = ""
	}
	return user, group
}

// says notes that the app has named the user, and perhaps groups: then it is a Link.
func (a *attribution) says(user string, groups ...klime.Group) {
	isAmong := a.group != nil && slices.ContainsFunc(groups, func(g klime.Group) bool { return g.ID == *a.group })
	if a.user != nil && *a.user != user && a.group != nil && *a.group != "" && (*a.user != "" || a.signedOut) {
		a.signedOut = user == "" // then it is still the group's
		if !a.signedOut && !isAmong {
			a.group = nil
		}
	}
	a.user = &user
}

// links notes a Link.
func (a *attribution) links(user string, groups []klime.Group) {
	a.says(user, groups...)
	if a.linked != user {
		a.linked, a.active, a.groups = user, "", nil
	}
	for i, g := range groups {
		a.groups = append(a.groups, g.ID)
		if a.active = g.ID; i > 0 {
			a.active = ""
		}
	}
}

// act does random things with any context of the request that the app may have by now.
func (s *simulated) act() {
	for range s.IntN(4) {
		ctx := s.inside[s.IntN(len(s.inside))]
		user, group := oneOf(s.Rand, "u"), oneOf(s.Rand, "g")
		did := ""
		switch s.IntN(12) {
		case 0, 1:
			did = "SetUser " + user
			klime.SetUser(ctx, user)
			s.says(user)
		case 2, 3:
			did = "SetGroup " + group
			klime.SetGroup(ctx, group)
			s.group, s.signedOut = &group, false
		case 4, 5:
			groups := []klime.Group{{ID: "g1"}, {ID: "g2"}, {ID: "g3"}}[s.IntN(3):]
			groups = groups[:s.IntN(len(groups)+1)]
			did = fmt.Sprint("Link ", user, groups)
			klime.Link(ctx, klime.User{ID: user}, groups...)
			if user != "" && !s.silent {
				s.links(user, groups)
			}
		case 6, 7:
			l := s.layers[s.IntN(len(s.layers))]
			if did = fmt.Sprint("session ", user, "/", group); !l.ended {
				l.user, l.group = user, group
			}
		case 8:
			if s.IntN(4) == 0 {
				did = "Skip"
				klime.Skip(ctx)
				s.skipped = true
			}
		case 9:
			if s.IntN(8) == 0 {
				did = "Silence"
				klime.Silence(ctx)
				s.silent = true
			}
		default:
			did = "Track " + strconv.Itoa(len(s.did))
			klime.Track(ctx, did, nil)
			user, group = s.who(false)
			s.expect(did, user, group)
		}
		s.did = append(s.did, did)
	}
}

// expect notes an event.
func (s *simulated) expect(name, user, group string) {
	if user+group != "" && !s.silent {
		s.want = append(s.want, name+" of "+user+"/"+group)
	}
}

// handler returns the handler inside of that many layers.
func (s *simulated) handler(client *klime.Client, depth int) http.Handler {
	if depth == len(s.layers) {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(s.status) })
	}
	l := s.layers[depth]
	opts := []klime.Option{nethttp.Route(func(*http.Request) string { return "/reports" })}
	if l.asked {
		opts = append(opts, nethttp.UserID(func(*http.Request) string { return l.user }), nethttp.GroupID(func(*http.Request) string { return l.group }))
	}
	if l.membership {
		opts = append(opts, klime.RequireMembership())
	}
	next := s.handler(client, depth+1)
	return nethttp.Middleware(client, opts...)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.inside = append(s.inside, r.Context())
		s.act()
		next.ServeHTTP(w, r)
		if depth+1 < len(s.layers) { // the next one has ended, and has judged its claim by itself
			ended := s.layers[depth+1]
			if ended.ended = true; s.status == http.StatusUnauthorized || s.status == http.StatusForbidden || s.status == http.StatusNotFound {
				ended.group = ""
			}
		}
		s.act()
	}))
}

func (s *simulated) run(t *testing.T) {
	t.Helper()
	recorder := klimetest.NewRecorder()
	client, err := klime.New(recorder.Config())
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.WithValue(t.Context(), "userId", s.values[0]) //nolint:revive,staticcheck // the plain keys of web apps
	ctx = context.WithValue(ctx, "groupId", s.values[1])         //nolint:revive,staticcheck // as above
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/reports", nil)
	s.handler(client, 0).ServeHTTP(httptest.NewRecorder(), r)
	user, group := s.who(true)
	if !s.skipped {
		s.expect("API Called", user, group)
	}
	if err := client.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	var got []string
	for _, e := range recorder.Events() {
		if e.Type == klime.TrackEvent {
			got = append(got, e.Event+" of "+e.UserID+"/"+e.GroupID)
		}
	}
	slices.Sort(got)
	slices.Sort(s.want)
	if !slices.Equal(got, s.want) {
		t.Errorf("%q, values %q, status %d", s.did, s.values, s.status)
		for _, l := range s.layers {
			t.Logf("layer %+v", *l)
		}
		t.Errorf("\n got %q\nwant %q", got, s.want)
	}
}
