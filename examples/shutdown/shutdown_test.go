//go:build linux || darwin || freebsd

package shutdown_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/examples/shutdown"
	"github.com/klimeapp/klime-go/internal/ingest"
	"github.com/klimeapp/klime-go/nethttp"
)

// up is a Klime that works.
func up(t *testing.T) (klime *ingest.Server, endpoint string) {
	t.Helper()
	klime = ingest.New(ingest.Options{})
	server := httptest.NewServer(klime)
	t.Cleanup(server.Close)
	return klime, klimeVariable + "=" + server.URL
}

// down is a Klime that refuses connections, or accepts them and never answers.
func down(t *testing.T, hangs bool) (endpoint string) {
	t.Helper()
	addr := "127.0.0.1:1" // a port that was just closed might soon be another test's
	if hangs {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		addr = l.Addr().String()
	}
	return klimeVariable + "=http://" + addr
}

// visitors send requests to an app for as long as it answers.
type visitors struct {
	client http.Client
	last   atomic.Int64

	mu       sync.Mutex
	answered map[string]bool // by number of the request
	reached  chan struct{}   // closed when enough have been answered
	running  sync.WaitGroup
}

const enough = 300

// visit returns when enough requests have been answered, and some others are in
// progress, which the app does not answer before it gets SIGTERM.
func visit(t *testing.T, c *child) *visitors {
	t.Helper()
	const heldRequests = 4
	v := &visitors{answered: map[string]bool{}, reached: make(chan struct{})}
	v.client.Transport = &http.Transport{MaxIdleConnsPerHost: 100}
	t.Cleanup(v.client.CloseIdleConnections)
	for range heldRequests {
		v.running.Go(func() {
			if !v.ask(t, c.addr, "/held/") {
				t.Error("a request that was under way at SIGTERM was not answered")
			}
		})
	}
	c.await(t, "held ", heldRequests)
	for range 8 {
		v.running.Go(func() {
			for v.ask(t, c.addr, "/work/") {
			}
		})
	}
	select {
	case <-v.reached:
	case <-time.After(time.Minute):
		t.Fatal("too few answers in a minute")
	}
	return v
}

// ask makes a request, and reports whether it was answered to its end.
func (v *visitors) ask(t *testing.T, addr, path string) bool {
	t.Helper()
	n := strconv.FormatInt(v.last.Add(1), 10)
	// The request has a body that cannot be sent again. Otherwise the client would
	// repeat a request if its connection was closed, and the app might serve both.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+path+n, io.NopCloser(strings.NewReader("-")))
	if err != nil {
		t.Error(err)
		return false
	}
	req.ContentLength = 1
	resp, err := v.client.Do(req)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return false
	}
	if resp.StatusCode != http.StatusOK {
		t.Errorf("%s%s: %s", path, n, resp.Status)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.answered[n] = true
	if len(v.answered) == enough {
		close(v.reached)
	}
	return true
}

// check fails unless each answered request has its own event, and the event that its
// handler tracked, and no event is there twice.
func (v *visitors) check(t *testing.T, klime *ingest.Server) {
	t.Helper()
	v.running.Wait()
	times := map[string]map[string]int{"API Called": {}, "Work Done": {}}
	for _, e := range klime.Events() {
		n, _ := e.Properties["n"].(string)
		times[e.Event][n]++
	}
	for event, by := range times {
		for n := range v.answered {
			if by[n] == 0 {
				t.Errorf("request %s was answered, and has no %q", n, event)
			}
		}
		for n, times := range by {
			if times > 1 {
				t.Errorf("request %s has %d times %q", n, times, event)
			}
		}
	}
	if counts := klime.Counts(); counts.Repeated+counts.Refused+counts.Rejected > 0 {
		t.Errorf("got %+v", counts)
	}
	t.Logf("%d requests answered, %d events", len(v.answered), len(klime.Events()))
}

// An app that gets SIGTERM while requests are in progress answers them, and Klime gets
// the events of all answered requests.
func TestEndWhileKlimeIsUp(t *testing.T) {
	t.Parallel()
	for _, app := range []string{"nethttp", "chi", "gin", "fiber"} {
		t.Run(app, func(t *testing.T) {
			t.Parallel()
			klime, endpoint := up(t)
			c := start(t, app, endpoint)
			v := visit(t, c)
			if err := c.terminate(t); err != nil {
				t.Error(err)
			}
			v.check(t, klime)
		})
	}
}

// If Klime is down, the events that the app leaves in its spool are sent after its next
// start.
func TestEndWhileKlimeIsDown(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		app   string
		hangs bool
	}{{"nethttp", false}, {"chi", false}, {"gin", false}, {"gin", true}, {"fiber", false}} {
		t.Run(fmt.Sprintf("%s, hangs %v", test.app, test.hangs), func(t *testing.T) {
			t.Parallel()
			dir := spoolVariable + "=" + t.TempDir()
			c := start(t, test.app, down(t, test.hangs), dir)
			v := visit(t, c)
			if err := c.terminate(t); err != nil {
				t.Error(err)
			}
			v.restart(t, func(t *testing.T, env ...string) *child { return start(t, test.app, env...) }, dir)
		})
	}
}

// restart starts the app again, with a Klime that works.
func (v *visitors) restart(t *testing.T, start func(*testing.T, ...string) *child, env ...string) {
	t.Helper()
	v.running.Wait()
	klime, endpoint := up(t)
	c := start(t, append(env, endpoint)...)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := klime.Wait(ctx, 2*len(v.answered)); err != nil {
		t.Error(err)
	}
	if err := c.terminate(t); err != nil {
		t.Error(err)
	}
	v.check(t, klime)
}

// Without a spool, events that Klime does not accept are lost, and the app says so. It
// still ends in time.
func TestEndWithoutSpool(t *testing.T) {
	t.Parallel()
	c := start(t, "nethttp", down(t, true))
	v := visit(t, c)
	err := c.terminate(t)
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("ended with %v", err)
	}
	v.running.Wait()
	if line := c.await(t, "error ", 1)[0]; !strings.Contains(line, " not delivered: context deadline exceeded") {
		t.Errorf("it said %q", line)
	}
}

// A stream that does not end uses up the server's time, but not the client's: the last
// requests that are answered are still recorded.
func TestEndWhileAStreamIsOpen(t *testing.T) {
	t.Parallel()
	klime, endpoint := up(t)
	c := start(t, "nethttp", endpoint)
	v := visit(t, c)
	resp, err := v.client.Get("http://" + c.addr + "/stream/s")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	v.running.Go(func() { v.ask(t, c.addr, "/late/") })
	c.await(t, "held ", 6)
	if err := c.terminate(t); err != nil {
		t.Error(err)
	}
	v.check(t, klime)
	if !slices.ContainsFunc(klime.Events(), func(e ingest.Event) bool { return e.Event == "API Called" && e.Properties["n"] == "s" }) {
		t.Error("the stream that was cut off is not recorded")
	}
}

// A server does not wait for connections that handlers have taken over. If these end on
// SIGTERM, they are recorded, with what they track at the end.
func TestEndWhileSocketsAreOpen(t *testing.T) {
	t.Parallel()
	const sockets = 20
	klime, endpoint := up(t)
	c := start(t, "nethttp", endpoint)
	v := &visitors{answered: map[string]bool{}}
	for i := range sockets {
		conn, err := net.Dial("tcp", c.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := fmt.Fprintf(conn, "GET /socket/%d HTTP/1.1\r\nHost: app\r\n\r\n", i); err != nil {
			t.Fatal(err)
		}
		v.answered[strconv.Itoa(i)] = true
	}
	c.await(t, "held ", sockets)
	if err := c.terminate(t); err != nil {
		t.Error(err)
	}
	v.check(t, klime)
}

// A disk that hangs makes Shutdown take 2 s longer. Even together with a stream that
// does not end, the app ends in time.
func TestEndWhileTheDiskHangs(t *testing.T) {
	t.Parallel()
	c := start(t, "nethttp", down(t, false), spoolVariable+"="+hung)
	client := http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	for _, path := range []string{"/work/1", "/stream/2"} {
		resp, err := client.Get("http://" + c.addr + path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
	}
	c.await(t, "held ", 1)
	if err := c.terminate(t); err == nil {
		t.Error("nothing is lost")
	}
}

// The library handles no signals: an app that does not handle SIGTERM ends at once.
func TestNoSignalHandler(t *testing.T) {
	t.Parallel()
	c := start(t, "no handler", down(t, true), spoolVariable+"="+t.TempDir())
	err := c.terminate(t)
	exit := (*exec.ExitError)(nil)
	if !errors.As(err, &exit) {
		t.Fatalf("ended with %v", err)
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); !ok || !status.Signaled() || status.Signal() != syscall.SIGTERM {
		t.Errorf("ended with %v", err)
	}
}

// freeAddr is an address on which nothing listens. All children of a parent listen on
// the same one.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return addrVariable + "=" + l.Addr().String()
}

// Each of several processes has its own part of the folder, and all end in order when their parent
// gets SIGTERM.
func TestPrefork(t *testing.T) {
	t.Parallel()
	const children = "GOMAXPROCS=4"
	t.Run("Klime is up", func(t *testing.T) {
		t.Parallel()
		klime, endpoint := up(t)
		dir := t.TempDir()
		c := startPrefork(t, endpoint, spoolVariable+"="+dir, children, freeAddr(t))
		v := visit(t, c)
		if err := c.terminate(t); err != nil {
			t.Error(err)
		}
		v.check(t, klime)
		if parts, _ := filepath.Glob(filepath.Join(dir, "klime-spool.[0-9]")); len(parts) != 3 {
			t.Errorf("the folder and %q", parts)
		}
	})
	t.Run("Klime is down", func(t *testing.T) {
		t.Parallel()
		env := []string{spoolVariable + "=" + t.TempDir(), children, freeAddr(t)}
		c := startPrefork(t, append(env, down(t, false))...)
		v := visit(t, c)
		if err := c.terminate(t); err != nil {
			t.Error(err)
		}
		v.restart(t, startPrefork, env...)
	})
}

// In a deploy that overlaps, the new process starts before the old one ends, which does not
// wait for it. It removes what killed ones have left behind long ago, and takes the old one's
// file for such: that changes nothing.
func TestPreforkOverlaps(t *testing.T) {
	t.Parallel()
	klime, endpoint := up(t)
	dir := t.TempDir()
	env := []string{endpoint, spoolVariable + "=" + dir, "GOMAXPROCS=4"}
	older := startPrefork(t, append(env, freeAddr(t))...)
	inUse, _ := filepath.Glob(filepath.Join(dir, "children-*"))
	if len(inUse) != 1 {
		t.Fatalf("files: %q", inUse)
	}
	begins := filepath.Join(dir, "children-of-one-that-begins")
	longAgo := time.Now().Add(-2 * time.Hour)
	if err := errors.Join(os.WriteFile(begins, nil, 0o600), os.Chtimes(inUse[0], longAgo, longAgo)); err != nil {
		t.Fatal(err)
	}
	newer := startPrefork(t, append(env, freeAddr(t))...)
	if _, err := os.Stat(inUse[0]); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old file: %v", err)
	}
	v := visit(t, older)
	if err := older.terminate(t); err != nil {
		t.Error(err)
	}
	v.check(t, klime)
	if err := newer.terminate(t); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "children*")); len(left) != 1 || left[0] != begins {
		t.Errorf("left behind: %q", left)
	}
}

// startPrefork returns when all four children serve.
func startPrefork(t *testing.T, env ...string) *child {
	t.Helper()
	c := start(t, "prefork", env...)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // each connection may reach another child
	pids := map[string]bool{}
	for deadline := time.Now().Add(time.Minute); len(pids) < 4; {
		if time.Now().After(deadline) {
			t.Fatalf("only %d children serve", len(pids))
		}
		resp, err := client.Get("http://" + c.addr + "/pid")
		if err != nil {
			time.Sleep(5 * time.Millisecond) // none does yet
			continue
		}
		pid, err := io.ReadAll(resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			t.Fatal(err)
		}
		pids[string(pid)] = true
	}
	return c
}

// If the children share one folder, all but one are told which process has it.
func TestPreforkWithOneFolder(t *testing.T) {
	t.Parallel()
	c := launch(t, "careless prefork", down(t, false), spoolVariable+"="+t.TempDir(), "GOMAXPROCS=3", freeAddr(t))
	pids := c.await(t, "child ", 3)
	for _, line := range c.await(t, "in use: ", 2) {
		_, holder, _ := strings.Cut(line, "is held by process ")
		holder, advice, _ := strings.Cut(holder, "; ")
		if !strings.Contains(fmt.Sprint(pids), "child "+holder) || advice != "processes that are to share a folder need Options.Shared" {
			t.Errorf("%q; children are %q", line, pids)
		}
	}
}

// Events are also flushed if a handler panics.
func TestFunctionThatPanics(t *testing.T) {
	t.Parallel()
	fake := ingest.New(ingest.Options{})
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	client, err := klime.New(klime.Config{WriteKey: "key", Endpoint: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Shutdown(context.Background()) })
	function := shutdown.FlushEach(client, nethttp.Middleware(client)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		work(r.Context(), "1")
		panic("handler")
	})))
	func() {
		defer func() {
			if p := recover(); p != "handler" {
				t.Errorf("recovered %v", p)
			}
		}()
		function.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/work/1", nil))
	}()
	if events := fake.Events(); len(events) != 2 {
		t.Errorf("%d events at Klime, %d in memory", len(events), client.Stats().Queued)
	}
}

// A function is frozen as soon as it has answered. Klime has its events by then, and
// after the thaw it goes on.
func TestFunctionThatIsFrozen(t *testing.T) {
	t.Parallel()
	klime := ingest.New(ingest.Options{})
	server := httptest.NewServer(klime)
	t.Cleanup(server.Close)
	c := start(t, "function", klimeVariable+"="+server.URL)
	client := http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	for i := range 5 {
		resp, err := client.Get(fmt.Sprintf("http://%s/work/%d", c.addr, i))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if err := c.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		if events := klime.Events(); len(events) != 2*(i+1) {
			t.Errorf("%d events after %d requests", len(events), i+1)
		}
		server.CloseClientConnections() // no server keeps them open for as long as a freeze may take
		if err := c.cmd.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.terminate(t); err != nil {
		t.Error(err)
	}
	if counts := klime.Counts(); counts.Accepted != 10 || counts.Repeated != 0 {
		t.Errorf("got %+v", counts)
	}
}
