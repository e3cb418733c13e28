package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The two commands that the README shows work together: the broker with the example's adapters.xml, and the example. Only ports are others,
// so that the test can run beside anything.
func TestReadmeCommands(t *testing.T) {
	root := repository(t)
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	commands := regexp.MustCompile("(?m)^go run \\./cmd/lsgo (serve --adapters (\\S+))\ngo run \\./(\\S+)\n").FindStringSubmatch(string(readme))
	if commands == nil {
		t.Fatal("the README does not show the two commands")
	}
	text, err := os.ReadFile(filepath.Join(root, commands[2], "adapters.xml"))
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(root, commands[3], "main.go")
	program, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	xml, code := string(text), string(program)
	for _, port := range []string{"8003", "8001"} {
		free := fmt.Sprint(freePort(t))
		if !strings.Contains(xml, ">"+port+"<") || !strings.Contains(code, `"localhost:`+port+`"`) {
			t.Fatalf("port %s is not both in adapters.xml and in the program", port)
		}
		xml, code = strings.ReplaceAll(xml, ">"+port+"<", ">"+free+"<"), strings.ReplaceAll(code, `"localhost:`+port+`"`, `"localhost:`+free+`"`)
	}
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "adapters", "adapters.xml"), xml)
	writeFile(t, filepath.Join(dir, "main.go"), code)
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {source: filepath.Join(dir, "main.go")}})
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "overlay.json"), string(overlay))
	built := filepath.Join(dir, "program")
	build := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", built, "./"+commands[3])
	build.Dir = root
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, output)
	}

	args := strings.Fields(strings.Replace(commands[1], commands[2], filepath.Join(dir, "adapters"), 1))
	p := startProcess(t, append(args, "--http", "127.0.0.1:0")...)
	address := p.await(`→ (http://127\.0\.0\.1:\d+/)`)[1]
	example := exec.Command(built)
	example.Stdout, example.Stderr = t.Output(), t.Output()
	if err := example.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = example.Process.Kill() // if it has not ended
		_ = example.Wait()
	})
	p.await(`connected  HELLO  Metadata Adapter`)
	p.await(`connected  HELLO  DEFAULT`)

	c := startNodeClient(t)
	c.do("connect", "url", address, "set", "HELLO")
	c.do("subscribe", "sub", "hello", "mode", "MERGE", "items", []string{"greetings"}, "fields", []string{"message", "count"}, "adapter", "DEFAULT")
	at := 0
	for _, count := range []string{"1", "2"} {
		var e nodeEvent
		e, at = c.await("greeting "+count, at, isUpdate("hello", func(e nodeEvent) bool { return e.value("count") == count }))
		if e.value("message") != "hello, world" {
			t.Errorf("the greeting is %v", e)
		}
	}
	if err := example.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := example.Wait(); err != nil {
		t.Errorf("the example ends with %v", err)
	}
	p.await(`lost       HELLO  DEFAULT`)
	p.stop()
}
