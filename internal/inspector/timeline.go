package inspector

import (
	"encoding/json"
	"strings"

	"github.com/klimeapp/klime-go/internal/ingest"
)

// timeline is a list of events, and one of them in full.
type timeline struct {
	Rows     []row
	Total    int
	Older    string // link to the next part
	Newest   string // link to the beginning, if this is not it
	Chosen   bool   // an event is selected
	Selected *row   // the selected event, nil if it is not remembered
	Unselect string
	Arrivals bool // events of all types in order of arrival
	OfUser   bool // all are of the same user
}

func (f *figures) timelineOf(list List[*ingest.Record], q query, path string) timeline {
	t := timeline{Total: list.Total, Older: list.Next, Unselect: q.with(path, "seq", "")}
	if q.Get("before") != "" {
		t.Newest = q.with(path, "before", "", "at", "")
	}
	for _, r := range list.Items {
		t.Rows = append(t.Rows, f.row(r))
	}
	if q.Get("seq") != "" {
		t.Chosen = true
		if r := f.event(q.int("seq")); r != nil {
			selected := f.row(r)
			t.Selected = &selected
		}
	}
	return t
}

// row is an event in a list.
type row struct {
	*ingest.Record

	Name    string // of the event, or of the call
	Data    string // its properties or traits
	Request string // method and route of the request that it is about

	GroupLink string // to the group that it names
}

func (f *figures) row(r *ingest.Record) row {
	view := row{Record: r, Name: r.Event.Event}
	switch r.Type {
	case ingest.TypeIdentify:
		view.Name = "identify"
	case ingest.TypeGroup:
		view.Name = "group"
	}
	if r.GroupID != "" {
		view.GroupLink = f.groupLink(r.GroupID)
	}
	if r.Usage != nil {
		view.Request = strings.TrimSpace(r.Usage.Method + " " + r.Usage.Route)
	}
	var data struct {
		Properties json.RawMessage `json:"properties"`
		Traits     json.RawMessage `json:"traits"`
	}
	_ = json.Unmarshal(r.Raw, &data) // cannot fail: the event was validated
	if r.Type == ingest.TypeTrack {
		view.Data = compact(data.Properties)
	} else {
		view.Data = compact(data.Traits)
	}
	if view.Data == "null" || view.Data == "{}" {
		view.Data = ""
	}
	return view
}

// JSON is the event as indented JSON.
func (r *row) JSON() string { return indented(r.Raw) }

// Sender is the SDK that the event names as its sender.
func (r *row) Sender() string {
	return strings.TrimSpace(r.Library.Name + " " + r.Library.Version)
}
