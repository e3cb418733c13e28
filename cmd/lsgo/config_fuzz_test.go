package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever a configuration file holds, it is either refused with its name, or means a configuration
// that is printed as a file which means the same.
func FuzzConfigurationFile(f *testing.F) {
	for _, seed := range []string{
		"", "http = \"127.0.0.1:0\"\n", "max-sessions = 5\nkeepalive = \"2s\"\n", "allowed-origins = [\"https://a.example\"]\n",
		"allowed-origins = [1, [2], {}]\n", "max-sessions = 1e400\n", "max-sessions = 99999999999999999999\n", "max-sessions = -1\n",
		"keepalive = \"-9223372036854775808ns\"\n", "[table]\nx = 1\n", "[[http]]\n", "http.port = 1\n", "monitoring = \"maybe\"\n",
		"linger = 1979-05-27T07:32:00Z\n", "adapters = \"\\u0000\"\n", "a=[" + strings.Repeat("[", 50), "\xff\xfe", "max_sessions = 1\n",
		"server-name = \"\"\"\nx\ny\"\"\"\n", "adapters = \"~/x\"\nlog = \"loud\"\n",
	} {
		f.Add([]byte(seed))
	}
	dir := f.TempDir()
	show := func(t *testing.T, name string, text []byte) (status int, out, errs string) {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		var stdout, stderr bytes.Buffer
		status = run(t.Context(), []string{"serve", "--print-config", "--config", file}, &stdout, &stderr)
		return status, stdout.String(), stderr.String()
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		status, first, errs := show(t, "given.toml", text)
		if status != 0 {
			if status != 2 || errs == "" {
				t.Fatalf("status %d, and the reason is %q", status, errs)
			}
			return
		}
		status, second, errs := show(t, "given.toml", []byte(first))
		if status != 0 {
			t.Fatalf("what was printed is refused: %s\n%s", errs, first)
		}
		if a, b := withoutSources(first), withoutSources(second); a != b {
			t.Fatalf("what was printed means something else:\n%s\nand\n%s", a, b)
		}
	})
}

// withoutSources cuts off where each value comes from.
func withoutSources(printed string) string {
	var b strings.Builder
	for line := range strings.Lines(printed) {
		if i := strings.LastIndex(line, " # "); i >= 0 {
			line = line[:i] + "\n"
		}
		b.WriteString(line)
	}
	return b.String()
}
