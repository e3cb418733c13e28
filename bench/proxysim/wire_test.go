//go:build linux

package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"syscall"
	"testing"
)

func TestLines(t *testing.T) {
	c := &wire{buf: []byte("one\r\ntwo\n\nthr")}
	c.w = len(c.buf)
	for _, want := range []string{"one", "two", ""} {
		if got := string(c.next()); got != want {
			t.Errorf("%q instead of %q", got, want)
		}
	}
	if l := c.next(); l != nil {
		t.Errorf("%q", l)
	}
}

// pair returns a wire and what writes to it.
func pair(t *testing.T, size int) (*wire, *os.File) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	in, out := os.NewFile(uintptr(fds[0]), "in"), os.NewFile(uintptr(fds[1]), "out")
	t.Cleanup(func() { in.Close(); out.Close() })
	tv := syscall.Timeval{Usec: readTimeoutMs * 1000}
	if err := syscall.SetsockoptTimeval(fds[0], syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &tv); err != nil {
		t.Fatal(err)
	}
	return &wire{fd: fds[0], buf: make([]byte, size)}, out
}

// Lines of every length come out as they went in, wherever reads cut them.
func TestWire(t *testing.T) {
	w, out := pair(t, 3*readSize)
	const lines = 400
	line := bytes.Repeat([]byte("0123456789"), 4000)
	go func() {
		for i := range lines {
			_, _ = out.Write(append(line[:i*97%len(line):i*97%len(line)], "\r\n"...))
		}
		out.Close()
	}()
	l := &link{wires: []*wire{w}}
	for i := range lines {
		got, err := l.line(monotonic() + 5e9)
		if err != nil || got != string(line[:i*97%len(line)]) {
			t.Fatalf("line %d has %d bytes, %v", i, len(got), err)
		}
	}
	if err := l.fill(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

func TestWireRefusesEndlessLine(t *testing.T) {
	w, out := pair(t, readSize)
	go func() { _, _ = out.Write(make([]byte, 2*readSize)) }()
	for {
		if err := w.fill(); err != nil {
			if !errors.Is(err, errTooLong) {
				t.Error(err)
			}
			return
		}
		if l := w.next(); l != nil {
			t.Fatal("a line")
		}
	}
}

func TestTwoWires(t *testing.T) {
	a, toA := pair(t, readSize)
	b, toB := pair(t, readSize)
	l := &link{wires: []*wire{a, b}}
	if err := l.fill(); !errors.Is(err, errTimeout) {
		t.Fatal(err)
	}
	for i, out := range []*os.File{toB, toA, toB} {
		if _, err := out.WriteString("line\n"); err != nil {
			t.Fatal(err)
		}
		if got, err := l.line(monotonic() + 5e9); got != "line" || err != nil {
			t.Fatal(i, got, err)
		}
	}
	toA.Close()
	if _, err := l.line(monotonic() + 5e9); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}
