package httpexchange

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestLocation(t *testing.T) {
	t.Parallel()
	header := http.Header{"Location": {"/reports/42"}}
	for status, want := range map[int]string{0: "", 200: "", 201: "", 301: "/reports/42", 308: "/reports/42", 400: ""} {
		if got := Location(header, status); got != want {
			t.Errorf("%d: %q, want %q", status, got, want)
		}
	}
}

// A client that goes away when it has had all that the header promises has not left early,
// nor has one whose request ran out of time on our side.
func TestLeft(t *testing.T) {
	t.Parallel()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	const written = 4
	for promised, left := range map[string]bool{"": true, "5": true, "4": false, "3": false} { // "" for nothing
		header := http.Header{"Content-Length": {promised}}
		for ctx, want := range map[context.Context]bool{t.Context(): false, late: false, gone: left} {
			r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", http.NoBody)
			if got := Left(r, header, written); got != want {
				t.Errorf("%q promised, %v: %v", promised, ctx.Err(), got)
			}
		}
	}
}

// A 101 is the answer itself, though it begins with 1.
func TestInformational(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]bool{100: true, 101: false, 103: true, 199: true, 200: false, 404: false} {
		if got := Informational(status); got != want {
			t.Errorf("%d: %v", status, got)
		}
	}
}

// copier notes what it is to copy, if it is given one of these.
type copier struct {
	*httptest.ResponseRecorder

	given []io.Reader
	err   error // of each copy
}

func (w *copier) ReadFrom(src io.Reader) (int64, error) {
	w.given = append(w.given, src)
	n, err := io.Copy(w.ResponseRecorder, src)
	return n, errors.Join(err, w.err)
}

// The original copies from the source itself, perhaps in the kernel, unless its first bytes
// are to be looked at: all of them if it is sent in chunks, else only these.
func TestReadFrom(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		header http.Header
		size   int
		want   []bool // for each of the original's copies, whether it is from the source itself
	}{
		"type declared":         {http.Header{"Content-Type": {"text/csv"}, "Content-Length": {"1000"}}, 1000, []bool{true}},
		"in chunks":             {http.Header{}, 1000, []bool{false}},
		"of known length":       {http.Header{"Content-Length": {"1000"}}, 1000, []bool{false, true}},
		"of known length, less": {http.Header{"Content-Length": {"1000"}}, sniffBytes - 1, []bool{false}},
		"of known length, just": {http.Header{"Content-Length": {"1000"}}, sniffBytes, []bool{false, true}},
	} {
		original := &copier{ResponseRecorder: httptest.NewRecorder()}
		r := new(shaped)
		w := r.observe(original)
		maps.Copy(w.Header(), test.header)
		source := strings.NewReader(strings.Repeat("x", test.size))
		n, err := w.(io.ReaderFrom).ReadFrom(source)
		if n != int64(test.size) || err != nil || original.Body.Len() != test.size {
			t.Errorf("%s: copied %d of %d bytes: %v", name, n, test.size, err)
		}
		var got []bool
		for _, src := range original.given {
			got = append(got, src == io.Reader(source))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: from the source itself: %v, want %v", name, got, test.want)
		}
		w.WriteHeader(http.StatusInternalServerError) // too late
		if media := r.media.Finish(w.Header()); r.status != http.StatusOK || r.bytes != n || !strings.HasPrefix(media, "text/") {
			t.Errorf("%s: status %d, %d bytes, %q", name, r.status, r.bytes, media)
		}
	}
}

// A copy that fails is not taken up again.
func TestReadFromFails(t *testing.T) {
	t.Parallel()
	original := &copier{ResponseRecorder: httptest.NewRecorder(), err: io.ErrClosedPipe}
	w := new(shaped).observe(original)
	w.Header().Set("Content-Length", "1000")
	n, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader(strings.Repeat("x", 1000)))
	if n != sniffBytes || !errors.Is(err, io.ErrClosedPipe) || len(original.given) != 1 {
		t.Errorf("%d bytes, %v, copied %d times", n, err, len(original.given))
	}
}

// The status of gRPC is in the header or the trailer; an answer of another type has none.
func TestGRPCStatus(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		header    http.Header
		mediaType string
		want      string
	}{
		"in the header":          {http.Header{"Grpc-Status": {"5"}}, "application/grpc", "5"},
		"in the trailer":         {http.Header{"Trailer:Grpc-Status": {"7"}}, "application/grpc+proto", "7"},
		"in both":                {http.Header{"Grpc-Status": {"5"}, "Trailer:Grpc-Status": {"7"}}, "application/grpc", "5"},
		"of gRPC-Web, not known": {http.Header{}, "application/grpc-web", ""},
		"of another type":        {http.Header{"Grpc-Status": {"5"}}, "application/json", ""},
	} {
		if got := GRPCStatus(test.header, test.mediaType); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
