package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	fine, clash, broken, odd := filepath.Join(dir, "fine"), filepath.Join(dir, "clash"), filepath.Join(dir, "broken"), filepath.Join(dir, "odd")
	file := func(folder ...string) string { return filepath.Join(append(folder, "adapters.xml")...) }
	writeFile(t, file(fine), setXML("FINE", 8001))
	writeFile(t, file(clash, "a"), setXML("A", 8001))
	writeFile(t, file(clash, "b"), setXML("B", 8001))
	writeFile(t, file(broken), strings.Replace(setXML("BROKEN", 70000), "LiteralBasedProvider", "Other", 1))
	writeFile(t, file(odd), strings.Replace(setXML("ODD", 8001), "<classloader>log-enabled</classloader>", "", 1))
	writeFile(t, file(dir, "env", "x"), strings.Replace(setXML("ENV", 8001), "8001", "$env.LSGO_TEST_PORT", 1))
	t.Setenv("LSGO_TEST_PORT", "8001")
	for _, tt := range []struct {
		name   string
		args   []string
		status int
		want   []string // beginnings of the lines
	}{
		{"fine", []string{fine}, 0, []string{"1 file: no mistakes, no warnings"}},
		{"a file", []string{file(fine)}, 0, []string{"1 file: no mistakes, no warnings"}},
		{"environment", []string{filepath.Join(dir, "env")}, 0, []string{"1 file: no mistakes, no warnings"}},
		{"clash", []string{clash}, 1, []string{file(clash, "b") + ":8:5: request_reply_port 8001", "2 files: 1 mistake, no warnings"}},
		{"apart", []string{filepath.Join(clash, "a"), filepath.Join(clash, "b")}, 0, []string{"2 files: no mistakes, no warnings"}},
		{"broken", []string{broken}, 1, []string{file(broken) + ":3:5: ", file(broken) + ":8:5: ", "1 file: 2 mistakes, no warnings"}},
		{"odd", []string{odd}, 0, []string{file(odd) + ":5:3: warning: ", "1 file: no mistakes, 1 warning"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out, err bytes.Buffer
			if status := run(t.Context(), append([]string{"check"}, tt.args...), &out, &err); status != tt.status || err.Len() > 0 {
				t.Errorf("status %d, want %d; standard error: %s", status, tt.status, &err)
			}
			lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
			if len(lines) != len(tt.want) {
				t.Fatalf("output:\n%s", &out)
			}
			for i, want := range tt.want {
				if !strings.HasPrefix(lines[i], want) {
					t.Errorf("line %d is %q, want %q", i+1, lines[i], want)
				}
			}

			out.Reset()
			if status := run(t.Context(), append([]string{"check", "--json"}, tt.args...), &out, &err); status != tt.status || err.Len() > 0 {
				t.Errorf("with --json: status %d, want %d; standard error: %s", status, tt.status, &err)
			}
			var e jsonEvent
			counts := map[string]int{}
			for decoder := json.NewDecoder(&out); decoder.More(); {
				e = jsonEvent{}
				if err := decoder.Decode(&e); err != nil {
					t.Fatal(err)
				}
				if counts[e.Severity]++; e.Event == "problem" && (e.File == "" || e.Line == 0 || e.Column == 0 || e.Message == "") {
					t.Errorf("a problem without a place: %+v", e)
				}
			}
			if e.Event != "checked" || e.Mistakes != counts["error"] || e.Warnings != counts["warning"] || e.Files == 0 || len(tt.want) != e.Mistakes+e.Warnings+1 {
				t.Errorf("at the end %+v, after %v", e, counts)
			}
		})
	}
	var out, err bytes.Buffer
	if status := run(t.Context(), []string{"check", t.TempDir()}, &out, &err); status != 1 || !strings.Contains(err.String(), "no adapters.xml") {
		t.Errorf("an empty folder: status %d, %s", status, &err)
	}
}
