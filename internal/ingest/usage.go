package ingest

import (
	"math"
	"strings"
)

// Usage is what an event tells about HTTP requests. "API Called", "Page Viewed" and the
// events of named routes tell about one request, the roll-up "API Usage Recorded" about
// many.
//
// The properties decide which it is, not the name, as an app may choose the names.
type Usage struct {
	Method, Route string
	Count         int  // number of requests
	ClientErrors  int  // those answered 400 to 499
	ServerErrors  int  // those answered 500 or above
	RolledUp      bool // the event stands for Count requests, and so do the durations

	// Timed reports whether the durations are known, in milliseconds. For a single
	// request all four are the same.
	Timed              bool
	Avg, P50, P95, Max float64
}

// usageOf returns nil if p are not the properties of HTTP requests.
func usageOf(p map[string]any) *Usage {
	method, _ := p["method"].(string)
	if !isMethod(method) {
		return nil
	}
	route, _ := p["route"].(string)
	u := &Usage{Method: method, Route: route}
	if _, ok := number(p, "windowSeconds"); ok {
		return u.ofRollUp(p)
	}
	return u.ofRequest(p)
}

func (u *Usage) ofRollUp(p map[string]any) *Usage {
	count, ok := number(p, "count")
	if !ok || count < 1 {
		return nil
	}
	u.RolledUp, u.Count = true, int(count)
	clientErrors, _ := number(p, "clientErrors")
	serverErrors, _ := number(p, "serverErrors")
	u.ClientErrors = min(max(int(clientErrors), 0), u.Count)
	u.ServerErrors = min(max(int(serverErrors), 0), u.Count-u.ClientErrors)
	u.Avg, u.Timed = number(p, "durationMsAvg")
	u.P50, _ = number(p, "durationMsP50")
	u.P95, _ = number(p, "durationMsP95")
	u.Max, _ = number(p, "durationMsMax")
	return u
}

func (u *Usage) ofRequest(p map[string]any) *Usage {
	status, answered := number(p, "status")
	duration, timed := number(p, "durationMs")
	_, open := number(p, "openMs")
	aborted, _ := p["aborted"].(bool)
	if !answered && !timed && !open && !aborted {
		return nil
	}
	u.Count = 1
	switch {
	case status >= 500:
		u.ServerErrors = 1
	case status >= 400:
		u.ClientErrors = 1
	}
	if timed {
		u.Timed, u.Avg, u.P50, u.P95, u.Max = true, duration, duration, duration, duration
	}
	return u
}

// maxAmount leaves room for a sum of a thousand.
const maxAmount = min(1e12, math.MaxInt/1000)

// number returns a number that is not negative, cut to maxAmount.
func number(p map[string]any, name string) (float64, bool) {
	n, ok := p[name].(float64)
	return min(n, maxAmount), ok && n >= 0
}

func isMethod(s string) bool {
	if s == "" || len(s) > 20 {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool { return (r < 'A' || r > 'Z') && r != '-' && r != '_' }) < 0
}
