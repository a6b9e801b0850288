package docs_test

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The log lines on the page are lines that klime logs.
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
	messages := regexp.MustCompile(`"\s*\+\s*"`).ReplaceAllString(code.String(), "") // joins messages that span several lines
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

// The page lists exactly the outcomes that are logged at debug level, and the lines and
// attributes in which they are logged.
func TestTroubleshootingKnowsTheOutcomes(t *testing.T) {
	t.Parallel()
	decides, explains, page := read(t, "../core/decision.go"), read(t, "../core/explain.go"), read(t, "troubleshooting.md")
	code := decides + read(t, "../core/rules.go") + read(t, "../core/option.go")
	_, page, _ = strings.Cut(page, "\nAt debug level")
	page, _, _ = strings.Cut(page, "\n## ")
	for _, line := range regexp.MustCompile("`klime: ([^`]+)`").FindAllStringSubmatch(page, -1) {
		if !strings.Contains(explains, `once("`+line[1]+`"`) {
			t.Errorf("there is no line %q", line[1])
		}
	}
	for _, attribute := range regexp.MustCompile("`([a-z]+)`").FindAllStringSubmatch(page, -1) {
		if name := attribute[1]; name != "queued" && !strings.Contains(explains, `("`+name+`", `) {
			t.Errorf("there is no attribute %q", name)
		}
	}
	var outcomes []string
	for _, quoted := range regexp.MustCompile("`(not sent: [^`]+)`").FindAllStringSubmatch(page, -1) {
		outcomes = append(outcomes, quoted[1])
		if !strings.Contains(code, strings.TrimPrefix(quoted[1], "not sent: ")) {
			t.Errorf("there is no outcome %q", quoted[1])
		}
	}
	for _, told := range regexp.MustCompile(`"(not sent: [^"]+)"`).FindAllStringSubmatch(decides, -1) {
		known := func(outcome string) bool { return strings.HasPrefix(told[1], outcome) }
		if told[1] != "not sent: " && !slices.ContainsFunc(outcomes, known) {
			t.Errorf("the page does not know %q", told[1])
		}
	}
}
