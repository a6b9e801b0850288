package inspector

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/klimeapp/klime-go/internal/ingest"
)

// Library is an SDK that has sent events.
type Library struct {
	Name     string    `json:"name"`
	Version  string    `json:"version"`
	Track    int       `json:"track"`
	Identify int       `json:"identify"`
	Group    int       `json:"group"`
	Repeats  int       `json:"repeats"`
	LastAt   time.Time `json:"lastAt"` // when its last event arrived
}

// maxLibraries bounds the list, as senders can make up names.
const maxLibraries = 50

func (f *figures) libraries() []Library {
	byName := make(map[ingest.Library]*Library)
	var l *Library
	for _, r := range f.snap.Records {
		if l == nil || l.Name != r.Library.Name || l.Version != r.Library.Version { // otherwise it is the same as of the event before
			l = byName[r.Library]
		}
		if l == nil {
			l = &Library{Name: r.Library.Name, Version: r.Library.Version}
			byName[r.Library] = l
		}
		switch r.Type {
		case ingest.TypeTrack:
			l.Track++
		case ingest.TypeIdentify:
			l.Identify++
		case ingest.TypeGroup:
			l.Group++
		}
		l.Repeats += r.Repeats()
		if r.ReceivedAt.After(l.LastAt) {
			l.LastAt = r.ReceivedAt
		}
	}
	all := make([]Library, 0, len(byName))
	for _, l := range byName {
		all = append(all, *l)
	}
	slices.SortFunc(all, func(a, b Library) int {
		return cmp.Or(cmp.Compare(b.Track+b.Identify+b.Group, a.Track+a.Identify+a.Group),
			strings.Compare(a.Name, b.Name), strings.Compare(a.Version, b.Version))
	})
	return all[:min(len(all), maxLibraries)]
}
