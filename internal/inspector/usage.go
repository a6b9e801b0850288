package inspector

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/klimeapp/klime-go/internal/ingest"
)

// Requests tells how an API, or a route of it, was used. It is made from events about
// one request, and from roll-ups about many.
type Requests struct {
	Method       string  `json:"method,omitempty"`
	Route        string  `json:"route,omitempty"`
	Count        int     `json:"count"`
	ClientErrors int     `json:"clientErrors"` // answered 400 to 499
	ServerErrors int     `json:"serverErrors"` // answered 500 or above
	ErrorRate    float64 `json:"errorRate"`    // share of both, 0 to 1
	Timed        int     `json:"timed"`        // requests whose duration is known: the figures below are about these
	Avg          float64 `json:"durationMsAvg"`
	P50          float64 `json:"durationMsP50"`
	P95          float64 `json:"durationMsP95"`
	Max          float64 `json:"durationMsMax"`

	// Approximate says that P50 and P95 are weighted means over roll-ups, as the true
	// percentiles cannot be known from these.
	Approximate bool `json:"approximate"`

	sum    float64   // of durations
	single []float64 // durations of single requests
	rolled []*ingest.Usage
}

func (q *Requests) add(u *ingest.Usage) {
	q.Count += u.Count
	q.ClientErrors += u.ClientErrors
	q.ServerErrors += u.ServerErrors
	if !u.Timed {
		return
	}
	q.Timed += u.Count
	q.sum += u.Avg * float64(u.Count)
	q.Max = max(q.Max, u.Max)
	if u.RolledUp {
		q.rolled = append(q.rolled, u)
	} else {
		q.single = append(q.single, u.Avg)
	}
}

// finish works out the figures that need all requests.
func (q *Requests) finish() {
	if q.Count > 0 {
		q.ErrorRate = float64(q.ClientErrors+q.ServerErrors) / float64(q.Count)
	}
	if q.Timed == 0 {
		return
	}
	q.Avg = q.sum / float64(q.Timed)
	slices.Sort(q.single)
	q.P50 = q.percentile(0.50, func(u *ingest.Usage) float64 { return u.P50 })
	q.P95 = q.percentile(0.95, func(u *ingest.Usage) float64 { return u.P95 })
	q.Approximate = len(q.rolled) > 1 || len(q.rolled) == 1 && len(q.single) > 0
	q.single, q.rolled = nil, nil
}

// percentile is exact for single requests alone, by nearest rank, and for one roll-up
// alone. Otherwise it is a mean, weighted by requests.
func (q *Requests) percentile(p float64, of func(*ingest.Usage) float64) float64 {
	var exact float64
	n := len(q.single)
	if n > 0 {
		exact = q.single[max(int(math.Ceil(p*float64(n))), 1)-1]
	}
	if len(q.rolled) == 0 {
		return exact
	}
	sum := exact * float64(n)
	for _, u := range q.rolled {
		sum += of(u) * float64(u.Count)
	}
	return sum / float64(q.Timed)
}

// Usage is the requests of an account in a window.
type Usage struct {
	Total  Requests   `json:"total"`
	Routes []Requests `json:"routes"`       // the most used first
	Parts  []int      `json:"countByPart"`  // requests
	Errors []int      `json:"errorsByPart"` // those answered 400 or above
	Rolled int        `json:"rolledUp"`     // requests that roll-ups stand for
}

type routeKey struct{ method, route string }

func (a *account) usage(w window) Usage {
	u := Usage{Parts: make([]int, parts), Errors: make([]int, parts)}
	routes := make(map[routeKey]*Requests)
	for r := range a.records() {
		if r.Usage == nil {
			continue
		}
		i := w.part(r.Timestamp)
		if i < 0 {
			continue
		}
		key := routeKey{r.Usage.Method, r.Usage.Route}
		if routes[key] == nil {
			routes[key] = &Requests{Method: key.method, Route: key.route}
		}
		routes[key].add(r.Usage)
		u.Total.add(r.Usage)
		u.Parts[i] += r.Usage.Count
		u.Errors[i] += r.Usage.ClientErrors + r.Usage.ServerErrors
		if r.Usage.RolledUp {
			u.Rolled += r.Usage.Count
		}
	}
	u.Total.finish()
	u.Routes = make([]Requests, 0, len(routes))
	for _, q := range routes {
		q.finish()
		u.Routes = append(u.Routes, *q)
	}
	slices.SortFunc(u.Routes, func(a, b Requests) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Route, b.Route), strings.Compare(a.Method, b.Method))
	})
	return u
}
