package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"runtime/metrics"
	"strconv"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/ginklime"
)

// appVariable makes this program run as the app. Its value is appOptions as JSON.
const appVariable = "KLIME_OUTAGE_APP"

// appOptions say what the app is.
type appOptions struct {
	Endpoint string `json:"endpoint"` // Klime's, "" for an app without Klime
	Cache    int    `json:"cache"`    // MiB of data that it keeps in memory, as apps do
}

// sampleInterval is the time between two samples of an app.
const sampleInterval = 500 * time.Millisecond

// sample is what an app reports about itself, as a line of JSON. The first one has its
// address.
type sample struct {
	Addr    string `json:"addr,omitempty"`
	RSS     uint64 `json:"rss"`  // bytes
	Heap    uint64 `json:"heap"` // bytes of live objects and those not yet collected
	Queued  int    `json:"queued"`
	Dropped uint64 `json:"dropped"`
}

// serveApp runs the app until its standard input ends.
func serveApp(options string, stdin io.Reader, stdout io.Writer) error {
	var opts appOptions
	if err := json.Unmarshal([]byte(options), &opts); err != nil {
		return err
	}
	var client *klime.Client // nil does nothing
	if opts.Endpoint != "" {
		var err error
		client, err = klime.New(klime.Config{WriteKey: "key", Endpoint: opts.Endpoint})
		if err != nil {
			return err
		}
	}
	cache := newCache(opts.Cache)
	defer runtime.KeepAlive(cache)
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: newRouter(client), ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()

	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		close(ended)
	}()
	lines := json.NewEncoder(stdout)
	ticker := time.NewTicker(sampleInterval)
	defer ticker.Stop()
	for addr := listener.Addr().String(); ; addr = "" {
		if err := lines.Encode(newSample(client, addr)); err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ended:
			return server.Close() // the measurement is over
		}
	}
}

// newCache is the data that an app keeps. Without any, the heap would be so small that
// garbage would be collected many times a second.
func newCache(mebibytes int) map[string][]byte {
	const size = 4 << 10
	cache := map[string][]byte{}
	for i := range mebibytes << 20 / size {
		cache["report "+strconv.Itoa(i)] = make([]byte, size)
	}
	return cache
}

// newRouter is a small API, with Klime if there is a client, and otherwise the same.
func newRouter(client *klime.Client) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.Use(gin.Recovery())
	if client != nil {
		r.Use(ginklime.Middleware(client))
	}
	r.Use(func(c *gin.Context) { // stands in for an app's authentication
		c.Set("userId", c.GetHeader("X-User"))
		c.Set("groupId", c.GetHeader("X-Org"))
	})
	r.GET("/api/orgs/:org/reports", func(c *gin.Context) {
		reports := make([]gin.H, 10)
		for i := range reports {
			reports[i] = gin.H{"id": i, "org": c.Param("org"), "type": "revenue", "ready": true}
		}
		c.JSON(http.StatusOK, reports)
	})
	r.POST("/api/orgs/:org/reports", func(c *gin.Context) {
		var input struct {
			Type string `json:"type"`
		}
		if err := c.ShouldBindJSON(&input); err != nil {
			c.Status(http.StatusBadRequest)
			return
		}
		if client != nil {
			klime.Track(c, "Report Generated", klime.Properties{"reportType": input.Type, "via": "api"})
		}
		c.JSON(http.StatusCreated, gin.H{"type": input.Type})
	})
	return r
}

func newSample(client *klime.Client, addr string) sample {
	s := sample{Addr: addr}
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(heap)
	s.Heap = heap[0].Value.Uint64()
	if statm, err := os.ReadFile("/proc/self/statm"); err == nil { // only Linux has it
		if fields := bytes.Fields(statm); len(fields) > 1 {
			pages, _ := strconv.ParseUint(string(fields[1]), 10, 64)
			s.RSS = pages * uint64(os.Getpagesize()) //nolint:gosec // positive
		}
	}
	stats := client.Stats()
	s.Queued = stats.Queued
	for _, n := range stats.Dropped {
		s.Dropped += n
	}
	return s
}

// app is a running app.
type app struct {
	addr string

	cmd   *exec.Cmd
	stdin io.Closer
	heard chan []sample // gets all samples when the app has ended
	stop  func() ([]sample, error)
}

// startApp starts the app in a process of its own.
func startApp(ctx context.Context, opts appOptions) (*app, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	encoded, err := json.Marshal(opts)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, exe) //nolint:gosec // this program
	cmd.Env = append(os.Environ(), appVariable+"="+string(encoded))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	a := &app{cmd: cmd, stdin: stdin, heard: make(chan []sample, 1)}
	a.stop = sync.OnceValues(a.end)
	first := make(chan sample, 1)
	go a.listen(stdout, first)
	s, said := <-first
	if !said {
		_, err := a.stop()
		return nil, fmt.Errorf("the app has not started: %w", err)
	}
	a.addr = s.Addr
	return a, nil
}

// listen collects the app's samples, and passes the first one on at once.
func (a *app) listen(stdout io.Reader, first chan<- sample) {
	defer close(first)
	var all []sample
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		var s sample
		if json.Unmarshal(lines.Bytes(), &s) != nil {
			continue
		}
		if all = append(all, s); len(all) == 1 {
			first <- s
		}
	}
	a.heard <- all
}

// end ends the app and returns its samples.
func (a *app) end() ([]sample, error) {
	_ = a.stdin.Close()
	samples := <-a.heard
	return samples, a.cmd.Wait()
}
