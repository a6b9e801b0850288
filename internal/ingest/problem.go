package ingest

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// Problem is an event that was rejected, or a batch that was refused as a whole.
type Problem struct {
	Seq     int       `json:"seq"` // order of arrival, from 1
	At      time.Time `json:"receivedAt"`
	Status  int       `json:"status,omitempty"` // the answer to a refused batch, 0 for an event
	Code    string    `json:"code"`
	Message string    `json:"message"`
	Index   int       `json:"index"`               // of an event in its batch
	Sender  string    `json:"userAgent,omitempty"` // the beginning of the request's User-Agent
	Text    string    `json:"text,omitempty"`      // of an event, as it was sent
	Cut     bool      `json:"cut,omitempty"`       // Text is only the beginning
}

// How much is remembered of problems: the newest ones, and the beginning of each.
const (
	maxProblems = 1000
	maxProblem  = 8 << 10 // bytes of Text
	maxSender   = 200     // bytes
)

func problemWith(raw json.RawMessage, e *eventError, at time.Time, r *http.Request) Problem {
	kept := cut(string(raw), maxProblem)
	return Problem{
		At: at, Code: e.Code, Message: e.Message, Index: e.Index,
		Sender: cut(r.UserAgent(), maxSender), Text: kept, Cut: len(kept) < len(raw),
	}
}

// cut returns the first n bytes of s at most, without a broken character, and keeps
// nothing else of s in memory.
func cut(s string, n int) string {
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "")
	}
	return strings.Clone(s)
}

// note remembers a problem. The caller must hold the lock.
func (s *Server) note(p Problem) {
	s.noted++
	p.Seq = s.noted
	s.problems = append(s.problems, &p)
	if len(s.problems) > maxProblems {
		s.problems = dropFirst(s.problems)
	}
}
