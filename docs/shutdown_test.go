package docs_test

import (
	"path/filepath"
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
