// Package ingest is Klime's side of the wire, in memory: it accepts batches as Klime
// does, validates each event, and shows the resulting customers, users, traits and
// timelines.
//
// A group becomes a customer when group() is called for it. A group call with a user
// links that user to the customer. From then on all of the user's events count for
// the customer, earlier ones too. But an event that names a group counts for that
// group alone. Events may arrive in any order.
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

// Codes of requests that are refused as a whole.
const (
	CodeTooManyRequests  = "too_many_requests"      // 429: see Options.BatchRate
	CodeUnauthorized     = "unauthorized"           // 401: no write key, or not the right one
	CodeUnsupportedMedia = "unsupported_media_type" // 415: a Content-Type that is not JSON, or a compressed body
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
	// WriteKey is the key that a sender must show. If it is empty, any key will do.
	WriteKey string

	// MaxEvents bounds the number of remembered events, of users, and of groups, each
	// by itself. The oldest event, and the user and group named least recently, are
	// forgotten first. The default is DefaultMaxEvents.
	MaxEvents int

	// MaxBytes bounds the JSON of the remembered events, except that the newest event
	// is always remembered. What is known of users and groups may take the same amount
	// again. The default is DefaultMaxBytes.
	MaxBytes int

	// BatchRate bounds the batches accepted in a second. Further batches are answered
	// with 429, which SDKs retry. BatchesAtOnce bounds the batches that are read at the
	// same time, and so the memory of requests. Further batches wait. By default there
	// are no such bounds.
	BatchRate     int
	BatchesAtOnce int
}

// Defaults of [Options].
const (
	DefaultMaxEvents = 100_000
	DefaultMaxBytes  = 256 << 20
)

// Server is an in-memory Klime. It answers POST /v1/batch, also to web pages of other
// origins. It is made by [New] and safe for concurrent use. Its methods return deep
// copies, except for [Server.Snapshot].
type Server struct {
	opts  Options
	slots chan struct{} // holds a value for each batch being read; nil if their number is unbounded

	mu        sync.Mutex
	log       []*Record // remembered events in order of arrival
	logBytes  int
	seen      map[string]*Record // in log, by message ID
	kinds     kinds              // of the records in log
	users     *lru[*user]
	groups    *lru[*group]
	factBytes int        // what is known of users and groups
	problems  []*Problem // the newest, in order of arrival
	noted     int        // number of problems so far
	counts    Counts
	waiters   map[chan struct{}]int // closed once this many events are accepted
	watchers  map[chan struct{}]struct{}
	bucket    bucket
	version   int
	snapshot  *Snapshot // of this version, nil until it is asked for
}

// New returns an empty Server.
func New(opts Options) *Server {
	if opts.MaxEvents <= 0 {
		opts.MaxEvents = DefaultMaxEvents
	}
	if opts.MaxBytes <= 0 {
		opts.MaxBytes = DefaultMaxBytes
	}
	s := &Server{
		opts:     opts,
		seen:     make(map[string]*Record),
		kinds:    newKinds(),
		waiters:  make(map[chan struct{}]int),
		watchers: make(map[chan struct{}]struct{}),
	}
	s.users = newLRU(opts.MaxEvents, s.newUser, s.forgetUser)
	s.groups = newLRU(opts.MaxEvents, s.newGroup, s.forgetGroup)
	if opts.BatchesAtOnce > 0 {
		s.slots = make(chan struct{}, opts.BatchesAtOnce)
	}
	return s
}

// ServeHTTP answers POST /v1/batch with JSON.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.ServeRejecting(w, r, nil) }

// ServeRejecting is ServeHTTP, but asks whether to reject the event at each index of a
// batch, whatever it is. Such events are not in [Counts], nor among the problems.
func (s *Server) ServeRejecting(w http.ResponseWriter, r *http.Request, rejects func(index int) bool) {
	if r.URL.Path != "/v1/batch" {
		writeRefusal(w, &refusal{http.StatusNotFound, CodeNotFound, "there is nothing here; batches go to POST /v1/batch"})
		return
	}
	// Web pages of any origin send events with the browser SDK, and their write key is
	// no secret. They can only add events, and read nothing. So the Host header is not
	// checked either: DNS rebinding gives a page nothing that it cannot do anyway.
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	switch r.Method {
	case http.MethodPost:
		s.serveBatch(w, r, rejects)
	case http.MethodOptions:
		h.Set("Access-Control-Allow-Methods", http.MethodPost)
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
		h.Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
	default:
		h.Set("Allow", "POST, OPTIONS")
		writeRefusal(w, &refusal{http.StatusMethodNotAllowed, CodeMethodNotAllowed, "use POST"})
	}
}

// answer is Klime's answer to a batch. Errors is left out unless some events failed.
type answer struct {
	Status   string       `json:"status"`
	Accepted int          `json:"accepted"`
	Failed   int          `json:"failed"`
	Errors   []eventError `json:"errors,omitempty"`
}

// serveBatch stores the valid events of a batch, even if others in it are invalid.
func (s *Server) serveBatch(w http.ResponseWriter, r *http.Request, rejects func(index int) bool) {
	if s.slots != nil {
		select {
		case s.slots <- struct{}{}:
			defer func() { <-s.slots }()
		case <-r.Context().Done():
			return
		}
	}
	elements, refused := s.receive(w, r)
	if refused != nil {
		s.countRefusal(refused, cut(r.UserAgent(), maxSender))
		writeRefusal(w, refused)
		return
	}

	now := time.Now().UTC()
	ans := answer{Status: "ok"}
	valid := make([]*Record, 0, len(elements))
	var rejected []Problem
	for i, raw := range elements {
		if rejects != nil && rejects(i) {
			ans.Errors = append(ans.Errors, eventError{i, "rejected by the test", CodeRejected})
			continue
		}
		record, invalid := parseEvent(raw)
		if invalid != nil {
			invalid.Index = i
			ans.Errors = append(ans.Errors, *invalid)
			rejected = append(rejected, problemWith(raw, invalid, now, r))
			continue
		}
		record.ReceivedAt = now
		valid = append(valid, record)
	}
	ans.Accepted, ans.Failed = len(valid), len(ans.Errors)

	s.store(valid, rejected)
	writeJSON(w, http.StatusOK, ans)
}

// receive checks a request, and splits its body into the elements of the batch.
func (s *Server) receive(w http.ResponseWriter, r *http.Request) ([]json.RawMessage, *refusal) {
	if !s.admit() {
		return nil, &refusal{http.StatusTooManyRequests, CodeTooManyRequests, "too many batches in a second; try again"}
	}
	if !s.authorized(r.Header.Get("Authorization")) {
		return nil, &refusal{http.StatusUnauthorized, CodeUnauthorized, "the write key is missing or wrong; send Authorization: Bearer WRITE_KEY"}
	}
	if !isJSON(r.Header.Get("Content-Type")) {
		return nil, &refusal{http.StatusUnsupportedMediaType, CodeUnsupportedMedia, "Content-Type must be application/json"}
	}
	if isEncoded(r.Header.Values("Content-Encoding")) {
		return nil, &refusal{http.StatusUnsupportedMediaType, CodeUnsupportedMedia, "the body must not be compressed (no Content-Encoding)"}
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
	key := Bearer(header)
	return key != "" && (s.opts.WriteKey == "" || subtle.ConstantTimeCompare([]byte(key), []byte(s.opts.WriteKey)) == 1)
}

// Bearer returns the token of an Authorization header, "" if there is none.
func Bearer(header string) string {
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// isJSON also accepts a missing Content-Type, and any parameters.
func isJSON(contentType string) bool {
	if contentType == "" {
		return true
	}
	// On a malformed parameter ParseMediaType fails, but still returns the type.
	mediaType, _, _ := mime.ParseMediaType(contentType)
	return mediaType == "application/json" || strings.HasSuffix(mediaType, "+json")
}

// isEncoded reports whether a body is compressed, or encoded in another way.
func isEncoded(contentEncoding []string) bool {
	for encoding := range strings.SplitSeq(strings.Join(contentEncoding, ","), ",") {
		if encoding = strings.TrimSpace(encoding); encoding != "" && !strings.EqualFold(encoding, "identity") {
			return true
		}
	}
	return false
}

// refusal is why a request was refused as a whole.
type refusal struct {
	status  int
	code    string
	message string
}

func badRequest(code, message string) *refusal {
	return &refusal{http.StatusBadRequest, code, message}
}

func writeRefusal(w http.ResponseWriter, r *refusal) {
	switch r.status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	case http.StatusTooManyRequests:
		w.Header().Set("Retry-After", "1")
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
	_ = json.NewEncoder(w).Encode(body) //nolint:errchkjson // answers can be encoded; an error means that the sender has gone away
}
