package adaptertest

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"testing"
)

// testBodies: a request's body is read by the handler alone. Its size is recorded if it
// is known beforehand, and may be if the framework has read the body by itself.
func testBodies(t *testing.T, a Adapter) {
	const size = 10 << 20 // more than any buffer on the way
	read := func(n int64) func(Request) {
		return func(r Request) {
			got, err := io.Copy(io.Discard, io.LimitReader(r.Body(), n))
			if err != nil {
				t.Errorf("body: %v", err)
			}
			r.Reply(http.StatusOK, textPlain, strconv.FormatInt(got, 10))
		}
	}
	app := a.record(t, App{UserID: jane, Routes: []Route{
		{Method: http.MethodPost, Path: "/all", Handler: read(1 << 40)},
		{Method: http.MethodPost, Path: "/some", Handler: read(1000)},
		{Method: http.MethodPost, Path: "/none", Handler: read(0)},
	}})
	tests := []struct {
		path    string
		chunked bool
		want    string
	}{
		{"/all", false, strconv.Itoa(size)},
		{"/all", true, strconv.Itoa(size)},
		{"/some", false, "1000"},
		{"/none", false, "0"},
	}
	for _, test := range tests {
		ctx, cancel := limited(t)
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, app.url+test.path, io.LimitReader(zeros{}, size))
		if err != nil {
			t.Fatal(err)
		}
		if !test.chunked {
			req.ContentLength = size
		}
		transport := newTransport()
		resp, err := transport.RoundTrip(req)
		if err != nil {
			cancel()
			if overdue(err) {
				t.Fatalf("%s: no answer", test.path)
			}
			if test.path == "/all" { // an answer to a body that is not read may be cut off
				t.Errorf("%s: %v", test.path, err)
			}
			continue
		}
		got, _ := io.ReadAll(resp.Body)
		cancel()
		resp.Body.Close()
		transport.CloseIdleConnections()
		if string(got) != test.want {
			t.Errorf("%s, chunked %v: the handler read %s bytes, want %s", test.path, test.chunked, got, test.want)
		}
	}
	events := app.events()
	if len(events) != len(tests) {
		t.Fatalf("%d events, want %d", len(events), len(tests))
	}
	for i, test := range tests {
		bytes, known := events[i].Properties["requestBytes"]
		if unknown := test.chunked && !known; !unknown && bytes != float64(size) {
			t.Errorf("%s, chunked %v: requestBytes %v, want %d (a chunked body's may be absent)", test.path, test.chunked, bytes, size)
		}
	}
}

// testFormBodies: a handler gets the body of a form as it was sent. If anything parsed
// the form first, nothing would be left of it.
func testFormBodies(t *testing.T, a Adapter) {
	app := a.record(t, App{UserID: jane, Routes: []Route{
		{Method: http.MethodPost, Path: "/", Handler: func(r Request) {
			body, err := io.ReadAll(r.Body())
			if err != nil {
				t.Errorf("body: %v", err)
			}
			r.Reply(http.StatusOK, textPlain, string(body))
		}},
	}})
	var want []string
	for _, form := range []struct{ contentType, body string }{
		{"application/x-www-form-urlencoded", "a=1&b=%20"},
		{"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x--\r\n"},
	} {
		header := http.Header{"Content-Type": {form.contentType}}
		status, body := do(t, app.url, call{method: http.MethodPost, path: "/", body: form.body, header: header})
		if status != http.StatusOK || body != form.body {
			t.Errorf("%s: status %d, the handler read %q, want %q", form.contentType, status, body, form.body)
		}
		want = append(want, fmt.Sprintf("API Called by jane: POST / 200, %[1]d in, %[1]d out", len(form.body)))
	}
	app.expect(want...)
}

// testBodyInLockStep: a handler can read a body while the client is still sending it.
// If anything read the whole body first, the handler would never begin.
func testBodyInLockStep(t *testing.T, a Adapter) {
	const parts, part = 3, 1 << 20
	read := make(chan struct{}, parts)
	app := a.record(t, App{UserID: jane, Routes: []Route{
		{Method: http.MethodPost, Path: "/", Handler: func(r Request) {
			for range parts {
				n, err := io.CopyN(io.Discard, r.Body(), part)
				if err != nil {
					t.Errorf("read %d bytes: %v", n, err)
				}
				read <- struct{}{}
			}
			r.Reply(http.StatusOK, textPlain, "")
		}},
	}})
	body, sender := io.Pipe()
	ctx, cancel := limited(t)
	defer cancel()
	go func() {
		for range parts {
			if _, err := io.CopyN(sender, zeros{}, part); err != nil {
				return
			}
			select {
			case <-read:
			case <-ctx.Done():
				_ = sender.CloseWithError(ctx.Err())
				return
			}
		}
		_ = sender.Close()
	}()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, app.url, body)
	if err != nil {
		t.Fatal(err)
	}
	transport := newTransport()
	defer transport.CloseIdleConnections()
	resp := open(t, transport, req, "the handler does not get the body as it is sent")
	resp.Body.Close()
	app.expect(
		"API Called by jane: POST / 200, ? in, 0 out",
	)
}
