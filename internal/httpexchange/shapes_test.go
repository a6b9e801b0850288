package httpexchange

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	klime "github.com/klimeapp/klime-go/core"
)

// able has all optional interfaces, and notes which methods are called.
type able struct {
	*httptest.ResponseRecorder

	called []string
}

var errFlush = errors.New("the client is gone")

func (w *able) FlushError() error {
	w.called = append(w.called, "FlushError")
	return errFlush
}

func (w *able) Flush() { w.called = append(w.called, "Flush") }

func (w *able) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.called = append(w.called, "Hijack")
	return nil, nil, http.ErrHijacked
}

func (w *able) ReadFrom(src io.Reader) (int64, error) {
	w.called = append(w.called, "ReadFrom")
	return io.Copy(w.ResponseRecorder, src)
}

func (w *able) Push(string, *http.PushOptions) error {
	w.called = append(w.called, "Push")
	return http.ErrNotSupported
}

func (w *able) CloseNotify() <-chan bool {
	w.called = append(w.called, "CloseNotify")
	return nil
}

// For each combination of optional interfaces there is a writer with exactly these, and
// each method does what the original's does. A flush sends the header, though there is no
// body yet.
func TestShapes(t *testing.T) {
	t.Parallel()
	for can := range notifies << 1 {
		next := &able{ResponseRecorder: httptest.NewRecorder()}
		r := &shaped{response{next: next}}
		w := r.shape(can)
		if got := abilitiesOf(w); got != can {
			t.Errorf("%06b: the writer has %06b", can, got)
		}
		var want []string
		if f, ok := w.(errorFlusher); ok {
			if err := f.FlushError(); !errors.Is(err, errFlush) || r.status != http.StatusOK {
				t.Errorf("%06b: FlushError: %v, status %d", can, err, r.status)
			}
			r.status = 0
			if f.Flush(); r.status != http.StatusOK {
				t.Errorf("%06b: Flush: status %d", can, r.status)
			}
			want = append(want, "FlushError", "Flush")
		}
		if h, ok := w.(http.Hijacker); ok {
			if _, _, err := h.Hijack(); !errors.Is(err, http.ErrHijacked) {
				t.Errorf("%06b: Hijack: %v", can, err)
			}
			want = append(want, "Hijack")
		}
		if f, ok := w.(io.ReaderFrom); ok {
			w.Header().Set("Content-Type", "text/plain")
			if n, err := f.ReadFrom(strings.NewReader("text")); n != 4 || err != nil {
				t.Errorf("%06b: ReadFrom: %d, %v", can, n, err)
			}
			want = append(want, "ReadFrom")
		}
		if p, ok := w.(http.Pusher); ok {
			if err := p.Push("/", nil); !errors.Is(err, http.ErrNotSupported) {
				t.Errorf("%06b: Push: %v", can, err)
			}
			want = append(want, "Push")
		}
		if c, ok := w.(http.CloseNotifier); ok { //nolint:staticcheck // deprecated, and still asked for
			c.CloseNotify()
			want = append(want, "CloseNotify")
		}
		if got := strings.Join(next.called, " "); got != strings.Join(want, " ") {
			t.Errorf("%06b: the original was asked for %s, want %s", can, got, strings.Join(want, " "))
		}
		w.WriteHeader(http.StatusAccepted)
		if n, err := io.WriteString(w, "some"); n != 4 || err != nil {
			t.Errorf("%06b: WriteString: %d, %v", can, n, err)
		}
		if n, err := w.Write([]byte("thing")); n != 5 || err != nil {
			t.Errorf("%06b: Write: %d, %v", can, n, err)
		}
		if unwrap(unwrap(w)) != http.ResponseWriter(next) {
			t.Errorf("%06b: Unwrap", can)
		}
		if !strings.HasSuffix(next.Body.String(), "something") || r.bytes != int64(next.Body.Len()) {
			t.Errorf("%06b: body %q, %d bytes", can, next.Body, r.bytes)
		}
	}
}

func unwrap(w http.ResponseWriter) http.ResponseWriter {
	if u, ok := w.(interface{ Unwrap() http.ResponseWriter }); ok {
		return u.Unwrap()
	}
	return nil
}

// onlyUnwraps has optional interfaces only through Unwrap.
type onlyUnwraps struct{ http.ResponseWriter }

func (w onlyUnwraps) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// hijackable can be hijacked.
type hijackable struct{ http.ResponseWriter }

func (hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, nil }

// Flushes and hijacks that http.ResponseController makes through Unwrap are noted if
// they happened.
func TestThroughUnwrap(t *testing.T) {
	t.Parallel()
	flush := func(c *http.ResponseController) error { return c.Flush() }
	hijack := func(c *http.ResponseController) error {
		_, _, err := c.Hijack()
		return err
	}
	tests := map[string]struct {
		original http.ResponseWriter
		do       func(*http.ResponseController) error
		err      error
		status   int    // 0 for none yet
		media    string // the type that counts, though "text/late" is set afterwards
	}{
		"flush":                {httptest.NewRecorder(), flush, nil, http.StatusOK, "text/event-stream"},
		"a flush that fails":   {&able{ResponseRecorder: httptest.NewRecorder()}, flush, errFlush, http.StatusOK, "text/event-stream"},
		"no flush":             {onlyWrites{httptest.NewRecorder()}, flush, http.ErrNotSupported, 0, "text/late"},
		"hijack":               {hijackable{httptest.NewRecorder()}, hijack, nil, takenOver, "text/late"},
		"a hijack that fails":  {&able{ResponseRecorder: httptest.NewRecorder()}, hijack, http.ErrHijacked, 0, "text/late"},
		"no hijack":            {httptest.NewRecorder(), hijack, http.ErrNotSupported, 0, "text/late"},
		"no hijack, no Unwrap": {onlyWrites{httptest.NewRecorder()}, hijack, http.ErrNotSupported, 0, "text/late"},
	}
	incoming := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	for name, tt := range tests {
		r := &shaped{response{passed: &Passed{incoming: incoming}}}
		w := r.observe(onlyUnwraps{tt.original})
		if can := abilitiesOf(w); can != 0 {
			t.Errorf("%s: the writer has %06b by itself", name, can)
		}
		w.Header().Set("Content-Type", "text/event-stream")
		if err := tt.do(http.NewResponseController(w)); !errors.Is(err, tt.err) {
			t.Errorf("%s: %v, want %v", name, err, tt.err)
		}
		w.Header().Set("Content-Type", "text/late")
		if got := r.media.Finish(w.Header()); r.status != tt.status || got != tt.media {
			t.Errorf("%s: status %d, %s, want %d, %s", name, r.status, got, tt.status, tt.media)
		}
	}
}

// A writer whose Flush reports no errors is flushed, whichever way it is asked.
func TestFlushWithoutErrors(t *testing.T) {
	t.Parallel()
	for name, flush := range map[string]func(w http.ResponseWriter) error{
		"controller":   func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() },
		"http.Flusher": func(w http.ResponseWriter) error { w.(http.Flusher).Flush(); return nil },
	} {
		original, r := httptest.NewRecorder(), new(shaped)
		if err := flush(r.observe(original)); err != nil || !original.Flushed || r.status != http.StatusOK {
			t.Errorf("%s: %v, flushed %v, status %d", name, err, original.Flushed, r.status)
		}
	}
}

// Unwrap allocates nothing, and what is written past the writer is counted too.
func TestUnwrapped(t *testing.T) {
	r := new(shaped)
	w := r.observe(httptest.NewRecorder())
	if got := testing.AllocsPerRun(100, func() { unwrap(w) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
	inner := unwrap(w)
	inner.Header().Set("Content-Type", "text/csv")
	inner.WriteHeader(http.StatusAccepted)
	_, _ = inner.Write([]byte("1;2;3"))
	if got := r.media.Finish(w.Header()); r.status != http.StatusAccepted || r.bytes != 5 || got != "text/csv" {
		t.Errorf("status %d, %d bytes, %s", r.status, r.bytes, got)
	}
}

// What Unwrap returns has further methods only if the original has an Unwrap of its own,
// and a ReadFrom only if there is one behind it.
func TestUnwrappedAbilities(t *testing.T) {
	for name, test := range map[string]struct {
		original http.ResponseWriter
		further  bool
		copies   bool
	}{
		"nothing":                    {original: onlyMethods{}},
		"by its Unwrap":              {original: onlyUnwraps{}, further: true},
		"by its Unwrap, and copies":  {original: onlyUnwraps{&able{}}, further: true, copies: true},
		"by two of them, and copies": {original: onlyUnwraps{onlyUnwraps{&able{}}}, further: true, copies: true},
		"by ours, not copying":       {original: new(shaped).observe(onlyUnwraps{onlyMethods{}}), further: true},
	} {
		w := new(shaped).observe(test.original)
		if got := testing.AllocsPerRun(100, func() { unwrap(w) }); got != 0 {
			t.Errorf("%s: %v allocations", name, got)
		}
		inner := unwrap(w)
		_, hijacks := inner.(http.Hijacker)
		_, flushes := inner.(interface{ FlushError() error })
		_, copies := inner.(io.ReaderFrom)
		if hijacks != test.further || flushes != test.further || copies != test.copies {
			t.Errorf("%s: hijacks %v, flushes %v, copies %v", name, hijacks, flushes, copies)
		}
	}
}

type onlyMethods struct{ http.ResponseWriter }

// The writers of net/http cost no allocation besides the response.
func TestShapesOfNetHTTP(t *testing.T) {
	for name, can := range map[string]ability{"HTTP/1": http1Abilities, "HTTP/2": http2Abilities} {
		r := &shaped{response{next: httptest.NewRecorder()}}
		if got := testing.AllocsPerRun(100, func() { r.shape(can) }); got != 0 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}

// onlyWrites has no WriteString.
type onlyWrites struct{ http.ResponseWriter }

// A string is a body like any other, whether or not the original can write strings: what a
// handler says of its header afterwards is too late.
func TestWriteString(t *testing.T) {
	t.Parallel()
	for name, original := range map[string]http.ResponseWriter{
		"with":    httptest.NewRecorder(),
		"without": onlyWrites{httptest.NewRecorder()},
	} {
		r := &shaped{response{passed: new(Passed)}}
		w := r.observe(original)
		if n, err := io.WriteString(w, "<!doctype html>"); n != 15 || err != nil {
			t.Errorf("%s: %d, %v", name, n, err)
		}
		w.WriteHeader(http.StatusInternalServerError)
		w.Header().Set("Content-Type", "text/late")
		var x klime.Exchange
		r.describe(&x, httptest.NewRequest(http.MethodGet, "/", http.NoBody), nil)
		if x.Status != http.StatusOK || x.ContentType != "text/html; charset=utf-8" || x.ResponseBytes != 15 {
			t.Errorf("%s: %+v", name, x)
		}
	}
}
