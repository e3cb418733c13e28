//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// child is a process in a group of its own. Nothing of the group outlives kill, nor the harness.
type child struct {
	name string
	cmd  *exec.Cmd
	in   io.WriteCloser
	err  *tail // its standard error

	lines  chan []byte // of its standard output, if nobody else wants it
	exited chan struct{}
	once   sync.Once
}

// children are those at work: whatever happens, none of them is left behind.
type children struct {
	mu  sync.Mutex
	all map[*child]bool
}

// spec is how a process is to be run.
type spec struct {
	name   string
	args   []string
	env    []string // added to the harness's own
	stderr *tail    // nil: one is made
	null   string   // a file for the standard error instead, /dev/full for instance
	line   func([]byte)
}

// start runs a process. line, if there is one, gets the lines of the standard output on a goroutine
// that ends with it; otherwise they are answers to orders.
func (c *children) start(s spec) (*child, error) {
	p := &child{name: s.name, err: s.stderr, lines: make(chan []byte, 1), exited: make(chan struct{})}
	if p.err == nil {
		p.err = new(tail)
	}
	p.cmd = exec.Command(s.args[0], s.args[1:]...) //nolint:gosec,noctx // what the rows say; ended by kill
	p.cmd.Env = append(p.cmd.Environ(), s.env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p.cmd.WaitDelay = 5 * time.Second // a grandchild may hold the output
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	p.cmd.Stderr = p.err
	if s.null != "" {
		file, err := openForWriting(s.null)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		p.cmd.Stderr = file
	}
	reader, writer := io.Pipe()
	p.cmd.Stdout = writer
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s could not be started: %w", s.name, err)
	}
	c.mu.Lock()
	if c.all == nil {
		c.all = make(map[*child]bool)
	}
	c.all[p] = true
	c.mu.Unlock()
	var read sync.WaitGroup
	read.Go(func() { p.read(reader, s.line) })
	go func() { // ends with the process
		_ = p.cmd.Wait() // how it ended is in its state
		_ = writer.Close()
		read.Wait()
		c.mu.Lock()
		delete(c.all, p)
		c.mu.Unlock()
		close(p.exited)
	}()
	return p, nil
}

// read takes the output apart. Answers that nobody waits for any more are dropped.
func (p *child) read(from io.Reader, line func([]byte)) {
	defer close(p.lines)
	scanner := bufio.NewScanner(from)
	scanner.Buffer(nil, 16<<20)
	for scanner.Scan() {
		if line != nil {
			line(scanner.Bytes())
			continue
		}
		select {
		case p.lines <- bytes.Clone(scanner.Bytes()):
		default:
		}
	}
	_, _ = io.Copy(io.Discard, from) // a line beyond all bounds must not stop the process
}

// killAll ends every process that is left.
func (c *children) killAll() {
	c.mu.Lock()
	var all []*child
	for p := range c.all {
		all = append(all, p)
	}
	c.mu.Unlock()
	for _, p := range all {
		p.kill()
	}
}

// signal sends a signal to the group.
func (p *child) signal(s syscall.Signal) error {
	if !p.alive() {
		return fmt.Errorf("%s has ended: %w", p.name, p.death())
	}
	return syscall.Kill(-p.cmd.Process.Pid, s)
}

func (p *child) alive() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// death says how the process has ended, and the last that it said.
func (p *child) death() error {
	return fmt.Errorf("%v\n%s", p.cmd.ProcessState, p.err.last())
}

// kill ends the group by SIGKILL, stopped or not, and returns when that is done.
func (p *child) kill() {
	p.once.Do(func() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) }) // gone already: just as well
	<-p.exited
}

// orderWithin is how long an answer may take.
const orderWithin = 20 * time.Second

// order gives an order and reads its answer.
func (p *child) order(ctx context.Context, o order, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, orderWithin)
	defer cancel()
	line, err := json.Marshal(o)
	if err != nil {
		return err
	}
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("%s takes no orders (%w): %w", p.name, err, p.death())
	}
	select {
	case <-ctx.Done():
		return fmt.Errorf("%s has not answered to %q: %w", p.name, o.Do, context.Cause(ctx))
	case line, ok := <-p.lines:
		if !ok {
			<-p.exited
			return fmt.Errorf("%s has ended: %w", p.name, p.death())
		}
		return json.Unmarshal(line, answer)
	}
}

// tail counts what is written, and keeps the last of it.
type tail struct {
	mu           sync.Mutex
	bytes, lines int64
	kept         []byte
}

const keptTail = 8 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bytes += int64(len(b))
	t.lines += int64(bytes.Count(b, []byte("\n")))
	t.kept = append(t.kept, b...)
	if over := len(t.kept) - keptTail; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(b), nil
}

// size returns how much was written.
func (t *tail) size() (lines, bytes int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lines, t.bytes
}

func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(t.kept)), "\n")
	return strings.Join(lines[max(0, len(lines)-8):], "\n")
}

// stopSignal stops a process, which does not notice.
const stopSignal = syscall.SIGSTOP
