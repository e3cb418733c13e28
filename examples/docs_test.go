package examples

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
)

// pages are the pages whose blocks are looked at here.
var pages = []string{"README.md", "getting-started.md", "porting-from-python.md", "porting-from-java.md", "deploy.md"}

type block struct{ page, language, text string }

func (b block) String() string { return fmt.Sprintf("%s: ```%s\n%s", b.page, b.language, b.text) }

func blocks(t *testing.T) []block {
	t.Helper()
	var all []block
	for _, page := range pages {
		for _, m := range regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```$").FindAllStringSubmatch(read(t, "../docs/"+page), -1) {
			all = append(all, block{page, m[1], m[2]})
		}
	}
	if len(all) < 10 {
		t.Fatalf("only %d blocks found", len(all))
	}
	return all
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// sources returns the text of every file of the examples with an extension.
func sources(t *testing.T, extension string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && filepath.Ext(path) == extension && !strings.HasSuffix(path, "_test.go") {
			all[path] = read(t, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Every block of Go or HTML is a whole file of the examples, or whole lines of one: what is shown compiles, and is tested there.
func TestDocsShowRealCode(t *testing.T) {
	for _, language := range []string{"go", "html"} {
		files := sources(t, "."+language)
		for _, b := range blocks(t) {
			if b.language == language && !slices.ContainsFunc(slices.Collect(values(files)), func(file string) bool { return shows(b.text, file) }) {
				t.Errorf("in no file of the examples: %v", b)
			}
		}
	}
}

func values(files map[string]string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, text := range files {
			if !yield(text) {
				return
			}
		}
	}
}

// shows tells whether a block is a part of a file, at whatever depth it is indented there.
func shows(text, file string) bool {
	for _, depth := range []string{"", "\t", "\t\t"} {
		indented := regexp.MustCompile(`(?m)^(.)`).ReplaceAllString(text, depth+"$1")
		if strings.Contains("\n"+file, "\n"+indented) {
			return true
		}
	}
	return false
}

// The porting guide shows the whole program that stands for the one on the Python SDK's page, and its adapters.xml.
func TestPortingFromPythonShowsTheProgram(t *testing.T) {
	page := read(t, "../docs/porting-from-python.md")
	if !strings.Contains(page, "```go\n"+read(t, "frompython/main.go")+"```\n") {
		t.Error("the program is not examples/frompython/main.go")
	}
	if !strings.Contains(page, "```xml\n"+read(t, "frompython/adapters/adapters.xml")+"```\n") {
		t.Error("the configuration is not examples/frompython/adapters/adapters.xml")
	}
}

// Every block of XML is an adapters.xml, or parameters of a proxy, without a mistake or a warning.
func TestDocsShowValidXML(t *testing.T) {
	const head = "<adapters_conf id=\"X\">\n<metadata_provider><adapter_class>ROBUST_PROXY_FOR_REMOTE_ADAPTER</adapter_class><classloader>log-enabled</classloader>\n"
	const tail = "</metadata_provider>\n<data_provider><adapter_class>ROBUST_PROXY_FOR_REMOTE_ADAPTER</adapter_class><classloader>log-enabled</classloader>\n" +
		"<param name=\"request_reply_port\">1</param></data_provider></adapters_conf>"
	found := 0
	for _, b := range blocks(t) {
		if b.language != "xml" {
			continue
		}
		found++
		text := b.text
		if strings.HasPrefix(text, "<param") {
			text = head + text + tail
		}
		for _, p := range adaptersxml.Check(strings.NewReader(text), b.page, adaptersxml.WithEnv(func(string) (string, bool) { return "x", true })) {
			t.Errorf("%v\nin %v", p, b)
		}
	}
	if found < 4 {
		t.Errorf("only %d blocks of XML found", found)
	}
}

// Links and the folders in commands exist.
func TestDocsPointToRealPlaces(t *testing.T) {
	for _, page := range pages {
		text := read(t, "../docs/"+page)
		for _, m := range regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`).FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join("../docs", m[1])); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
		for _, m := range regexp.MustCompile(`(?m)go run \./((?:cmd|examples)/[a-z/]+)|--adapters (examples/[a-z0-9/]+)`).FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join("..", m[1]+m[2])); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
}

// What is written as adapter.Name, or as Type.Member of a type of package adapter, exists.
func TestDocsNameRealSymbols(t *testing.T) {
	symbols := symbols(t)
	for _, page := range pages {
		text := read(t, "../docs/"+page)
		for _, m := range regexp.MustCompile(`adapter\.([A-Z][A-Za-z]+)`).FindAllStringSubmatch(text, -1) {
			if symbols[m[1]] == nil {
				t.Errorf("%s: there is no adapter.%s", page, m[1])
			}
		}
		for _, m := range regexp.MustCompile("`(?:[a-z]+\\.)?([A-Z][A-Za-z]+)\\.([A-Z][A-Za-z]+)").FindAllStringSubmatch(text, -1) {
			if members := symbols[m[1]]; members != nil && !members[m[2]] {
				t.Errorf("%s: %s has no %s", page, m[1], m[2])
			}
		}
	}
}

// symbols returns the exported names of package adapter, with the fields and methods of types.
func symbols(t *testing.T) map[string]map[string]bool {
	t.Helper()
	all := make(map[string]map[string]bool)
	add := func(name string) map[string]bool {
		if all[name] == nil {
			all[name] = make(map[string]bool)
		}
		return all[name]
	}
	files, err := filepath.Glob("../adapter/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal("no source of package adapter", err)
	}
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if file.Name.Name != "adapter" || strings.HasSuffix(path, "_test.go") {
			continue
		}
		for _, decl := range file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					add(d.Name.Name)
				} else {
					add(typeName(d.Recv.List[0].Type))[d.Name.Name] = true
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					addSpec(spec, add)
				}
			}
		}
	}
	return all
}

func addSpec(spec ast.Spec, add func(string) map[string]bool) {
	switch s := spec.(type) {
	case *ast.ValueSpec:
		for _, name := range s.Names {
			add(name.Name)
		}
	case *ast.TypeSpec:
		members := add(s.Name.Name)
		var fields *ast.FieldList
		switch t := s.Type.(type) {
		case *ast.StructType:
			fields = t.Fields
		case *ast.InterfaceType:
			fields = t.Methods
		default:
			return
		}
		for _, f := range fields.List {
			for _, name := range f.Names {
				members[name.Name] = true
			}
			if len(f.Names) == 0 && typeName(f.Type) == "Initializer" {
				members["Initialize"] = true
			}
		}
	}
}

func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return typeName(e.X)
	case *ast.IndexExpr:
		return typeName(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}
