package docs_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A log line that the page tells what to do about is one that there is.
func TestTroubleshootingKnowsTheLog(t *testing.T) {
	t.Parallel()
	var code strings.Builder
	for _, glob := range []string{"../core/*.go", "../internal/delivery/*.go"} {
		names, err := filepath.Glob(filepath.FromSlash(glob))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if !strings.HasSuffix(name, "_test.go") {
				code.WriteString(read(t, name))
			}
		}
	}
	messages := regexp.MustCompile(`"\s*\+\s*"`).ReplaceAllString(code.String(), "") // those that go over several lines
	lines := regexp.MustCompile("`klime: ([^`]+)`").FindAllStringSubmatch(read(t, "troubleshooting.md"), -1)
	if len(lines) < 10 {
		t.Errorf("only %d log lines on the page", len(lines))
	}
	for _, line := range lines {
		if !strings.Contains(messages, line[1]) {
			t.Errorf("nothing logs %q", line[1])
		}
	}
}
