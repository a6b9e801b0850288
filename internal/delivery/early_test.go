package delivery_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// A server that answers early still reads the body of its own request, whatever other
// requests are made meanwhile: their bodies are not put into the same memory.
func TestAnsweredBeforeTheBodyIsRead(t *testing.T) {
	t.Parallel()
	for name, http2 := range map[string]bool{"HTTP/1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { testAnsweredBeforeTheBodyIsRead(t, http2) })
		})
	}
}

func testAnsweredBeforeTheBodyIsRead(t *testing.T, http2 bool) {
	t.Helper()
	const rounds = 30 // a sync.Pool does not hand each body to the next request
	proceed, read := make(chan struct{}), make(chan string, 2)
	server := &http.Server{
		Protocols: speaks(http2),
		HTTP2:     &http.HTTP2Config{MaxReadFrameSize: 16 << 10, MaxReceiveBufferPerStream: 64 << 10},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answer := http.NewResponseController(w)
			_ = answer.EnableFullDuplex() // HTTP/2 always has it
			if err := answer.Flush(); err != nil {
				t.Error(err)
			}
			<-proceed
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			read <- string(body)
			_, _ = io.WriteString(w, `{}`)
		}),
	}
	p := newPipes()
	go func() { _ = server.Serve(p) }()
	defer func() { _ = server.Close() }()
	client := delivery.DefaultClient(2)
	defer client.CloseIdleConnections()
	inner, _ := client.Transport.(*http.Transport)
	inner.Proxy, inner.Protocols = nil, speaks(http2)
	inner.DialContext = func(context.Context, string, string) (net.Conn, error) { return p.dial() }
	transport := delivery.NewHTTP(client, "http://klime/v1/batch", "key", "test")
	batch := func(letter string) delivery.Batch { // large beside what net/http buffers
		return delivery.Batch{{Body: []byte(strings.Repeat(letter, 200_000))}}
	}
	first, second := batch("a"), batch("b")
	for range rounds {
		var sending sync.WaitGroup
		for _, batch := range []delivery.Batch{first, second} {
			sending.Go(func() {
				if _, err := transport.Send(t.Context(), batch); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait() // until it has an answer, and most of its body is still to be read
		}
		var bodies [2]string
		for i := range bodies {
			proceed <- struct{}{}
			bodies[i] = <-read
		}
		sending.Wait()
		for _, want := range []delivery.Batch{first, second} {
			if !slices.Contains(bodies[:], string(want.AppendBody(nil))) {
				t.Fatalf("a batch of %d bytes did not arrive as it was sent", len(want[0].Body))
			}
		}
	}
}
