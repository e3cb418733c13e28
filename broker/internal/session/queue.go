package session

import (
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/budget"
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
	lostNode     // events dropped in this place: an OV line
	snapshotNode // all rows of a snapshot that have not been sent yet
)

// node is one thing that waits in a queue. What waits is still an event: its line is made when it is sent.
type node struct {
	kind       nodeKind
	snapshot   bool
	pinned     bool           // what waits counts for the broker's memory
	ev         *item.Event    // updateNode
	rows       *item.Snapshot // snapshotNode
	n          int64          // lostNode: how many; snapshotNode: rows sent
	text       int            // snapshotNode: bytes of the rows that are left
	key        *keyState      // updateNode in COMMAND mode
	prev, next *node
}

// nodeCost is what a waiting event costs besides its text.
const nodeCost = 64

func (n *node) size() int {
	switch {
	case n.rows != nil:
		return nodeCost + n.text
	case n.ev == nil:
		return nodeCost
	}
	return nodeCost + n.ev.Size
}

func (n *node) pin(b *budget.Budget) {
	switch {
	case n.rows != nil:
		n.rows.Pin(b)
	case n.ev != nil:
		n.ev.Pin(b)
	}
}

func (n *node) unpin(b *budget.Budget) {
	switch {
	case n.rows != nil:
		n.rows.Unpin(b)
	case n.ev != nil:
		n.ev.Unpin(b)
	}
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

	last      *item.Event // of the last U line; nil before the first
	lastOp    item.Op     // the command in it
	stale     bool        // the item has gone on since last
	documents []bool      // by field: the client holds it as a JSON document; nil: it holds none
	tries     int         // differences looked for since the last line
	keys      map[string]*keyState
	keyBytes  int // of keys, those of the rows of a waiting snapshot included
	changes   map[string]*item.Event
	turn      time.Time // when the next update may be sent
	park      parked
	stats     provider.TableStats

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
	q.age()
	for _, ev := range events {
		q.push(ev, snapshot)
	}
	q.schedule()
	s.received()
}

// Snapshot implements item.Receiver. The rows wait as one: what they cost does not depend on their
// number.
func (q *itemQueue) Snapshot(cols item.Columns, rows *item.Snapshot) {
	s := q.sub.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.sub.closed || q.sub.refused {
		return
	}
	q.cols = cols
	if q.sub.mode == provider.Command {
		// The client's keys have to be known from then on.
		n := len(rows.Events) * keyCost
		if s.keyBytes+n > s.keyLimit() || !s.m.mem.Take(int64(n)) {
			q.sub.tooMuch()
			s.m.relieve(scarce)
			return
		}
		q.addKeyBytes(n)
		s.charged += n
		s.counts.loose.Store(int64(s.charged))
	}
	q.append(s.newNode(node{kind: snapshotNode, snapshot: true, rows: rows, text: rows.Size}))
	q.schedule()
	s.received()
}

// age notes that what the client holds is not the item's state any more, so that nobody else may
// keep it in memory.
func (q *itemQueue) age() {
	if q.last != nil && !q.stale {
		q.stale = true
		q.sub.s.loose += q.last.Cost()
	}
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
		case q.sub.mode == provider.Merge && q.sub.filtered() && q.tail != nil && q.mergeable():
			q.replace(q.tail, ev)
			return
		default:
			q.append(q.sub.s.newNode(node{ev: ev, snapshot: snapshot}))
		}
		q.limit()
	}
}

// mergeable reports whether the next update of a filtered MERGE queue is merged into the last one
// that waits: if its buffer is full; and if that is the snapshot, while so much waits that the
// item's old states are not to be kept for it.
func (q *itemQueue) mergeable() bool {
	if q.waiting >= q.buffer {
		return true
	}
	s := q.sub.s
	return q.tail.snapshot && s.queueBytes > s.m.liveLimit()
}

// replace merges an event into a waiting one: events hold the whole state, so the later one says it all.
func (q *itemQueue) replace(n *node, ev *item.Event) {
	s, grown := q.sub.s, ev.Size-n.ev.Size
	s.queueBytes += grown
	if n.live() {
		s.liveBytes += grown
	}
	if n.pinned {
		n.ev.Unpin(s.m.mem)
	}
	if n.pinned = s.queueBytes > freeQueue; n.pinned {
		ev.Pin(s.m.mem)
	}
	n.ev = ev
	q.filtered(1)
}

// filtered counts updates merged or dropped as the subscription allows.
func (q *itemQueue) filtered(n int64) {
	q.stats.Filtered += n
	q.sub.s.counts.filtered.Add(n)
}

// limit makes room: by the number of events that may wait for the item, and by the bytes that may wait in the session.
func (q *itemQueue) limit() {
	filtered := q.sub.filtered()
	// In filtered COMMAND what waits is bounded by the keys: two events for each.
	byKey := filtered && q.sub.mode == provider.Command
	for q.oldest != nil && q.oldest != q.tail {
		if (byKey || q.waiting <= q.buffer) && q.sub.s.liveBytes <= q.sub.s.m.liveLimit() {
			return
		}
		if filtered && !byKey {
			q.filtered(1)
			q.discard(q.oldest)
		} else {
			q.lose(q.oldest)
		}
	}
}

// lose drops a waiting update and leaves in its place the notice that one was lost.
func (q *itemQueue) lose(n *node) {
	q.stats.Lost++
	q.sub.s.counts.lost.Add(1)
	if k := n.key; k != nil {
		defer k.forget()
	}
	if p := n.prev; p != nil && p.kind == lostNode {
		p.n++
		q.discard(n)
		return
	}
	notice := q.sub.s.newNode(node{kind: lostNode, n: 1})
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
	q.sub.s.counts.lost.Add(1)
	if q.tail != nil && q.tail.kind == lostNode {
		q.tail.n++
		return
	}
	q.append(q.sub.s.newNode(node{kind: lostNode, n: 1}))
}

// clear takes a ClearSnapshot: unless nothing may be lost, what waits is pointless now, except the end of the snapshot.
func (q *itemQueue) clear() {
	if q.sub.filtered() {
		for n := q.head; n != nil; {
			next := n.next
			switch n.kind {
			case updateNode:
				q.filtered(1)
				q.discard(n)
			case snapshotNode:
				q.filtered(int64(len(n.rows.Events)) - n.n)
				q.dropChanges()
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
	if n.rows != nil && q.sub.mode == provider.Command {
		q.addKeyBytes(-keyCost * (len(n.rows.Events) - int(n.n)))
	}
	q.sub.s.freeNode(n)
}

// account adds (sign 1) or takes away (sign -1) what the node costs. An event that waits while
// hardly anything does is not counted for the broker: it is on its way.
func (q *itemQueue) account(n *node, sign int) {
	s, size := q.sub.s, sign*n.size()
	s.queueBytes += size
	s.loose += sign * nodeCost
	if n.live() {
		s.liveBytes += size
	}
	switch {
	case sign > 0 && s.queueBytes <= freeQueue && n.rows == nil, sign < 0 && !n.pinned:
	case sign > 0:
		n.pinned = true
		n.pin(s.m.mem)
	default:
		n.pinned = false
		n.unpin(s.m.mem)
	}
}

// empty drops everything that waits, when the subscription ends.
func (q *itemQueue) empty() {
	q.dropChanges()
	for q.head != nil {
		q.discard(q.head)
	}
	q.unparkKeys()
	q.sub.s.parking.remove(&q.park)
	q.addKeyBytes(-q.keyBytes)
	q.holds(nil, 0)
	q.keys, q.documents = nil, nil
}

// holds notes what the client holds now.
func (q *itemQueue) holds(ev *item.Event, op item.Op) {
	if q.stale {
		q.sub.s.loose -= q.last.Cost()
		q.stale = false
	}
	q.last, q.lastOp = ev, op
}

// verdict is what became of an attempt to send.
type verdict uint8

const (
	made    verdict = iota // the line was appended, or turned out to be none of the client's business
	early                  // a frequency limit holds the queue back
	unready                // a difference has to be found first, see Session.puzzle
)

// send appends the line of the first node. Nothing changes before commit.
func (q *itemQueue) send(dst []byte, now time.Time) ([]byte, verdict) {
	n, sub := q.head, q.sub
	switch n.kind {
	case eosNode:
		return tlcp.AppendEOS(dst, sub.id, q.pos), made
	case csNode:
		return tlcp.AppendCS(dst, sub.id, q.pos), made
	case lostNode:
		return tlcp.AppendOV(dst, sub.id, q.pos, n.n), made
	}
	if sub.mode == provider.Command {
		return q.sendKey(dst, n)
	}
	if q.limited(n) && q.turn.After(now) {
		return dst, early
	}
	ev := n.ev
	if n.kind == snapshotNode {
		ev = n.rows.Events[n.n]
	}
	q.values(ev)
	return q.line(dst)
}

// limited says whether the frequency limit applies to a node of a queue that is not in COMMAND mode.
func (q *itemQueue) limited(n *node) bool {
	return q.sub.intervals[q.pos-1] > 0 && n.kind == updateNode
}

// values puts the values of the schema's fields after ev, and those that the client holds, into the
// session's scratch space.
func (q *itemQueue) values(ev *item.Event) {
	s := q.sub.s
	s.now, s.op = ev, ev.Op
	s.values = q.appendValues(s.values[:0], ev, ev.Op)
	s.held = s.held[:0]
	if q.last != nil {
		s.held = q.appendValues(s.held, q.last, q.lastOp)
	}
}

func (q *itemQueue) appendValues(dst []tlcp.Value, ev *item.Event, op item.Op) []tlcp.Value {
	dst = item.AppendValues(dst, q.cols, ev)
	if q.sub.mode == provider.Command {
		dst[q.sub.commandAt] = tlcp.Value{S: op.String()}
	}
	return dst
}

// commit takes the first node, or the first row of it, whose line (if any) is being written.
func (q *itemQueue) commit(now time.Time, written bool) {
	n := q.head
	if n.kind == snapshotNode {
		q.commitRow(n, written)
		return
	}
	switch {
	case n.kind == csNode:
		q.forgetKeys()
	case n.kind == updateNode && written:
		if n.live() {
			q.stats.Real++
		}
		q.sent()
		if n.key != nil {
			n.key.written(n.ev, now)
		} else if q.limited(n) {
			q.turn = slotAfter(q.turn, now, q.sub.intervals[q.pos-1])
		}
	}
	k := n.key
	q.discard(n)
	if k != nil {
		k.forget()
	}
	if q.head != nil {
		q.age()
	}
}

// commitRow is commit for one row of a snapshot.
func (q *itemQueue) commitRow(n *node, written bool) {
	s, ev := q.sub.s, n.rows.Events[n.n]
	if written {
		q.sent()
	}
	n.n++
	n.text -= ev.Size
	s.queueBytes -= ev.Size
	if q.sub.mode == provider.Command {
		q.addKeyBytes(-keyCost)
		if written {
			q.key(ev.Key).known = true
		}
		q.dropChange(ev.Key)
	}
	if n.n == int64(len(n.rows.Events)) {
		q.discard(n)
		q.flushChanges()
	}
	if q.head != nil {
		q.age()
	}
}
