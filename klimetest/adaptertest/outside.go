package adaptertest

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"slices"
	"testing"

	"github.com/klimeapp/klime-go/klimetest"
)

// testOutside: what handlers leave in the request can be seen by everything outside,
// net/http included, just as without us, although we pass on a copy of the request.
func testOutside(t *testing.T, a Adapter) {
	server := klimetest.NewServer(t)
	without := leftOutside(t, a, App{Bare: true})
	with := leftOutside(t, a, App{Client: server.Client(), UserID: jane})
	if !slices.Equal(without, with) {
		t.Errorf("without us %q\n   with us %q", without, with)
	}
}

// leftOutside lists what handlers have left in a request, as seen from outside: the
// matched pattern, the parsed form, files of an upload, trailers.
func leftOutside(t *testing.T, a Adapter, app App) []string {
	t.Helper()
	var notes []string
	note := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	var upload string
	app.Outside = []Middleware{func(r Request, next func(Request)) {
		next(r)
		_, req := r.HTTP()
		note("pattern %q, form %v, multipart %v", req.Pattern, req.Form, req.MultipartForm != nil)
	}}
	app.Routes = []Route{
		{Method: http.MethodPost, Path: "/upload/{id}", Handler: func(r Request) {
			_, req := r.HTTP()
			if err := req.ParseMultipartForm(1); err != nil { // all uploads go to files
				t.Error(err)
			}
			file, _, err := req.FormFile("report")
			if err != nil {
				t.Error(err)
				return
			}
			defer file.Close()
			if f, ok := file.(*os.File); ok {
				upload = f.Name()
			}
			r.Reply(http.StatusOK, textPlain, "")
		}},
		{Method: http.MethodPost, Path: "/trailer", Handler: func(r Request) {
			_, _ = io.Copy(io.Discard, r.Body())
			_, req := r.HTTP()
			note("trailer %v", req.Trailer)
			r.Reply(http.StatusOK, textPlain, "")
		}},
	}
	url, stop := a.start(t, app)
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("report", "report.csv")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = part.Write(bytes.Repeat([]byte("a,b\n"), 1<<20))
	_ = form.Close()
	do(t, url, call{
		method: http.MethodPost, path: "/upload/7", body: body.String(), header: http.Header{"Content-Type": {form.FormDataContentType()}},
	})
	sendTrailer(t, url)
	stop()
	if upload == "" {
		t.Fatal("the upload was not written to a file")
	}
	_, err = os.Stat(upload)
	note("file removed %v", os.IsNotExist(err))
	_ = os.Remove(upload)
	return notes
}

// sendTrailer sends a body and then a trailer that no header has announced before.
func sendTrailer(t *testing.T, url string) {
	t.Helper()
	conn := dial(t, url)
	defer conn.Close()
	_, _ = io.WriteString(conn, "POST /trailer HTTP/1.1\r\nHost: app\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"+
		"4\r\ntext\r\n0\r\nX-Sum: 7\r\n\r\n")
	_, _ = io.Copy(io.Discard, conn)
}
