package delivery_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klimeapp/klime-go/internal/delivery"
)

// pipes is a listener whose connections are in memory, so that it works in a synctest
// bubble.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	close  func()
}

func newPipes() *pipes {
	p := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	p.close = sync.OnceFunc(func() { close(p.closed) })
	return p
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.close(); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// dial returns a connection to the caller of Accept.
func (p *pipes) dial() (*line, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return &line{Conn: ours, gone: make(chan struct{})}, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// line is a connection that may die without anybody noticing.
type line struct {
	net.Conn

	dead atomic.Bool
	gone chan struct{} // closed by Close
	once sync.Once
}

func (l *line) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	if l.dead.Load() {
		<-l.gone
		return 0, net.ErrClosed
	}
	return n, err
}

func (l *line) Write(p []byte) (int, error) {
	if l.dead.Load() {
		return len(p), nil
	}
	return l.Conn.Write(p)
}

func (l *line) Close() error {
	l.once.Do(func() { close(l.gone) })
	return l.Conn.Close()
}

// speaks is HTTP/2 without TLS, or HTTP/1.
func speaks(http2 bool) *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(!http2)
	p.SetUnencryptedHTTP2(http2)
	return p
}

// overHTTP2 returns a Transport that speaks HTTP/2 to a listener, and a function that
// returns its connections so far.
func overHTTP2(t *testing.T, p *pipes) (transport *delivery.HTTP, lines func() []*line) {
	t.Helper()
	var mu sync.Mutex
	var all []*line
	client := delivery.DefaultClient(2)
	t.Cleanup(client.CloseIdleConnections)
	inner, _ := client.Transport.(*http.Transport)
	inner.Proxy, inner.Protocols = nil, speaks(true)
	inner.DialContext = func(context.Context, string, string) (net.Conn, error) {
		l, err := p.dial()
		if err != nil {
			return nil, err
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, l)
		return l, nil
	}
	return delivery.NewHTTP(client, "http://klime/v1/batch", "key", "test"), func() []*line {
		mu.Lock()
		defer mu.Unlock()
		return all
	}
}

// A connection that has died silently, as when a firewall forgets it, does not stop
// delivery for as long as the operating system would keep trying.
func TestDeadConnectionIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), Protocols: speaks(true)}
		go func() { _ = server.Serve(p) }()
		defer func() { _ = server.Close() }()
		transport, lines := overHTTP2(t, p)
		send := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			_, err := transport.Send(ctx, nil)
			return err
		}
		if err := send(); err != nil {
			t.Fatal(err)
		}
		lines()[0].dead.Store(true)
		died := time.Now()
		for send() != nil {
			if time.Since(died) > time.Minute {
				t.Error("not one request got through in a minute")
				break
			}
		}
		t.Logf("delivered again after %v", time.Since(died))
		for _, l := range lines() {
			_ = l.Close()
		}
	})
}

// Frames of HTTP/2 (RFC 9113, section 6).
const (
	frameData         = 0x0
	frameHeaders      = 0x1
	frameReset        = 0x3
	frameSettings     = 0x4
	framePing         = 0x6
	frameGoAway       = 0x7
	frameContinuation = 0x9
)

func frame(kind byte, stream uint32, payload []byte) []byte {
	b := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, 0}
	b = binary.BigEndian.AppendUint32(b, stream)
	return append(b, payload...)
}

// A server that abuses HTTP/2 achieves nothing beyond the time limit of a request.
func TestHostileHTTP2(t *testing.T) {
	t.Parallel()
	// Not endlessly: in a bubble, time stands still while anybody is busy.
	often := func(f []byte) func(io.Writer, uint32) {
		return func(w io.Writer, _ uint32) {
			for range 1000 {
				if _, err := w.Write(f); err != nil {
					return
				}
			}
		}
	}
	for name, answer := range map[string]func(w io.Writer, stream uint32){
		"silence":            func(io.Writer, uint32) {},
		"reset":              func(w io.Writer, s uint32) { _, _ = w.Write(frame(frameReset, s, []byte{0, 0, 0, 7})) },
		"go away":            func(w io.Writer, _ uint32) { _, _ = w.Write(frame(frameGoAway, 0, make([]byte, 8))) },
		"no streams":         func(w io.Writer, _ uint32) { _, _ = w.Write(frame(frameSettings, 0, []byte{0, 3, 0, 0, 0, 0})) },
		"many pings":         often(frame(framePing, 0, make([]byte, 8))),
		"many settings":      often(frame(frameSettings, 0, nil)),
		"a huge frame":       often(frame(frameData, 1, make([]byte, 1<<20))),
		"data first":         func(w io.Writer, s uint32) { _, _ = w.Write(frame(frameData, s, make([]byte, 16))) },
		"continuation first": often(frame(frameContinuation, 1, make([]byte, 16))),
		"many header frames": often(append(frame(frameHeaders, 1, []byte{0x88}), frame(frameContinuation, 1, []byte("\x00\x01a\x7f\xff\xff\x07"))...)),
		"a stream of nobody": often(frame(frameHeaders, 99, []byte{0x88})),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newPipes()
				defer p.close()
				var serving sync.WaitGroup
				serving.Go(func() {
					for {
						conn, err := p.Accept()
						if err != nil {
							return
						}
						serving.Go(func() { abuse(conn, answer) })
					}
				})
				transport, lines := overHTTP2(t, p)
				for range 5 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					_, err := transport.Send(ctx, nil)
					cancel()
					var failure *delivery.SendError
					if !errors.As(err, &failure) || !failure.Temporary() {
						t.Errorf("error: %v", err)
					}
				}
				if n := len(lines()); n > 10 {
					t.Errorf("%d connections for 5 requests", n)
				}
				for _, l := range lines() {
					_ = l.Close()
				}
				p.close()
				serving.Wait()
			})
		})
	}
}

// abuse answers each request of a connection with answer.
func abuse(conn net.Conn, answer func(io.Writer, uint32)) {
	defer conn.Close()
	preface := make([]byte, len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
	if _, err := io.ReadFull(conn, preface); err != nil {
		return
	}
	requests := make(chan uint32, 100)
	go func() { // reads what is sent, as a pipe holds nothing
		defer close(requests)
		for head := make([]byte, 9); ; {
			if _, err := io.ReadFull(conn, head); err != nil {
				return
			}
			size := int64(head[0])<<16 | int64(head[1])<<8 | int64(head[2])
			if _, err := io.CopyN(io.Discard, conn, size); err != nil {
				return
			}
			if head[3] == frameHeaders {
				requests <- binary.BigEndian.Uint32(head[5:])
			}
		}
	}()
	if _, err := conn.Write(frame(frameSettings, 0, nil)); err != nil {
		return
	}
	for stream := range requests {
		answer(conn, stream)
	}
}
