// Package ingest is Klime's side of the wire, in memory: it takes batches as
// Klime does, validates each event, and shows the customers, users, traits and
// timelines that follow from them.
//
// A group is a customer, and exists once group() was called for it. A group
// call with a user links that user to the customer, and from then on all of the
// user's events count for it, earlier ones too. An event that names a group
// counts for that group alone. Events may arrive in any order.
//
// Memory is bounded: see [Options].
package ingest

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Klime's limits for what it is sent.
const (
	MaxBatchEvents = 100              // events in a batch
	MaxEventBytes  = 200 * 1024       // bytes of one event, as sent
	MaxBatchBytes  = 10 * 1024 * 1024 // bytes of a request body
)

// Codes of requests that are refused whole.
const (
	CodeUnauthorized     = "unauthorized"           // 401: no write key, or not the right one
	CodeUnsupportedMedia = "unsupported_media_type" // 415: a Content-Type that is not JSON
	CodeBatchTooLarge    = "batch_too_large"        // 413: more than MaxBatchBytes
	CodeUnreadableBody   = "unreadable_body"        // 400: the body broke off
	CodeInvalidJSON      = "invalid_json"           // 400: the body is not JSON
	CodeInvalidBatch     = "invalid_batch"          // 400: no array named "batch"
	CodeTooManyEvents    = "too_many_events"        // 400: more than MaxBatchEvents
	CodeNotFound         = "not_found"              // 404
	CodeMethodNotAllowed = "method_not_allowed"     // 405
)

// Options say what a [Server] accepts and how much it remembers.
type Options struct {
	// WriteKey is the key that a sender must show. When empty, any key will do.
	WriteKey string

	// MaxEvents bounds the events that are remembered; the default is 100,000.
	// It also bounds the users and the groups, of which the one named least
	// recently is forgotten first.
	MaxEvents int

	// MaxBytes bounds the JSON of the remembered events; the default is
	// 256 MiB. The newest event is always remembered.
	MaxBytes int

	// TraceURL is where the page links an event's trace to, but for the trace's
	// ID at its end. When empty, the page shows the ID alone.
	TraceURL string
}

const (
	defaultMaxEvents = 100_000
	defaultMaxBytes  = 256 << 20
)

// Server is an in-memory Klime. It answers POST /v1/batch, and GET / with a
// page that shows what has arrived. It is made by [New] and safe for concurrent
// use. What its methods return belongs to the caller, all the way down.
type Server struct {
	opts Options
	page func() *page // parsed when first asked for

	mu       sync.Mutex
	log      []*record // remembered events in order of arrival
	logBytes int
	seen     map[string]struct{} // message IDs in log
	users    *recent[*user]
	groups   *recent[*group]
	counts   Counts
	waiters  map[chan struct{}]int // closed once so many events are accepted
}

// New returns an empty Server.
func New(opts Options) *Server {
	if opts.MaxEvents <= 0 {
		opts.MaxEvents = defaultMaxEvents
	}
	if opts.MaxBytes <= 0 {
		opts.MaxBytes = defaultMaxBytes
	}
	return &Server{
		opts:    opts,
		page:    sync.OnceValue(newPage),
		seen:    make(map[string]struct{}),
		users:   newRecent(opts.MaxEvents, newUser, (*user).unlink),
		groups:  newRecent(opts.MaxEvents, newGroup, (*group).unlink),
		waiters: make(map[chan struct{}]int),
	}
}

// ServeHTTP answers POST /v1/batch with JSON and GET / with a page.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/v1/batch":
		if r.Method != http.MethodPost {
			methodNotAllowed(w, "POST")
			return
		}
		s.serveBatch(w, r)
	case "/":
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			methodNotAllowed(w, "GET, HEAD")
			return
		}
		s.servePage(w)
	default:
		writeRefusal(w, &refusal{http.StatusNotFound, CodeNotFound, "there is nothing here; batches go to POST /v1/batch"})
	}
}

func methodNotAllowed(w http.ResponseWriter, allow string) {
	w.Header().Set("Allow", allow)
	writeRefusal(w, &refusal{http.StatusMethodNotAllowed, CodeMethodNotAllowed, "use " + allow})
}

// answer is what Klime says of a batch. Errors are there only when some events
// failed.
type answer struct {
	Status   string       `json:"status"`
	Accepted int          `json:"accepted"`
	Failed   int          `json:"failed"`
	Errors   []eventError `json:"errors,omitempty"`
}

// serveBatch stores the valid events of a batch; invalid ones do not harm them.
func (s *Server) serveBatch(w http.ResponseWriter, r *http.Request) {
	elements, refused := s.receive(w, r)
	if refused != nil {
		s.countRefusal(refused)
		writeRefusal(w, refused)
		return
	}

	now := time.Now().UTC()
	ans := answer{Status: "ok"}
	valid := make([]*record, 0, len(elements))
	for i, raw := range elements {
		event, invalid := parseEvent(raw)
		if invalid != nil {
			invalid.Index = i
			ans.Errors = append(ans.Errors, *invalid)
			continue
		}
		event.ReceivedAt = now
		valid = append(valid, &record{event: event})
	}
	ans.Accepted, ans.Failed = len(valid), len(ans.Errors)

	s.store(valid, ans.Failed)
	writeJSON(w, http.StatusOK, ans)
}

// receive reads a request down to the elements of its batch.
func (s *Server) receive(w http.ResponseWriter, r *http.Request) ([]json.RawMessage, *refusal) {
	if !s.authorized(r.Header.Get("Authorization")) {
		return nil, &refusal{http.StatusUnauthorized, CodeUnauthorized, "the write key is missing or wrong; send Authorization: Bearer WRITE_KEY"}
	}
	if !isJSON(r.Header.Get("Content-Type")) {
		return nil, &refusal{http.StatusUnsupportedMediaType, CodeUnsupportedMedia, "Content-Type must be application/json"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBatchBytes))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, &refusal{http.StatusRequestEntityTooLarge, CodeBatchTooLarge, "a batch may have 10 MB"}
	}
	if err != nil {
		return nil, badRequest(CodeUnreadableBody, "the body could not be read to its end")
	}
	return splitBatch(body)
}

// authorized compares keys in constant time.
func (s *Server) authorized(header string) bool {
	scheme, key, _ := strings.Cut(header, " ")
	key = strings.TrimSpace(key)
	if !strings.EqualFold(scheme, "Bearer") || key == "" {
		return false
	}
	return s.opts.WriteKey == "" || subtle.ConstantTimeCompare([]byte(key), []byte(s.opts.WriteKey)) == 1
}

// isJSON takes a missing Content-Type and any parameters.
func isJSON(contentType string) bool {
	if contentType == "" {
		return true
	}
	// A malformed parameter is an error, but the type is known all the same.
	mediaType, _, _ := mime.ParseMediaType(contentType)
	return mediaType == "application/json" || strings.HasSuffix(mediaType, "+json")
}

// refusal is why a request was refused whole.
type refusal struct {
	status  int
	code    string
	message string
}

func badRequest(code, message string) *refusal {
	return &refusal{http.StatusBadRequest, code, message}
}

func writeRefusal(w http.ResponseWriter, r *refusal) {
	if r.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	writeJSON(w, r.status, struct {
		Status  string `json:"status"`
		Message string `json:"message"`
		Code    string `json:"code"`
	}{"error", r.message, r.code})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) //nolint:errchkjson // answers encode; an error means that the sender has gone
}
