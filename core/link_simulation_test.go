package klime_test

import (
	"maps"
	"strconv"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
)

// TestLinkSimulation has users and groups linked at random, with traits that change and that
// users of a group disagree on, by a client that loses events in many ways. Once all is well,
// it is enough to call each link once more: Klime then knows everything, and nothing is sent
// again.
func TestLinkSimulation(t *testing.T) {
	t.Parallel()
	simulate(t, 150, func(t *testing.T, d *dice) {
		known := knownLinks{traits: map[string]lastTraits{}, members: map[fact]bool{}}
		w := &linkWorld{service: &service{dice: d, take: known.take}, plans: map[string]string{}, links: map[fact]bool{}}
		cfg := w.config()
		cfg.LinkTTL = pick(d, time.Hour, 24*time.Hour, 72*time.Hour)
		client, err := klime.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		for range 5 + d.below(60) {
			w.act(t, client)
		}
		w.recover()
		time.Sleep(15 * time.Minute) // no link is paused, no group disputed, no sending halted
		if err := client.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}

		before := client.Stats().Accepted
		w.linkAll(t, client)
		if sent := client.Stats().Accepted - before; int(sent) > len(w.links) {
			t.Errorf("%d events for %d links", sent, len(w.links))
		}
		for l := range w.links {
			if l.group != "" && !known.members[l] {
				t.Errorf("%v is not known", l)
			}
		}
		for id, plan := range w.plans {
			if got := known.traits[id].plan; got != plan {
				t.Errorf("the plan of %s is known as %q, want %q", id, got, plan)
			}
		}
		before = client.Stats().Accepted
		w.linkAll(t, client)
		if sent := client.Stats().Accepted - before; sent > 0 {
			t.Errorf("%d events for links that are known", sent)
		}
		if err := client.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// fact is a membership, or with an empty group, who a user is.
type fact struct{ user, group string }

// linkWorld knows what was linked.
type linkWorld struct {
	*service

	plans map[string]string // of users and groups, as of the last call with traits
	links map[fact]bool
}

// act does one of the things that an app does.
func (w *linkWorld) act(t *testing.T, c *klime.Client) {
	switch w.below(12) {
	case 0, 1:
		w.flushOrTrack(t, c)
	case 2:
		time.Sleep(w.upTo(30 * time.Minute))
	case 3:
		if w.once(10) {
			time.Sleep(w.upTo(30 * time.Hour))
		}
	default:
		u := klime.User{ID: "u" + strconv.Itoa(w.below(4))}
		u.Traits = w.traits(u.ID)
		w.links[fact{user: u.ID}] = true
		var groups []klime.Group
		first, count := w.below(3), w.below(3)
		for i := range count {
			g := klime.Group{ID: "g" + strconv.Itoa((first+i)%3)}
			g.Traits = w.traits(g.ID)
			w.links[fact{u.ID, g.ID}] = true
			groups = append(groups, g)
		}
		_ = c.Link(t.Context(), u, groups...) // there may be no room
		time.Sleep(w.upTo(4 * time.Second))   // two events of one moment would arrive in any order
	}
}

// traits are those of a user or group in a call, often none or others than before.
func (w *linkWorld) traits(id string) klime.Traits {
	if w.once(5) {
		return nil
	}
	w.plans[id] = pick(w.dice, "free", "trial", "pro")
	return klime.Traits{"plan": w.plans[id]}
}

// linkAll calls each link once more, with the traits on which all agree now.
func (w *linkWorld) linkAll(t *testing.T, c *klime.Client) {
	traitsOf := func(id string) klime.Traits {
		if w.plans[id] == "" {
			return nil
		}
		return klime.Traits{"plan": w.plans[id]}
	}
	for l := range maps.Keys(w.links) {
		u, groups := klime.User{ID: l.user, Traits: traitsOf(l.user)}, []klime.Group(nil)
		if l.group != "" {
			u.Traits, groups = nil, []klime.Group{{ID: l.group, Traits: traitsOf(l.group)}}
		}
		if err := c.Link(t.Context(), u, groups...); err != nil {
			t.Error(err)
		}
		if err := c.Flush(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// knownLinks is what a Klime has been told. Of traits, the latest count.
type knownLinks struct {
	traits  map[string]lastTraits
	members map[fact]bool
}

type lastTraits struct{ plan, at string }

func (k *knownLinks) take(e map[string]any) {
	user, _ := e["userId"].(string)
	id, at := user, e["timestamp"].(string)
	switch e["type"] {
	case "track":
		return
	case "group":
		id = e["groupId"].(string)
		k.members[fact{user, id}] = true
	}
	if traits, ok := e["traits"].(map[string]any); ok && at >= k.traits[id].at {
		k.traits[id] = lastTraits{traits["plan"].(string), at}
	}
}
