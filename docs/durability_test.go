package docs_test

import (
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

// The snippets of the section on shutdown are quotes of tested code.
func TestShutdownQuotesTheCode(t *testing.T) {
	t.Parallel()
	code := shutdownCode(t)
	_, section, found := strings.Cut(read(t, "durability.md"), "\n## Shutdown")
	section, _, _ = strings.Cut(section, "\n## ")
	snippets := regexp.MustCompile("(?s)```go\n(.*?)```\n").FindAllStringSubmatch(section, -1)
	if !found || len(snippets) == 0 {
		t.Error("no snippets")
	}
	for _, snippet := range snippets {
		if !strings.Contains(code, unindented(snippet[1])) {
			t.Errorf("not in the code as it stands on the page:\n%s", snippet[1])
		}
	}
}
