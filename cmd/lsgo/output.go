package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	outputRoom = 1 << 20 // bytes that may wait for an output that is not read
	flushTime  = time.Second
)

// output is the standard output or the standard error. A reader that has gone is no failure of the
// command: what would be written is dropped. Its methods may be called from any goroutine.
//
// At first Write writes, and waits for who reads slowly. Once detach was called it never waits: a
// goroutine writes what was put aside for it, so that a pager or a stopped terminal keeps no broker
// from serving, whose log is written here.
type output struct {
	name string
	to   io.Writer

	mu       sync.Mutex
	gone     bool  // nobody reads any more
	err      error // another failure to write
	detached bool
	closed   bool
	waiting  []byte
	dropped  int          // writes, since the last one that there was room for
	told     bool         // of the present failure
	tell     func(string) // of what is lost, after detach; must not wait
	wake     chan struct{}
	done     chan struct{}
}

func newOutput(name string, to io.Writer) *output {
	return &output{name: name, to: to, wake: make(chan struct{}, 1), done: make(chan struct{})}
}

// Write implements io.Writer. There is an error only if the output takes nothing although somebody
// may read it, as a full disk does.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.gone:
	case !o.detached:
		n, err := o.to.Write(b)
		if o.gone = isGone(err); err != nil && !o.gone {
			o.err = err
			return n, err
		}
	case o.closed || len(o.waiting)+len(b) > outputRoom:
		o.dropped++
	default:
		o.waiting = append(o.waiting, b...)
		select {
		case o.wake <- struct{}{}:
		default:
		}
	}
	return len(b), nil
}

// isGone reports whether a write failed because nobody reads.
func isGone(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, os.ErrClosed) || errors.Is(err, syscall.EBADF)
}

// detach has a goroutine write from now on, until close. What is lost is told to tell, once for a
// failure that lasts.
func (o *output) detach(tell func(string)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.detached, o.tell = true, tell
	go o.run() // ends with close, if the output takes what is written
}

// run is the goroutine that writes.
func (o *output) run() {
	defer close(o.done)
	for range o.wake {
		for o.step() {
		}
	}
}

// step writes what waits, and reports whether there may be more.
func (o *output) step() bool {
	o.mu.Lock()
	text, dropped := o.waiting, o.dropped
	o.waiting, o.dropped = nil, 0
	o.mu.Unlock()
	if dropped > 0 {
		o.tell(fmt.Sprintf("the %s was not read in time: %s dropped", o.name, count(dropped, "message")))
	}
	if len(text) == 0 {
		return false
	}
	_, err := o.to.Write(text)
	o.mu.Lock()
	o.gone = isGone(err)
	gone, told := o.gone, o.told
	o.told = err != nil
	o.mu.Unlock()
	switch {
	case err == nil || told:
	case gone:
		o.tell(fmt.Sprintf("nobody reads the %s any more: nothing more is written to it, and serving goes on", o.name))
	default:
		o.tell(fmt.Sprintf("the %s takes nothing: %v; serving goes on", o.name, err))
	}
	return !gone
}

// close writes what waits, for no longer than flushTime, and ends the goroutine.
func (o *output) close() {
	o.mu.Lock()
	was := o.closed
	o.closed = true
	detached := o.detached
	o.mu.Unlock()
	if was || !detached {
		return
	}
	select {
	case o.wake <- struct{}{}:
	default:
	}
	close(o.wake)
	select {
	case <-o.done:
	case <-time.After(flushTime): // the process ends without it
	}
}

// failure is why the output took nothing, nil if it did or nobody reads it.
func (o *output) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}
