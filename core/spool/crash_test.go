package spool_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/core/spool"
)

// TestMain also runs the children of the crash tests.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv("KLIME_CRASH_DIR") != "":
		crashChild()
		os.Exit(0)
	case os.Getenv("KLIME_DISK_DIR") != "":
		diskChild()
		os.Exit(0)
	case os.Getenv("KLIME_PERMISSION_DIR") != "":
		permissionChild()
		os.Exit(0)
	default:
		os.Exit(m.Run())
	}
}

// crashChild tracks at full rate until it is killed, or its standard input is closed.
// For each acknowledged event it writes a line with its message ID and, now and then,
// how many events are only in memory, or were dropped as the disk could not keep up.
func crashChild() {
	out := bufio.NewWriter(os.Stdout)
	say := func(line string) { // written when it returns, so that a kill does not lose it
		_, _ = out.WriteString(line + "\n")
		_ = out.Flush()
	}
	say("open")
	s, err := spool.Open(os.Getenv("KLIME_CRASH_DIR"), spool.Options{
		WriteAhead: os.Getenv("KLIME_CRASH_AHEAD") != "", Shared: os.Getenv("KLIME_CRASH_SHARED") != "",
	})
	if err != nil {
		say("error " + err.Error())
		return
	}
	client, err := klime.New(klime.Config{
		WriteKey: "key", Endpoint: os.Getenv("KLIME_CRASH_URL"), Spool: s, QueueSize: 1000,
		FlushInterval: 10 * time.Millisecond, RetryDelay: 10 * time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		say("error " + err.Error())
		return
	}
	say("ready")
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	lines := make(chan string, 64)
	name := os.Getenv("KLIME_CRASH_RUN")
	if os.Getenv("KLIME_CRASH_SAFE") != "" {
		for i := range 500 {
			id := fmt.Sprintf("%s-safe-%d", name, i)
			_ = client.Track(context.Background(), "Done", nil, klime.ForUser("u1"), klime.WithMessageID(id))
			say(id)
		}
		for client.Stats().Queued > 0 {
			time.Sleep(10 * time.Millisecond)
		}
		say("safe")
	}
	for g := range 8 {
		go func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%s-%d-%d", name, g, i)
				err := client.Track(context.Background(), "Done", nil, klime.ForUser("u1"), klime.WithMessageID(id))
				if err != nil {
					return
				}
				lines <- id
			}
		}()
	}
	atRisk := func() string {
		s := client.Stats()
		return strconv.Itoa(s.Queued + int(s.Dropped[klime.DropSpoolBusy]))
	}
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for going := true; going; {
		select {
		case id := <-lines:
			say(id)
		case <-look.C:
			say("memory " + atRisk())
		case <-ended:
			going = false
		}
	}
	say("shutdown")
	go func() {
		for range lines {
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if err := client.Shutdown(ctx); err != nil {
		say("error " + err.Error())
		return
	}
	say("done " + atRisk())
}

// child is one process and what it has written.
type child struct {
	cmd   *exec.Cmd
	stdin io.Closer
	said  chan string
	acked []string
	mayGo int    // how many acknowledged events were at most only in memory when it was killed, or dropped before
	fault string // the error that it has written
}

func startChild(t *testing.T, dir, url, run string, ahead bool, env ...string) *child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{cmd: exec.Command(exe, "-test.run=^$"), said: make(chan string, 1000)}
	c.cmd.Env = append(os.Environ(), "KLIME_CRASH_DIR="+dir, "KLIME_CRASH_URL="+url, "KLIME_CRASH_RUN="+run)
	c.cmd.Env = append(c.cmd.Env, env...)
	if ahead {
		c.cmd.Env = append(c.cmd.Env, "KLIME_CRASH_AHEAD=1")
	}
	c.cmd.Stderr = t.Output()
	c.stdin, err = c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.said)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			c.said <- lines.Text()
		}
	}()
	return c
}

// listen reads the child's lines until it writes that word, or ends, or time is up.
func (c *child) listen(until string, atMost time.Duration) {
	timeUp := time.After(atMost)
	for {
		select {
		case line, more := <-c.said:
			if !more || c.hear(line) == until {
				return
			}
		case <-timeUp:
			return
		}
	}
}

// hear notes a line and returns its first word.
func (c *child) hear(line string) string {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "error":
		c.fault = rest
	case "memory", "done":
		c.mayGo, _ = strconv.Atoi(rest)
	case "open", "ready", "shutdown", "safe":
	default:
		c.acked = append(c.acked, line)
		c.mayGo++
	}
	return word
}

// kill kills the child and reads what it had written.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	for line := range c.said {
		c.hear(line)
	}
	_ = c.cmd.Wait()
}

// kills returns how often the crash tests kill: KLIME_KILLS, or a few times.
func kills(t *testing.T) int {
	t.Helper()
	if n, err := strconv.Atoi(os.Getenv("KLIME_KILLS")); err == nil {
		return n
	}
	if testing.Short() {
		return 3
	}
	return 8
}

// beforeKills returns what a test that kills needs: a server, a folder, and chance.
func beforeKills(t *testing.T) (srv *server, dir string, random *rand.Rand) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("kills with SIGKILL")
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return newServer(t, http.StatusOK), t.TempDir(), rand.New(rand.NewPCG(seed, 1))
}

// Processes that use one folder, one after the other, are killed at random moments:
// while they open, replay, track and shut down. Klime comes and goes. With write-ahead
// no acknowledged event is lost.
func TestCrashWriteAhead(t *testing.T) {
	t.Parallel()
	acked, lost, _ := crashLoop(t, true)
	if len(lost) > 0 {
		t.Errorf("%d of %d acknowledged events are lost: %.10v …", len(lost), acked, lost)
	}
}

// Processes that overlap share a folder, and are killed: also while they take over what
// others have left. With write-ahead no acknowledged event is lost.
func TestCrashShared(t *testing.T) {
	t.Parallel()
	srv, dir, random := beforeKills(t)
	var acked []string
	var alive []*child
	kill := func(c *child) {
		c.kill()
		if c.fault != "" {
			t.Error(c.fault)
		}
		acked = append(acked, c.acked...)
	}
	for run := range kills(t) {
		srv.be([]int{http.StatusOK, http.StatusServiceUnavailable}[random.IntN(2)])
		c := startChild(t, dir, srv.URL, fmt.Sprint(run), true, "KLIME_CRASH_SHARED=1")
		c.listen("ready", 30*time.Second)
		c.listen("-", time.Duration(random.IntN(200))*time.Millisecond)
		if alive = append(alive, c); len(alive) == 3 {
			i := random.IntN(3)
			kill(alive[i])
			alive = slices.Delete(alive, i, i+1)
		}
	}
	for _, c := range alive {
		kill(c)
	}
	if len(acked) == 0 {
		t.Fatal("nothing was acknowledged")
	}

	srv.be(http.StatusOK)
	cfg, log := config(t, srv.URL, dir, spool.Options{Shared: true})
	client := newClient(t, cfg)
	eventually(t, "all have arrived", func() bool {
		return !slices.ContainsFunc(acked, func(id string) bool { return !srv.has(id) })
	})
	if err := client.Flush(t.Context()); err != nil {
		t.Errorf("Flush: %v", err)
	}
	// Flush does not wait for what other processes have left, such as events that have arrived.
	eventually(t, "none is left", func() bool { return client.Stats().Spooled == 0 })
	if s := client.Stats(); s.Dropped[klime.DropSpoolLost] != 0 || strings.Contains(log.String(), "level=WARN") {
		t.Errorf("stats %+v; log:\n%s", s, log)
	}
	parts, _ := filepath.Glob(filepath.Join(dir, "klime-spool.[0-9]*"))
	arrived, twice := srv.arrived()
	t.Logf("acknowledged %d, arrived %d, of them twice or more %d; parts %d, taken over or recovered by the last %d",
		len(acked), arrived, twice, len(parts)+1, client.Stats().Recovered)
}

// Without write-ahead, a crash loses at most what was in memory: the queue, and what was
// on its way to the disk. With what the process had dropped, as the disk could not keep
// up, that is at most the number that it wrote last, and what it has acknowledged since.
func TestCrashOverflow(t *testing.T) {
	t.Parallel()
	acked, lost, mayGo := crashLoop(t, false)
	byRun := map[string]int{}
	for _, id := range lost {
		run, _, _ := strings.Cut(id, "-")
		byRun[run]++
	}
	bound := 0
	for run, most := range mayGo {
		bound += most
		if byRun[run] > most {
			t.Errorf("process %s lost %d events, and had at most %d in memory or dropped", run, byRun[run], most)
		}
	}
	t.Logf("%d of %d acknowledged events are lost, in %d processes; at most %d were in memory or dropped", len(lost), acked, len(byRun), bound)
}

// In an outage, events older than the documented delay are on disk and survive a crash.
func TestCrashInALongOutage(t *testing.T) {
	t.Parallel()
	srv, dir := newServer(t, http.StatusServiceUnavailable), t.TempDir()
	c := startChild(t, dir, srv.URL, "0", false, "KLIME_CRASH_SAFE=1")
	c.listen("safe", time.Minute) // all events so far are older than the documented delay
	old := c.acked
	c.listen("-", 50*time.Millisecond)
	c.kill()
	srv.be(http.StatusOK)
	cfg, _ := config(t, srv.URL, dir, spool.Options{})
	client := newClient(t, cfg)
	flush(t, client)
	for _, id := range old {
		if !srv.has(id) {
			t.Errorf("%s is lost", id)
		}
	}
	if len(old) != 500 {
		t.Errorf("%d events were safe", len(old))
	}
}

// A second process is told which one has the folder, and does no harm.
func TestSecondProcess(t *testing.T) {
	t.Parallel()
	srv, dir := newServer(t, http.StatusServiceUnavailable), t.TempDir()
	cfg, _ := config(t, srv.URL, dir, spool.Options{WriteAhead: true})
	client := newClient(t, cfg)
	track(t, client, ids("a", 10)...)
	c := startChild(t, dir, srv.URL, "0", false)
	c.listen("error", 30*time.Second)
	c.kill()
	if !strings.Contains(c.fault, "held by process "+strconv.Itoa(os.Getpid())) {
		t.Errorf("the second says %q", c.fault)
	}
	track(t, client, ids("b", 10)...)
	if s := client.Stats(); s.Spooled != 20 || s.SpoolDown {
		t.Errorf("stats %+v", s)
	}
}

// crashLoop returns the events that were lost, and how many each process may lose.
func crashLoop(t *testing.T, ahead bool) (acked int, lost []string, mayGo map[string]int) {
	t.Helper()
	srv, dir, random := beforeKills(t)
	all := []string{}
	mayGo = map[string]int{}
	moments := map[string]int{}
	for run := range kills(t) {
		srv.be([]int{http.StatusOK, http.StatusServiceUnavailable, http.StatusOK}[random.IntN(3)])
		c := startChild(t, dir, srv.URL, fmt.Sprint(run), ahead)
		moment := []string{"open", "ready", "track", "track", "shutdown"}[run%5]
		moments[moment]++
		switch moment {
		case "open":
			c.listen("open", 30*time.Second)
			c.listen("-", time.Duration(random.IntN(20_000))*time.Microsecond)
		case "ready": // it replays what is on disk
			c.listen("ready", 30*time.Second)
			c.listen("-", time.Duration(random.IntN(20_000))*time.Microsecond)
		case "track":
			c.listen("ready", 30*time.Second)
			c.listen("-", time.Duration(50+random.IntN(500))*time.Millisecond)
		case "shutdown":
			c.listen("ready", 30*time.Second)
			c.listen("-", 100*time.Millisecond)
			_ = c.stdin.Close()
			c.listen("shutdown", 30*time.Second)
			c.listen("done", time.Duration(random.IntN(400))*time.Millisecond)
		}
		c.kill()
		if c.fault != "" {
			t.Errorf("process %d: %s", run, c.fault)
		}
		all = append(all, c.acked...)
		mayGo[strconv.Itoa(run)] = c.mayGo
	}
	if len(all) == 0 {
		t.Fatal("nothing was acknowledged")
	}

	// The last process is not killed.
	srv.be(http.StatusOK)
	cfg, log := config(t, srv.URL, dir, spool.Options{})
	client := newClient(t, cfg)
	recovered := client.Stats().Recovered
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := client.Flush(ctx); err != nil {
		t.Errorf("Flush: %v", err)
	}
	if s := client.Stats(); s.Dropped[klime.DropSpoolLost] != 0 || s.Spooled != 0 || strings.Contains(log.String(), "set aside") {
		t.Errorf("a kill has damaged the file: %+v; %s", s, log)
	}
	for _, id := range all {
		if !srv.has(id) {
			lost = append(lost, id)
		}
	}
	arrived, twice := srv.arrived()
	t.Logf("kills %v, acknowledged %d, recovered at last %d, arrived %d, of them twice or more %d, lost %d",
		moments, len(all), recovered, arrived, twice, len(lost))
	return len(all), lost, mayGo
}
