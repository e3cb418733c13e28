package rooms

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// A program that imports the SDK alone, in a module of its own, gets no line in go.sum.
func TestProgramOfTheSDKHasAnEmptyGoSum(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": fmt.Sprintf("module example.com/program\n\ngo 1.26\n\nrequire %s v0.0.0\n\nreplace %s => %s\n", module, module, root),
		"main.go": `package main

import (
	"context"

	"` + module + `/adapter"
)

func main() {
	_ = adapter.Run(context.Background(), &adapter.MetadataServer{Provider: adapter.DefaultMetadata{}, Addr: "localhost:8003"})
}
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"mod", "tidy"}, {"build", "-o", os.DevNull, "."}} {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %v: %v\n%s", args, err, out)
		}
	}
	sum, err := os.ReadFile(filepath.Join(dir, "go.sum"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if len(sum) > 0 {
		t.Errorf("go.sum of a program that imports adapter:\n%s", sum)
	}
}
