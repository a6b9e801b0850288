package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// connections is how many requests may be in progress. More wait, and their latency grows.
const connections = 128

// load sends requests to an app at fixed times.
type load struct {
	rate     int
	requests [][]byte // sent in turn
	conns    []net.Conn
}

func newLoad(ctx context.Context, addr string, rate int) (*load, error) {
	l := &load{rate: rate, requests: requests(addr)}
	for range connections {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err != nil {
			l.close()
			return nil, err
		}
		l.conns = append(l.conns, conn)
	}
	return l, nil
}

func (l *load) close() {
	for _, conn := range l.conns {
		_ = conn.Close()
	}
}

// requests are made by 50 customers with 10 users each. One request in ten generates a
// report.
func requests(addr string) [][]byte {
	const head = "%s /api/orgs/org_%d/reports HTTP/1.1\r\nHost: %s\r\nX-User: usr_%d\r\nX-Org: org_%d\r\n"
	const body = `{"type":"revenue"}`
	var all [][]byte
	for i := range 500 {
		org := i % 50
		if i%10 == 9 {
			all = append(all, fmt.Appendf(nil, head+"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
				http.MethodPost, org, addr, i, org, len(body), body))
		} else {
			all = append(all, fmt.Appendf(nil, head+"\r\n", http.MethodGet, org, addr, i, org))
		}
	}
	return all
}

// due is a request and the time at which it must be sent.
type due struct {
	request []byte
	at      time.Time
}

// run sends requests for this duration, and returns their latencies, counted from the
// times at which they were due.
func (l *load) run(ctx context.Context, duration time.Duration) ([]time.Duration, error) {
	n := int(duration.Seconds() * float64(l.rate))
	queue := make(chan due, n) // never full: a late answer delays no later request
	parts := make([][]time.Duration, len(l.conns))
	errs := make([]error, len(l.conns))
	var sending sync.WaitGroup
	for i, conn := range l.conns {
		sending.Go(func() { parts[i], errs[i] = serve(conn, queue) })
	}
	l.schedule(ctx, queue, n)
	close(queue)
	sending.Wait()
	latencies := make([]time.Duration, 0, n)
	for i := range parts {
		if errs[i] != nil {
			return nil, errs[i]
		}
		latencies = append(latencies, parts[i]...)
	}
	return latencies, ctx.Err()
}

// schedule hands out requests when they are due. It sleeps by a system call, on its own
// thread, as Go's timers may be a millisecond late.
func (l *load) schedule(ctx context.Context, queue chan<- due, n int) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	start := time.Now()
	for i := range n {
		at := start.Add(time.Duration(float64(i) * float64(time.Second) / float64(l.rate)))
		for wait := time.Until(at); wait > 0 && ctx.Err() == nil; wait = time.Until(at) {
			pause := syscall.NsecToTimespec(wait.Nanoseconds())
			_ = syscall.Nanosleep(&pause, nil) // a signal may end it early
		}
		if ctx.Err() != nil {
			return
		}
		queue <- due{l.requests[i%len(l.requests)], at}
	}
}

// serve sends requests over one connection, one after the other.
func serve(conn net.Conn, queue <-chan due) ([]time.Duration, error) {
	var latencies []time.Duration
	answers := bufio.NewReader(conn)
	for d := range queue {
		if _, err := conn.Write(d.request); err != nil {
			return nil, err
		}
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			return nil, err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		if err != nil || resp.StatusCode >= http.StatusBadRequest {
			return nil, fmt.Errorf("answer %s: %w", strconv.Itoa(resp.StatusCode), err)
		}
		_ = resp.Body.Close()
		latencies = append(latencies, time.Since(d.at))
	}
	return latencies, nil
}

// downKlime returns the endpoint of a Klime that fails in this way.
func downKlime(how string) (endpoint string, stop func(), err error) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	endpoint = "http://" + listener.Addr().String()
	switch how {
	case refuses:
		return endpoint, func() {}, listener.Close()
	case hangs:
		// The system accepts connections, and data until its buffers are full.
		return endpoint, func() { _ = listener.Close() }, nil
	default:
		_ = listener.Close()
		return "", nil, fmt.Errorf("-klime is %q, allowed are %s and %s", how, refuses, hangs)
	}
}
