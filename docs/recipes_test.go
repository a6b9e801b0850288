// Package docs_test checks the documentation against the code.
package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const page = "who-is-the-customer.md"

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.FromSlash(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// recipes returns the files of examples/auth.
func recipes(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.FromSlash("../examples/auth/*/*.go"))
	if err != nil {
		t.Fatal(err)
	}
	if len(names) == 0 {
		if inCheckout(t) {
			t.Fatal("no recipes in examples/auth")
		}
		t.Skip("the recipes are a module of their own, and not here")
	}
	return names
}

// Every link on the page leads to a file, and every recipe has a link.
func TestPageLinksTheRecipes(t *testing.T) {
	t.Parallel()
	names, linked := recipes(t), make(map[string]bool)
	for _, link := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(read(t, page), -1) {
		file, _, _ := strings.Cut(link[1], "#")
		name := filepath.Clean(filepath.FromSlash(file))
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
		linked[name] = true
	}
	for _, name := range names {
		recipe := !strings.HasSuffix(name, "_test.go") && filepath.Base(filepath.Dir(name)) != "accounts"
		if recipe && !linked[name] {
			t.Errorf("%s has no link", name)
		}
	}
}

// A reader can copy the snippets: they use nothing of the examples' own.
func TestSnippetsStandAlone(t *testing.T) {
	t.Parallel()
	for _, document := range documents(t) {
		for _, s := range snippets(t, document) {
			if strings.Contains(s.code, "demo.") {
				t.Errorf("%s:%d: uses package demo", document, s.line)
			}
		}
	}
}

// unindented returns code without the tabs at the beginning of its lines.
func unindented(code string) string {
	var b strings.Builder
	for line := range strings.Lines(code) {
		b.WriteString(strings.TrimLeft(line, "\t"))
	}
	return b.String()
}

// Links of all documents lead to files and headings that exist.
func TestLinks(t *testing.T) {
	t.Parallel()
	pages := documents(t)
	for _, pattern := range []string{"../*/README.md", "../internal/*/README.md"} {
		more, err := filepath.Glob(filepath.FromSlash(pattern))
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, more...)
	}
	for _, page := range pages {
		for _, link := range regexp.MustCompile(`\]\(([\w./-]*)(#[\w-]+)?\)`).FindAllStringSubmatch(read(t, page), -1) {
			target := page
			if link[1] != "" {
				target = filepath.Join(filepath.Dir(page), filepath.FromSlash(link[1]))
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %v", page, err)
			} else if link[2] != "" && !slices.Contains(headings(t, target), link[2]) {
				t.Errorf("%s: %s has no heading %s", page, target, link[2])
			}
		}
	}
}

// headings returns the anchors of a page's headings.
func headings(t *testing.T, page string) []string {
	t.Helper()
	var found []string
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(read(t, page), -1) {
		name := regexp.MustCompile(`[^\w -]`).ReplaceAllString(strings.ToLower(heading[1]), "")
		found = append(found, "#"+strings.ReplaceAll(name, " ", "-"))
	}
	return found
}

// The index lists every page and every example.
func TestIndex(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("*.md")
	if err != nil || len(pages) < 10 {
		t.Fatalf("%d pages: %v", len(pages), err)
	}
	index := read(t, "README.md")
	for _, page := range pages {
		if page != "README.md" && !strings.Contains(index, "]("+page+")") {
			t.Errorf("%s is not in the index", page)
		}
	}
	examples, err := filepath.Glob(filepath.FromSlash("../examples/*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, example := range examples {
		example = filepath.ToSlash(example)
		if example != "../examples/internal" && !strings.Contains(index, "]("+example+")") {
			t.Errorf("%s is not in the index", example)
		}
	}
}
