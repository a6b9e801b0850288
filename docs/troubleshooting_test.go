package docs_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The log lines on the page are lines that klime logs.
func TestTroubleshootingKnowsTheLog(t *testing.T) {
	t.Parallel()
	var code strings.Builder
	var logged []string
	for _, folder := range logging() {
		logged = append(logged, warnings(t, folder)...)
		for _, name := range goFiles(t, folder) {
			code.WriteString(read(t, name))
		}
	}
	messages := regexp.MustCompile(`"\s*\+\s*"`).ReplaceAllString(code.String(), "") // joins messages that span several lines
	lines := regexp.MustCompile("`klime: ([^`]+)`").FindAllStringSubmatch(read(t, "troubleshooting.md"), -1)
	if len(lines) < 10 {
		t.Errorf("only %d log lines on the page", len(lines))
	}
	for _, line := range lines {
		isWarning := slices.ContainsFunc(logged, func(message string) bool { return strings.HasPrefix(message, "klime: "+line[1]) })
		if !isWarning && !strings.Contains(messages, line[1]) {
			t.Errorf("nothing logs %q", line[1])
		}
	}
}

// Each warning and error in the log has a row on the page, under its first words.
func TestTroubleshootingHasTheLog(t *testing.T) {
	t.Parallel()
	var rows []string
	for line := range strings.Lines(read(t, "troubleshooting.md")) {
		if cells := strings.Split(line, "|"); len(cells) > 2 {
			for _, code := range regexp.MustCompile("`(klime: [^`]+)`").FindAllStringSubmatch(cells[1], -1) {
				rows = append(rows, code[1])
			}
		}
	}
	known := 0
	for _, folder := range logging() {
		for _, logged := range warnings(t, folder) {
			known++
			if !slices.ContainsFunc(rows, func(row string) bool { return strings.HasPrefix(logged, row) }) {
				t.Errorf("the page has no row for %q", logged)
			}
		}
	}
	if known < 45 {
		t.Errorf("only %d log lines found", known)
	}
}

// The page lists exactly the outcomes that are logged at debug level, and the lines and
// attributes in which they are logged.
func TestTroubleshootingKnowsTheOutcomes(t *testing.T) {
	t.Parallel()
	decides, explains, page := read(t, "../core/decision.go"), read(t, "../core/explain.go"), read(t, "troubleshooting.md")
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
		if !strings.Contains(decides, `"`+quoted[1]) {
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
