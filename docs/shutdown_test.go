package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// shutdownCode returns the code of examples/shutdown, including the code in its
// comments.
func shutdownCode(t *testing.T) string {
	t.Helper()
	names, err := filepath.Glob(filepath.FromSlash("../examples/shutdown/*.go"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no code: %v", err)
	}
	var code strings.Builder
	for _, name := range names {
		if !strings.HasSuffix(name, "_test.go") {
			code.WriteString(strings.ReplaceAll(unindented(read(t, name)), "//\t", ""))
		}
	}
	return code.String()
}

// Whoever copies code has one pair of time limits: 5 s for the server and 4 s for klime,
// which is below the 10 s of docker stop.
func TestShutdownTimes(t *testing.T) {
	t.Parallel()
	limit := regexp.MustCompile(`context\.WithTimeout\(context\.Background\(\), (.*)\)`)
	for document, want := range map[string]string{
		"../README.md":               "5*time.Second 4*time.Second",
		"integration-prompt.md":      "4*time.Second", // the server's is told in words
		"../examples/echo/main.go":   "5*time.Second 4*time.Second",
		"../examples/fiber3/main.go": "5*time.Second 4*time.Second",
	} {
		if _, err := os.Stat(document); err != nil {
			continue // these are modules of their own
		}
		text, got := read(t, document), []string(nil)
		for _, found := range limit.FindAllStringSubmatch(text, -1) {
			got = append(got, found[1])
		}
		if got := strings.Join(got, " "); got != want {
			t.Errorf("%s has %q, want %q", document, got, want)
		}
		if strings.Contains(text, "Shutdown(context.Background())") {
			t.Errorf("%s has a Shutdown without a limit", document)
		}
	}
	if text := read(t, "integration-prompt.md"); !strings.Contains(text, "context of 5 s") {
		t.Error("the prompt gives the server no limit")
	}
}

// The snippets of the page on shutdown are quotes of tested code.
func TestShutdownQuotesTheCode(t *testing.T) {
	t.Parallel()
	code := shutdownCode(t)
	found := snippets(t, "shutdown.md")
	if len(found) == 0 {
		t.Error("no snippets")
	}
	for _, s := range found {
		if !strings.Contains(code, unindented(s.code)) {
			t.Errorf("%s:%d: not in the code as it stands on the page:\n%s", s.document, s.line, s.code)
		}
	}
}
