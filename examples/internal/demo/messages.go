package demo

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/internal/inspector"
)

// greet prints where everything is.
func (d *Demo) greet(app *App, endpoint string) {
	var b strings.Builder
	fmt.Fprintf(&b, "Sundial, the %s example, is running. Ctrl-C stops it.\n\n", d.opts.Name)
	traffic, offer := "sample users click around; -traffic=false keeps them out", "sample users (who do not exist) click around"
	if d.opts.NoPages {
		traffic, offer = "the billing service sends webhooks; -traffic=false keeps it out", "a billing service sends webhooks"
		fmt.Fprintf(&b, "The app:    %s, for webhooks\n", d.URL)
	} else {
		fmt.Fprintf(&b, "The app:    %s; sign in as one of these, the password is %s\n", d.URL, Password)
		for _, line := range app.whoIsWho() {
			fmt.Fprintf(&b, "            %s\n", line)
		}
	}
	if d.Klime != nil {
		fmt.Fprintf(&b, "Klime:      %s, a local one: watch customers and events arrive\n", inspector.BaseURL(d.local.listener.Addr()))
	} else {
		fmt.Fprintf(&b, "Klime:      %s, as KLIME_WRITE_KEY is set\n", cmp.Or(endpoint, "the real one"))
	}
	if d.tracesURL != "" {
		fmt.Fprintf(&b, "Traces:     %s\n", strings.TrimSuffix(d.tracesURL, "/"))
	}
	switch {
	case !d.opts.NoTraffic:
		fmt.Fprintf(&b, "Traffic:    %s\n\n", traffic)
	case d.Klime == nil:
		fmt.Fprintf(&b, "Traffic:    only yours, as KLIME_WRITE_KEY is set; with -traffic, %s\n\n", offer)
	default:
		fmt.Fprint(&b, "Traffic:    only yours\n\n")
	}
	fmt.Fprint(d.opts.Stdout, b.String())
}

// whoIsWho returns a line for each user.
func (a *App) whoIsWho() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	lines := make([]string, 0, len(a.users))
	for _, u := range a.users {
		var names []string
		for _, id := range a.members[u.ID] {
			if org, err := a.org(id); err == nil {
				names = append(names, org.Name)
			}
		}
		if u.Staff {
			names = append(names, "Sundial's own staff")
		}
		lines = append(lines, fmt.Sprintf("%-24s %s", u.Email, strings.Join(names, " and ")))
	}
	return lines
}

// outcome says how many events were delivered, and whether any was lost. Undelivered is
// the error of the client's Shutdown.
func outcome(s klime.Stats, undelivered error) (text string, lost bool) {
	var total uint64
	var why []string
	add := func(n uint64, reason string) {
		if n > 0 {
			total += n
			why = append(why, fmt.Sprintf("%d %s", n, reason))
		}
	}
	add(s.Failed, "refused by Klime")
	add(s.Invalid, "not valid")
	add(s.Late, "after Shutdown")
	for _, reason := range slices.Sorted(maps.Keys(s.Dropped)) {
		add(s.Dropped[reason], "dropped: "+string(reason))
	}
	add(uint64(max(s.Queued, 0)), "still queued")
	if undelivered != nil {
		why = append(why, undelivered.Error())
	}
	if len(why) == 0 {
		return fmt.Sprintf("%d events delivered, none lost.", s.Sent), false
	}
	return fmt.Sprintf("%d events delivered, %d lost (%s)", s.Sent, total, strings.Join(why, "; ")), true
}
