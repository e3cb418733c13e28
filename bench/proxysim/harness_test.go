//go:build linux

package main

import (
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
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
	passes(t, &peer{Name: "gosdk-struct", Cmd: []string{bin}, Env: []string{"FORM=struct"}, Only: []string{"credit", "credit8t", "latency"}})
}

func TestLimitPasses(t *testing.T) {
	bin := build(t, "limit")
	passes(t, &peer{Name: "limit", Cmd: []string{bin}, Wrap: true, Only: []string{"flood1", "flood1000", "drain"}})
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
