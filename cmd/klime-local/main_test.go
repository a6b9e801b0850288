package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/internal/inspector"
)

// start runs the command until the test ends, and returns its URL.
func start(t *testing.T, args ...string) (url string, stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	stdout, out := io.Pipe()
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, args, out, t.Output())
		_ = out.Close()
	}()
	lines := bufio.NewScanner(stdout)
	lines.Scan()
	if url = regexp.MustCompile(`http://\S+:\d+`).FindString(lines.Text()); url == "" {
		t.Fatalf("it does not start: %s", lines.Text())
	}
	go func() { _, _ = io.Copy(io.Discard, stdout) }() // until it ends
	return url, func() int {
		cancel()
		select {
		case code := <-done:
			return code
		case <-time.After(10 * time.Second):
			t.Fatal("it does not stop")
			return -1
		}
	}
}

func get(t *testing.T, url, key string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		r.SetBasicAuth("me", key)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(content)
}

func TestCustomersArrive(t *testing.T) {
	url, stop := start(t, "-addr", "127.0.0.1:0")
	client, err := klime.New(klime.Config{WriteKey: "anything", Endpoint: url})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Link(t.Context(), klime.User{ID: "usr_1"}, klime.Group{ID: "org_1", Traits: klime.Traits{"name": "Acme"}}); err != nil {
		t.Fatal(err)
	}
	if err := client.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if status, page := get(t, url+"/customers", ""); status != 200 || !strings.Contains(page, "Acme") {
		t.Errorf("status %d: %s", status, page)
	}

	// An open page does not hold up the shutdown.
	resp, err := http.Get(url + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if code := stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestUserMode(t *testing.T) {
	url, _ := start(t, "-addr", "127.0.0.1:0", "-mode", "user")
	if _, summary := get(t, url+"/api/summary", ""); !strings.Contains(summary, `"mode":"user"`) {
		t.Errorf("got %s", summary)
	}
}

// If other machines can reach it, both senders and readers must show the key.
func TestOtherMachines(t *testing.T) {
	var stderr bytes.Buffer
	if code := run(t.Context(), []string{"-addr", "0.0.0.0:0"}, io.Discard, &stderr); code != 1 || !strings.Contains(stderr.String(), "set -key") {
		t.Errorf("exit code %d: %s", code, &stderr)
	}
	stderr.Reset()
	if run(t.Context(), []string{"-addr", ""}, io.Discard, &stderr); !strings.Contains(stderr.String(), `-addr "" can be reached`) {
		t.Errorf("no address: %s", &stderr)
	}
	url, _ := start(t, "-addr", "0.0.0.0:0", "-key", "secret")
	for key, want := range map[string]int{"": 401, "other": 401, "secret": 200} {
		if status, _ := get(t, url+"/customers", key); status != want {
			t.Errorf("%q: status %d, want %d", key, status, want)
		}
	}
	for key, ok := range map[string]bool{"other": false, "secret": true} {
		client, err := klime.New(klime.Config{WriteKey: key, Endpoint: url})
		if err != nil {
			t.Fatal(err)
		}
		if err := client.Ping(t.Context()); (err == nil) != ok {
			t.Errorf("a sender with %q: %v", key, err)
		}
		_ = client.Shutdown(t.Context())
	}
}

// The greeting says how to allow sending from another machine as klime-go requires it,
// and the docs explain the error that klime-go returns otherwise.
func TestGreetingOnOtherMachines(t *testing.T) {
	cfg := klime.Config{WriteKey: "secret", Endpoint: "http://192.0.2.2:8080"}
	_, refused := klime.New(cfg)
	if refused == nil {
		t.Fatal("klime-go does not refuse to send in the clear")
	}
	_, text, _ := strings.Cut(refused.Error(), cfg.Endpoint)
	for _, page := range []string{"klime-local", "troubleshooting"} {
		docs, err := os.ReadFile("../../docs/" + page + ".md")
		if err != nil || !strings.Contains(string(docs), text) || !strings.Contains(string(docs), "cfg.AllowInsecure = true") {
			t.Errorf("docs/%s.md knows nothing of %q: %v", page, refused, err)
		}
	}
	cfg.AllowInsecure = true
	client, err := klime.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	_ = client.Shutdown(t.Context())
	for addr, others := range map[string]string{
		"127.0.0.1:8080": "",
		"192.0.2.2:8080": "KLIME_ENDPOINT=http://192.0.2.2:8080 ",
		"0.0.0.0:8080":   "KLIME_ENDPOINT=http://THIS-MACHINE:8080 ",
		"[::]:8080":      "KLIME_ENDPOINT=http://THIS-MACHINE:8080 ",
	} {
		var greeting bytes.Buffer
		greet(&greeting, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr)), options{key: "secret"})
		text := greeting.String()
		if strings.Contains(text, "cfg := klime.FromEnv(); cfg.AllowInsecure = true") == (others == "") || !strings.Contains(text, others) {
			t.Errorf("on %s: %s", addr, text)
		}
	}
}

// With a key on loopback, senders must show it, but readers need not.
func TestKeyOnLoopback(t *testing.T) {
	url, _ := start(t, "-addr", "127.0.0.1:0", "-key", "secret")
	if status, _ := get(t, url+"/customers", ""); status != 200 {
		t.Errorf("status %d", status)
	}
	client, err := klime.New(klime.Config{WriteKey: "other", Endpoint: url})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Ping(t.Context()); err == nil {
		t.Error("a sender with another key is heard")
	}
	_ = client.Shutdown(t.Context())
}

func TestBusyAddress(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = busy.Close() })
	var stderr bytes.Buffer
	if code := run(t.Context(), []string{"-addr", busy.Addr().String()}, io.Discard, &stderr); code != 1 || !strings.Contains(stderr.String(), "choose another address with -addr") {
		t.Errorf("exit code %d: %s", code, &stderr)
	}
}

func TestFlags(t *testing.T) {
	var stderr bytes.Buffer
	opts, err := parse([]string{"-addr", ":1", "-key", "k", "-mode", "user", "-hosts", "a, b,", "-max-events", "7", "-max-mb", "2", "-max-rate", "3", "-trace-url", "https://t/"}, &stderr)
	if err != nil || opts.addr != ":1" || opts.key != "k" || opts.mode != inspector.UserMode || strings.Join(opts.hosts, " ") != "a b" ||
		opts.keep.MaxEvents != 7 || opts.keep.MaxBytes != 2<<20 || opts.keep.BatchRate != 3 || opts.keep.WriteKey != "k" || opts.keep.BatchesAtOnce == 0 || opts.trace != "https://t/" {
		t.Errorf("got %+v, %v", opts, err)
	}
	mostMegabytes := "-max-mb must be from 1 to 1048576"
	if math.MaxInt == math.MaxInt32 {
		mostMegabytes = "-max-mb must be from 1 to 2047"
	}
	if opts, err := parse([]string{"-max-mb", fmt.Sprint(maxMegabytes)}, &stderr); err != nil || int64(opts.keep.MaxBytes) != maxMegabytes<<20 {
		t.Errorf("the largest -max-mb is %d bytes, %v", opts.keep.MaxBytes, err)
	}
	for _, tt := range []struct {
		args []string
		says string
	}{
		{[]string{"-port", "1"}, "flag provided but not defined: -port"},
		{[]string{"serve"}, "unexpected argument: serve"},
		{[]string{"-mode", "team"}, `-mode is group or user, not "team"`},
		{[]string{"-mode", ""}, `-mode is group or user, not ""`},
		{[]string{"-key", "two words"}, "-key has white space"},
		{[]string{"-key", "schlüssel"}, "-key has white space or other"},
		{[]string{"-max-events", "0"}, "-max-events must be from 1 to 100000000"},
		{[]string{"-max-events", "200000000"}, "-max-events must be from 1 to 100000000"},
		{[]string{"-max-events", "many"}, `invalid value "many" for flag -max-events`},
		{[]string{"-max-mb", "-1"}, mostMegabytes},
		{[]string{"-max-mb", "9999999"}, mostMegabytes},
		{[]string{"-max-mb", fmt.Sprint(maxMegabytes + 1)}, mostMegabytes},
		{[]string{"-max-rate", "-1"}, "-max-rate is negative"},
		{[]string{"-trace-url", "localhost:16686"}, "-trace-url is no http or https URL"},
		{[]string{"-trace-url", "http:///trace/"}, "-trace-url is no http or https URL"},
		{[]string{"-trace-url", "javascript:alert(1)//"}, "-trace-url is no http or https URL"},
		{[]string{"-hosts", "klime.internal:8081"}, `-hosts takes names alone, without scheme, port or wildcard: "klime.internal:8081"`},
		{[]string{"-hosts", "a,*"}, `-hosts takes names alone, without scheme, port or wildcard: "*"`},
	} {
		stderr.Reset()
		code := run(t.Context(), tt.args, io.Discard, &stderr)
		if code != 2 || strings.Count(stderr.String(), "Usage of klime-local:") != 1 || !strings.HasPrefix(stderr.String(), tt.says) {
			t.Errorf("%q: exit code %d: %s", tt.args, code, &stderr)
		}
	}
	if _, err := parse([]string{"-h"}, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: %v", err)
	}
	if code := run(t.Context(), []string{"-h"}, io.Discard, io.Discard); code != 0 {
		t.Errorf("-h: exit code %d", code)
	}
}

// The docs of this command name every flag and every path, and no others.
func TestDocs(t *testing.T) {
	content, err := os.ReadFile("../../docs/klime-local.md")
	if err != nil {
		t.Fatal(err)
	}
	docs := string(content)
	var usage bytes.Buffer
	_, _ = parse([]string{"-h"}, &usage)
	flags := regexp.MustCompile(`(?m)^  (-[a-z-]+)`).FindAllStringSubmatch(usage.String(), -1)
	if rows := strings.Count(docs, "\n| `-"); len(flags) == 0 || rows != len(flags) {
		t.Errorf("%d flags are in the table, there are %d", rows, len(flags))
	}
	for _, f := range flags {
		if !strings.Contains(docs, "\n| `"+f[1]+"` |") {
			t.Errorf("the flag %s is not in the table", f[1])
		}
	}
	url, _ := start(t, "-addr", "127.0.0.1:0")
	for _, path := range regexp.MustCompile("`(/api/[a-z/]+)`").FindAllStringSubmatch(docs, -1) {
		// A path with a required parameter answers that it is missing.
		if status, body := get(t, url+path[1], ""); status != 200 && !strings.Contains(body, " is missing") {
			t.Errorf("%s: status %d: %s", path[1], status, body)
		}
		_, body := get(t, url+path[1]+"?none", "")
		_, list, _ := strings.Cut(body, "here, but ")
		for _, name := range regexp.MustCompile(`[a-z]+`).FindAllString(list, -1) {
			if !strings.Contains(docs, "`"+name+"`") {
				t.Errorf("%s: the parameter %s is not in the docs", path[1], name)
			}
		}
	}
}
