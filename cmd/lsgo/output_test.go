package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
)

// halfClosed starts the command with one output whose reader goes after the first line, as head -1
// does. It returns that line.
func halfClosed(t *testing.T, stream string, args ...string) (p *process, first string) {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p = &process{
		t: t, command: exec.Command(path, args...), stdout: &growing{more: make(chan struct{})}, stderr: &growing{more: make(chan struct{})},
		exited: make(chan struct{}),
	}
	p.command.Stdout, p.command.Stderr = p.stdout, p.stderr
	if stream == "stdout" {
		p.command.Stdout = write
	} else {
		p.command.Stderr = write
	}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	go func() {
		defer close(p.exited)
		_ = p.command.Wait() // the tests look at the state
	}()
	t.Cleanup(func() {
		_ = p.command.Process.Kill() // if it has not ended
		<-p.exited
	})
	b := make([]byte, 1)
	for !strings.HasSuffix(first, "\n") {
		if _, err := read.Read(b); err != nil {
			t.Fatalf("after %q: %v", first, err)
		}
		first += string(b)
	}
	read.Close()
	return p, first
}

// The broker goes on when nobody reads what it tells, or logs, and says so once where it still can.
func TestServeGoesOnWithoutReaders(t *testing.T) {
	for _, stream := range []string{"stdout", "stderr"} {
		t.Run(stream, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "adapters.xml")
			port := freePort(t)
			writeFile(t, file, setXML("MINE", port))
			http1 := fmt.Sprintf("127.0.0.1:%d", freePort(t))
			p, _ := halfClosed(t, stream, "serve", "--json", "--log", "info", "--adapters", dir, "--http", http1)
			other, said := p.stderr, "nobody reads the standard output any more"
			if stream == "stderr" {
				other, said = p.stdout, "nobody reads the standard error any more"
			}
			for i := range 3 { // each makes it tell and log something
				writeFile(t, file, setXML("MINE", port)+fmt.Sprintf("<!-- %d -->\n", i))
				waitFor(t, other, "reload", i+1)
			}
			resp, err := http.Get("http://" + http1 + "/healthz")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			p.stop()
			if n := strings.Count(other.String(), said); n != 1 {
				t.Errorf("told %d times:\n%s", n, other)
			}
		})
	}
}

// waitFor waits until a text has come so many times.
func waitFor(t *testing.T, in *growing, text string, times int) {
	t.Helper()
	for {
		all, more := in.state()
		if strings.Count(all, text) >= times {
			return
		}
		select {
		case <-more:
		case <-t.Context().Done():
			return
		}
	}
}

// A command that only prints ends as it would have, without a word.
func TestPrintingWithoutAReader(t *testing.T) {
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "fine", "adapters.xml"), setXML("FINE", 8001))
	writeFile(t, filepath.Join(dir, "broken", "adapters.xml"), setXML("BROKEN", 70000))
	for status, args := range map[int][][]string{
		exitOK:     {{"version"}, {"--help"}, {"check", filepath.Join(dir, "fine")}, {"serve", "--print-config"}},
		exitFailed: {{"check", filepath.Join(dir, "broken")}},
	} {
		for _, a := range args {
			read, write, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			read.Close()
			var stderr bytes.Buffer
			command := exec.Command(path, a...)
			command.Stdout, command.Stderr = write, &stderr
			_ = command.Run() // the status is looked at
			write.Close()
			if got := command.ProcessState.ExitCode(); got != status || stderr.Len() > 0 {
				t.Errorf("lsgo %s: %v, want status %d; standard error: %s", strings.Join(a, " "), command.ProcessState, status, &stderr)
			}
		}
	}
}

// fullDisk takes nothing.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// What a full disk has not taken is a failure.
func TestPrintingToAFullDisk(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "adapters.xml"), setXML("FINE", 8001))
	for _, args := range [][]string{{"version"}, {"check", dir}} {
		var stderr bytes.Buffer
		if status := run(t.Context(), args, fullDisk{}, &stderr); status != exitFailed || !strings.Contains(stderr.String(), "no space left") {
			t.Errorf("lsgo %v: status %d, %s", args, status, &stderr)
		}
	}
}

// gate lets writes through when it is open.
type gate struct {
	open chan struct{}
	mu   sync.Mutex
	text bytes.Buffer
}

func (g *gate) Write(b []byte) (int, error) {
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.text.Write(b)
}

// Nobody waits for an output that is not read; what there is no room for is counted.
func TestOutputNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := &gate{open: make(chan struct{})}
		var told []string
		o := newOutput("standard output", stuck)
		o.detach(func(text string) { told = append(told, text) })
		line := []byte(strings.Repeat("x", 1023) + "\n")
		for i := range 10_000 {
			if i == 1 {
				synctest.Wait() // the first line is being written
			}
			if n, err := o.Write(line); n != len(line) || err != nil {
				t.Fatalf("%d, %v", n, err)
			}
		}
		close(stuck.open)
		o.close()
		written := bytes.Count(stuck.text.Bytes(), []byte("\n"))
		if written != 1025 || stuck.text.Len() != written*len(line) {
			t.Errorf("%d lines written", written)
		}
		if want := fmt.Sprintf("the standard output was not read in time: %d messages dropped", 10_000-written); len(told) != 1 || told[0] != want {
			t.Errorf("told %q, want %q", told, want)
		}
		if _, err := o.Write(line); err != nil {
			t.Errorf("after the end: %v", err)
		}
	})
}

// failing fails with each of its errors in turn; nil is a success.
type failing struct{ errs []error }

func (f *failing) Write(b []byte) (int, error) {
	if len(f.errs) == 0 {
		return len(b), nil
	}
	err := f.errs[0]
	f.errs = f.errs[1:]
	return len(b), err
}

// A failure that lasts is told once, and one that is over is not the last.
func TestOutputTellsFailuresOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := errors.New("disk full")
		var told []string
		o := newOutput("standard error", &failing{[]error{full, full, nil, full, io.ErrClosedPipe}})
		o.detach(func(text string) { told = append(told, text) })
		for range 10 {
			if _, err := o.Write([]byte("x\n")); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		o.close()
		if len(told) != 2 || !strings.Contains(told[0], "disk full") || !strings.Contains(told[1], "disk full") {
			t.Errorf("told %q", told)
		}
	})
}
