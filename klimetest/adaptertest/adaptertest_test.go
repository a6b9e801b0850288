package adaptertest_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"reflect"
	"strings"
	"testing"

	"github.com/klimeapp/klime-go/klimetest/adaptertest"
)

// The types are aliases of internal ones, so documentation shows only their comments:
// these must name every field and method.
func TestCommentsNameEverything(t *testing.T) {
	t.Parallel()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "adaptertest.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	pkg, err := doc.NewFromFiles(files, []*ast.File{file}, "adaptertest")
	if err != nil {
		t.Fatal(err)
	}
	comments := map[string]string{}
	for _, one := range pkg.Types {
		comments[one.Name] = one.Doc
	}
	for _, one := range []reflect.Type{
		reflect.TypeFor[adaptertest.App](),
		reflect.TypeFor[adaptertest.Route](),
		reflect.TypeFor[adaptertest.Request](),
		reflect.TypeFor[adaptertest.Adapter](),
		reflect.TypeFor[adaptertest.NetHTTP](),
		reflect.TypeFor[adaptertest.Streamer](),
		reflect.TypeFor[adaptertest.HeaderSetter](),
		reflect.TypeFor[adaptertest.StreamWriter](),
	} {
		for _, name := range members(one) {
			if !strings.Contains(comments[one.Name()], "\n\t"+name) {
				t.Errorf("the comment on %s does not explain %s", one.Name(), name)
			}
		}
	}
}

func members(of reflect.Type) []string {
	var names []string
	if of.Kind() == reflect.Struct {
		for i := range of.NumField() {
			if field := of.Field(i); field.IsExported() {
				names = append(names, field.Name)
			}
		}
	} else {
		for i := range of.NumMethod() {
			names = append(names, of.Method(i).Name)
		}
	}
	return names
}
