package session

import (
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/item"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// nodeKind tells what waits in a queue.
type nodeKind uint8

const (
	updateNode nodeKind = iota
	eosNode
	csNode
	lostNode // events dropped in this place: an OV line
)

// node is one thing that waits in a queue. What waits is still an event: its line is made when it is sent.
type node struct {
	kind       nodeKind
	snapshot   bool
	ev         *item.Event // updateNode
	lost       int64       // lostNode
	key        *keyState   // updateNode in COMMAND mode
	prev, next *node
}

// nodeCost is what a waiting event costs besides its text.
const nodeCost = 64

func (n *node) size() int {
	if n.ev == nil {
		return nodeCost
	}
	return nodeCost + n.ev.Size
}

// live says whether the node is an update that limits apply to; those of a snapshot are the item's state, not its traffic.
func (n *node) live() bool { return n.kind == updateNode && !n.snapshot }

// itemQueue is what one subscription has waiting of one item, and what its client knows of it. Everything in it is guarded by the
// session's lock. It is the receiver of the item's events.
type itemQueue struct {
	sub    *subscription
	pos    int // of the item in the group, from 1
	hold   *item.Subscription
	cols   item.Columns
	buffer int // how many live updates may wait

	head, tail *node
	oldest     *node // the oldest live update in the list
	waiting    int   // live updates in the list
	clears     int   // csNodes in the list

	last      []tlcp.Value // values of the last U line; nil before the first
	documents []bool       // by field: the client holds it as a JSON document; nil: it holds none
	keys      map[string]*keyState
	turn      time.Time // when the next update may be sent
	park      parked
	stats     provider.TableStats
	snapshots int64 // updates sent as part of the snapshot, which stats leaves out

	inReady   bool
	nextReady *itemQueue
}

// Receive implements item.Receiver.
func (q *itemQueue) Receive(cols item.Columns, events []*item.Event, snapshot bool) {
	s := q.sub.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.sub.closed {
		return
	}
	q.cols = cols
	for _, ev := range events {
		q.push(ev, snapshot)
	}
	q.schedule()
	s.checkFlood()
}

// schedule gives the queue its place among those that have something to send, and wakes the connection.
func (q *itemQueue) schedule() {
	if q.head == nil || q.sub.held || q.park.at > 0 {
		return
	}
	q.sub.s.ready.push(q)
	q.sub.s.wake()
}

func (q *itemQueue) push(ev *item.Event, snapshot bool) {
	switch ev.Kind {
	case item.EndOfSnapshot:
		q.append(q.sub.s.newNode(node{kind: eosNode, snapshot: true}))
	case item.ClearSnapshot:
		q.clear()
	case item.Lost:
		q.miss()
	case item.Update:
		switch {
		case q.sub.mode == provider.Command && q.sub.filtered():
			q.pushKey(ev, snapshot)
		case q.sub.mode == provider.Merge && !snapshot && !q.cols.Touched(ev),
			q.sub.mode == provider.Command && ev.Op == item.Modify && !q.cols.Touched(ev):
			return
		case q.sub.mode == provider.Merge && q.sub.filtered() && q.waiting >= q.buffer && q.tail != nil:
			q.replace(q.tail, ev)
			return
		default:
			q.append(q.sub.s.newNode(node{ev: ev, snapshot: snapshot}))
		}
		q.limit()
	}
}

// replace merges an event into a waiting one: events hold the whole state, so the later one says it all.
func (q *itemQueue) replace(n *node, ev *item.Event) {
	q.account(n, -1)
	n.ev = ev
	q.account(n, 1)
	q.stats.Filtered++
}

// limit makes room: by the number of events that may wait for the item, and by the bytes that may wait in the session.
func (q *itemQueue) limit() {
	filtered := q.sub.filtered()
	// In filtered COMMAND what waits is bounded by the keys: two events for each.
	byKey := filtered && q.sub.mode == provider.Command
	for q.oldest != nil && q.oldest != q.tail {
		if (byKey || q.waiting <= q.buffer) && q.sub.s.liveBytes <= q.sub.s.m.cfg.MaxQueueBytes {
			return
		}
		if filtered && !byKey {
			q.stats.Filtered++
			q.discard(q.oldest)
		} else {
			q.lose(q.oldest)
		}
	}
}

// lose drops a waiting update and leaves in its place the notice that one was lost.
func (q *itemQueue) lose(n *node) {
	q.stats.Lost++
	if k := n.key; k != nil {
		defer k.forget()
	}
	if p := n.prev; p != nil && p.kind == lostNode {
		p.lost++
		q.discard(n)
		return
	}
	notice := q.sub.s.newNode(node{kind: lostNode, lost: 1})
	notice.prev, notice.next = n.prev, n
	if n.prev != nil {
		n.prev.next = notice
	} else {
		q.head = notice
	}
	n.prev = notice
	q.account(notice, 1)
	q.discard(n)
}

// miss takes the notice that updates may be missing. How many is not known; one says that it is so.
func (q *itemQueue) miss() {
	q.stats.Lost++
	if q.tail != nil && q.tail.kind == lostNode {
		q.tail.lost++
		return
	}
	q.append(q.sub.s.newNode(node{kind: lostNode, lost: 1}))
}

// clear takes a ClearSnapshot: unless nothing may be lost, what waits is pointless now, except the end of the snapshot.
func (q *itemQueue) clear() {
	if q.sub.filtered() {
		for n := q.head; n != nil; {
			next := n.next
			if n.kind == updateNode {
				q.stats.Filtered++
				q.discard(n)
			}
			n = next
		}
		q.unparkKeys()
		q.sub.s.parking.remove(&q.park)
		if q.tail != nil && q.tail.kind == csNode {
			return
		}
	}
	q.append(q.sub.s.newNode(node{kind: csNode}))
}

func (q *itemQueue) append(n *node) {
	n.prev, n.next = q.tail, nil
	if q.tail != nil {
		q.tail.next = n
	} else {
		q.head = n
	}
	q.tail = n
	q.account(n, 1)
	if n.live() {
		q.waiting++
		if q.oldest == nil {
			q.oldest = n
		}
	}
	if n.kind == csNode {
		q.clears++
	}
}

// unlink takes a node out of the list without forgetting it.
func (q *itemQueue) unlink(n *node) {
	if n == q.oldest {
		for q.oldest = n.next; q.oldest != nil && !q.oldest.live(); q.oldest = q.oldest.next {
		}
	}
	if n.live() {
		q.waiting--
	}
	if n.kind == csNode {
		q.clears--
	}
	if n.prev != nil {
		n.prev.next = n.next
	} else {
		q.head = n.next
	}
	if n.next != nil {
		n.next.prev = n.prev
	} else {
		q.tail = n.prev
	}
	q.account(n, -1)
	n.prev, n.next = nil, nil
}

// discard takes a node out of the list for good.
func (q *itemQueue) discard(n *node) {
	q.unlink(n)
	if k := n.key; k != nil {
		k.release(n)
	}
	q.sub.s.freeNode(n)
}

// account adds (sign 1) or takes away (sign -1) the node's bytes.
func (q *itemQueue) account(n *node, sign int) {
	s, size := q.sub.s, sign*n.size()
	s.queueBytes += size
	if n.live() {
		s.liveBytes += size
	}
}

// empty drops everything that waits, when the subscription ends.
func (q *itemQueue) empty() {
	for q.head != nil {
		q.discard(q.head)
	}
	q.unparkKeys()
	q.sub.s.parking.remove(&q.park)
	q.keys, q.last, q.documents = nil, nil, nil
}

// send appends the line of the first node. It returns false without a line if a frequency limit holds the queue back; it may
// append nothing if the node turned out to be none of the client's business. Nothing changes before commit.
func (q *itemQueue) send(dst []byte, now time.Time) ([]byte, bool) {
	n, sub := q.head, q.sub
	switch n.kind {
	case eosNode:
		return tlcp.AppendEOS(dst, sub.id, q.pos), true
	case csNode:
		return tlcp.AppendCS(dst, sub.id, q.pos), true
	case lostNode:
		return tlcp.AppendOV(dst, sub.id, q.pos, n.lost), true
	}
	if sub.mode == provider.Command {
		return q.sendKey(dst, n), true
	}
	if q.limited(n) && q.turn.After(now) {
		return dst, false
	}
	q.values(n.ev)
	return q.line(dst), true
}

// limited says whether the frequency limit applies to a node of a queue that is not in COMMAND mode.
func (q *itemQueue) limited(n *node) bool {
	if n.snapshot && q.sub.mode == provider.Distinct {
		return false
	}
	return q.sub.intervals[q.pos-1] > 0 && n.kind == updateNode
}

// values puts the values of the schema's fields after ev into the session's scratch space.
func (q *itemQueue) values(ev *item.Event) {
	s := q.sub.s
	s.values = s.values[:0]
	for i := range q.cols.Len() {
		s.values = append(s.values, tlcp.Value(q.cols.Value(ev, i)))
	}
}

// commit takes the first node, whose line (if any) is being written.
func (q *itemQueue) commit(now time.Time, written bool) {
	n := q.head
	switch {
	case n.kind == csNode:
		q.forgetKeys()
	case n.kind == updateNode && written:
		if n.live() {
			q.stats.Real++
		} else {
			q.snapshots++
		}
		q.sent()
		if n.key != nil {
			n.key.written(n, now)
		} else if q.limited(n) {
			q.turn = slotAfter(q.turn, now, q.sub.intervals[q.pos-1])
		}
	}
	k := n.key
	q.discard(n)
	if k != nil {
		k.forget()
	}
}
