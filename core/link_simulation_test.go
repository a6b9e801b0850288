package klime_test

import (
	"cmp"
	"strconv"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
)

// TestLinkSimulation has users and groups linked at random, with traits that change and that
// users of a group disagree on, by a client that loses events in many ways. Once all is well,
// it is enough to call a link once more: Klime then knows it, and it is not sent again.
func TestLinkSimulation(t *testing.T) {
	t.Parallel()
	simulate(t, 150, func(t *testing.T, d *dice) {
		known := knownLinks{traits: map[string]lastTraits{}, members: map[fact]bool{}}
		w := &linkWorld{service: &service{dice: d, take: known.take}, plans: map[fact]string{}}
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
		time.Sleep(15 * time.Minute) // no link is paused, no sending halted
		if err := client.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}

		for l, plan := range w.plans {
			if sent := w.linkAgain(t, client, l); sent > 1 {
				t.Errorf("%d events for the link %v", sent, l)
			}
			if l.group != "" && !known.members[l] {
				t.Errorf("%v is not known", l)
			}
			if got := known.traits[cmp.Or(l.group, l.user)].plan; plan != "" && got != plan {
				t.Errorf("the plan of %v is known as %q, want %q", l, got, plan)
			}
			if sent := w.linkAgain(t, client, l); sent > 0 {
				t.Errorf("%d events for the link %v, which is known", sent, l)
			}
			time.Sleep(11 * time.Minute) // no group stays disputed
		}
		shutDown(t, client)
	})
}

// fact is a membership, or with an empty group, who a user is.
type fact struct{ user, group string }

// linkWorld knows what was linked.
type linkWorld struct {
	*service

	plans map[fact]string // of the user or group, as of the link's last call with traits; "" if there was none
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
		u.Traits = w.traits(fact{user: u.ID})
		var groups []klime.Group
		first, count := w.below(3), w.below(3)
		for i := range count {
			g := klime.Group{ID: "g" + strconv.Itoa((first+i)%3)}
			g.Traits = w.traits(fact{u.ID, g.ID})
			groups = append(groups, g)
		}
		_ = c.Link(t.Context(), u, groups...) // there may be no room
		time.Sleep(w.upTo(4 * time.Second))   // two events of one moment would arrive in any order
	}
}

// traits are those of a user or group in a call, often none or others than before.
func (w *linkWorld) traits(l fact) klime.Traits {
	plan := ""
	if !w.once(5) {
		plan = pick(w.dice, "free", "trial", "pro")
	}
	w.plans[l] = cmp.Or(plan, w.plans[l])
	return planned(plan)
}

// planned are traits with a plan, none if it is empty.
func planned(plan string) klime.Traits {
	if plan == "" {
		return nil
	}
	return klime.Traits{"plan": plan}
}

// linkAgain calls a link once more, and returns how many events that was.
func (w *linkWorld) linkAgain(t *testing.T, c *klime.Client, l fact) (sent uint64) {
	before := c.Stats().Accepted
	u, groups := klime.User{ID: l.user, Traits: planned(w.plans[l])}, []klime.Group(nil)
	if l.group != "" {
		u.Traits, groups = nil, []klime.Group{{ID: l.group, Traits: planned(w.plans[l])}}
	}
	if err := c.Link(t.Context(), u, groups...); err != nil {
		t.Error(err)
	}
	if err := c.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	return c.Stats().Accepted - before
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
