package main

import "time"

// stopWithin bounds an orderly end after Ctrl-C; what is not done by then is cut.
const stopWithin = 1500 * time.Millisecond

// within runs f, and waits for it no longer than limit.
func within(limit time.Duration, f func()) (took time.Duration, cut bool) {
	begin := time.Now()
	done := make(chan struct{})
	go func() { // ends with the process, if not before
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(limit):
		cut = true
	}
	return time.Since(begin), cut
}

// sayStopped tells how an orderly end went.
func sayStopped(s *style, took time.Duration, cut bool) {
	if s.terminal {
		s.gap() // ends the line with the terminal's own ^C
	}
	if cut {
		s.line("Stopped; some connections did not end within %.1f s and were cut.", took.Seconds())
		return
	}
	s.line("Stopped after %.1f s.", took.Seconds())
}
