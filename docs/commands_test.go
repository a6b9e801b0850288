package docs_test

import (
	"regexp"
	"strings"
	"testing"
)

// The commands on the pages work in an app. An app with a vendor folder can run a
// program that it does not import only with a version (@latest); and after go get,
// packages that the code then imports need go mod tidy.
func TestCommandsWorkInAnApp(t *testing.T) {
	t.Parallel()
	program := regexp.MustCompile(`go (?:run|build|install) .*github\.com/klimeapp/klime-go/cmd/.*`)
	versioned := regexp.MustCompile(`go (?:run|install) github\.com/klimeapp/klime-go/cmd/klime-local@latest\b`)
	programs, gets := 0, 0
	for _, document := range documents(t) {
		page := read(t, document)
		for _, command := range program.FindAllString(page, -1) {
			programs++
			if !versioned.MatchString(command) {
				t.Errorf("%s: %s", document, command)
			}
		}
		if _, after, found := strings.Cut(page, "\ngo get github.com/klimeapp/klime-go\n"); found {
			gets++
			if !strings.Contains(after, "go mod tidy") {
				t.Errorf("%s: no go mod tidy after go get", document)
			}
		}
	}
	if programs < 4 || gets < 2 {
		t.Errorf("%d programs, %d times go get", programs, gets)
	}
}
