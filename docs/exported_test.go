package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// publicPackages returns the folders of the packages that others may import.
func publicPackages(t *testing.T) []string {
	t.Helper()
	var folders []string
	for _, folder := range []string{"core", "core/spool", "nethttp", "chiklime", "ginklime", "fiberklime", "klimetest", "klimetest/adaptertest"} {
		folder = filepath.Join("..", filepath.FromSlash(folder))
		if _, err := os.Stat(filepath.Join(folder, "doc.go")); err != nil {
			t.Error(err)
		}
		folders = append(folders, folder)
	}
	return folders
}

// Every exported name has a doc comment. The linter does not ask for one on constants,
// fields and methods of interfaces.
func TestExportedIsDocumented(t *testing.T) {
	t.Parallel()
	known := 0
	for _, folder := range publicPackages(t) {
		names, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, name, nil, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range exported(file) {
				known++
				if !slices.ContainsFunc(d.docs, func(c *ast.CommentGroup) bool { return c != nil }) {
					t.Errorf("%s: %s has no documentation", set.Position(d.at), d.name)
				}
			}
		}
	}
	if known < 250 {
		t.Errorf("only %d exported names found", known)
	}
}

// described is an exported name with the comments of which it must have at least one.
type described struct {
	name string
	at   token.Pos
	docs []*ast.CommentGroup
}

// exported returns the exported names of a file.
func exported(file *ast.File) []described {
	var found []described
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && (d.Recv == nil || isExported(d.Recv.List[0].Type)) && !isWellKnown(d) {
				found = append(found, described{d.Name.Name, d.Pos(), []*ast.CommentGroup{d.Doc}})
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.ValueSpec:
					for _, name := range s.Names {
						if name.IsExported() {
							found = append(found, described{name.Name, name.Pos(), []*ast.CommentGroup{s.Doc, s.Comment, d.Doc}})
						}
					}
				case *ast.TypeSpec:
					if s.Name.IsExported() {
						found = append(found, described{s.Name.Name, s.Pos(), []*ast.CommentGroup{s.Doc, d.Doc}})
						found = append(found, members(s)...)
					}
				}
			}
		}
	}
	return found
}

// members returns the exported fields or methods of a type.
func members(s *ast.TypeSpec) []described {
	var list *ast.FieldList
	switch t := s.Type.(type) {
	case *ast.StructType:
		list = t.Fields
	case *ast.InterfaceType:
		list = t.Methods
	default:
		return nil
	}
	var found []described
	for _, field := range list.List {
		for _, name := range field.Names {
			if name.IsExported() {
				found = append(found, described{s.Name.Name + "." + name.Name, name.Pos(), []*ast.CommentGroup{field.Doc, field.Comment}})
			}
		}
	}
	return found
}

// isWellKnown reports whether a method is one that the standard library documents.
func isWellKnown(d *ast.FuncDecl) bool {
	return d.Recv != nil && slices.Contains([]string{"Error", "String", "Unwrap"}, d.Name.Name)
}

func isExported(receiver ast.Expr) bool {
	if star, ok := receiver.(*ast.StarExpr); ok {
		receiver = star.X
	}
	name, ok := receiver.(*ast.Ident)
	return ok && name.IsExported()
}
