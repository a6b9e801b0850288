package e2e

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"testing"
	"time"
)

// startDemo starts an example, without traffic, and returns the URLs of its app
// and of its local Klime.
func startDemo(t *testing.T) (app, klime string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "demo")
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./examples/nethttp")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), program, "-addr", "127.0.0.1:0", "-klime-addr", "127.0.0.1:0", "-traffic=false")
	cmd.Env = append(os.Environ(), "KLIME_WRITE_KEY=", "KLIME_ENDPOINT=")
	cmd.Stderr = t.Output()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		kill := time.AfterFunc(programTimeout, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		_ = cmd.Wait()
	})
	find := regexp.MustCompile(`^(The app|Klime): +(http://[^,;\s]+)`)
	lines := bufio.NewScanner(stdout)
	for lines.Scan() && (app == "" || klime == "") {
		switch m := find.FindStringSubmatch(lines.Text()); {
		case m == nil:
		case m[1] == "The app":
			app = m[2]
		default:
			klime = m[2]
		}
	}
	if app == "" || klime == "" {
		t.Fatal("the demo does not say where it is")
	}
	go func() { // otherwise the program would block once the pipe is full
		for lines.Scan() {
		}
	}()
	return app, klime
}

// TestBrowserSDKInChromium makes the calls of the SDK's README on a page of the demo,
// which has another origin than the Klime that it sends to. It compares the stored events
// with those of our client for the same calls.
func TestBrowserSDKInChromium(t *testing.T) {
	requirePackage(t, "@klime/browser")
	app, _ := startDemo(t)
	foreign, ours := startKlime(t), startKlime(t)
	readmeCalls(t, newClient(t, ours))

	p := startBrowser(t).newTab(t)
	p.open(app + "/login")
	module := func(file string) string {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return `import(URL.createObjectURL(new Blob([` + quote(string(content)) + `], { type: "text/javascript" })))`
	}
	var report browserReport
	p.eval(`(async () => {
		const { KlimeClient } = await `+module(filepath.Join("node_modules", "@klime", "browser", "dist", "index.js"))+`;
		const { scenariosWith } = await `+module(filepath.Join("clients", "scenarios.mjs"))+`;
		return scenariosWith(KlimeClient, { writeKey: `+quote(writeKey)+`, endpoint: `+quote(foreign.url)+` })("readme");
	})()`, &report)

	requests := foreign.recorded()
	preflights := len(requests)
	requests = slices.DeleteFunc(requests, func(x exchange) bool { return x.method == http.MethodOptions })
	if preflights -= len(requests); preflights == 0 {
		t.Error("the browser has not asked whether it may send")
	}
	for _, x := range requests {
		if got := x.header.Get("Origin"); got != app {
			t.Errorf("sent from %q, want %q", got, app)
		}
	}
	theirs := checkRequests(t, requests, writeKey)
	checkSameShape(t, theirs, checkRequests(t, ours.recorded(), writeKey))
	checkSameStored(t, foreign, ours)
	checkIs(t, "customers", customersOf(foreign), readmeCustomers())
	if len(report.Failures)+len(report.Logged) > 0 || len(report.Answers) == 0 {
		t.Errorf("failures: %+v, logged: %+v, answers: %+v", report.Failures, report.Logged, report.Answers)
	}
}

// TestOtherOriginsReadNothing checks that a page of the demo, which has another origin,
// cannot read anything from the local Klime.
func TestOtherOriginsReadNothing(t *testing.T) {
	app, klime := startDemo(t)
	p := startBrowser(t).newTab(t)
	p.open(app + "/login")
	for _, path := range []string{"/api/customers", "/api/events", "/customers", "/stream"} {
		got := p.str(`fetch(` + quote(klime+path) + `).then(() => "read", () => "refused")`)
		if got != "refused" {
			t.Errorf("%s: %s", path, got)
		}
	}
	if got := p.str(`new Promise((done) => {
		const stream = new EventSource(` + quote(klime+"/stream") + `);
		stream.onopen = () => done("read");
		stream.onerror = () => { stream.close(); done("refused"); };
	})`); got != "refused" {
		t.Errorf("the stream: %s", got)
	}
	if len(p.complaints()) == 0 {
		t.Error("the browser says nothing of it")
	}
}
