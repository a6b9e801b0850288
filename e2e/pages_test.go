package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/internal/ingest"
	"github.com/klimeapp/klime-go/internal/inspector"
)

// startPages starts a local Klime with its pages.
func startPages(t *testing.T) *localKlime {
	t.Helper()
	return startPagesWith(t, inspector.Options{})
}

// startPagesWith is startPages with options, and with middlewares in front.
func startPagesWith(t *testing.T, opts inspector.Options, front ...func(http.Handler) http.Handler) *localKlime {
	t.Helper()
	k := &localKlime{Server: ingest.New(ingest.Options{WriteKey: writeKey})}
	pages := inspector.New(k.Server, opts)
	var handler http.Handler = pages
	for _, wrap := range front {
		handler = wrap(handler)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	t.Cleanup(pages.Close)
	k.url = server.URL
	return k
}

// ask decodes an answer of the query API.
func ask(t *testing.T, k *localKlime, path string, into any) {
	t.Helper()
	resp, err := http.Get(k.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: status %d, %v", path, resp.StatusCode, err)
	}
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// live waits until the page is connected.
func (p *tab) live() {
	p.t.Helper()
	p.until(`document.querySelector("#live")?.dataset.state === "live"`)
}

// mark marks the loaded page. The test fails in stays if it was loaded again since.
func (p *tab) mark() { p.t.Helper(); p.eval(`void (window.mark = true)`, nil) }

func (p *tab) stays() {
	p.t.Helper()
	if p.str(`String(window.mark)`) != "true" {
		p.t.Error("the page was loaded again")
	}
}

// has waits until the element shows the text.
func (p *tab) has(selector, text string) {
	p.t.Helper()
	p.until(`document.querySelector(` + quote(selector) + `)?.innerText.includes(` + quote(text) + `)`)
}

// focused is the text of the element that has the focus.
func (p *tab) focused() string { p.t.Helper(); return p.str(`document.activeElement.innerText ?? ""`) }

// history sends events of three customers over the last weeks, enough to see every part of
// every page.
func history(t *testing.T, k *localKlime) {
	t.Helper()
	c, ok, ctx := newClient(t, k), must(t), t.Context()
	now := time.Now()
	people := []struct{ id, name, org string }{
		{"usr_2001", "Jane Cooper", "org_1001"}, {"usr_2002", "Raj Patel", "org_1001"}, {"usr_2003", "Mei Tanaka", "org_1002"},
		{"usr_2004", "Tom Berg", "org_1002"}, {"usr_2005", "Ada Silva", "org_1003"}, {"usr_2006", "Alex Moreau", "org_1001"},
	}
	orgs := map[string]klime.Traits{
		"org_1001": {"name": "Acme Robotics", "plan": "business", "industry": "manufacturing", "seats": 40},
		"org_1002": {"name": "Blue Harbor Foods", "plan": "starter", "industry": "food", "seats": 12},
		"org_1003": {"name": "Cobalt Health", "plan": "trial", "industry": "health care", "seats": 5},
	}
	routes := []string{"/api/orgs/{org}/reports", "/api/orgs/{org}/reports/{id}", "/api/orgs/{org}/reports/{id}/export", "/api/orgs/{org}/members"}
	for i, who := range people {
		mail := strings.ToLower(strings.Fields(who.name)[0]) + "@" + strings.ToLower(strings.Fields(orgs[who.org]["name"].(string))[0]) + ".example"
		ok(c.Identify(ctx, who.id, klime.Traits{"name": who.name, "email": mail}))
		ok(c.Group(ctx, who.org, orgs[who.org], klime.ForUser(who.id)))
		for n := range 90 / (i + 1) {
			// Older events are rarer: usage grows.
			at := now.Add(-time.Duration(n*n*(i+1))*5*time.Minute - time.Duration(i*7+n)*time.Minute)
			who := []klime.EventOption{klime.ForUser(who.id), klime.InGroup(who.org), klime.At(at)}
			status := 200
			if n%13 == 5 {
				status = 404
			}
			if n%29 == 11 {
				status = 500
			}
			switch n % 4 {
			case 0:
				ok(c.Track(ctx, "Page Viewed", klime.Properties{"method": "GET", "route": "/reports", "status": 200, "durationMs": 8.5 + float64(n%7)}, who...))
			case 1, 2:
				ok(c.Track(ctx, "API Called", klime.Properties{
					"method": "GET", "route": routes[n%len(routes)], "status": status, "durationMs": 12.5 + float64(n*17%90), "responseBytes": 900 + n,
				}, append(who, klime.WithContext("trace", map[string]any{"traceId": fmt.Sprintf("4bf92f3577b34da6a3ce929d0e%06d", i*1000+n), "spanId": "00f067aa0ba902b7", "sampled": true}))...))
			default:
				ok(c.Track(ctx, []string{"Report Generated", "User Invited", "Report Exported"}[n%3], klime.Properties{"reportType": "revenue", "rows": 10 + n}, who...))
			}
			if n%10 == 3 {
				ok(c.Track(ctx, "API Usage Recorded", klime.Properties{
					"method": "POST", "route": "/api/orgs/{org}/events", "count": 40 + n, "clientErrors": n % 3, "serverErrors": n / 40, "durationMsAvg": 21.5,
					"durationMsP50": 18.1, "durationMsP95": 61.2, "durationMsMax": 140.7, "windowStart": at, "windowSeconds": 60,
				}, who...))
			}
		}
	}
	ok(c.Flush(ctx))
}

// sendRaw sends a batch as it is.
func sendRaw(t *testing.T, k *localKlime, events string) {
	t.Helper()
	if err := k.send(t.Context(), events); err != nil {
		t.Fatal(err)
	}
}

// send is sendRaw for any goroutine.
func (k *localKlime) send(ctx context.Context, events string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, k.url+"/v1/batch", strings.NewReader(`{"batch":[`+events+`]}`))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+writeKey)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("a batch is answered with status %d", resp.StatusCode)
	}
	return nil
}

func TestPages(t *testing.T) {
	b := startBrowser(t)
	for name, walk := range map[string]func(*testing.T, *browser){
		"from nothing to a customer": walkEmpty,
		"customers":                  walkCustomers,
		"one customer":               walkCustomer,
		"users":                      walkUsers,
		"events":                     walkEvents,
		"health":                     walkHealth,
		"keyboard":                   walkKeyboard,
		"sizes and colours":          walkLooks,
		"hostile events":             walkHostile,
		"a server that goes away":    walkOutage,
		"user mode":                  walkUserMode,
		"two tabs":                   walkTwoTabs,
		"paused during a refresh":    walkPause,
		"under load":                 walkLoad,
		"as time passes":             walkTime,
		"a customer to be":           walkNotKnown,
		"50,000 events":              walkMany,
	} {
		t.Run(name, func(t *testing.T) { walk(t, b) })
	}
}

// walkEmpty opens a page when there is nothing, and checks that a customer appears.
func walkEmpty(t *testing.T, b *browser) {
	k := startPages(t)
	p := b.newTab(t)
	p.open(k.url)
	p.live()
	p.mark()
	p.has("#list", "No customers yet")
	p.has("#list", "KLIME_ENDPOINT="+k.url)
	p.screenshot("empty")
	c, ok := newClient(t, k), must(t)
	for range 3 {
		ok(c.Track(t.Context(), "Report Generated", nil, klime.ForUser("usr_1")))
	}
	ok(c.Flush(t.Context()))
	p.has("#list", "3 events wait for that")
	p.screenshot("waiting")
	ok(c.Group(t.Context(), "org_1", klime.Traits{"name": "Acme"}, klime.ForUser("usr_1")))
	ok(c.Flush(t.Context()))
	p.has("#list tbody", "Acme")
	p.has(`#list [data-figure="events"]`, "3")
	p.has("#nav .n", "1")
	p.press("/", "x") // the search field appears with the first customer
	p.has("#list", "No customer matches")
	p.stays()
}

func walkCustomers(t *testing.T, b *browser) {
	k := startPages(t)
	history(t, k)
	p := b.newTab(t)
	p.open(k.url + "/customers?window=30d")
	p.live()
	p.mark()

	var list inspector.CustomerList
	ask(t, k, "/api/customers?window=30d", &list)
	var rows []map[string]string
	p.eval(`[...document.querySelectorAll("#list tbody tr")].map((row) => Object.fromEntries([["id", row.dataset.key],
		...[...row.querySelectorAll("[data-figure]")].map((e) => [e.dataset.figure, e.textContent])]))`, &rows)
	if len(rows) != 3 || len(list.Items) != 3 {
		t.Fatalf("%d rows, %d customers", len(rows), len(list.Items))
	}
	for i, c := range list.Items {
		want := map[string]string{
			"id": c.ID, "users": strconv.Itoa(c.Users), "active1": strconv.Itoa(c.Active1), "active7": strconv.Itoa(c.Active7),
			"active30": strconv.Itoa(c.Active30), "events": strconv.Itoa(c.Events),
		}
		checkIs(t, "row "+c.ID, rows[i], want)
	}

	p.press("/", "C", "o", "b")
	p.until(`document.querySelectorAll("#list tbody tr").length === 1`)
	p.has("#list tbody", "Cobalt Health")
	p.until(`new URLSearchParams(location.search).get("q") === "Cob"`)
	p.press("x")
	p.has("#list", "No customer matches")
	p.screenshot("no-match")
	p.eval(`(() => { const q = document.querySelector("input[type=search]"); q.value = ""; q.dispatchEvent(new Event("input", { bubbles: true })); })()`, nil)
	p.until(`document.querySelectorAll("#list tbody tr").length === 3`)
	p.stays()

	p.eval(`[...document.querySelectorAll("th a")].find((a) => a.textContent.startsWith("Customer")).click()`, nil)
	p.until(`document.querySelector("th[aria-sort=ascending]")?.innerText.startsWith("Customer")`)
	if got := p.str(`document.querySelector("#list tbody tr").dataset.key`); got != "org_1001" {
		t.Errorf("by name, the first is %s", got)
	}
	p.eval(`document.querySelector("th[aria-sort=ascending] a").click()`, nil)
	p.until(`document.querySelector("th[aria-sort=descending]")?.innerText.startsWith("Customer")`)
	if got := p.str(`document.querySelector("#list tbody tr").dataset.key`); got != "org_1003" {
		t.Errorf("by name from the end, the first is %s", got)
	}
	p.live()
	p.press("/", "o") // a search keeps the order
	p.until(`new URLSearchParams(location.search).get("q") === "o" && document.querySelector("th[aria-sort=descending]")?.innerText.startsWith("Customer")`)
	p.has("#list tbody tr", "Cobalt Health")
}

func walkCustomer(t *testing.T, b *browser) {
	k := startPages(t)
	history(t, k)
	p := b.newTab(t)
	p.open(k.url + "/customer?id=org_1001&window=30d")
	p.live()
	p.mark()
	var c inspector.CustomerDetail
	ask(t, k, "/api/customer?id=org_1001&window=30d", &c)
	figure := func(name string) string {
		return strings.ReplaceAll(p.text(`#figures [data-figure="`+name+`"]`), ",", "")
	}
	for name, want := range map[string]int{
		"users": c.Users, "active1": c.Active1, "active7": c.Active7, "active30": c.Active30, "events": c.Events, "requests": c.Usage.Total.Count,
	} {
		if got := figure(name); got != strconv.Itoa(want) || want == 0 {
			t.Errorf("%s: the page shows %s, the API %d", name, got, want)
		}
	}
	if want := fmt.Sprintf("%.1f %%", c.Usage.Total.ErrorRate*100); figure("errorRate") != want {
		t.Errorf("error rate: the page shows %s, the API %s", figure("errorRate"), want)
	}
	for _, text := range []string{"Jane Cooper", "Raj Patel", "manufacturing", "GET /api/orgs/{org}/reports/{id}", "POST /api/orgs/{org}/events", "Report Generated"} {
		p.has("#figures", text)
	}

	// The timeline is filtered by user and event, and is live.
	p.choose("select[name=user]", "usr_2002")
	p.until(`document.querySelector("#timeline tbody") && [...document.querySelectorAll("#timeline tbody td:nth-child(2)")].every((e) => e.innerText === "usr_2002")`)
	p.choose("select[name=event]", "User Invited")
	p.until(`[...document.querySelectorAll("#timeline a.row")].every((e) => e.innerText.includes("User Invited"))`)
	before := p.text("#timeline .pager span")
	p.call("Animation.enable", nil)
	p.call("Animation.setPlaybackRate", map[string]any{"playbackRate": 0}) // a new row stays marked
	cl, ok := newClient(t, k), must(t)
	ok(cl.Track(t.Context(), "User Invited", klime.Properties{"role": "admin"}, klime.ForUser("usr_2002"), klime.InGroup("org_1001")))
	ok(cl.Track(t.Context(), "Report Generated", nil, klime.ForUser("usr_2002"), klime.InGroup("org_1001")))
	ok(cl.Flush(t.Context()))
	p.until(`document.querySelector("#timeline .pager span").innerText !== ` + quote(before))
	p.has("#timeline tbody tr", `{"role":"admin"}`)
	p.until(`document.querySelector("#timeline tbody tr").matches("[data-fresh]")`)
	p.call("Animation.setPlaybackRate", map[string]any{"playbackRate": 1})
	p.until(`!document.querySelector("[data-fresh]")`)
	p.until(`document.querySelector('#figures [data-figure="events"]').innerText === ` + quote(strconv.Itoa(c.Events+2)))
	// A new event name can be chosen as soon as an event has it.
	ok(cl.Track(t.Context(), "Seat Added", nil, klime.ForUser("usr_2002"), klime.InGroup("org_1001")))
	ok(cl.Flush(t.Context()))
	p.until(`[...document.querySelectorAll("select[name=event] option")].some((o) => o.value === "Seat Added")`)
	if got := p.str(`document.querySelector("select[name=event]").value`); got != "User Invited" {
		t.Errorf("the filter has changed to %q", got)
	}
	p.stays()

	// A bar leads to its events, which are then in view. In a window without such events, the filter still shows its value.
	p.eval(`[...document.querySelectorAll(".bars a")].find((a) => a.textContent === "Report Exported").click()`, nil)
	p.until(`location.hash === "#activity" && document.readyState === "complete" && document.querySelector("select[name=event]").value === "Report Exported"`)
	p.until(`scrollY > 0 && document.querySelector("#timeline tbody tr").getBoundingClientRect().top < innerHeight`)
	p.open(k.url + "/customer?id=org_1001&window=5m&event=Report+Exported")
	if got := p.str(`document.querySelector("select[name=event]").value`); got != "Report Exported" {
		t.Errorf("the filter says %q", got)
	}
}

func walkUsers(t *testing.T, b *browser) {
	k := startPages(t)
	history(t, k)
	sendRaw(t, k, `{"type":"track","messageId":"alone","timestamp":"`+time.Now().UTC().Format(time.RFC3339)+`","event":"Report Generated","userId":"usr_alone"}`)
	p := b.newTab(t)
	p.open(k.url + "/users")
	p.live()
	p.until(`document.querySelectorAll("#list tbody tr").length === 7`)
	p.eval(`[...document.querySelectorAll(".chips a")].find((a) => a.textContent.startsWith("Without")).click()`, nil)
	p.until(`document.querySelectorAll("#list tbody tr").length === 1`)
	p.has("#list tbody", "usr_alone")
	p.eval(`document.querySelector("#list a.row").click()`, nil)
	p.has("#figures", "Not linked to a customer")
	p.open(k.url + "/user?id=usr_2001")
	p.has("#figures", "jane@acme.example")
	p.has("#figures", "Acme Robotics")
	p.eval(`[...document.querySelectorAll("#figures a")].find((a) => a.textContent === "Acme Robotics").click()`, nil)
	p.until(`location.pathname === "/customer"`)
}

func walkEvents(t *testing.T, b *browser) {
	k := startPages(t)
	p := b.newTab(t)
	p.open(k.url + "/events")
	p.live()
	p.mark()
	p.has("#timeline", "No events yet")
	exact := `{"type":"track","messageId":"m-1", "event":"Report Generated","userId":"usr_1","timestamp":"2026-11-23T10:00:00.5Z",
		"properties":{"big":12345678901234567890.10,"reportType":"revenue"},"context":{"trace":{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736"}}}`
	sendRaw(t, k, exact)
	p.has("#timeline tbody", "Report Generated")
	sendRaw(t, k, exact)
	p.has("#timeline tbody", "repeated × 1")
	p.stays()

	p.eval(`document.querySelector("#timeline a.row").click()`, nil)
	p.has("#event", "4bf92f3577b34da6a3ce929d0e0e4736")
	p.has("#event pre", `"big": 12345678901234567890.10`)
	if got := p.str(`fetch(document.querySelector("#event .more a").href).then((r) => r.text())`); got != exact {
		t.Errorf("the exact bytes are %s", got)
	}
	p.live()
	p.eval(`void (window.setTimeout = (f, _, ...args) => { window.timeIsOver = () => f(...args); })`, nil)
	p.eval(`void (navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); })`, nil)
	p.eval(`[...document.querySelectorAll("#event .copy")].at(-1).click()`, nil)
	p.until(`window.copied === "4bf92f3577b34da6a3ce929d0e0e4736"`)
	p.has("#event", "copied")
	sendRaw(t, k, exact) // an update leaves the word until its time is over
	p.has("#timeline tbody", "repeated × 2")
	p.has("#event", "copied")
	p.eval(`window.timeIsOver()`, nil)
	p.until(`!document.querySelector("#event").innerText.includes("copied")`)
	p.eval(`void (navigator.clipboard.writeText = () => Promise.reject(new Error("no TLS")))`, nil)
	p.eval(`[...document.querySelectorAll("#event .copy")].at(-1).click()`, nil)
	p.until(`String(getSelection()) === "4bf92f3577b34da6a3ce929d0e0e4736"`)

	// New events do not disturb the selected event.
	p.mark()
	sendRaw(t, k, `{"type":"identify","messageId":"m-2","userId":"usr_1","timestamp":"2026-11-23T10:00:00Z"}`)
	p.until(`document.querySelectorAll("#timeline tbody tr").length === 2`)
	p.has("#event", "Report Generated")
	p.stays()
	p.press("Escape")
	p.until(`!document.querySelector("#event")`)

	sendRaw(t, k, `{"type":"track","messageId":"bad","event":"Nobody Known","timestamp":"2026-11-23T10:00:00Z"},{"type":"page"}`)
	p.has("#filters", "Rejected 2")
	p.eval(`[...document.querySelectorAll(".chips a")].find((a) => a.textContent.startsWith("Rejected")).click()`, nil)
	p.has("#problems", "a track event needs a userId, a groupId or both")
	p.has("#problems", "Nobody Known")
	p.has("#problems", "messageId is missing")
	p.screenshot("rejected")
}

func walkHealth(t *testing.T, b *browser) {
	k := startPages(t)
	p := b.newTab(t)
	p.open(k.url + "/health")
	p.live()
	p.mark()
	p.has("#list", "Nothing to look at yet")
	history(t, k)
	p.has("#list", "Nothing seems wrong")
	p.has("#list", "go-sdk")
	sendRaw(t, k, `{"type":"track","messageId":"1","timestamp":"2026-11-23T10:00:00Z","event":"button_clicked","userId":"jane@acme.com","properties":{"rows":"7"}},
		{"type":"track","messageId":"2","timestamp":"2026-11-23T10:00:00Z","event":"Report Generated","groupId":"acme.com","properties":{"rows":"7"}},
		{"type":"track","messageId":"3","event":"Report Generated"}`)
	for _, text := range []string{
		"Events were rejected", "missing_timestamp", "looks like an e-mail address", "looks like a domain", "Users without a customer", "Groups that are not customers",
		"button_clicked", "Report Generated · rows",
	} {
		p.has("#list", text)
	}
	p.stays()
	p.screenshot("health")
	p.eval(`[...document.querySelectorAll("#list a")].find((a) => a.textContent.startsWith("Report Generated")).click()`, nil)
	p.has("#event pre", `"rows": "7"`)
}

// walkKeyboard uses the pages without a mouse.
func walkKeyboard(t *testing.T, b *browser) {
	k := startPages(t)
	history(t, k)
	p := b.newTab(t)
	p.open(k.url + "/customers?sort=name")
	p.live()

	p.press("Tab")
	if got := p.focused(); got != "Skip to content" {
		t.Errorf("first is %q", got)
	}
	p.screenshot("skip")
	p.press("Enter")
	p.until(`document.activeElement.id === "main"`)

	p.press("j", "j")
	if got := p.focused(); got != "Blue Harbor Foods" {
		t.Errorf("after j, j: %q", got)
	}
	// New events do not take the focus away.
	sendRaw(t, k, `{"type":"group","messageId":"1","timestamp":"2026-11-23T10:00:00Z","groupId":"org_0","traits":{"name":"Aardvark"}}`)
	p.has("#list tbody tr", "Aardvark")
	if got := p.focused(); got != "Blue Harbor Foods" {
		t.Errorf("after an update: %q", got)
	}
	if got := p.str(`getComputedStyle(document.activeElement).outlineStyle`); got != "solid" {
		t.Errorf("the focus is not seen: outline %s", got)
	}
	p.press("k", "Enter")
	p.until(`location.pathname === "/customer" && document.querySelector("h1").innerText === "Acme Robotics"`)
	for key, path := range map[string]string{"1": "/customers", "2": "/users", "3": "/events", "4": "/health"} {
		p.live()
		p.press(key)
		p.until(`location.pathname === ` + quote(path) + ` && document.readyState === "complete"`)
	}
	p.live()
	p.press("?")
	p.until(`document.querySelector("dialog").open`)
	p.screenshot("keys")
	p.press("Escape")
	p.until(`!document.querySelector("dialog").open`)

	p.open(k.url + "/events")
	p.live()
	p.press("p")
	p.has("#live", "Paused")
	before := p.text("#timeline .pager span")
	sendRaw(t, k, `{"type":"group","messageId":"2","timestamp":"2026-11-23T10:00:00Z","groupId":"org_0"}`)
	if got := p.text("#timeline .pager span"); got != before {
		t.Errorf("paused, and it goes on: %s, %s", before, got)
	}
	p.press("p")
	p.live()
	p.until(`document.querySelector("#timeline .pager span").innerText !== ` + quote(before))

	// The focus is seen also on the button of a form, which is hidden as the form sends itself.
	for _, path := range []string{"/customers", "/users", "/events", "/customer?id=org_1001"} {
		p.open(k.url + path)
		p.live()
		p.eval(`[...document.querySelectorAll(".tools :is(input, select)")].findLast((e) => e.type !== "hidden" && e.checkVisibility()).focus()`, nil)
		p.press("Tab")
		const seen = `((e) => e.matches(".tools button") && e.offsetWidth > 30 && getComputedStyle(e).clipPath === "none")(document.activeElement)`
		if p.str(`String(`+seen+`)`) != "true" {
			t.Errorf("%s: the focus is on %q, or not seen", path, p.focused())
		}
	}
	p.open(k.url + "/events")
	p.live()

	// Everything that can be clicked can be reached by keyboard, and has a name.
	var nameless []string
	p.eval(`[...document.querySelectorAll("a, button, input, select")].filter((e) => e.checkVisibility() && e.type !== "hidden")
		.filter((e) => e.tabIndex < 0 || !(e.innerText || e.getAttribute("aria-label") || e.closest("label"))).map((e) => e.outerHTML)`, &nameless)
	if len(nameless) > 0 {
		t.Errorf("without name, or not to be reached: %q", nameless)
	}
}

var rgb = regexp.MustCompile(`^rgb\((\d+), (\d+), (\d+)\)$`)

// brightness of a colour, 0 to 255.
func brightness(t *testing.T, colour string) int {
	t.Helper()
	m := rgb.FindStringSubmatch(colour)
	if m == nil {
		t.Fatalf("colour %q", colour)
	}
	sum := 0
	for _, s := range m[1:] {
		n, _ := strconv.Atoi(s)
		sum += n
	}
	return sum / 3
}

// walkLooks opens every page in every size and colour scheme, and saves pictures.
func walkLooks(t *testing.T, b *browser) {
	k := startPages(t)
	history(t, k)
	sendRaw(t, k, `{"type":"track","messageId":"1","timestamp":"2026-11-23T10:00:00Z","event":"button_clicked","userId":"jane@acme.com"},
		{"type":"track","messageId":"3","timestamp":"2026-11-23T10:00:00Z","event":"Report Generated"}`)
	p := b.newTab(t)
	for name, path := range map[string]string{
		"customers": "/customers", "customer": "/customer?id=org_1001&window=30d", "users": "/users", "user": "/user?id=usr_2001", "events": "/events",
		"event": "/events?seq=40", "problems": "/events?show=problems", "health": "/health", "missing": "/customer?id=none",
	} {
		for _, width := range []int{1280, 768, 375} {
			for _, scheme := range []string{"light", "dark"} {
				p.size(width, 900)
				p.scheme(scheme)
				p.open(k.url + path)
				p.live()
				checkFits(t, p, fmt.Sprintf("%s at %d", name, width), width)
				checkContrast(t, p, fmt.Sprintf("%s at %d, %s", name, width, scheme))
				background, text := p.str(`getComputedStyle(document.body).backgroundColor`), p.str(`getComputedStyle(document.querySelector("h1")).color`)
				if dark := brightness(t, background) < 60; dark != (scheme == "dark") || brightness(t, text) > 128 != dark {
					t.Errorf("%s, %s: %s on %s", name, scheme, text, background)
				}
				if width != 768 {
					p.screenshot(fmt.Sprintf("%s-%d-%s", name, width, scheme))
				}
			}
		}
	}
	if name := "missing"; len(p.complaints()) == 0 { // the 404
		t.Errorf("%s: a page that is not there should be 404", name)
	}
	var elsewhere []string
	p.eval(`performance.getEntriesByType("resource").map((e) => e.name).filter((url) => !url.startsWith(location.origin))`, &elsewhere)
	if len(elsewhere) > 0 {
		t.Errorf("loaded from elsewhere: %q", elsewhere)
	}
}

// checkFits checks that nothing is wider than the screen.
func checkFits(t *testing.T, p *tab, where string, width int) {
	t.Helper()
	var wide []string
	p.eval(`[...document.querySelectorAll("body *")].filter((e) => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth + 1 &&
		!e.closest("pre, td.data")).map((e) => e.outerHTML.slice(0, 150))`, &wide)
	var scrolls int
	p.eval(`document.documentElement.scrollWidth`, &scrolls)
	if len(wide) > 0 || scrolls > width {
		t.Errorf("%s: %d pixels wide, %q", where, scrolls, wide)
	}
}

// walkHostile looks at events that try to take over the page.
func walkHostile(t *testing.T, b *browser) {
	k := startPages(t)
	for i, text := range []string{
		`<script>window.taken = true</script>`, `"><img src=x onerror="window.taken = true">`, `javascript:window.taken=true`,
		"a\u202eb\u0000c\u2066", strings.Repeat("W", 3000), "Z" + strings.Repeat("\u0301", 500), `</script><svg onload="window.taken = true">`,
	} {
		s := quote(text)
		at := `"timestamp":"` + time.Now().UTC().Format(time.RFC3339) + `"`
		sendRaw(t, k, fmt.Sprintf(`{"type":"group","messageId":"g%d",%s,"groupId":%s,"userId":%s,"traits":{"name":%s,"plan":%s,%s:{"a":[%s]}}},
			{"type":"identify","messageId":"i%d",%s,"userId":%s,"traits":{"name":%s,"email":%s}},
			{"type":"track","messageId":"t%d",%s,"userId":%s,"groupId":%s,"event":%s,"properties":{"method":"GET","route":%s,"status":500,"durationMs":1e300},"context":{"trace":{"traceId":%s},"library":{"name":%s}}},
			{"type":%s}`, i, at, s, s, s, s, s, s, i, at, s, s, s, i, at, s, s, s, s, s, s, s))
	}
	p := b.newTab(t)
	visited := 0
	visit := func(path string) {
		for _, width := range []int{1280, 375} {
			p.size(width, 900)
			p.open(k.url + path)
			p.live()
			checkFits(t, p, path, width)
			if p.str(`String(window.taken)`) != "undefined" {
				t.Fatalf("%s was taken over", path)
			}
		}
		visited++
	}
	for _, path := range []string{"/customers", "/users", "/events", "/events?show=problems", "/health", "/events?seq=3", "/events?seq=15"} {
		visit(path)
		if strings.HasPrefix(path, "/c") || strings.HasPrefix(path, "/u") {
			var links []string
			p.eval(`[...document.querySelectorAll("a.row")].map((a) => a.getAttribute("href"))`, &links)
			if len(links) != 7 {
				t.Errorf("%s: %d rows", path, len(links))
			}
			for _, link := range links {
				visit(link)
				if got := p.text("#figures"); !strings.Contains(got, "5xx") {
					t.Errorf("%.80s has no figures: %.300s", link, got)
				}
			}
		}
	}
	p.screenshot("hostile")
	t.Logf("%d pages visited", visited)
}

// walkOutage checks a page while the server goes away, and comes back without its events.
func walkOutage(t *testing.T, b *browser) {
	serve := func(address string) (stop func(), listening string) {
		var config net.ListenConfig
		listener, err := config.Listen(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		engine := ingest.New(ingest.Options{WriteKey: writeKey})
		pages := inspector.New(engine, inspector.Options{})
		server := httptest.NewUnstartedServer(pages)
		server.Listener = listener
		server.Start()
		return func() { pages.Close(); server.Close() }, listener.Addr().String()
	}
	stop, address := serve("127.0.0.1:0")
	k := &localKlime{url: "http://" + address}
	sendRaw(t, k, `{"type":"group","messageId":"1","timestamp":"2026-11-23T10:00:00Z","groupId":"org_1","traits":{"name":"Acme"}}`)
	p := b.newTab(t)
	p.open(k.url + "/customer?id=org_1")
	p.live()
	p.mark()
	p.has("h1", "Acme")
	stop()
	p.has("#live", "Not connected")
	p.has("h1", "Acme")
	p.complaints() // about the lost connection

	stop, _ = serve(address)
	t.Cleanup(func() { stop() })
	p.live()
	p.has("h1", "Not known") // the server has forgotten everything
	sendRaw(t, k, `{"type":"group","messageId":"1","timestamp":"2026-11-23T10:00:00Z","groupId":"org_1","traits":{"name":"Acme again"}}`)
	p.has("h1", "Acme again")
	p.stays()
	p.complaints() // about the 404 in between
}

// walkUserMode visits every page in user mode, where customers are single people.
func walkUserMode(t *testing.T, b *browser) {
	k := startPagesWith(t, inspector.Options{Mode: inspector.UserMode})
	p := b.newTab(t)
	p.open(k.url)
	p.live()
	p.mark()
	p.has("#list", "A customer is a person here")
	p.has("#list", `klime.Link(ctx, klime.User{ID: user.ID, Traits:`)
	p.screenshot("user-mode-empty")
	sendRaw(t, k, `{"type":"track","messageId":"org","timestamp":"`+time.Now().UTC().Format(time.RFC3339)+`","event":"Invoice Paid","groupId":"org_1"}`)
	p.has("#list", "1 event names a group alone, and counts for no one")

	c, ok, ctx := newClient(t, k, func(cfg *klime.Config) { cfg.Mode = klime.UserMode }), must(t), t.Context()
	for i, name := range []string{"Jane Cooper", "Raj Patel", "Mei Tanaka"} {
		id := fmt.Sprintf("usr_200%d", i+1)
		ok(c.Link(ctx, klime.User{ID: id, Traits: klime.Traits{
			"name": name, "email": strings.ToLower(strings.Fields(name)[0]) + "@mail.example", "plan": []string{"pro", "free"}[i%2],
		}}))
		for n := range 20 - 7*i {
			at := klime.At(time.Now().Add(-time.Duration(n*n) * time.Hour))
			ok(c.Track(ctx, "API Called", klime.Properties{"method": "GET", "route": "/me", "status": 200 + n%5/4*300, "durationMs": 10.5 + float64(n)}, klime.ForUser(id), at))
			ok(c.Track(ctx, "Photo Shared", klime.Properties{"n": n}, klime.ForUser(id), at))
		}
	}
	ok(c.Flush(ctx))
	p.until(`document.querySelectorAll("#list tbody tr").length === 3`)
	p.stays()
	if got := p.str(`[...document.querySelectorAll("#nav a")].map((a) => a.innerText.replace(/\s*\d+$/, "")).join()`); got != "Customers,Events,Health" {
		t.Errorf("the pages are %s", got)
	}

	var list inspector.CustomerList
	ask(t, k, "/api/customers", &list)
	for i, want := range list.Items {
		row := fmt.Sprintf("#list tbody tr:nth-child(%d)", i+1)
		p.has(row, want.Name)
		p.has(row, want.Email)
		if got := p.text(row + ` [data-figure="events"]`); got != strconv.Itoa(want.Events) || want.Events == 0 {
			t.Errorf("%s: the page shows %s events, the API %d", want.ID, got, want.Events)
		}
	}
	p.press("/", "m", "e", "i", "@")
	p.until(`document.querySelectorAll("#list tbody tr").length === 1`)
	p.has("#list tbody", "Mei Tanaka")
	p.open(k.url + "/customers?sort=email&order=desc")
	p.live()
	p.has("#list tbody tr", "raj@mail.example")
	p.press("j", "Enter")
	p.until(`location.pathname === "/customer" && document.readyState === "complete"`)
	p.has("h1", "Raj Patel")
	var one inspector.CustomerDetail
	ask(t, k, "/api/customer?id=usr_2002", &one)
	if got := p.text(`#figures [data-figure="requests"]`); got != strconv.Itoa(one.Usage.Total.Count) || one.Usage.Total.Count == 0 {
		t.Errorf("the page shows %s requests, the API %d", got, one.Usage.Total.Count)
	}
	p.has("#figures", "raj@mail.example")
	p.live()
	p.press("3")
	p.until(`location.pathname === "/health"`)
	p.has("#list", "go-sdk")
	p.call("Page.navigate", map[string]any{"url": k.url + "/users"}) // an old link, or a typed one
	p.until(`location.pathname === "/customers" && document.readyState === "complete"`)
	p.until(`document.querySelectorAll("#list tbody tr").length === 3`)
	for name, path := range map[string]string{"customers": "/customers", "customer": "/customer?id=usr_2001", "events": "/events", "health": "/health"} {
		for _, width := range []int{1280, 375} {
			for _, scheme := range []string{"light", "dark"} {
				p.size(width, 900)
				p.scheme(scheme)
				p.open(k.url + path)
				p.live()
				where := fmt.Sprintf("user-mode-%s-%d-%s", name, width, scheme)
				checkFits(t, p, where, width)
				checkContrast(t, p, where)
				if got := p.text("main"); strings.Contains(strings.ToLower(got), "group()") || p.str(`String(!!document.querySelector("main a[href^='/users']"))`) != "false" {
					t.Errorf("%s speaks of groups: %s", where, got)
				}
				p.screenshot(where)
			}
		}
	}
}

// walkTwoTabs opens two pages, which do not affect each other.
func walkTwoTabs(t *testing.T, b *browser) {
	k := startPages(t)
	one, other := b.newTab(t), b.newTab(t)
	one.open(k.url + "/events")
	other.open(k.url + "/customers")
	for _, p := range []*tab{one, other} {
		p.live()
		p.mark()
	}
	sendRaw(t, k, `{"type":"group","messageId":"1","timestamp":"2026-11-23T10:00:00Z","groupId":"org_1","traits":{"name":"Acme"}}`)
	one.has("#timeline tbody", "org_1")
	other.has("#list tbody", "Acme")
	one.press("p")
	one.has("#live", "Paused")
	sendRaw(t, k, `{"type":"group","messageId":"2","timestamp":"2026-11-23T10:00:00Z","groupId":"org_2","traits":{"name":"Globex"}}`)
	other.has("#list tbody", "Globex")
	if got := one.text("#timeline"); strings.Contains(got, "org_2") {
		t.Error("the paused tab goes on")
	}
	one.press("p")
	one.has("#timeline tbody", "org_2")
	one.stays()
	other.stays()
}

// walkPause pauses a page that is being fetched. What was fetched because something had
// changed is not shown any more; the result of a form is.
func walkPause(t *testing.T, b *browser) {
	var hold atomic.Bool
	held, ended, answer := make(chan struct{}), make(chan struct{}, 1), make(chan struct{})
	k := startPagesWith(t, inspector.Options{}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/customers" && hold.CompareAndSwap(true, false) {
				close(held)
				select {
				case <-answer:
				case <-r.Context().Done():
					ended <- struct{}{}
					return
				}
			}
			next.ServeHTTP(w, r)
		})
	})
	await := func(what string, done <-chan struct{}) {
		t.Helper()
		select {
		case <-done:
		case <-time.After(programTimeout):
			t.Fatal("waited in vain until " + what)
		}
	}
	customer := func(id, name string) {
		t.Helper()
		sendRaw(t, k, fmt.Sprintf(`{"type":"group","messageId":%q,"timestamp":"2026-11-23T10:00:00Z","groupId":%[1]q,"traits":{"name":%q}}`, id, name))
	}
	customer("org_1", "Acme")
	p := b.newTab(t)
	p.open(k.url + "/customers")
	p.live()
	hold.Store(true)
	customer("org_2", "Globex")
	await("the page is fetched", held)
	p.press("p")
	p.has("#live", "Paused")
	await("the fetch is ended", ended)
	if got := p.text("#list"); strings.Contains(got, "Globex") {
		t.Errorf("the paused page has changed: %s", got)
	}
	p.press("p")
	p.has("#list tbody", "Globex")

	held = make(chan struct{})
	hold.Store(true)
	p.eval(`void ((e) => { e.value = "glo"; e.dispatchEvent(new Event("input", { bubbles: true })); })(document.querySelector("input[type=search]"))`, nil)
	p.until(`new URLSearchParams(location.search).get("q") === "glo"`)
	await("the result is fetched", held)
	p.press("p")
	p.has("#live", "Paused")
	close(answer)
	p.until(`document.querySelectorAll("#list tbody tr").length === 1`)
	p.has("#list tbody", "Globex")
}

// walkLoad uses a page while many events arrive. If the page changes between press and
// release, the click is not lost. Selected text stays selected, and in the end all events
// are shown.
func walkLoad(t *testing.T, b *browser) {
	k := startPages(t)
	sendRaw(t, k, `{"type":"group","messageId":"g","timestamp":"2026-11-23T10:00:00Z","groupId":"org_1","userId":"usr_1","traits":{"name":"Acme"}}`)
	p := b.newTab(t)
	p.open(k.url + "/customers")
	p.live()
	p.mark()
	const size = 20
	type result struct {
		batches int
		err     error
	}
	stop, sent := make(chan struct{}), make(chan result, 1)
	go func() {
		rate := time.NewTicker(20 * time.Millisecond)
		defer rate.Stop()
		for i := 0; ; i++ {
			events := make([]string, size)
			for j := range events {
				events[j] = fmt.Sprintf(`{"type":"track","messageId":"%d-%d","timestamp":%q,"userId":"usr_1","event":"Report Generated"}`, i, j, time.Now().UTC().Format(time.RFC3339Nano))
			}
			if err := k.send(t.Context(), strings.Join(events, ",")); err != nil {
				sent <- result{i, err}
				return
			}
			select {
			case <-rate.C:
			case <-stop:
				sent <- result{i + 1, nil}
				return
			}
		}
	}()
	const events = `document.querySelector('#list [data-figure="events"]')?.innerText`
	changes := func() {
		t.Helper()
		before := p.str(events + ` ?? ""`)
		p.until(events + ` !== ` + quote(before))
	}
	changes()
	p.eval(`getSelection().selectAllChildren(document.querySelector("#list .sub bdi"))`, nil)
	p.mouse("mousePressed", "#nav a:nth-child(3) .n")
	p.eval(`getSelection().selectAllChildren(document.querySelector("#list .sub bdi"))`, nil)
	changes()
	if got := p.str(`String(getSelection())`); got != "org_1" {
		t.Errorf("what was selected is now %q", got)
	}
	p.stays()
	p.mouse("mouseReleased", "#nav a:nth-child(3) .n")
	p.until(`location.pathname === "/events" && document.readyState === "complete"`)
	close(stop)
	all := <-sent
	if all.err != nil {
		t.Fatal(all.err)
	}
	number := func(n int) string { // below a million
		if n < 1000 {
			return strconv.Itoa(n)
		}
		return fmt.Sprintf("%d,%03d", n/1000, n%1000)
	}
	tracked := all.batches * size
	p.has("#nav a[aria-current] .n", number(tracked+1)) // and the group()
	p.has("#timeline .pager", number(tracked+1)+" events")
	p.open(k.url + "/customers")
	p.has(`#list [data-figure="events"]`, number(tracked))
}

// walkTime lets time pass, without any event.
func walkTime(t *testing.T, b *browser) {
	tick := make(chan struct{})
	k := startPagesWith(t, inspector.Options{}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/stream" {
				next.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "event: hello\ndata: {}\n\n")
			w.(http.Flusher).Flush()
			select {
			case <-tick:
				_, _ = io.WriteString(w, "event: tick\ndata: {}\n\n")
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			case <-r.Context().Done():
			}
		})
	})
	sendRaw(t, k, `{"type":"track","messageId":"1","timestamp":"`+time.Now().UTC().Format(time.RFC3339Nano)+`","userId":"usr_1","event":"Report Generated"}`)
	p := b.newTab(t)
	p.open(k.url + "/events")
	p.live()
	p.until(`document.querySelector("#timeline time").innerText !== ""`)
	before := p.text("#timeline time")
	time.Sleep(1100 * time.Millisecond) // until "… s ago" must change
	close(tick)
	p.until(`document.querySelector("#timeline time").innerText !== ` + quote(before))
}

// walkNotKnown opens the page of a customer that does not exist yet.
func walkNotKnown(t *testing.T, b *browser) {
	k := startPages(t)
	p := b.newTab(t)
	p.open(k.url + "/customer?id=org_1")
	p.live()
	p.mark()
	p.has("main", "Once it is known, it appears here")
	p.complaints() // about the 404
	sendRaw(t, k, `{"type":"group","messageId":"1","timestamp":"2026-11-23T10:00:00Z","groupId":"org_1","traits":{"name":"Acme"}}`)
	p.has("h1", "Acme")
	p.has("#figures", "Traits")
	p.stays()
	p.complaints()
}

// walkMany opens the pages over 50,000 events, and logs how long each takes from the
// request until it is drawn.
func walkMany(t *testing.T, b *browser) {
	k := startPages(t)
	now := time.Now()
	for start := 0; start < 50_000; start += 100 {
		events := make([]string, 100)
		for i := range events {
			n := start + i
			head := fmt.Sprintf(`"messageId":"%d","timestamp":%q,"userId":"usr_%d"`, n, now.Add(-time.Duration(n)*40*time.Second).UTC().Format(time.RFC3339Nano), n*7%5000)
			switch {
			case n < 5000:
				events[i] = fmt.Sprintf(`{"type":"group",%s,"groupId":"org_%d","traits":{"name":"Customer %d","plan":"pro"}}`, head, n*7%5000%200, n*7%5000%200)
			case n%3 == 0:
				events[i] = fmt.Sprintf(`{"type":"track",%s,"event":"Report Generated","properties":{"rows":%d}}`, head, n)
			default:
				events[i] = fmt.Sprintf(`{"type":"track",%s,"event":"API Called","properties":{"method":"GET","route":"/r%d","status":%d,"durationMs":%d}}`, head, n%30, 200+n%4*100, n%900)
			}
		}
		sendRaw(t, k, strings.Join(events, ","))
	}
	p := b.newTab(t)
	for _, path := range []string{"/customers", "/customer?id=org_1", "/users", "/user?id=usr_1", "/events", "/events?q=nothing", "/events?seq=49999", "/health"} {
		var times []float64
		for range 5 {
			p.open(k.url + path)
			p.live()
			var took float64
			p.eval(`performance.getEntriesByType("navigation")[0].domComplete`, &took)
			times = append(times, took)
		}
		slices.Sort(times)
		t.Logf("%-22s median %4.0f ms, first or worst %4.0f ms", path, times[len(times)/2], times[len(times)-1])
	}
}

// checkContrast checks that every text can be read: its contrast with the background is at
// least 4.5 to 1, as WCAG requires at level AA.
func checkContrast(t *testing.T, p *tab, where string) {
	t.Helper()
	var faint []string
	p.eval(`(() => {
		const parse = (c) => c.match(/[\d.]+/g).map(Number);
		const light = (c) => {
			const [r, g, b] = c.slice(0, 3).map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
			return 0.2126 * r + 0.7152 * g + 0.0722 * b;
		};
		const behind = (e) => {
			for (; e; e = e.parentElement) {
				const c = parse(getComputedStyle(e).backgroundColor);
				if (c.length === 3 || c[3] === 1) return c;
			}
			return [255, 255, 255];
		};
		const found = new Set();
		for (const e of document.querySelectorAll("body *")) {
			if (!e.checkVisibility() || ![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
			const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
			const ratio = (a + 0.05) / (b + 0.05);
			if (ratio < 4.5) found.add(e.tagName + "." + e.className + " " + ratio.toFixed(2));
		}
		return [...found];
	})()`, &faint)
	if len(faint) > 0 {
		t.Errorf("%s: hard to read: %q", where, faint)
	}
}
