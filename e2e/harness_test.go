package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	klime "github.com/klimeapp/klime-go/core"
	"github.com/klimeapp/klime-go/internal/ingest"
)

const (
	writeKey = "wk_e2e_0123456789"

	// programTimeout bounds a client program, or a page, that hangs.
	programTimeout = time.Minute
)

// localKlime is a local Klime that keeps every request as it came and every answer as it
// was sent.
type localKlime struct {
	*ingest.Server

	url string

	mu        sync.Mutex
	exchanges []exchange
}

// exchange is one request and its answer. The status is 0 if there was none.
type exchange struct {
	at          time.Time
	method, uri string
	header      http.Header
	body        []byte
	status      int
	answer      []byte
}

// startKlime starts a local Klime that ends with the test. The middlewares in front of it
// see a request after it is recorded, and make or change the answer before that is
// recorded.
func startKlime(t *testing.T, front ...func(http.Handler) http.Handler) *localKlime {
	t.Helper()
	k := &localKlime{Server: ingest.New(ingest.Options{WriteKey: writeKey})}
	var handler http.Handler = k.Server
	for _, wrap := range front {
		handler = wrap(handler)
	}
	server := httptest.NewServer(k.record(handler))
	t.Cleanup(server.Close)
	k.url = server.URL
	return k
}

func (k *localKlime) record(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := exchange{at: time.Now(), method: r.Method, uri: r.RequestURI, header: r.Header.Clone()}
		x.body, _ = io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(x.body))
		defer func() {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.exchanges = append(k.exchanges, x)
		}()

		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		x.status, x.answer = answer.Code, answer.Body.Bytes()
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(x.status)
		_, _ = w.Write(x.answer)
	})
}

// recorded returns the requests and answers so far.
func (k *localKlime) recorded() []exchange {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.exchanges)
}

// once applies special to the first request only.
func once(special func(next http.Handler) http.Handler) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		var first sync.Once
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			handler := next
			first.Do(func() { handler = special(next) })
			handler.ServeHTTP(w, r)
		})
	}
}

// runNode runs a program of clients/ on Node against k, and decodes the JSON that it
// prints into report. It needs the given npm packages, in the versions that package.json
// pins.
func runNode(t *testing.T, k *localKlime, key string, report any, packages []string, program string, args ...string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatalf("these tests run clients on Node: install Node 18 or newer with npm, then run e2e/run (%v)", err)
	}
	for _, name := range packages {
		requirePackage(t, name)
	}
	program = filepath.Join("clients", program)
	if _, err := os.Stat(program); err != nil { // also tells the test cache what the result depends on
		t.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), programTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, append([]string{program}, args...)...)
	cmd.Env = append(os.Environ(), "KLIME_ENDPOINT="+k.url, "KLIME_WRITE_KEY="+key)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, errors.Join(err, ctx.Err()), stderr.String())
	}
	if err := json.Unmarshal(out, report); err != nil {
		t.Fatalf("%s printed no JSON: %v\n%s%s", cmd, err, out, stderr.String())
	}
}

// requirePackage fails the test unless the npm package is installed in the
// version that package.json pins.
func requirePackage(t *testing.T, name string) {
	t.Helper()
	var pinned struct {
		Dependencies map[string]string `json:"dependencies"`
	}
	var installed struct {
		Version string `json:"version"`
	}
	readJSON(t, "package.json", &pinned)
	readJSON(t, filepath.Join("node_modules", filepath.FromSlash(name), "package.json"), &installed)
	if want := pinned.Dependencies[name]; installed.Version != want {
		t.Fatalf("%s %s is installed, %s is pinned: run e2e/run, or npm ci in e2e", name, installed.Version, want)
	}
}

func readJSON(t *testing.T, file string, into any) {
	t.Helper()
	content, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the clients to compare with are not installed: run e2e/run, or npm ci in e2e (%v)", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// newClient returns a client of this library that sends to k. It sends only on Flush, and
// requests keep their order, so that they are the same in every run.
func newClient(t *testing.T, k *localKlime, change ...func(*klime.Config)) *klime.Client {
	t.Helper()
	cfg := klime.Config{
		Endpoint:      k.url,
		WriteKey:      writeKey,
		BatchSize:     100,
		FlushInterval: time.Hour,
		Senders:       1,
		RetryDelay:    10 * time.Millisecond,
	}
	for _, f := range change {
		f(&cfg)
	}
	client, err := klime.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		_ = client.Shutdown(ended) // in case the test has not done so
	})
	return client
}

// must returns a function that fails the test on an error.
func must(t *testing.T) func(error) {
	t.Helper()
	return func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
}
