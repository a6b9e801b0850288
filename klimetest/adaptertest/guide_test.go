package adaptertest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The guide's snippets are taken from the example.
func TestGuideQuotesTheCode(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile(filepath.FromSlash("../../docs/write-your-own-adapter.md"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.FromSlash("../../examples/echo/echoklime/*.go"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("the example is a module of its own, and not here")
	}
	var code strings.Builder
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		code.WriteString(unindented(string(text)))
	}
	_, rest, found := strings.Cut(string(guide), "```go\n")
	for found {
		var snippet string
		snippet, rest, _ = strings.Cut(rest, "```\n")
		if !strings.Contains(code.String(), unindented(snippet)) {
			t.Errorf("not in the code as it stands in the guide:\n%s", snippet)
		}
		_, rest, found = strings.Cut(rest, "```go\n")
	}
}

func unindented(code string) string {
	var b strings.Builder
	for line := range strings.Lines(code) {
		b.WriteString(strings.TrimLeft(line, "\t"))
	}
	return b.String()
}
