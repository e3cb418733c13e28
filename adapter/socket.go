package adapter

import (
	"net"
	"time"
)

const (
	// unreadTimeout is how long a proxy may read nothing while there is more to write than its host
	// takes.
	unreadTimeout = 2 * time.Minute
	// dialTimeout is how long the default dialer tries: less than a system does, whose attempts
	// become so rare that a proxy which is back is found a minute later.
	dialTimeout = 15 * time.Second
)

// tcpOf returns the TCP connection below conn, which may be TLS; nil if there is none.
func tcpOf(conn net.Conn) *net.TCPConn {
	if below, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = below.NetConn()
	}
	tcp, _ := conn.(*net.TCPConn)
	return tcp
}

// ledger remembers how many updates had been written when so many bytes had, as far back as a
// system's buffer reaches.
type ledger struct {
	bytes, updates int64
	marks          [2048]mark
	next           int // of marks, modulo their number
}

type mark struct{ bytes, updates int64 }

// A mark is set every so many bytes.
const markEvery = 2 << 10

func (l *ledger) add(updates, n int) {
	if l.next == 0 || l.bytes >= l.marks[(l.next-1)%len(l.marks)].bytes+markEvery {
		l.marks[l.next%len(l.marks)] = mark{l.bytes, l.updates}
		l.next++
	}
	l.bytes += int64(n)
	l.updates += int64(updates)
}

// last returns how many updates there are among the last q bytes: no fewer, some more than there
// are.
func (l *ledger) last(q int64) int64 {
	if q <= 0 {
		return 0
	}
	for i := l.next - 1; i >= max(l.next-len(l.marks), 0); i-- {
		if m := l.marks[i%len(l.marks)]; m.bytes <= l.bytes-q {
			return l.updates - m.updates
		}
	}
	return l.updates
}
