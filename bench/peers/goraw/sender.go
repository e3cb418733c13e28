package main

import (
	"net"
	"os"
	"strconv"
	"sync"
	"time"
)

// maxQueue is how many bytes may wait to be written before update waits.
const maxQueue = 256 << 10

// sender joins whatever is enqueued while a write is in progress into the next write.
type sender struct {
	mu       sync.Mutex
	work     sync.Cond // something to write
	room     sync.Cond // queue below its bound
	buf      []byte
	spare    []byte
	conn     net.Conn
	sleeping bool
	waiting  int
}

func newSender(c net.Conn) *sender {
	s := &sender{conn: c}
	s.work.L, s.room.L = &s.mu, &s.mu
	go s.run() // ends with the process, and the process with the connection
	return s
}

func (s *sender) run() {
	for {
		s.mu.Lock()
		for len(s.buf) == 0 {
			s.sleeping = true
			s.work.Wait()
			s.sleeping = false
		}
		b := s.buf
		s.buf = s.spare[:0]
		if s.waiting > 0 {
			s.room.Broadcast()
		}
		s.mu.Unlock()
		if _, err := s.conn.Write(b); err != nil {
			os.Exit(0)
		}
		s.spare = b
	}
}

// begin locks the queue and gives the buffer to append one line to; end takes it back. Replies do not wait for room: they would stop the reader.
func (s *sender) begin(wait bool) []byte {
	s.mu.Lock()
	for wait && len(s.buf) > maxQueue {
		s.waiting++
		s.room.Wait()
		s.waiting--
	}
	return s.buf
}

func (s *sender) end(b []byte) {
	b = append(b, '\r', '\n')
	s.buf = b
	wake := s.sleeping
	s.mu.Unlock()
	if wake {
		s.work.Signal()
	}
}

func (s *sender) update(to sub, names, values []string) {
	b := s.begin(true)
	b = strconv.AppendInt(b, time.Now().UnixMilli(), 10)
	b = append(b, "|UD3|S|"...)
	b = appendText(b, to.item)
	b = append(b, "|S|"...)
	b = append(b, to.id...)
	b = append(b, "|B|0"...)
	for i, name := range names {
		b = append(b, "|S|"...)
		b = appendText(b, name)
		b = append(b, "|S|"...)
		b = appendText(b, values[i])
	}
	s.end(b)
}

func (s *sender) reply(id, rest string) {
	s.end(append(append(s.begin(false), id...), rest...))
}

// list replies with the names in a list that is separated by spaces.
func (s *sender) list(id, verb string, names []string) {
	b := append(append(append(s.begin(false), id...), '|'), verb...)
	for _, v := range names {
		b = append(b, "|S|"...)
		b = appendText(b, v)
	}
	s.end(b)
}

func appendText(b []byte, v string) []byte {
	for i := range len(v) {
		switch v[i] {
		case '|', '%', '+', '\r', '\n':
			return appendEscaped(b, v)
		}
	}
	if v == "" {
		return append(b, '$')
	}
	return append(b, v...)
}

func appendEscaped(b []byte, v string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(v) {
		switch c := v[i]; c {
		case '|', '%', '+', '\r', '\n':
			b = append(b, '%', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return b
}

func unescape(s string) string {
	var b []byte
	done := 0
	for i := 0; i+2 < len(s); i++ {
		if s[i] != '%' {
			continue
		}
		if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
			b = append(append(b, s[done:i]...), byte(n))
			done, i = i+3, i+2
		}
	}
	if done == 0 {
		return s
	}
	return string(append(b, s[done:]...))
}
