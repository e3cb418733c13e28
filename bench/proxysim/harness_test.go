//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/bench/internal/page"
)

// build compiles a peer. It also ties the test to its thread, since the end of that thread would be the end of its children.
func build(t *testing.T, name string) string {
	t.Helper()
	runtime.LockOSThread()
	bin := filepath.Join(t.TempDir(), name)
	if out, err := exec.Command("go", "build", "-o", bin, "../peers/"+name).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin
}

// short makes runs that prove that all works, and measure nothing.
func short() []scenario {
	return (&options{quick: true, warm: 20 * time.Millisecond, window: 40 * time.Millisecond}).scenarios()
}

func scenarioNamed(t *testing.T, name string) scenario {
	t.Helper()
	one, err := choose(short(), name, "scenario", func(s scenario) string { return s.name })
	if err != nil {
		t.Fatal(err)
	}
	return one[0]
}

// passes runs all scenarios that a peer takes part in.
func passes(t *testing.T, p *peer) {
	t.Helper()
	for _, s := range short() {
		if !p.does(&s) {
			continue
		}
		r, err := s.run(p)
		if err != nil {
			t.Fatalf("%s, %s: %v", p.Name, s.name, err)
		}
		for _, e := range r.errs {
			t.Errorf("%s, %s: %s", p.Name, s.name, e)
		}
		if len(r.metrics) == 0 {
			t.Errorf("%s, %s: nothing measured", p.Name, s.name)
		}
	}
}

func TestReferencePasses(t *testing.T) {
	bin := build(t, "goraw")
	passes(t, &peer{Name: "goraw", Cmd: []string{bin}})
	passes(t, &peer{Name: "goraw on two connections", Cmd: []string{bin}, Notify: true, Only: []string{"credit", "latency", "storm", "first"}})
}

func TestSDKPasses(t *testing.T) {
	bin := build(t, "gosdk")
	passes(t, &peer{Name: "gosdk", Cmd: []string{bin}})
	passes(t, &peer{Name: "gosdk-map", Cmd: []string{bin}, Env: []string{"FORM=map"}, Only: []string{"credit", "credit8t", "large", "wide", "escape"}})
	passes(t, &peer{Name: "gosdk-any", Cmd: []string{bin}, Env: []string{"FORM=any"}, Only: []string{"credit"}})
	passes(t, &peer{Name: "gosdk-struct", Cmd: []string{bin}, Env: []string{"FORM=struct"}, Only: []string{"credit", "credit8t", "latency"}})
}

func TestLimitPasses(t *testing.T) {
	bin := build(t, "limit")
	passes(t, &peer{Name: "limit", Cmd: []string{bin}, Wrap: true, Only: []string{"flood1", "flood1000", "latency", "drain"}})
}

// The deliberate faults of the reference are noticed: lost, reordered, altered and undelivered updates.
func TestFaultsAreNoticed(t *testing.T) {
	bin := build(t, "goraw")
	credit := scenarioNamed(t, "credit")
	for _, fault := range []string{"drop", "reorder", "corrupt", "lose"} {
		r, err := credit.run(&peer{Name: fault, Cmd: []string{bin}, Env: []string{"FAULT=" + fault}})
		if err != nil {
			t.Fatal(fault, err)
		}
		if len(r.errs) == 0 {
			t.Error(fault, "went unnoticed")
		}
	}
}

// Of an adapter that hangs it is told where.
func TestHangIsShown(t *testing.T) {
	r, err := scenarioNamed(t, "credit").run(&peer{Name: "hang", Cmd: []string{build(t, "goraw")}, Env: []string{"FAULT=hang"}})
	if err != nil {
		t.Fatal(err)
	}
	if all := fmt.Sprint(r.errs); !strings.Contains(all, "no end of the updates") || !strings.Contains(all, "main.(*peer).handle") {
		t.Errorf("got %s, want a dump of the goroutines", all)
	}
}

// A comparison writes its report to all the places it was asked to; one with failures leaves the page as it was.
func TestCompare(t *testing.T) {
	bin := build(t, "goraw")
	dir := t.TempDir()
	file, values := filepath.Join(dir, "page.md"), filepath.Join(dir, "values.json")
	if err := os.WriteFile(file, []byte(page.Begin+page.End), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	o := &options{quick: true, window: 40 * time.Millisecond, base: "goraw", page: file, json: values, out: &out}
	good, bad := &peer{Name: "goraw", Cmd: []string{bin}, Sizes: map[string]string{"program": bin}}, &peer{Name: "bad", Cmd: []string{bin}, Env: []string{"FAULT=drop"}}
	sel := []scenario{scenarioNamed(t, "credit")}
	ok, err := compare(o, []*peer{good}, sel)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	written, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(written), out.String()) || !strings.Contains(out.String(), "| size of a hello-world program, MB |") {
		t.Errorf("%v, %s", err, written)
	}
	b, err := os.ReadFile(values)
	var told struct {
		Values map[string]map[string][]float64
		Floors []verdict
	}
	if err == nil {
		err = json.Unmarshal(b, &told)
	}
	if err != nil || len(told.Values["credit.rate"]["goraw"]) != 1 || len(told.Floors) != len(floors) {
		t.Errorf("%v, %s", err, b)
	}
	if ok, err = compare(o, []*peer{good, bad}, sel); ok || err == nil {
		t.Error(ok, err)
	}
	if again, err := os.ReadFile(file); err != nil || !bytes.Equal(again, written) {
		t.Errorf("a run with failures was published: %v, %s", err, again)
	}
}

// Programs that are no adapters are reported, not waited for.
func TestOtherProgramsAreReported(t *testing.T) {
	runtime.LockOSThread()
	credit := scenarioNamed(t, "credit")
	if _, err := credit.run(&peer{Name: "true", Cmd: []string{"true"}}); err == nil {
		t.Error("no error from a program that does not connect")
	}
	if _, err := credit.run(&peer{Name: "missing", Cmd: []string{filepath.Join(t.TempDir(), "no-such-program")}}); err == nil {
		t.Error("no error from a missing program")
	}
}
