package inspector

import (
	"slices"

	"github.com/klimeapp/klime-go/internal/ingest"
)

// problems returns those with the code that q asks for, or all, the newest first.
func (f *figures) problems(q query, path string) List[*ingest.Problem] {
	code := q.Get("code")
	all := []*ingest.Problem{}
	for _, p := range slices.Backward(f.snap.Problems) {
		if code == "" || p.Code == code {
			all = append(all, p)
		}
	}
	return paged(all, q, path)
}
