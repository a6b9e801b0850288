// The segment example moves an app from Segment's analytics-go to Klime: it has each
// call in both libraries (calls.go), and both side by side for a while (both.go).
//
//	go run .
//
// It needs no keys, and sends nothing: it prints what each would have been told.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	analytics "gopkg.in/segmentio/analytics-go.v3"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/klimetest"
)

func main() {
	if err := run(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run tells both the same, and writes what each has received.
func run(out io.Writer) error {
	segment, recorder := &wire{}, klimetest.NewRecorder()
	b, err := newBoth(segment, recorder)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	user := klime.User{ID: "user_7", Traits: klime.Traits{"email": "raj@acme.com", "name": "Raj"}}
	company := klime.Group{ID: "org_abc", Traits: klime.Traits{"name": "Acme Inc", "plan": "pro"}}
	if err := b.link(ctx, user, company); err != nil {
		return err
	}
	if err := b.track(ctx, user.ID, company.ID, "Report Generated", map[string]any{"reportType": "revenue"}); err != nil {
		return err
	}
	if err := b.shutdown(ctx); err != nil {
		return err
	}
	for _, m := range segment.heard() {
		fmt.Fprintln(out, "Segment:", m)
	}
	for _, e := range recorder.Events() {
		fmt.Fprintln(out, "Klime:  ", ofKlime(e))
	}
	return nil
}

func newBoth(segment http.RoundTripper, recorder *klimetest.Recorder) (both, error) {
	old, err := newSegment("key", analytics.Config{Transport: segment})
	if err != nil {
		return both{}, err
	}
	client, err := newKlime(recorder.Config())
	return both{old, client}, err
}

// message is what either was told, in a common form.
type message struct {
	Type, MessageID, UserID, GroupID, Event string
	Facts                                   map[string]any // properties or traits
}

func (m message) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-8s  %s  %-7s  %-16s ", m.Type, m.UserID, m.GroupID, m.Event)
	for _, key := range slices.Sorted(maps.Keys(m.Facts)) {
		fmt.Fprintf(&b, " %s=%v", key, m.Facts[key])
	}
	return strings.TrimRight(b.String(), " ")
}

func ofKlime(e klime.Event) message {
	facts := map[string]any{}
	maps.Copy(facts, e.Properties)
	maps.Copy(facts, e.Traits)
	return message{e.Type.String(), e.MessageID, e.UserID, e.GroupID, e.Event, facts}
}

// wire stands in for Segment: it accepts all batches.
type wire struct {
	mu       sync.Mutex
	messages []message
}

// RoundTrip implements http.RoundTripper.
func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	defer r.Body.Close()
	var body struct {
		Batch []struct {
			Type       string         `json:"type"`
			MessageID  string         `json:"messageId"`
			UserID     string         `json:"userId"`
			GroupID    string         `json:"groupId"`
			Event      string         `json:"event"`
			Properties map[string]any `json:"properties"`
			Traits     map[string]any `json:"traits"`
			Context    struct {
				GroupID string `json:"groupId"`
			} `json:"context"`
		} `json:"batch"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range body.Batch {
		facts := map[string]any{}
		maps.Copy(facts, m.Properties)
		maps.Copy(facts, m.Traits)
		w.messages = append(w.messages, message{m.Type, m.MessageID, m.UserID, m.GroupID + m.Context.GroupID, m.Event, facts})
	}
	return &http.Response{StatusCode: http.StatusOK, Status: "200 OK", Body: http.NoBody, Request: r}, nil
}

func (w *wire) heard() []message {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.messages)
}
