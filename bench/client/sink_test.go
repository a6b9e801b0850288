package client

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// runSink is the sink, in a process of its own. It accepts any batch, counts its events,
// and ends when its standard input ends.
func runSink() error {
	var count atomic.Int64
	var bodies sync.Pool // so that the sink itself takes little CPU time
	mux := http.NewServeMux()
	mux.HandleFunc("GET /count", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, count.Load()) })
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		body, ok := bodies.Get().(*bytes.Buffer)
		if !ok {
			body = new(bytes.Buffer)
		}
		defer bodies.Put(body)
		body.Reset()
		if _, err := body.ReadFrom(r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		events := bytes.Count(body.Bytes(), []byte(marker))
		count.Add(int64(events))
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"status":"ok","accepted":%d,"failed":0,"errors":[]}`, events)
	})
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	fmt.Println(listener.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
	return server.Close()
}

// sink is the sink's process, as seen by the client's.
type sink struct {
	tb  testing.TB
	url string
}

func startSink(tb testing.TB) sink {
	tb.Helper()
	binary, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	command := exec.CommandContext(context.Background(), binary)
	command.Env = append(os.Environ(), role+"=sink")
	command.Stderr = os.Stderr
	stdin, err := command.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := command.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = stdin.Close()
		_ = command.Wait()
	})
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		tb.Fatal(err)
	}
	return sink{tb, "http://" + strings.TrimSpace(address)}
}

// count is how many events have arrived.
func (s sink) count() int {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, s.url+"/count", http.NoBody)
	if err != nil {
		s.tb.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		s.tb.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.tb.Fatal(err)
	}
	n, err := strconv.Atoi(string(text))
	if err != nil {
		s.tb.Fatal(err)
	}
	return n
}
