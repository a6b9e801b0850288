package e2e

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
)

// TestPictures makes the two pictures of the README, with made-up customers. It saves them
// in the folder KLIME_PICTURES, by default with the artefacts.
func TestPictures(t *testing.T) {
	k := startPages(t)
	company(t, k)
	folder := cmp.Or(os.Getenv("KLIME_PICTURES"), os.Getenv("KLIME_SCREENSHOTS"), "screenshots")
	p := startBrowser(t).newTab(t)
	p.size(1100, 680)
	p.open(k.url + "/customers")
	p.live()
	p.until(`document.querySelectorAll("#list tbody tr").length === 7`)
	p.picture(folder, "customers", 1100, 680)
	p.size(1100, 960)
	p.open(k.url + "/customer?id=org_1001")
	p.live()
	p.has("h1", "Acme Robotics")
	p.has("#figures", "POST /reports")
	p.picture(folder, "customer", 1100, 960)
}

// company sends events of seven customers over the last 30 days. The usage of most of them
// grows. Every run sends the same events, except for the time of day.
func company(t *testing.T, k *localKlime) {
	t.Helper()
	c, ok, ctx := newClient(t, k), must(t), t.Context()
	random := rand.New(rand.NewPCG(7, 30))
	people := strings.Split("Jane Cooper,Raj Patel,Mei Tanaka,Tom Berg,Ada Silva,Alex Moreau,Nia Okafor,Lena Vogt,Omar Haddad,Sara Lind,Ivo Novak,Kim Park,Eva Rossi,Ben Adler", ",")
	routes := []string{"GET /api/orgs/{org}/reports/{id}", "GET /api/orgs/{org}/reports", "POST /reports", "GET /api/orgs/{org}/members", "GET /api/orgs/{org}/reports/{id}/export"}
	user := 0
	for i, org := range []struct {
		name, plan, industry string
		users, seats, events int
		idle                 time.Duration // since the last event
	}{
		{"Acme Robotics", "business", "manufacturing", 4, 58, 391, 3 * time.Minute},
		{"Cobalt Health", "trial", "health care", 2, 12, 244, 19 * time.Minute},
		{"Blue Harbor Foods", "starter", "food", 2, 20, 309, 8 * time.Minute},
		{"Evergreen Media", "starter", "media", 2, 15, 145, 3 * time.Hour},
		{"Delta Freight", "business", "logistics", 2, 34, 121, 46 * time.Minute},
		{"Nordwind Energie GmbH & Co. KG", "enterprise", "energy", 1, 120, 83, 50 * time.Hour},
		{"Fjord Analytics", "trial", "software", 1, 6, 57, 11 * 24 * time.Hour},
	} {
		group := fmt.Sprintf("org_%d", 1001+i)
		first := user
		for range org.users {
			id, name := fmt.Sprintf("usr_%d", 2001+user), people[user]
			mail := strings.ToLower(strings.Fields(name)[0] + "@" + strings.Fields(org.name)[0] + ".example")
			ok(c.Link(ctx, klime.User{ID: id, Traits: klime.Traits{"name": name, "email": mail}},
				klime.Group{ID: group, Traits: klime.Traits{"name": org.name, "plan": org.plan, "industry": org.industry, "seats": org.seats}}))
			user++
		}
		for range org.events {
			ago := org.idle + time.Duration(math.Pow(random.Float64(), 1.8)*float64(29*24*time.Hour-org.idle))
			// The first users of a customer do most.
			who := []klime.EventOption{
				klime.ForUser(fmt.Sprintf("usr_%d", 2001+first+random.IntN(1+random.IntN(org.users)))), klime.InGroup(group), klime.At(time.Now().Add(-ago)),
			}
			method, route, _ := strings.Cut(routes[random.IntN(1+random.IntN(len(routes)))], " ")
			ms := math.Round(math.Exp(2.4+random.NormFloat64()*0.6)*10) / 10
			switch n := random.IntN(100); {
			case n < 40:
				status := []int{200, 404, 500}[max(0, random.IntN(40)-37)]
				ok(c.Track(ctx, "API Called", klime.Properties{"method": method, "route": route, "status": status, "durationMs": ms}, who...))
			case n < 70:
				ok(c.Track(ctx, "Page Viewed", klime.Properties{"method": "GET", "route": "/reports", "status": 200, "durationMs": ms}, who...))
			case n < 80:
				ok(c.Track(ctx, "API Usage Recorded", klime.Properties{
					"method": method, "route": route, "count": 20 + random.IntN(40), "clientErrors": random.IntN(3), "serverErrors": random.IntN(6) / 5,
					"durationMsAvg": ms, "durationMsP50": ms - 1, "durationMsP95": ms * 3, "durationMsMax": ms * 5, "windowSeconds": 60,
				}, who...))
			default:
				ok(c.Track(ctx, []string{"Report Generated", "Report Exported", "User Invited", "Invoice Paid"}[random.IntN(1+random.IntN(4))], nil, who...))
			}
		}
	}
	ok(c.Flush(ctx))
}
