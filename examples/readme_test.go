// Package examples holds small programs to start from, one in each folder.
package examples

import (
	"os"
	"strings"
	"testing"
)

// The program in the README is the one that is built and vetted here.
func TestReadmeShowsTheHelloProgram(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile("hello/main.go")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "```go\n"+string(program)+"```\n") {
		t.Error("the Go program in README.md is not examples/hello/main.go")
	}
}
