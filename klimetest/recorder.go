package klimetest

import (
	"errors"
	"net/http"
	"net/http/httptest"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/internal/ingest"
)

// Recorder is a fake Klime without a network. It checks and takes events as a
// [Server] does, and works in a testing/synctest bubble, so that a test of
// retries and outages takes no time. It is made by [NewRecorder], and safe for concurrent use.
type Recorder struct{ backend }

// NewRecorder returns an empty Recorder.
func NewRecorder() *Recorder { return &Recorder{newBackend(ingest.DefaultMaxEvents)} }

// Config returns a configuration that sends to the Recorder. It has the client's
// defaults, except that there is one sender, so that events arrive in the order in
// which they were made. A test may change what it is about.
func (r *Recorder) Config() klime.Config {
	return klime.Config{
		WriteKey:   writeKey,
		Endpoint:   "http://localhost", // never dialled
		HTTPClient: &http.Client{Transport: roundTripper(r.serve)},
		Senders:    1,
	}
}

// roundTripper calls a handler without a connection.
type roundTripper http.HandlerFunc

var errCut = errors.New("connection cut")

func (handle roundTripper) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	answer := httptest.NewRecorder()
	defer func() {
		if v := recover(); v == http.ErrAbortHandler { //nolint:errorlint // as net/http compares it
			resp, err = nil, errCut
		} else if v != nil {
			panic(v)
		}
	}()
	handle(answer, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return answer.Result(), nil
}
