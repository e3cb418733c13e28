package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
	"github.com/lightstreamer-go/lightstreamer/internal/wsconn"
)

// session is a client that is as lean as can be: it reads the number and the time of each update, which come first and always change, and
// no more of it.
type session struct {
	conn  *wsconn.Conn
	subs  [3]subscription
	l     *load
	ready sync.WaitGroup // until each subscription is accepted
	done  chan struct{}
	err   error // read after done

	mu sync.Mutex // held while a message is handled: items are looked at, and reset, from outside
}

// subscription has the items of one kind.
type subscription struct {
	kind  kind
	items []item
}

// item is what a session knows of one.
type item struct {
	number int
	next   int64 // number of the update expected
	lost   int64 // numbers left out
	wrong  int64 // numbers that came again, or too late
}

// dial opens a session with the items of a group, and returns when its subscriptions are accepted.
func dial(ctx context.Context, url, set string, group int, items layout, l *load) (*session, error) {
	conn, err := wsconn.Dial(ctx, url+"/lightstreamer", wsconn.DialOptions{
		Options: wsconn.Options{ReadLimit: 1 << 20}, Subprotocol: tlcp.Latest.Subprotocol(),
	})
	if err != nil {
		return nil, err
	}
	s := &session{conn: conn, l: l, done: make(chan struct{})}
	for i := range items.items {
		n := items.number(group, i)
		k := items.kindOf(n)
		s.subs[k].kind = k
		s.subs[k].items = append(s.subs[k].items, item{number: n})
	}
	create := tlcp.CreateSession{AdapterSet: set, ConnParams: tlcp.ConnParams{NoSync: true}, Diffs: tlcp.Diffs{Restricted: true}}
	messages := [][]byte{[]byte("wsok"), append([]byte("create_session\r\n"), create.Append(nil)...), s.requests()}
	for _, m := range messages {
		if err := conn.WriteText(m); err != nil {
			conn.CloseNow()
			return nil, err
		}
	}
	s.ready.Add(len(s.subs))
	go s.read() // ends with the connection
	accepted := make(chan struct{})
	go func() { s.ready.Wait(); close(accepted) }()
	select {
	case <-accepted:
		return s, nil
	case <-s.done:
		return nil, s.err
	case <-ctx.Done():
		conn.CloseNow()
		return nil, ctx.Err()
	}
}

func (s *session) requests() []byte {
	out := []byte("control")
	for i := range s.subs {
		sub := &s.subs[i]
		names := make([]string, len(sub.items))
		for j := range sub.items {
			names[j] = itemName(sub.items[j].number)
		}
		add := &tlcp.Add{
			SubID: i + 1, Mode: []tlcp.Mode{tlcp.ModeRaw, tlcp.ModeMerge, tlcp.ModeCommand}[sub.kind], Group: strings.Join(names, " "),
			Schema: "seq stamp last bid ask text", DataAdapter: tlcp.DefaultDataAdapter,
		}
		if sub.kind == command {
			add.Schema, add.MaxFrequency.Unfiltered = "seq stamp key command last", true
		}
		c := tlcp.Control{ReqID: strconv.Itoa(i + 1), Op: tlcp.OpAdd, Add: add}
		out = append(append(out, tlcp.EOL...), c.Append(nil)...)
	}
	return out
}

// read is the goroutine of the session.
func (s *session) read() {
	defer close(s.done)
	defer s.conn.CloseNow()
	for {
		m, err := s.conn.ReadText()
		if err != nil {
			s.err = err
			return
		}
		if s.err = s.message(m, time.Now().UnixMicro()); s.err != nil {
			return
		}
	}
}

func (s *session) message(m []byte, now int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(m) > 0 {
		line, rest, _ := bytes.Cut(m, []byte("\r\n"))
		m = rest
		if err := s.line(line, now); err != nil {
			return err
		}
	}
	return nil
}

// eachItem calls f for the items of a session.
func (s *session) eachItem(f func(k kind, it *item)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.subs {
		for j := range s.subs[i].items {
			f(s.subs[i].kind, &s.subs[i].items[j])
		}
	}
}

func (s *session) line(line []byte, now int64) error {
	if bytes.HasPrefix(line, []byte("U,")) {
		return s.update(line, now)
	}
	parsed, err := tlcp.ParseLine(line)
	if err != nil {
		return err
	}
	switch parsed.Tag {
	case tlcp.TagSUBOK, tlcp.TagSUBCMD:
		s.ready.Done()
	case tlcp.TagCONERR, tlcp.TagEND, tlcp.TagERROR, tlcp.TagREQERR, tlcp.TagLOOP:
		return fmt.Errorf("the broker says %s", line)
	case tlcp.TagOV:
		s.l.overflow.Add(parsed.Count)
	}
	return nil
}

var errUpdate = errors.New("update not understood")

// update checks the number of an update and notes its latency.
func (s *session) update(line []byte, now int64) error {
	sub, at := number(line, len("U,"))
	pos, at := number(line, at)
	seq, at := number(line, at)
	stamp, _ := number(line, at)
	if sub < 1 || sub > 3 || pos < 1 || pos > int64(len(s.subs[sub-1].items)) || stamp == 0 {
		return fmt.Errorf("%w: %s", errUpdate, line)
	}
	it := &s.subs[sub-1].items[pos-1]
	it.received(seq)
	s.l.received[s.subs[sub-1].kind].Add(1)
	s.l.latency.add(time.Duration(now-stamp) * time.Microsecond)
	return nil
}

func (it *item) received(seq int64) {
	if seq < it.next {
		it.wrong++
		return
	}
	it.lost += seq - it.next
	it.next = seq + 1
}

// number reads a decimal number and returns it with the place behind its delimiter; 0 if there is none.
func number(b []byte, at int) (n int64, next int) {
	for ; at < len(b) && b[at] >= '0' && b[at] <= '9'; at++ {
		n = n*10 + int64(b[at]-'0')
	}
	return n, at + 1
}
