package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every test that the page names exists.
func TestThreatModelNamesTests(t *testing.T) {
	t.Parallel()
	named := regexp.MustCompile("`([^`]+)`")
	rows := 0
	for line := range strings.Lines(read(t, "threat-model.md")) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 5 || !strings.Contains(cells[3], "`") {
			continue
		}
		rows++
		for place := range strings.SplitSeq(cells[3], ";") {
			folder, names, found := strings.Cut(strings.TrimSpace(place), ": ")
			if !found {
				t.Errorf("no folder: %s", place)
			}
			code := sources(t, folder)
			for _, name := range named.FindAllStringSubmatch(names, -1) {
				declared := "func " + name[1] + "("
				if folder == "conformance" {
					declared = `.test(t, "` + name[1] + `"`
				}
				if !strings.Contains(code, declared) {
					t.Errorf("%s has no %s", folder, name[1])
				}
			}
		}
	}
	if rows < 15 {
		t.Errorf("%d rows with tests", rows)
	}
}

// sources returns the code of a folder's tests.
func sources(t *testing.T, folder string) string {
	t.Helper()
	pattern := "../" + folder + "/*_test.go"
	if folder == "conformance" {
		pattern = "../klimetest/adaptertest/*.go"
	}
	names, err := filepath.Glob(filepath.FromSlash(pattern))
	if err != nil || len(names) == 0 {
		t.Errorf("no tests in %s: %v", folder, err)
	}
	var code strings.Builder
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		code.Write(text)
	}
	return code.String()
}
