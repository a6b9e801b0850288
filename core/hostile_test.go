package klime_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
)

const hostileKey = `wk_secret"\quoted`

// hostileKlime answers as it is told, byte by byte, until it is healed: from then on it is
// a good one.
type hostileKlime struct {
	answer    func(io.Writer)
	healed    atomic.Bool
	ended     chan struct{} // a hostile answer has; holds one
	most      atomic.Int64  // bytes that the client has taken of one of them
	recovered atomic.Bool   // "Recovered" was delivered

	mu    sync.Mutex
	conns []net.Conn
}

// newHostileKlime returns its endpoint, too.
func newHostileKlime(t *testing.T, answer func(io.Writer)) (*hostileKlime, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &hostileKlime{answer: answer, ended: make(chan struct{}, 1)}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			h.mu.Lock()
			h.conns = append(h.conns, conn)
			h.mu.Unlock()
			serving.Go(func() { h.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		h.mu.Lock()
		for _, conn := range h.conns {
			_ = conn.Close()
		}
		h.mu.Unlock()
		serving.Wait()
	})
	return h, "http://" + l.Addr().String()
}

// serve answers the requests of one connection, of which a hostile answer is the last.
func (h *hostileKlime) serve(conn net.Conn) {
	defer conn.Close()
	if tcp, ok := conn.(*net.TCPConn); ok { // what it holds counts as taken by the client
		_ = tcp.SetWriteBuffer(systemBuffer)
	}
	for from := bufio.NewReader(conn); ; {
		r, err := http.ReadRequest(from)
		if err != nil {
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if h.healed.Load() {
			if bytes.Contains(body, []byte(`"Recovered"`)) {
				h.recovered.Store(true)
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			continue
		}
		c := &counted{Conn: conn}
		h.answer(c)
		h.most.Store(max(h.most.Load(), c.n))
		select {
		case h.ended <- struct{}{}:
		default:
		}
		return
	}
}

// wait returns when a hostile answer has ended. Of some there is only one: the client
// takes it for a good one, or waits for long.
func (h *hostileKlime) wait(ctx context.Context) error {
	select {
	case <-h.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// systemBuffer is how many bytes the system may hold at either end of a connection: by
// itself it takes several megabytes.
const systemBuffer = 256 << 10

func dialNarrow(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(systemBuffer)
	}
	return conn, err
}

// counted counts what is written.
type counted struct {
	net.Conn

	n int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.n += int64(n)
	return n, err
}

// endlessly writes that again and again, until the client has had enough.
func endlessly(w io.Writer, what string) {
	many := []byte(strings.Repeat(what, 1+(64<<10)/len(what)))
	for {
		if _, err := w.Write(many); err != nil {
			return
		}
	}
}

// silence waits until the client has had enough.
func silence(w io.Writer) {
	conn, _ := w.(*counted)
	_, _ = io.Copy(io.Discard, conn.Conn)
}

// hostileAnswers are what a Klime that is broken, or not Klime, may do to who sends to it.
func hostileAnswers() map[string]func(io.Writer) {
	then := func(head string, rest func(io.Writer)) func(io.Writer) {
		return func(w io.Writer) {
			_, _ = io.WriteString(w, head)
			rest(w)
		}
	}
	once := func(text string) func(io.Writer) { return then(text, func(io.Writer) {}) }
	again := func(what string) func(io.Writer) { return func(w io.Writer) { endlessly(w, what) } }
	const ok, chunked = "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
	body := func(text string) string {
		return fmt.Sprintf("HTTP/1.1 503 No\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
	}
	var bomb bytes.Buffer
	zip := gzip.NewWriter(&bomb)
	_, _ = zip.Write(make([]byte, 64<<20))
	_ = zip.Close()
	return map[string]func(io.Writer){
		"silence":                     silence,
		"nothing":                     once(""),
		"no HTTP":                     again("\x00\xff\x15\x03"),
		"an endless status line":      again("HTTP/1.1 200 OK"),
		"an endless header line":      then(ok, again("X-Endless: ")),
		"endless header lines":        then(ok, again("X-Header: value\r\n")),
		"endless empty header lines":  then(ok, again("A:\r\n")),
		"slow header":                 then(ok+"X-Slow: ", slowly),
		"endless early hints":         again("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"),
		"endless continues":           again("HTTP/1.1 100 Continue\r\n\r\n"),
		"another protocol":            then("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", silence),
		"endless other protocol":      then("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", again("x")),
		"an endless body":             then(ok+"\r\n", again("[")),
		"a body of 8 EB":              then(ok+"Content-Length: 9223372036854775807\r\n\r\n", again("x")),
		"a negative body":             once(ok + "Content-Length: -1\r\n\r\n"),
		"two lengths":                 once(ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx"),
		"a slow body":                 then(ok+"Content-Length: 1000000\r\n\r\n", slowly),
		"a body that is cut":          once(ok + "Content-Length: 1000\r\n\r\n{"),
		"endless chunks":              then(chunked+"\r\n", again("1\r\nx\r\n")),
		"an endless chunk extension":  then(chunked+"\r\n1;", again("x")),
		"an endless chunk length":     then(chunked+"\r\n", again("0")),
		"endless trailers":            then(chunked+"Trailer: X\r\n\r\n0\r\n", again("X: y\r\n")),
		"a bomb":                      once(ok + fmt.Sprintf("Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", bomb.Len(), bomb.String())),
		"a deep answer":               once(body(strings.Repeat(`{"errors":[`, 90_000))),
		"many errors":                 once(body(`{"errors":[` + strings.Repeat(`{"index":1},`, 20_000) + `{}]}`)),
		"a wait of 1000 years":        once("HTTP/1.1 429 No\r\nRetry-After: 31556952000\r\nContent-Length: 0\r\n\r\n"),
		"the key as a status":         once("HTTP/1.1 " + hostileKey + " jane\r\n\r\n"),
		"the key as a status's text":  once("HTTP/1.1 503 " + hostileKey + " jane\r\nContent-Length: 0\r\n\r\n"),
		"the key as a protocol":       once(hostileKey + " jane\r\n\r\n"),
		"the key as a header":         once("HTTP/1.1 200 OK\r\n" + hostileKey + " jane\r\n\r\n"),
		"the key as a length":         once("HTTP/1.1 200 OK\r\nContent-Length: " + hostileKey + " jane\r\n\r\n"),
		"the key as an encoding":      once("HTTP/1.1 200 OK\r\nTransfer-Encoding: " + hostileKey + " jane\r\n\r\n"),
		"the key as a chunk's length": once(chunked + "\r\n" + hostileKey + " jane\r\n\r\n"),
		"the key in a message":        once(body(fmt.Sprintf(`{"message":%q,"errors":[{"code":%q,"message":%q}]}`, hostileKey+" jane", hostileKey, hostileKey))),
	}
}

// slowly writes a byte now and then.
func slowly(w io.Writer) {
	for {
		if _, err := io.WriteString(w, "x"); err != nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Whatever answers in Klime's place, Track goes on, a request ends in time and
// with little read, nothing shows the write key or logs what events say, and as
// soon as Klime is back the client delivers.
func TestHostileKlime(t *testing.T) {
	t.Parallel()
	answers := hostileAnswers()
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testHostile(t, answer, nil)
		})
	}
	// An app's HTTP client reads longer headers, and unpacks bodies.
	for _, name := range []string{"an endless header line", "endless header lines", "endless early hints", "another protocol", "a bomb", "the key as a header"} {
		t.Run(name+", with an app's client", func(t *testing.T) {
			t.Parallel()
			testHostile(t, answers[name], &http.Client{Transport: &http.Transport{DialContext: dialNarrow}})
		})
	}
}

func testHostile(t *testing.T, answer func(io.Writer), httpClient *http.Client) {
	t.Helper()
	hostile, endpoint := newHostileKlime(t, answer)
	var shown, log syncBuffer
	client, err := klime.New(klime.Config{
		WriteKey: hostileKey, Endpoint: endpoint, HTTPClient: httpClient,
		FlushInterval: time.Millisecond, RetryDelay: time.Millisecond, Timeout: 100 * time.Millisecond,
		Logger:  slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		OnError: func(err error, _ []klime.Event) { fmt.Fprintf(&shown, "%v %+v %#v\n", err, err, err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	trackJane(t, client, 20)
	if err := client.Ping(t.Context()); err != nil {
		fmt.Fprintf(&shown, "%v %+v %#v\n", err, err, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := hostile.wait(ctx); err != nil {
		t.Fatalf("no request has ended: %v", err)
	}

	hostile.healed.Store(true)
	if err := client.Track(ctx, "Recovered", nil, klime.ForUser("jane")); err != nil {
		t.Error(err)
	}
	if err := client.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	checkSum(t, client)
	if !hostile.recovered.Load() {
		t.Error("nothing was delivered when Klime was back")
	}
	if most := hostile.most.Load(); most > 16<<20 { // what buffers of the system took included
		t.Errorf("the client took %d bytes of an answer", most)
	}
	if text := shown.String() + log.String(); strings.Contains(text, "wk_secret") {
		t.Errorf("the write key is shown:\n%s", text)
	}
	if strings.Contains(log.String(), "jane") {
		t.Errorf("an ID is logged:\n%s", &log)
	}
}
