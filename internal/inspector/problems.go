package inspector

import (
	"slices"
	"time"
)

// Problem is an event that was rejected, or a batch that was refused as a whole.
type Problem struct {
	Seq     int       `json:"seq"`
	At      time.Time `json:"receivedAt"`
	Status  int       `json:"status,omitempty"` // the answer to a refused batch
	Code    string    `json:"code"`
	Message string    `json:"message"`
	Index   int       `json:"index"` // of an event in its batch
	Sender  string    `json:"userAgent,omitempty"`
	Text    string    `json:"text,omitempty"` // as it was sent
	Cut     bool      `json:"cut,omitempty"`  // text is only the beginning
}

func (f *figures) problems(q query, path string) List[Problem] {
	code := q.Get("code")
	all := []Problem{}
	for _, p := range slices.Backward(f.snap.Problems) {
		if code == "" || p.Code == code {
			all = append(all, Problem{p.Seq, p.At, p.Status, p.Code, p.Message, p.Index, p.Sender, string(p.Raw), p.Cut})
		}
	}
	return paged(all, q, path)
}
