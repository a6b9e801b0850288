package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// logging returns the folders of the packages that log.
func logging() []string { return []string{"../core", "../core/spool", "../internal/delivery"} }

// goFiles returns the Go files of a package, without its tests.
func goFiles(t *testing.T, folder string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(filepath.FromSlash(folder), "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(names, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
}

// warnings returns the messages that a package logs above the level of information. In
// them … stands for what is known only at run time.
func warnings(t *testing.T, folder string) []string {
	t.Helper()
	var functions []*ast.FuncDecl
	for _, name := range goFiles(t, folder) {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil {
				functions = append(functions, f)
			}
		}
	}
	// These log what they are given, and what is found to call them with what it is given.
	logs := map[string]bool{"Warn": true, "Error": true, "WarnContext": true, "ErrorContext": true, "Log": true, "LogAttrs": true}
	for {
		var messages []string
		before := len(logs)
		for _, f := range functions {
			ast.Inspect(f, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || !logs[method(call)] || len(call.Args) == 0 || has(call.Args, "LevelInfo", "LevelDebug") {
					return true
				}
				found := message(functions, call.Args)
				messages = append(messages, found...)
				switch {
				case found != nil:
				case passesOn(f, call.Args):
					logs[f.Name.Name] = true
				default:
					t.Errorf("%s: this test cannot tell what %s logs", folder, f.Name.Name)
				}
				return true
			})
		}
		if len(logs) == before {
			return messages
		}
	}
}

// passesOn reports whether one of the arguments is, or ends in, a string that the function
// was given.
func passesOn(f *ast.FuncDecl, args []ast.Expr) bool {
	given := map[string]bool{}
	for _, p := range f.Type.Params.List {
		kind, ok := p.Type.(*ast.Ident)
		for _, name := range p.Names {
			given[name.Name] = ok && kind.Name == "string"
		}
	}
	return slices.ContainsFunc(args, func(arg ast.Expr) bool {
		if sum, ok := arg.(*ast.BinaryExpr); ok {
			arg = sum.Y
		}
		name, ok := arg.(*ast.Ident)
		return ok && given[name.Name]
	})
}

// method returns the name of the method that is called, "" for a function.
func method(call *ast.CallExpr) string {
	if selector, ok := call.Fun.(*ast.SelectorExpr); ok {
		return selector.Sel.Name
	}
	return ""
}

// has reports whether one of the arguments is a constant of package slog with one of the names.
func has(args []ast.Expr, names ...string) bool {
	return slices.ContainsFunc(args, func(arg ast.Expr) bool {
		constant, ok := arg.(*ast.SelectorExpr)
		return ok && slices.Contains(names, constant.Sel.Name)
	})
}

// message returns what the first argument that is a text may be, nil if that has no words of its own.
func message(functions []*ast.FuncDecl, args []ast.Expr) []string {
	for _, arg := range args {
		switch arg.(type) {
		case *ast.BasicLit, *ast.BinaryExpr:
			var messages []string
			for _, text := range texts(functions, arg) {
				if text = "klime: " + strings.TrimPrefix(text, "klime: "); text != "klime: …" {
					messages = append(messages, text)
				}
			}
			return messages
		}
	}
	return nil
}

// texts returns what an expression may be.
func texts(functions []*ast.FuncDecl, e ast.Expr) []string {
	var all []string
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			all = append(all, text)
		}
	case *ast.BinaryExpr:
		for _, left := range texts(functions, e.X) {
			for _, right := range texts(functions, e.Y) {
				all = append(all, left+right)
			}
		}
	case *ast.CallExpr: // a method that returns texts
		for _, f := range functions {
			if f.Name.Name == method(e) {
				all = append(all, literals(f, func(n ast.Node) []ast.Expr {
					if r, ok := n.(*ast.ReturnStmt); ok {
						return r.Results
					}
					return nil
				})...)
			}
		}
	case *ast.SelectorExpr: // the field text of a warning
		if e.Sel.Name != "text" {
			break
		}
		for _, f := range functions {
			all = append(all, literals(f, func(n ast.Node) []ast.Expr {
				if w, ok := n.(*ast.CompositeLit); ok && len(w.Elts) > 0 {
					if name, ok := w.Type.(*ast.Ident); ok && name.Name == "warning" {
						return w.Elts[:1]
					}
				}
				return nil
			})...)
		}
	}
	if all == nil {
		return []string{"…"}
	}
	return all
}

// literals returns the texts among the expressions that pick finds in a function.
func literals(f *ast.FuncDecl, pick func(ast.Node) []ast.Expr) []string {
	var all []string
	ast.Inspect(f, func(n ast.Node) bool {
		for _, e := range pick(n) {
			if literal, ok := e.(*ast.BasicLit); ok {
				all = append(all, texts(nil, literal)...)
			}
		}
		return true
	})
	return all
}
