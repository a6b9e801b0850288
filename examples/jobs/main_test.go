package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/examples/internal/demo"
	"github.com/klimeapp/klime-go/klimetest"
)

// asProgram makes the test binary run the example.
const asProgram = "RUN_THE_JOBS_EXAMPLE"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// line describes an event in words.
func line(e klime.Event) string {
	words := []string{e.Type.String()}
	if e.Type == klime.TrackEvent {
		words = append(words, e.Event)
	}
	if e.UserID != "" {
		words = append(words, "user", e.UserID)
	}
	words = append(words, e.GroupID)
	for _, facts := range []map[string]any{e.Traits, e.Properties} {
		for _, key := range slices.Sorted(maps.Keys(facts)) {
			words = append(words, fmt.Sprintf("%s=%v", key, facts[key]))
		}
	}
	return strings.Join(words, " ")
}

// told shuts client down and returns what Klime was told.
func told(t *testing.T, server *klimetest.Server, client *klime.Client) []string {
	t.Helper()
	if err := client.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	var lines []string
	for _, e := range server.Events() {
		lines = append(lines, line(e))
	}
	return lines
}

func TestBillingWebhook(t *testing.T) {
	t.Parallel()
	app := demo.NewApp()
	body, signature := app.BillingRequest("org_1002", "business")
	unknown, unknownSignature := app.BillingRequest("org_9999", "business")
	changed := strings.Replace(string(body), "org_1002", "org_1003", 1)
	tests := map[string]struct {
		body, signature string
		want            int
		told            []string
	}{
		"signed": {string(body), signature, 204, []string{
			"group org_1002 name=Blue Harbor Foods plan=business",
			"track Plan Changed org_1002 plan=business",
		}},
		"no signature":                  {string(body), "", 401, nil},
		"bad signature":                 {string(body), strings.Repeat("0", 64), 401, nil},
		"another body":                  {changed, signature, 401, nil},
		"a company that does not exist": {string(unknown), unknownSignature, 404, nil},
		"too large":                     {strings.Repeat(" ", demo.MaxBillingBody+1), signature, 400, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := klimetest.NewServer(t)
			client := server.Client()
			request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhooks/billing", strings.NewReader(test.body))
			request.Header.Set(demo.BillingSignature, test.signature)
			answer := httptest.NewRecorder()
			billing(app, client).ServeHTTP(answer, request)
			if answer.Code != test.want {
				t.Errorf("status %d, want %d", answer.Code, test.want)
			}
			if got := told(t, server, client); !slices.Equal(got, test.told) {
				t.Errorf("told %q, want %q", got, test.told)
			}
		})
	}
}

// However often the job runs on a day, each company has one event for that day.
func TestJobCountsOnceADay(t *testing.T) {
	t.Parallel()
	server := klimetest.NewServer(t)
	client := server.Client()
	job := usage{demo.NewApp(), client}
	morning := time.Date(2026, time.November, 23, 2, 0, 0, 0, time.UTC)
	for _, at := range []time.Time{morning, morning, morning.Add(time.Hour), morning.AddDate(0, 0, 1)} {
		job.run(t.Context(), at)
	}
	aDay := []string{
		"track Usage Summarized org_1001 reports=3",
		"track Usage Summarized org_1002 reports=3",
		"track Usage Summarized org_1003 reports=3",
	}
	if got, want := told(t, server, client), slices.Concat(aDay, aDay); !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
	if got := server.Repeated(); got != 2*len(aDay) {
		t.Errorf("%d repeated, want %d", got, 2*len(aDay))
	}
}

// The whole example: the billing service sends webhooks, and Klime knows the customers,
// without any user.
func TestEverythingArrives(t *testing.T) {
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "KLIME_") {
			t.Setenv(name, "") // use the local Klime, with the defaults
		}
	}
	var stdout, stderr strings.Builder
	d, err := demo.Start(demo.Options{
		Name: "jobs", Addr: "127.0.0.1:0", KlimeAddr: "127.0.0.1:0", NoPages: true, Pace: time.Millisecond,
		Stdout: &stdout, Stderr: &stderr,
	}, newServer)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := d.Klime.Wait(ctx, 10); err != nil { // more than the job alone makes
		t.Error(err)
	}
	cancel()
	if err := d.Wait(ctx); err != nil {
		t.Error(err)
	}

	counts, names := d.Klime.Counts(), make(map[string]int)
	for _, e := range d.Klime.Events() {
		names[e.Event+" "+e.GroupID]++
	}
	plans := names["Plan Changed org_1002"]
	for _, org := range []string{"org_1001", "org_1002", "org_1003"} {
		if n := names["Usage Summarized "+org]; n < 1 || n > 2 { // 2 if the test ran over midnight
			t.Errorf("%d summaries of %s", n, org)
		}
	}
	if plans == 0 || names[" org_1002"] != plans || len(d.Klime.Users()) > 0 {
		t.Errorf("events %v, users %v", names, d.Klime.Users())
	}
	customers := d.Klime.Customers()
	if len(customers) != 1 || customers[0].Traits["plan"] == nil || len(customers[0].Users) > 0 {
		t.Errorf("customers %+v", customers)
	}
	if want := fmt.Sprintf("\n%d events delivered, none lost.\n", counts.Accepted+counts.Repeated); !strings.HasSuffix(stdout.String(), want) {
		t.Errorf("want %q at the end of:\n%s", want, &stdout)
	}
	if stderr.Len() > 0 {
		t.Errorf("stderr: %s", &stderr)
	}
}

// The program itself delivers everything when it gets SIGTERM.
func TestSIGTERM(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("has no SIGTERM")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	program := exec.CommandContext(ctx, os.Args[0], "-addr=127.0.0.1:0", "-klime-addr=127.0.0.1:0", "-traffic=false")
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "KLIME_") {
			program.Env = append(program.Env, variable)
		}
	}
	program.Env = append(program.Env, asProgram+"=1")
	program.Stderr = t.Output()
	stdout, err := program.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(stdout)
	var output strings.Builder
	for !strings.Contains(output.String(), "Traffic:") { // the last line that it prints at the start
		text, err := reader.ReadString('\n')
		output.WriteString(text)
		if err != nil {
			t.Fatalf("%v after:\n%s", err, &output)
		}
	}
	if err := program.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(&output, reader); err != nil {
		t.Fatal(err)
	}
	if err := program.Wait(); err != nil {
		t.Error(err)
	}
	if !regexp.MustCompile(`\n[1-9]\d* events delivered, none lost\.\n$`).MatchString(output.String()) {
		t.Errorf("output:\n%s", &output)
	}
}
