package faults_test

import (
	"encoding/json"
	"fmt"
	"hash/maphash"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// event is what the server reads of one.
type event struct {
	MessageID  string `json:"messageId"`
	Properties marks  `json:"properties"`
	Traits     marks  `json:"traits"`
}

// marks are in the properties or traits of every event.
type marks struct {
	Key    string `json:"key"` // of the event, in the account
	Pad    string `json:"pad"`
	Length int    `json:"length"` // of Pad
	Poison bool   `json:"poison"` // Klime always refuses it
}

func (e *event) marks() marks {
	if e.Traits.Key != "" {
		return e.Traits
	}
	return e.Properties
}

// arrival is an event that the server has stored.
type arrival struct {
	messageID string
	content   uint64 // hash of its JSON
	times     int
}

// server is a Klime that answers as the weather has it, and keeps the books.
type server struct {
	seed maphash.Seed

	mu       sync.Mutex
	arrived  map[string]*arrival // by key
	refused  map[string]bool     // keys that an answer has named, or would not take
	problems []string            // what a Klime must never see
}

func newServer() *server {
	return &server{seed: maphash.MakeSeed(), arrived: map[string]*arrival{}, refused: map[string]bool{}}
}

func (s *server) complainf(format string, args ...any) {
	if len(s.problems) < 20 {
		s.problems = append(s.problems, fmt.Sprintf(format, args...))
	}
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, random := decodeDraw(r.Header.Get(faultHeader))
	if f == resetUnread {
		hangUp(w, random, nil)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // given up by the client
	}
	events, raw := s.read(r, body)
	switch f {
	case hang, serverError, timedOut, tooMany, halting: // nothing is stored
	case partial, refusedNamed: // some of it
	default:
		if s.poisoned(w, random, events) {
			return
		}
		if isCut := f == cutHeader || f == cutBody; !isCut || random.IntN(2) == 0 { // whatever it has begun to say
			s.store(events, raw, nil)
		}
	}
	s.answer(w, r, f, random, events, raw)
}

// read checks a request, and returns its events.
func (s *server) read(r *http.Request, body []byte) ([]event, []json.RawMessage) {
	var batch struct {
		Batch []json.RawMessage `json:"batch"`
	}
	err := json.Unmarshal(body, &batch)
	events := make([]event, len(batch.Batch))
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil || r.Method != http.MethodPost || r.URL.Path != "/v1/batch" || len(events) > 100 || len(body) > 10<<20 ||
		r.Header.Get("Authorization") != "Bearer key" || r.Header.Get("Content-Type") != "application/json" {
		s.complainf("request %s %s, %d bytes, %d events: %v", r.Method, r.URL.Path, len(body), len(events), err)
	}
	for i, raw := range batch.Batch {
		if err := json.Unmarshal(raw, &events[i]); err != nil {
			s.complainf("event %s: %v", raw, err)
		}
		if m := events[i].marks(); m.Key == "" || events[i].MessageID == "" || len(m.Pad) != m.Length {
			s.complainf("event %.300s", raw)
		}
	}
	return events, batch.Batch
}

// poisoned refuses a request with an event that is never taken, and reports whether
// it did: by name or not.
func (s *server) poisoned(w http.ResponseWriter, random *rand.Rand, events []event) bool {
	var named []string
	s.mu.Lock()
	for i := range events {
		if m := events[i].marks(); m.Poison {
			s.refused[m.Key] = true
			named = append(named, fmt.Sprintf(`{"index":%d,"code":"invalid_event"}`, i))
		}
	}
	s.mu.Unlock()
	if len(named) == 0 {
		return false
	}
	w.WriteHeader([]int{http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusRequestEntityTooLarge}[random.IntN(3)])
	if random.IntN(2) == 0 {
		_, _ = fmt.Fprintf(w, `{"errors":[%s]}`, strings.Join(named, ","))
	}
	return true
}

// store keeps events but those of some indices.
func (s *server) store(events []event, raw []json.RawMessage, but map[int]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range events {
		if but[i] {
			continue
		}
		key, content := events[i].marks().Key, maphash.Bytes(s.seed, raw[i])
		known := s.arrived[key]
		if known == nil {
			s.arrived[key] = &arrival{events[i].MessageID, content, 1}
			continue
		}
		known.times++
		if known.messageID != events[i].MessageID || known.content != content {
			s.complainf("%s came again as another: %.300s", key, raw[i])
		}
	}
}

// answer answers a request whose events have been stored, where they were to be.
func (s *server) answer(w http.ResponseWriter, r *http.Request, f fault, random *rand.Rand, events []event, raw []json.RawMessage) {
	good := fmt.Sprintf(`{"status":"ok","accepted":%d,"failed":0}`, len(events))
	switch f {
	case hang, hangStored:
		<-r.Context().Done()
	case slow:
		pause := []time.Duration{500 * time.Microsecond, 20 * time.Millisecond}[random.IntN(2)]
		for i := range len(good) {
			_, _ = io.WriteString(w, good[i:i+1])
			_ = http.NewResponseController(w).Flush()
			time.Sleep(pause)
			if r.Context().Err() != nil {
				return
			}
		}
	case cutHeader:
		hangUp(w, random, []byte("HTTP/1.1 200 OK\r\nContent-Le"))
	case cutBody:
		hangUp(w, random, []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n"+good[:20]))
	case lastWord:
		w.Header().Set("Connection", "close")
		_, _ = io.WriteString(w, good)
	case serverError, storedError:
		w.WriteHeader(500 + random.IntN(5))
		_, _ = io.WriteString(w, "<html>error</html>")
	case timedOut:
		w.WriteHeader([]int{http.StatusRequestTimeout, http.StatusTooEarly}[random.IntN(2)])
	case tooMany:
		w.Header().Set("Retry-After", retryAfter(random))
		w.WriteHeader(http.StatusTooManyRequests)
	case halting:
		w.Header().Set("Location", "http://127.0.0.1:1/elsewhere")
		w.WriteHeader([]int{401, 403, 404, 405, 302, 200}[random.IntN(6)])
		_, _ = io.WriteString(w, "<html>")
	case partial, refusedNamed:
		s.refuseSome(w, f, random, events, raw)
	case wrongIndices: // all were stored: that none was accepted would be believed
		_, _ = fmt.Fprintf(w, `{"status":"ok","accepted":%d,"failed":7,"errors":[{"index":%d},{"index":-1},{"index":"0"},{"index":0.5},{"code":"x"},null,7]}`,
			len(events), len(events)+random.IntN(100))
	case notJSON:
		_, _ = io.WriteString(w, []string{"", "ok", `{"status":"ok","errors":[{"index":0`, strings.Repeat("[", 100_000)}[random.IntN(4)])
	default:
		_, _ = io.WriteString(w, good)
	}
}

// refuseSome names up to three events as invalid, and stores the others, or with
// status 400 none.
func (s *server) refuseSome(w http.ResponseWriter, f fault, random *rand.Rand, events []event, raw []json.RawMessage) {
	bad := map[int]bool{}
	var named []string
	s.mu.Lock()
	for i := range events {
		// Not all of them: a batch refused whole could be the last before a halt.
		if poison := events[i].marks().Poison; poison || len(named) < min(3, len(events)-1) && random.IntN(len(events)) < 3 {
			bad[i] = true
			s.refused[events[i].marks().Key] = true
			named = append(named, fmt.Sprintf(`{"index":%d,"code":"invalid_event","message":"no"}`, i))
		}
	}
	s.mu.Unlock()
	switch {
	case f == partial:
		s.store(events, raw, bad)
	case len(named) > 0:
		w.WriteHeader(http.StatusBadRequest)
	default:
		s.store(events, raw, nil)
	}
	_, _ = fmt.Fprintf(w, `{"status":"ok","accepted":%d,"failed":%d,"errors":[%s]}`, len(events)-len(named), len(named), strings.Join(named, ","))
}

// retryAfter asks for a second at most.
func retryAfter(random *rand.Rand) string {
	now := time.Now().UTC()
	all := []string{
		"0", "-5", "soon", "", "1e9", "99999999999999999999", now.Add(-time.Hour).Format(http.TimeFormat), "Thu, 99 Foo 2026 00:00:00 GMT",
		now.Add(time.Second).Format(http.TimeFormat), "1",
	}
	if random.IntN(4) > 0 {
		all = all[:len(all)-1] // seldom the one that costs a second
	}
	return all[random.IntN(len(all))]
}

// hangUp writes something and ends the connection, in one way or the other.
func hangUp(w http.ResponseWriter, random *rand.Rand, last []byte) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	_, _ = c.Write(last)
	if tcp, ok := c.(*net.TCPConn); ok && random.IntN(2) == 0 {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}
