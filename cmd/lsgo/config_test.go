package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/pelletier/go-toml/v2"

	"github.com/lightstreamer-go/lightstreamer/broker"
)

// printed returns the effective configuration of a command line: values, and where each comes from.
func printed(t *testing.T, args ...string) (text string, values map[string]any, sources map[string]string) {
	t.Helper()
	var out, err bytes.Buffer
	if status := run(t.Context(), append([]string{"serve", "--print-config"}, args...), &out, &err); status != 0 || err.Len() > 0 {
		t.Fatalf("status %d: %s", status, &err)
	}
	values = make(map[string]any)
	if err := toml.Unmarshal(out.Bytes(), &values); err != nil {
		t.Fatalf("%v in\n%s", err, &out)
	}
	sources = make(map[string]string)
	for _, m := range regexp.MustCompile(`(?m)^([a-z-]+) = .* # (.*)$`).FindAllStringSubmatch(out.String(), -1) {
		sources[m[1]] = m[2]
	}
	return out.String(), values, sources
}

// serveFlags returns the flags that are settings of serve.
func serveFlags(t *testing.T, args ...string) (*settings, []*kong.Flag) {
	t.Helper()
	line := new(cli)
	parser, err := kong.New(line, kong.DefaultEnvars("LSGO"))
	if err != nil {
		t.Fatal(err)
	}
	k, err := parser.Parse(append([]string{"serve"}, args...))
	if err != nil {
		t.Fatal(err)
	}
	c := configure(k, "")
	if len(c.mistakes) > 0 {
		t.Fatal(c.mistakes)
	}
	return &line.Serve.settings, c.flags
}

func TestPrecedence(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lsgo.toml")
	writeFile(t, file, "# mine\nmax-sessions = 3\nlinger = \"3s\"\n\nserver-name = \"file\"\nmonitoring = false\nallowed-origins = [\"http://file\"]\nlog = \"error\"\n")
	t.Setenv("LSGO_MAX_SESSIONS", "2")
	t.Setenv("LSGO_LINGER", "2s")
	t.Setenv("LSGO_ALLOWED_ORIGINS", "http://a,http://b")
	_, values, sources := printed(t, "--config", file, "--linger", "1s")
	for name, want := range map[string]struct {
		value  any
		source string
	}{
		"linger":          {"1s", "flag --linger"},
		"max-sessions":    {int64(2), "environment LSGO_MAX_SESSIONS"},
		"allowed-origins": {[]any{"http://a", "http://b"}, "environment LSGO_ALLOWED_ORIGINS"},
		"server-name":     {"file", "file " + file + ":5:1"},
		"monitoring":      {false, "file " + file + ":6:1"},
		"log":             {"error", "file " + file + ":8:1"},
		"keepalive":       {"5s", "default"},
		"http":            {"127.0.0.1:8080", "default"},
	} {
		if !reflect.DeepEqual(values[name], want.value) || sources[name] != want.source {
			t.Errorf("%s is %v from %s, want %v from %s", name, values[name], sources[name], want.value, want.source)
		}
	}
	t.Setenv("LSGO_CONFIG", file)
	if _, values, _ := printed(t); values["server-name"] != "file" {
		t.Error("LSGO_CONFIG names no file")
	}
	if _, values, _ := printed(t, "--monitoring"); values["monitoring"] != true {
		t.Error("--monitoring does not come before the file")
	}
}

// Paths in a file start at the file, those elsewhere at the working directory.
func TestPaths(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "lsgo.toml")
	writeFile(t, file, "adapters = \"sets\"\ntls-key = \"/abs/key.pem\"\ntls-certificate = \"../cert.pem\"\n")
	_, values, _ := printed(t, "--config", file)
	for name, want := range map[string]string{
		"adapters": filepath.Join(dir, "sets"), "tls-key": "/abs/key.pem", "tls-certificate": filepath.Join(filepath.Dir(dir), "cert.pem"),
	} {
		if values[name] != want {
			t.Errorf("%s is %v, want %s", name, values[name], want)
		}
	}
	here, err := filepath.Abs("sets")
	if err != nil {
		t.Fatal(err)
	}
	if _, values, _ := printed(t, "--adapters", "sets"); values["adapters"] != here {
		t.Errorf("adapters is %v, want %s", values["adapters"], here)
	}
}

func TestConfigurationMistakes(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []string // lines of the standard error, after the file's name
	}{
		{"unknown", "http = \"127.0.0.1:0\"\n  htpp = 1\n", []string{`:2:3: unknown key "htpp"`}},
		{"meant", "sessions = 1\nMaxSessions = 1\n", []string{`:1:1: unknown key "sessions"; perhaps max-sessions is meant`, `:2:1: unknown key "MaxSessions"; perhaps max-sessions is meant`}},
		{"no setting", "config = \"x\"\nprint-config = true\n", []string{`:1:1: unknown key "config"`, `:2:1: unknown key "print-config"`}},
		{"table", "[limits]\nmax-sessions = 1\n", []string{`:1:2: unknown key "limits"`}},
		{"dotted", "max.sessions = 1\n", []string{`:1:1: unknown key "max.sessions"; perhaps max-sessions is meant`}},
		{"syntax", "http = \n", []string{":1:8: "}},
		{"twice", "json = true\njson = true\n", []string{":2:1: "}},
		{"kinds", "max-sessions = \"many\"\nlinger = 5\nhttp = 8080\njson = 2\nallowed-origins = [1]\nserver-name = [\"a\"]\nmax-buffer = 1.5\n", []string{
			":1:1: max-sessions: ", ":2:1: linger: ", ":3:1: http: want a string, not 8080", ":4:1: json: ", ":5:1: allowed-origins: want a list of strings, not 1",
			":6:1: server-name: ", ":7:1: max-buffer: ",
		}},
		{"values", "http = \"nowhere\"\nmax-request-bytes = 499\nkeepalive = \"0s\"\nallowed-origins = [\"http://a\", \"b\"]\nlog = \"loud\"\n", []string{
			`:1:1: http: "nowhere" is no address`, ":2:1: max-request-bytes: 499 is too small: want 500 or more", ":3:1: keepalive: 0s is too small", `:4:1: allowed-origins: "b" is no origin`,
			":5:1: log: want one of debug, info, warn, error",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "lsgo.toml")
			writeFile(t, file, tt.text)
			var out, err bytes.Buffer
			if status := run(t.Context(), []string{"serve", "--adapters", "x", "--config", file}, &out, &err); status != 2 {
				t.Errorf("status %d, want 2", status)
			}
			lines := strings.Split(strings.TrimSuffix(err.String(), "\n"), "\n")
			for _, want := range tt.want {
				if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, file+want) }) {
					t.Errorf("no line with %q in\n%s", want, &err)
				}
			}
			if len(lines) != len(tt.want)+1 {
				t.Errorf("%d lines, want %d:\n%s", len(lines), len(tt.want)+1, &err)
			}
		})
	}
}

// other returns a value of a setting that is not its default.
func other(f *kong.Flag, n int) string {
	switch v := f.Target.Interface().(type) {
	case bool:
		return fmt.Sprint(!v)
	case int:
		return fmt.Sprint(50_000 + n)
	case time.Duration:
		return (time.Hour + time.Duration(n)*time.Second).String()
	case []string:
		if f.Tag.Has("prefixes") {
			return "10.0.0.0/8,192.0.2.1/32"
		}
		return "https://a.example,http://b.example:81"
	case httpAddress:
		return "127.0.0.2:9"
	}
	for one := range strings.SplitSeq(f.Enum, ",") {
		if one != "" && one != f.Target.String() {
			return one
		}
	}
	return fmt.Sprintf("/some/'thing\" %d # \\u00e9", n)
}

// What is printed is a file that gives the same configuration, for every setting, whichever way it came.
func TestPrintedConfigurationCanBeFedBack(t *testing.T) {
	_, flags := serveFlags(t)
	text, defaults, sources := printed(t)
	for i, f := range flags {
		if _, ok := defaults[f.Name]; !ok || sources[f.Name] != "default" || !strings.Contains(text, "# "+f.Help+"\n"+f.Name+" = ") {
			t.Errorf("%s is not printed with its help and source", f.Name)
		}
		want := "LSGO_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if !slices.Equal(f.Envs, []string{want}) {
			t.Errorf("%s is read from %v, want %s", f.Name, f.Envs, want)
		}
		t.Setenv(want, other(f, i))
	}
	text, changed, _ := printed(t)
	for _, f := range flags {
		if reflect.DeepEqual(changed[f.Name], defaults[f.Name]) {
			t.Errorf("%s does not change: %v", f.Name, changed[f.Name])
		}
	}
	file := filepath.Join(t.TempDir(), "printed.toml")
	writeFile(t, file, text)
	for i, f := range flags {
		t.Setenv(f.Envs[0], other(f, i)) // has the variable restored at the end
		unsetenv(t, f.Envs[0])
	}
	if _, again, _ := printed(t, "--config", file); !reflect.DeepEqual(again, changed) {
		t.Errorf("fed back it is\n%v, and was\n%v", again, changed)
	}
}

// Every setting arrives in its place in the broker's configuration, and nowhere else.
func TestSettingsReachTheBroker(t *testing.T) {
	places := map[string]string{
		"monitoring": "NoMonitoring",
		// Not plain data of the broker's.
		"adapters": "", "tls-certificate": "", "tls-key": "", "tls-client-ca": "", "tls-client-auth": "", "tls-min-version": "", "audit": "", "json": "", "log": "",
	}
	s, flags := serveFlags(t)
	base := s.config()
	reached := make(map[string]bool)
	for i, f := range flags {
		place, known := places[f.Name]
		if !known {
			place, known = f.Tag.Get("to"), f.Tag.Has("to")
		}
		if !known {
			t.Errorf("the test does not know %s", f.Name)
			continue
		}
		s, _ := serveFlags(t, "--"+f.Name+"="+other(f, i))
		var want []string
		if place != "" {
			want = []string{place}
			reached[place] = true
		}
		if got := difference("", reflect.ValueOf(base), reflect.ValueOf(s.config())); !slices.Equal(got, want) {
			t.Errorf("%s changes %v, want %v", f.Name, got, want)
		}
	}
	for _, part := range []any{broker.Config{}, broker.Limits{}} {
		for _, field := range reflect.VisibleFields(reflect.TypeOf(part)) {
			name := field.Name
			if _, limit := part.(broker.Limits); limit {
				name = "Limits." + name
			}
			if field.IsExported() && (field.Type.Kind() == reflect.Int || field.Type == reflect.TypeFor[time.Duration]()) && !reached[name] {
				t.Errorf("no setting reaches %s", name)
			}
		}
	}
	for _, f := range flags { // 0 is off where the broker has a word for it
		if !f.Tag.Has("off") {
			continue
		}
		zero := "0"
		if f.Target.Type() == reflect.TypeFor[time.Duration]() {
			zero = "0s"
		}
		s, _ := serveFlags(t, "--"+f.Name+"="+zero)
		to := reflect.ValueOf(s.config())
		for name := range strings.SplitSeq(f.Tag.Get("to"), ".") {
			to = to.FieldByName(name)
		}
		if to.Int() != -1 {
			t.Errorf("%s 0 gives %v", f.Name, to)
		}
	}
}

// difference lists the fields that differ.
func difference(prefix string, a, b reflect.Value) []string {
	var names []string
	for i := range a.NumField() {
		name := prefix + a.Type().Field(i).Name
		switch {
		case !a.Type().Field(i).IsExported():
		case a.Field(i).Kind() == reflect.Struct:
			names = append(names, difference(name+".", a.Field(i), b.Field(i))...)
		case !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()):
			names = append(names, name)
		}
	}
	return names
}

// The defaults are the broker's own, as its documentation tells them.
func TestDefaultsAreTheBrokers(t *testing.T) {
	docs := make(map[string]string)
	for _, name := range []string{"config.go", "limits.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("../../broker", name), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if f, ok := n.(*ast.Field); ok && f.Doc != nil {
				for _, name := range f.Names {
					docs[name.Name] = strings.Join(strings.Fields(f.Doc.Text()), " ")
				}
			}
			return true
		})
	}
	s, _ := serveFlags(t)
	var check func(v reflect.Value)
	checked := 0
	check = func(v reflect.Value) {
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if !field.IsExported() {
				continue
			}
			switch value := v.Field(i).Interface().(type) {
			case broker.Limits:
				check(reflect.ValueOf(value))
				continue
			case int, time.Duration, string:
				m := regexp.MustCompile(`Default "?([^",;]+?)"?(?:[,;]|\.(?: |$))`).FindStringSubmatch(docs[field.Name])
				if field.Name == "AdaptersDir" || field.Name == "HistoryBytes" || docs[field.Name] == "" {
					continue // has no default, or shares a comment: below
				}
				if none := regexp.MustCompile(`Zero(:| is) no bound|Empty: there is none`); v.Field(i).IsZero() && none.MatchString(docs[field.Name]) {
					continue
				}
				checked++
				if m == nil || m[1] != inWords(value) {
					t.Errorf("%s is %s by default, and documented as: %s", field.Name, inWords(value), docs[field.Name])
				}
			}
		}
	}
	check(reflect.ValueOf(s.config()))
	if want := "Defaults " + inWords(s.MaxHistoryBytes) + ", 1 min."; s.HistoryTime != time.Minute || !strings.Contains(docs["HistoryBytes"], want) {
		t.Errorf("no %q in: %s", want, docs["HistoryBytes"])
	}
	if checked < 20 {
		t.Errorf("only %d defaults checked", checked)
	}
}

// inWords is a value as comments have it.
func inWords(v any) string {
	switch v := v.(type) {
	case time.Duration:
		return fmt.Sprint(v.Seconds(), " s")
	case int:
		switch {
		case v >= 1<<20 && v%(1<<20) == 0:
			return fmt.Sprint(v>>20, " MiB")
		case v > 0 && v%1024 == 0:
			return fmt.Sprint(v>>10, " KiB")
		}
	}
	return fmt.Sprint(v)
}
