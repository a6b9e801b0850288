package delivery

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// In an outage each request drops an event. If nobody wants to know, that does not
// wake a goroutine each time.
func TestDropsWakeNobody(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		tell func(Report)
		most int // wakes for 100 drops
	}{
		{"nobody is told", nil, 1},
		{"the app is told", func(Report) {}, 100},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				r := &reporter{tell: test.tell, logger: slog.New(slog.NewTextHandler(&log, nil)), wake: make(chan struct{}, 1)}
				wakes := 0
				drop := func(n int) {
					for range n {
						r.add(Report{Items: []Item{{}}, Outcome: Evicted, Err: ErrQueueFull})
						select {
						case <-r.wake:
							wakes++
						default:
						}
					}
				}
				drop(100)
				if wakes != test.most {
					t.Errorf("%d wakes, want %d", wakes, test.most)
				}
				time.Sleep(logInterval)
				if drop(1); wakes != test.most+1 {
					t.Errorf("%d wakes, want one more", wakes)
				}
				end := make(chan struct{})
				close(end)
				r.run(end)
				if !strings.Contains(log.String(), "events=101") {
					t.Errorf("log: %s", &log)
				}
			})
		})
	}
}

// safeBuffer is a bytes.Buffer for use by several goroutines.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// Drops between two log lines are in the second one, even if there are none after it.
func TestAllDropsAreLogged(t *testing.T) {
	t.Parallel()
	for _, tell := range []func(Report){nil, func(Report) {}} {
		synctest.Test(t, func(t *testing.T) {
			var log safeBuffer
			r := &reporter{tell: tell, logger: slog.New(slog.NewTextHandler(&log, nil)), wake: make(chan struct{}, 1)}
			end, ended := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(ended)
				r.run(end)
			}()
			drop := func(n int, lines ...string) {
				t.Helper()
				for range n {
					if tell == nil {
						r.count(Evicted, 1, time.Now())
					} else {
						r.add(Report{Items: []Item{{}}, Outcome: Evicted, Err: ErrQueueFull})
					}
				}
				synctest.Wait()
				for _, line := range lines {
					if !strings.Contains(log.String(), line+"\n") {
						t.Errorf("told %v: no %q in the log: %s", tell != nil, line, &log)
					}
				}
				if n := strings.Count(log.String(), "\n"); n != len(lines) {
					t.Errorf("told %v: %d lines, want %d: %s", tell != nil, n, len(lines), &log)
				}
			}
			drop(1, "events=1")
			time.Sleep(time.Second)
			drop(4989, "events=1")
			time.Sleep(logInterval - time.Second)
			drop(0, "events=1", "events=4989")
			time.Sleep(time.Hour)
			drop(7, "events=1", "events=4989", "events=7")
			close(end)
			<-ended
		})
	}
}

// Answers that are added up, as they wait for a slow callback, name no events: those of the
// first would pass for all that failed.
func TestSumOfAnswersNamesNoEvents(t *testing.T) {
	t.Parallel()
	r := &reporter{tell: func(Report) {}, logger: slog.New(slog.DiscardHandler), wake: make(chan struct{}, 1)}
	for range maxReports + 2 {
		r.add(Report{Items: []Item{{}}, Outcome: Sent, Result: NewResult(3, []Rejection{{Index: 1}})})
	}
	for i, report := range r.take() {
		want := Result{Accepted: 2, Failed: 1, Rejected: []Rejection{{Index: 1}}}
		if i == maxReports {
			want = Result{Accepted: 4, Failed: 2}
		}
		if named := len(report.Items); !reflect.DeepEqual(report.Result, want) || named != len(want.Rejected) || report.Untold > 0 {
			t.Errorf("report %d: %d items, %+v, want %+v", i, named, report.Result, want)
		}
	}
}

// What Klime says of events, and what stands beside them in a batch, takes no more memory than
// the events themselves while a callback is slow.
func TestSlowCallbackKeepsFewRejections(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ each, length, kept int }{{100, 300, maxReportItems}, {10, 1 << 20, 10}} {
		r := &reporter{tell: func(Report) {}, logger: slog.New(slog.DiscardHandler), wake: make(chan struct{}, 1)}
		rejected := make([]Rejection, tt.each)
		for i := range rejected {
			rejected[i] = Rejection{Index: i, Code: strings.Repeat("c", tt.length/2), Message: strings.Repeat("m", tt.length/2)}
		}
		batch := make([]Item, 2*tt.each)
		items, failure := batch[:tt.each], &SendError{StatusCode: http.StatusOK, Message: rejected[0].Message, Rejected: rejected}
		for range maxReports / 2 {
			r.add(Report{Items: items, Outcome: Sent, Result: NewResult(tt.each, rejected)})
		}
		r.add(Report{Items: items[:1], Outcome: Failed, Err: failure})
		reports := r.take()
		kept, failed := 0, 0
		for _, report := range reports {
			kept, failed = kept+len(report.Result.Rejected), failed+report.Result.Failed
			if len(report.Items) != len(report.Result.Rejected) && report.Outcome == Sent {
				t.Errorf("%d items, %d rejections", len(report.Items), len(report.Result.Rejected))
			}
			if len(report.Items) > 0 && &report.Items[0] == &batch[0] {
				t.Error("it keeps the rest of the batch")
			}
		}
		if kept != tt.kept || failed != maxReports/2*tt.each {
			t.Errorf("%d rejections kept, want %d; %d failed", kept, tt.kept, failed)
		}
		var told *SendError
		if !errors.As(reports[len(reports)-1].Err, &told) || told.Message != failure.Message || told.Rejected != nil || failure.Rejected == nil {
			t.Errorf("the error is %.80v", told)
		}
	}
}
