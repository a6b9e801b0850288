package delivery_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/klimeapp/klime-go/internal/delivery"
)

func TestAnswers(t *testing.T) {
	t.Parallel()
	rejected := func(r ...delivery.Rejection) delivery.Result { return delivery.Result{Failed: len(r), Rejected: r} }
	tests := []struct {
		name    string
		code    int
		body    string
		events  int // 0 stands for 3
		want    delivery.Result
		message string // of the error
	}{
		{name: "all accepted", code: 200, body: `{"status":"ok","accepted":3,"failed":0}`, want: delivery.Result{Accepted: 3}},
		{
			name: "one failed", code: 200, body: `{"status":"ok","accepted":2,"failed":1,"errors":[{"index":1,"message":"m","code":"c"}]}`,
			want: delivery.Result{Accepted: 2, Failed: 1, Rejected: []delivery.Rejection{{Index: 1, Code: "c", Message: "m"}}},
		},
		{
			name: "indexes out of range and twice", code: 200,
			body: `{"accepted":0,"errors":[{"index":-1},{"index":3},{"index":2},{"index":2}]}`,
			want: delivery.Result{Accepted: 2, Failed: 1, Rejected: []delivery.Rejection{{Index: 2}}},
		},
		{
			name: "the only one failed", code: 200, events: 1, body: `{"status":"ok","accepted":0,"failed":1}`,
			want: rejected(delivery.Rejection{}),
		},
		{
			name: "the only one failed, and is not named", code: 200, events: 1,
			body: `{"accepted":0,"failed":1,"errors":[{"messageId":"x","message":"m","code":"c"}]}`,
			want: rejected(delivery.Rejection{Code: "c", Message: "m"}),
		},
		{
			name: "the only one failed, and a message says why", code: 200, events: 1, body: `{"failed":1,"message":"no such: key","errors":[]}`,
			want: rejected(delivery.Rejection{Message: "no such: [write key]"}),
		},
		{
			name: "an index that is no integer", code: 200, events: 1, body: `{"accepted":0,"failed":1,"errors":[{"index":0.5,"message":"m"}]}`,
			want: rejected(delivery.Rejection{Message: "m"}),
		},
		{
			name: "integers that are written as fractions", code: 200, body: `{"accepted":2.0,"failed":1e0,"errors":[{"index":1.0,"message":"m"}]}`,
			want: delivery.Result{Accepted: 2, Failed: 1, Rejected: []delivery.Rejection{{Index: 1, Message: "m"}}},
		},
		{
			name: "all failed", code: 200, body: `{"accepted":0,"failed":3}`,
			want: rejected(delivery.Rejection{}, delivery.Rejection{Index: 1}, delivery.Rejection{Index: 2}),
		},
		{
			name: "all failed, and one is named", code: 200, body: `{"accepted":0,"failed":3,"errors":[{"index":1,"message":"m"}]}`,
			want: rejected(delivery.Rejection{Index: 1, Message: "m"}, delivery.Rejection{}, delivery.Rejection{Index: 2}),
		},
		{name: "some failed, and none is named", code: 200, body: `{"accepted":1,"failed":2}`, want: delivery.Result{Accepted: 3, Unnamed: 2}},
		{
			name: "two failed, and one is named", code: 200, body: `{"accepted":1,"failed":2,"errors":[{"index":1},{"index":3}]}`,
			want: delivery.Result{Accepted: 2, Failed: 1, Unnamed: 1, Rejected: []delivery.Rejection{{Index: 1}}},
		},
		{name: "fewer failed than are named", code: 200, body: `{"accepted":3,"failed":0,"errors":[{"index":1}]}`,
			want: delivery.Result{Accepted: 2, Failed: 1, Rejected: []delivery.Rejection{{Index: 1}}}},
		{name: "more than there are", code: 200, events: 1, body: `{"accepted":1,"failed":7}`, want: delivery.Result{Accepted: 1, Unnamed: 1}},
		{name: "counts that are none", code: 200, events: 1, body: `{"accepted":"0","failed":"1"}`, want: delivery.Result{Accepted: 1}},
		{name: "of an empty batch", code: 200, events: -1, body: `{"accepted":0,"failed":0}`},
		{name: "no content", code: 204, want: delivery.Result{Accepted: 3}},
		{name: "not JSON", code: 200, body: `ok <3`, want: delivery.Result{Accepted: 3}},
		{name: "other JSON", code: 202, body: `["ok"]`, want: delivery.Result{Accepted: 3}},
		{name: "failure with message", code: 400, body: `{"message":"bad batch"}`, message: "status 400: bad batch"},
		{name: "failure that quotes the write key", code: 401, body: `{"error":"no such: key"}`, message: "status 401: the write key was not accepted: no such: [write key]"},
		{name: "failure without JSON", code: 502, body: `<html>`, message: "status 502 Bad Gateway"},
		{name: "message of 300 characters", code: 400, body: `{"message":"` + strings.Repeat("é", 300) + `"}`, message: "status 400: " + strings.Repeat("é", 300)},
		{name: "long message", code: 400, body: `{"message":"` + strings.Repeat("é", 1000) + `"}`, message: "status 400: " + strings.Repeat("é", 300) + "…"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			transport := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.code)
				_, _ = io.WriteString(w, test.body)
			})
			got, err := transport.Send(t.Context(), make(delivery.Batch, max(0, cmp.Or(test.events, 3))))
			if fmt.Sprint(got) != fmt.Sprint(test.want) {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
			if (err == nil) != (test.message == "") || err != nil && err.Error() != test.message {
				t.Errorf("error %q, want %q", err, test.message)
			}
		})
	}
}

// What is most likely not Klime is named, also in the log, without what it says there.
func TestMisdirected(t *testing.T) {
	t.Parallel()
	for _, code := range []int{301, 307, 404, 405} {
		var url string
		transport := serve(t, func(w http.ResponseWriter, r *http.Request) {
			url = "http://" + r.Host + r.URL.Path
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(code)
			_, _ = io.WriteString(w, `{"message":"not here"}`)
		})
		_, err := transport.Send(t.Context(), make(delivery.Batch, 1))
		want := fmt.Sprintf("status %d: no Klime at %s", code, url)
		if err == nil || err.Error() != want+": not here" {
			t.Errorf("error %v, want %s", err, want)
		}
		var failure *delivery.SendError
		if !errors.As(err, &failure) || failure.LogValue().String() != want {
			t.Errorf("logged as %v, want %s", failure.LogValue(), want)
		}
	}
}

// A web page is no answer of Klime, even if its status is that of a success. Events are kept.
func TestWebPage(t *testing.T) {
	t.Parallel()
	for _, page := range []string{"<html>", "\ufeff\r\n\t <!DOCTYPE html>", `<?xml version="1.0"?>`} {
		var url string
		var good atomic.Bool
		transport := serve(t, func(w http.ResponseWriter, r *http.Request) {
			url = "http://" + r.Host + r.URL.Path
			if !good.Load() {
				_, _ = io.WriteString(w, page)
			}
		})
		d := start(t, config(transport))
		err := d.Ping(t.Context())
		want := "status 200: answered with a web page: no Klime at " + url + ", or a proxy or captive portal in between"
		var failure *delivery.SendError
		if !errors.As(err, &failure) || err.Error() != want || failure.LogValue().String() != want || failure.Temporary() || failure.Verdict() != "halted" {
			t.Errorf("%q: %v, want %s", page, err, want)
		}
		if _, err := d.SendNow(t.Context(), item(1, false, 0)); err == nil || err.Error() != want {
			t.Errorf("%q: one-shot send: %v", page, err)
		}
		enqueue(t, d, 2, 30)
		if err := d.Flush(t.Context()); err == nil || err.Error() != want || !d.Halted() {
			t.Errorf("%q: Flush: %v, halted %v", page, err, d.Halted())
		}
		if c := d.Counts(); c.Sent != 0 || c.Held != 29 {
			t.Errorf("%q: counts %+v", page, c)
		}
		good.Store(true)
		if err := shutdown(t, d); err != nil || d.Counts().Sent != 29 {
			t.Errorf("%q: Shutdown: %v, counts %+v", page, err, d.Counts())
		}
	}
}

// So is a wrong key, and only that: a firewall forbids (403) for other reasons.
func TestWriteKeyNotAccepted(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]string{401: "status 401: the write key was not accepted", 403: "status 403 Forbidden"} {
		transport := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
		_, err := transport.Send(t.Context(), make(delivery.Batch, 1))
		var failure *delivery.SendError
		if !errors.As(err, &failure) || failure.Error() != want || failure.LogValue().String() != want {
			t.Errorf("error %v, want %s, also in the log", err, want)
		}
	}
}

// An answer may be compressed although nobody asked for that. What it says counts.
func TestCompressedAnswers(t *testing.T) {
	t.Parallel()
	packed := func(text string) []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = io.WriteString(w, text)
		_ = w.Close()
		return b.Bytes()
	}
	refusal := packed(`{"accepted":2,"failed":1,"errors":[{"index":1,"code":"c"}]}`)
	tests := []struct {
		name string
		code int
		body []byte
		want string
	}{
		{"refused", 200, refusal, "2 [{1 c }] <nil>"},
		{"refused, cut short", 200, refusal[:len(refusal)-4], "2 [{1 c }] <nil>"},
		{"empty", 200, nil, "3 [] <nil>"},
		{"not compressed", 200, []byte(`{"accepted":2,"failed":1,"errors":[{"index":1,"code":"c"}]}`), "2 [{1 c }] <nil>"},
		{"a message", 400, packed(`{"message":"bad batch"}`), "0 [] status 400: bad batch"},
	}
	for _, test := range tests {
		transport := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(test.code)
			_, _ = w.Write(test.body)
		})
		result, err := transport.Send(t.Context(), make(delivery.Batch, 3))
		if got := fmt.Sprint(result.Accepted, " ", result.Rejected, " ", err); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

// What a hostile or broken server can do is bounded.
func TestHostileAnswers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		handler   http.HandlerFunc
		transient bool
	}{
		{"cut short", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"accepted":1`)
		}, true},
		{"no answer", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, true},
		{"10 MB of error", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			_, _ = w.Write(make([]byte, 10<<20))
		}, true},
		{"endless header", func(w http.ResponseWriter, _ *http.Request) {
			for i := range 2000 {
				w.Header().Set(fmt.Sprintf("X-%d", i), strings.Repeat("x", 1000))
			}
		}, true},
		{"gzip bomb", func(w http.ResponseWriter, _ *http.Request) {
			var bomb bytes.Buffer
			zip := gzip.NewWriter(&bomb)
			_, _ = zip.Write(make([]byte, 16<<20))
			_ = zip.Close()
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb.Bytes())
		}, false},
		{"endless body", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := serve(t, test.handler).Send(t.Context(), make(delivery.Batch, 1))
			var failure *delivery.SendError
			if errors.As(err, &failure) != test.transient || err != nil && !failure.Temporary() {
				t.Errorf("error: %v", err)
			}
		})
	}
}

// An entry of errors that names no event rejects none.
func TestNamelessErrors(t *testing.T) {
	t.Parallel()
	for _, entry := range []string{`{"message":"m"}`, `{"index":"0"}`, `{"index":null}`, `{"index":1.5}`, `{"index":-1}`, `7`} {
		for _, code := range []int{200, 400} {
			transport := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(code)
				_, _ = io.WriteString(w, `{"accepted":0,"failed":1,"errors":[`+entry+`,{"index":2,"code":123,"message":["?"]}]}`)
			})
			result, err := transport.Send(t.Context(), make(delivery.Batch, 5))
			rejected := result.Rejected
			var failure *delivery.SendError
			if errors.As(err, &failure) {
				rejected = failure.Rejected
			}
			if len(rejected) != 1 || rejected[0] != (delivery.Rejection{Index: 2}) {
				t.Errorf("%d, %s: rejected %+v", code, entry, rejected)
			}
		}
	}
}

// A code that is one word is kept. Others may be what an event says.
func TestCodes(t *testing.T) {
	t.Parallel()
	for code, isKept := range map[string]bool{
		"azAZ09_-.": true, strings.Repeat("x", 64): true, strings.Repeat("x", 65): false, "a b": false, "a/b": false, "a:b": false, "a@b": false,
		"[a]": false, "`a`": false, "{a}": false, "é": false, "a,b": false,
	} {
		transport := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprintf(w, `{"accepted":0,"failed":1,"errors":[{"index":0,"code":%q}]}`, code)
		})
		result, err := transport.Send(t.Context(), make(delivery.Batch, 1))
		if err != nil || len(result.Rejected) != 1 || result.Rejected[0].Code != code && isKept || result.Rejected[0].Code != "" && !isKept {
			t.Errorf("%q: got %+v, %v", code, result, err)
		}
	}
}

// A server may quote the key anywhere, and its messages may have any length.
func TestAnswersAreCleaned(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 295)
	transport := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"message":"`+long+` key `+long+`","errors":[{"index":0,"code":"key","message":"key `+
			strings.Repeat("x", 100_000)+`"},{"index":1,"code":"jane@acme.test"},{"index":2,"code":"invalid_event"}]}`)
	})
	_, err := transport.Send(t.Context(), make(delivery.Batch, 5))
	var failure *delivery.SendError
	if !errors.As(err, &failure) {
		t.Fatal(err)
	}
	for _, text := range []string{failure.Message, failure.Rejected[0].Message, failure.Rejected[0].Code} {
		if strings.Contains(text, "key") && !strings.Contains(text, "[write key]") && !strings.HasSuffix(text, "[write…") || len(text) > 400 {
			t.Errorf("kept %q", text)
		}
	}
	if codes := []string{failure.Rejected[1].Code, failure.Rejected[2].Code}; codes[0] != "" || codes[1] != "invalid_event" {
		t.Errorf("codes %q", codes)
	}
}

func TestAFailureOfA2xxIsNotTemporary(t *testing.T) {
	t.Parallel()
	if (&delivery.SendError{StatusCode: http.StatusOK}).Temporary() {
		t.Error("an event that Klime has refused would be sent again for ever")
	}
	if text := (&delivery.SendError{Message: "broker full"}).Error(); text != "broker full" {
		t.Errorf("text %q", text)
	}
}

// The app's own HTTP client may decompress answers. How much of them is read is bounded
// all the same.
func TestGzipBombInTheAppsClient(t *testing.T) {
	t.Parallel()
	const unpacked = 64 << 20
	var bomb bytes.Buffer
	packer := gzip.NewWriter(&bomb)
	_, _ = io.CopyN(packer, spaces{}, unpacked)
	_ = packer.Close()
	var read atomic.Int64
	client := &http.Client{Transport: answering(func(*http.Request) *http.Response {
		unpacker, err := gzip.NewReader(&bomb)
		if err != nil {
			t.Error(err)
		}
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(counting{unpacker, &read})}
	})}
	if _, err := delivery.NewHTTP(client, "http://localhost", "key", "test").Send(t.Context(), make(delivery.Batch, 1)); err != nil {
		t.Error(err)
	}
	if n := read.Load(); n > 2<<20 {
		t.Errorf("%d bytes read", n)
	}
}

type answering func(*http.Request) *http.Response

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) { return a(r), nil }

type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// counting counts the bytes that are read.
type counting struct {
	io.Reader

	n *atomic.Int64
}

func (c counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}
