package docs_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// quoted returns glob patterns for the files of which a document's snippets are
// quotes; these are compiled and tested where they are. It returns nil for a document
// whose snippets are compiled here.
func quoted(document string) []string {
	switch document {
	case "delivery.md":
		return []string{"delivery_test.go"}
	case "jobs.md":
		return []string{"jobs_test.go"}
	case "moving-from-segment.md":
		return []string{"../examples/segment/*.go"}
	case "opentelemetry.md":
		return []string{"../internal/oteltest/*.go"}
	case "testing.md":
		return []string{"../klimetest/guide_test.go", "../fiberklime/guide_test.go"}
	case "who-is-the-customer.md":
		return []string{"../examples/auth/*/*.go", "../examples/jobs/main.go", "../core/example_privacy_test.go", "../core/example_test.go"}
	case "write-your-own-adapter.md":
		return []string{"../examples/echo/echoklime/*.go", "../examples/routers/*.go"}
	default:
		return nil
	}
}

// inCheckout reports whether the modules below the root are here too, as they are not
// where this module was downloaded.
func inCheckout(t *testing.T) bool {
	t.Helper()
	_, err := os.Stat("../e2e/go.mod")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

// documents returns all pages, the README and CONTRIBUTING.
func documents(t *testing.T) []string {
	t.Helper()
	pages, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	return append(pages, "../README.md", "../CONTRIBUTING.md")
}

// snippet is a block of Go in a document.
type snippet struct {
	document string
	line     int // number of its first line
	code     string
}

func snippets(t *testing.T, document string) []snippet {
	t.Helper()
	var found []snippet
	number, inside := 0, false
	for line := range strings.Lines(read(t, document)) {
		number++
		switch {
		case inside && line == "```\n":
			inside = false
		case inside:
			found[len(found)-1].code += line
		case line == "```go\n":
			inside = true
			found = append(found, snippet{document: document, line: number + 1})
		case strings.Contains(line, "```go"):
			t.Errorf("%s:%d: a block of Go begins at the margin", document, number)
		}
	}
	return found
}

func TestSnippetsQuoteTheCode(t *testing.T) {
	t.Parallel()
	for _, document := range documents(t) {
		var code strings.Builder
		missing := false
		globs := quoted(document)
		if globs == nil {
			continue
		}
		for _, glob := range globs {
			names, err := filepath.Glob(filepath.FromSlash(glob))
			if err != nil {
				t.Fatal(err)
			}
			missing = missing || len(names) == 0
			for _, name := range names {
				code.WriteString(unindented(read(t, name)))
			}
		}
		if missing {
			if inCheckout(t) {
				t.Errorf("%s: no code in one of %q", document, globs)
			}
			continue // in a module of its own, and not here
		}
		found := snippets(t, document)
		if len(found) == 0 {
			t.Errorf("%s has no snippets", document)
		}
		for _, s := range found {
			if !strings.Contains(code.String(), unindented(s.code)) {
				t.Errorf("%s:%d: not in the code as it stands on the page:\n%s", s.document, s.line, s.code)
			}
		}
	}
}

func TestSnippetsCompile(t *testing.T) {
	t.Parallel()
	compiler := newCompiler(t)
	shutdown := shutdownCode(t)
	for _, document := range documents(t) {
		if quoted(document) != nil {
			continue
		}
		for _, s := range snippets(t, document) {
			if strings.Contains(shutdown, unindented(s.code)) {
				continue // a quote: see TestShutdownQuotesTheCode
			}
			for _, err := range compiler.check(s) {
				t.Error(err)
			}
		}
	}

	// Code that does not compile is found, with the right line.
	for name, test := range map[string]struct{ code, want string }{
		"name":           {`klime.Trak(ctx, "Report Generated", nil)`, "page.md:7: undefined: klime.Trak"},
		"argument":       {"r.Use(ginklime.Middleware())", "page.md:7: not enough arguments"},
		"nothing":        {"cfg.FlushInterval = 2", ""},
		"type":           {"\ncfg.FlushInterval = \"2s\"", "page.md:8: cannot use"},
		"framework":      {"app.Use(ginklime.Middleware(client))", "page.md:7: undefined: app"},
		"syntax":         {"if err {", "page.md:"},
		"unused import":  {"import (\n\t\"net/url\"\n\n\tklime \"" + module + "/core\"\n)\n\nvar _ klime.Config\n", `page.md:8: "net/url" imported`},
		"missing import": {"package main\n\nfunc main() { klime.Skip(nil) }", "page.md:9: undefined: klime"},
		"no package":     {"import \"" + module + "/klime\"\n\nvar _ klime.Config\n", "page.md:7: could not import"},
	} {
		errs := compiler.check(snippet{document: "page.md", line: 7, code: test.code})
		if got := errors.Join(errs...); test.want == "" && got != nil || test.want != "" && (got == nil || !strings.Contains(got.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", name, got, test.want)
		}
	}
}

const module = "github.com/klimeapp/klime-go"

// packages returns the packages that snippets may use without importing them, by name.
func packages() map[string]string {
	return map[string]string{
		"adaptertest": module + "/klimetest/adaptertest",
		"chi":         "github.com/go-chi/chi/v5",
		"chiklime":    module + "/chiklime",
		"context":     "context",
		"errors":      "errors",
		"fiber":       "github.com/gofiber/fiber/v2",
		"fiberklime":  module + "/fiberklime",
		"fmt":         "fmt",
		"gin":         "github.com/gin-gonic/gin",
		"ginklime":    module + "/ginklime",
		"http":        "net/http",
		"httptest":    "net/http/httptest",
		"json":        "encoding/json",
		"klime":       module + "/core",
		"klimetest":   module + "/klimetest",
		"log":         "log",
		"nethttp":     module + "/nethttp",
		"os":          "os",
		"runtime":     "runtime",
		"slog":        "log/slog",
		"spool":       module + "/core/spool",
		"strings":     "strings",
		"synctest":    "testing/synctest",
		"testing":     "testing",
		"time":        "time",
	}
}

// compiler type-checks snippets against the compiled packages.
type compiler struct {
	exported map[string]string // import path → file of what the package exports
}

func newCompiler(t *testing.T) *compiler {
	t.Helper()
	args := []string{"list", "-export", "-deps", "-f", "{{.ImportPath}}={{.Export}}"}
	args = slices.AppendSeq(args, maps.Values(packages()))
	args = append(args, "github.com/go-chi/chi/v5/middleware", "github.com/gofiber/fiber/v2/middleware/recover", "net/url", "os/signal", "syscall")
	command := exec.CommandContext(t.Context(), "go", args...)
	command.Stderr = os.Stderr
	list, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	c := &compiler{make(map[string]string)}
	for line := range strings.Lines(string(list)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), "=")
		c.exported[path] = file
	}
	return c
}

// check returns what is wrong with a snippet. A snippet is a file, or declarations or
// statements of the app in testdata/prelude; its own declarations replace those there.
func (c *compiler) check(s snippet) []error {
	set := token.NewFileSet()
	file, err := s.parse(set)
	if err != nil {
		return []error{err}
	}
	files := []*ast.File{file}
	for _, name := range []string{"app", s.framework()} {
		prelude, err := parser.ParseFile(set, filepath.Join("testdata", "prelude", name+".go"), nil, parser.SkipObjectResolution)
		if err != nil {
			return []error{err}
		}
		prelude.Name.Name = file.Name.Name
		prelude.Decls = slices.DeleteFunc(prelude.Decls, func(d ast.Decl) bool {
			function, ok := d.(*ast.FuncDecl)
			return ok && declares(file, function.Name.Name)
		})
		files = append(files, prelude)
	}
	var errs []error
	config := types.Config{
		Importer: importer.ForCompiler(set, "gc", c.open),
		Error: func(err error) {
			problem := types.Error{}
			if errors.As(err, &problem) && problem.Soft && !s.mustUse(set.Position(problem.Pos), problem.Msg) {
				return
			}
			errs = append(errs, err)
		},
	}
	_, _ = config.Check(module+"/docs", set, files, nil) // errs has all of it
	return errs
}

// mustUse reports whether something unused is an error of the snippet. An unused
// variable is not: a snippet may show how to get a value, and not what is done with it.
func (s snippet) mustUse(at token.Position, problem string) bool {
	return at.Filename == s.document && at.Line >= s.line && !strings.HasPrefix(problem, "declared and not used")
}

func (c *compiler) open(path string) (io.ReadCloser, error) {
	file, ok := c.exported[path]
	if !ok {
		return nil, fmt.Errorf("%s is not known to this test", path)
	}
	return os.Open(file)
}

// parse parses a snippet as a file of its own.
func (s snippet) parse(set *token.FileSet) (*ast.File, error) {
	line := func(n int) string { return fmt.Sprintf("//line %s:%d\n", s.document, s.line+n) }
	if strings.HasPrefix(s.code, "package ") {
		return parser.ParseFile(set, "snippet.go", line(0)+s.code, parser.SkipObjectResolution)
	}
	imports, rest := s.imports()
	skipped := strings.Count(imports, "\n")
	head := "package docs; " + s.missingImports(imports, rest) + "\n" + line(0) + imports + "\n"
	file, err := parser.ParseFile(set, "snippet.go", head+line(skipped)+rest, parser.SkipObjectResolution)
	if err == nil {
		return file, nil
	}
	return parser.ParseFile(set, "snippet.go", head+"func _() {\n"+line(skipped)+rest+"\n}\n", parser.SkipObjectResolution)
}

// imports splits a snippet into the imports with which it begins, and the rest.
func (s snippet) imports() (imports, rest string) {
	end := 0
	switch {
	case strings.HasPrefix(s.code, "import ("):
		end = strings.Index(s.code, "\n)\n") + len("\n)\n")
	case strings.HasPrefix(s.code, "import "):
		end = strings.Index(s.code, "\n") + 1
	}
	return s.code[:end], s.code[end:]
}

// missingImports returns imports of the packages that a snippet uses and does not
// import.
func (snippet) missingImports(imports, code string) string {
	var b strings.Builder
	for name, path := range packages() {
		if regexp.MustCompile(`\b`+name+`\.[A-Z]`).MatchString(code) && !strings.Contains(imports, strconv.Quote(path)) {
			fmt.Fprintf(&b, "import %s %q; ", name, path)
		}
	}
	return b.String()
}

// framework returns the framework that a snippet uses.
func (s snippet) framework() string {
	for _, name := range []string{"gin", "fiber", "chi"} {
		if regexp.MustCompile(`\b` + name + `(klime)?\.[A-Z]`).MatchString(s.code) {
			return name
		}
	}
	return "nethttp"
}

// declares reports whether a file declares a function of that name.
func declares(file *ast.File, name string) bool {
	return slices.ContainsFunc(file.Decls, func(d ast.Decl) bool {
		function, ok := d.(*ast.FuncDecl)
		return ok && function.Recv == nil && function.Name.Name == name
	})
}
