package session

import (
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/item"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// keyState is what a COMMAND queue knows of one key. It exists while the client has the key or something waits for it.
type keyState struct {
	q     *itemQueue
	name  string
	known bool  // the client has the key, by what was written
	gone  *node // a waiting DELETE
	row   *node // a waiting ADD or UPDATE; behind gone, if both wait
	turn  time.Time
	park  parked // of row, if it is an UPDATE held back by the frequency limit: then it is not in the list
}

// keyCost is about what a key costs besides its name.
const keyCost = 160

// addKeyBytes counts what the keys cost.
func (q *itemQueue) addKeyBytes(n int) {
	q.keyBytes += n
	q.sub.s.keyBytes += n
	q.sub.s.loose += n
}

func (q *itemQueue) key(name string) *keyState {
	k := q.keys[name]
	if k == nil {
		if q.keys == nil {
			q.keys = make(map[string]*keyState)
		}
		k = &keyState{q: q, name: name}
		k.park.queue, k.park.key = q, k
		q.keys[name] = k
		q.addKeyBytes(keyCost + len(name))
	}
	return k
}

// has says whether the client will have the key when all that waits for it so far, row aside, has been sent.
func (k *keyState) has() bool { return k.known && k.gone == nil && k.q.clears == 0 }

// pushKey takes an event of a filtered COMMAND subscription. Of each key at most a DELETE and after it one row wait:
//
//	UPDATE on a waiting row:      the row becomes the newer one
//	DELETE on a waiting UPDATE:   waits instead of it
//	DELETE on a waiting ADD:      both vanish, since the client never had the key
//	ADD on a waiting DELETE:      waits behind it
//
// For a row of the snapshot that still waits among others, see change.
func (q *itemQueue) pushKey(ev *item.Event, snapshot bool) {
	if q.change(ev) {
		return
	}
	k := q.key(ev.Key)
	switch {
	case ev.Op != item.Delete && k.row != nil:
		q.replace(k.row, ev)
	case ev.Op == item.Modify && !snapshot && !q.cols.Touched(ev):
		k.forget()
	case ev.Op != item.Delete:
		k.row = q.sub.s.newNode(node{ev: ev, snapshot: snapshot, key: k})
		q.append(k.row)
	default:
		if n := k.row; n != nil {
			q.filtered(1)
			k.unpark()
			q.discard(n)
		}
		if k.has() {
			k.gone = q.sub.s.newNode(node{ev: ev, key: k})
			q.append(k.gone)
		}
		k.forget()
	}
}

// release drops the reference to a node that is given up.
func (k *keyState) release(n *node) {
	if k.gone == n {
		k.gone = nil
	}
	if k.row == n {
		k.row = nil
	}
}

// forget removes the state if it says nothing any more.
func (k *keyState) forget() {
	if !k.known && k.gone == nil && k.row == nil && k.q.keys[k.name] == k {
		delete(k.q.keys, k.name)
		k.q.addKeyBytes(-keyCost - len(k.name))
	}
}

// changeCost is about what a change to a waiting snapshot costs besides its event.
const changeCost = 96

// change takes an event about a key that the client does not have, and of which nothing waits,
// while the snapshot does: it is about one of the rows that have not been sent yet. The row is sent
// as the event leaves it, in its place, or not at all after a DELETE.
func (q *itemQueue) change(ev *item.Event) bool {
	if q.head == nil || q.head.kind != snapshotNode || q.keys[ev.Key] != nil {
		return false
	}
	before, changed := q.changes[ev.Key]
	switch {
	case changed && before == nil:
		return false // it is gone, and this adds it again
	case ev.Op == item.Add:
		return false
	}
	q.filtered(1)
	if changed {
		q.dropChange(ev.Key)
	}
	if q.changes == nil {
		q.changes = make(map[string]*item.Event)
	}
	s := q.sub.s
	s.loose += changeCost
	s.queueBytes += changeCost
	if ev.Op == item.Delete {
		q.changes[ev.Key] = nil
		return true
	}
	q.changes[ev.Key] = ev
	s.queueBytes += ev.Size
	ev.Pin(s.m.mem)
	return true
}

// dropChange forgets the change to a row, if there is one.
func (q *itemQueue) dropChange(key string) {
	ev, changed := q.changes[key]
	if !changed {
		return
	}
	delete(q.changes, key)
	s := q.sub.s
	s.loose -= changeCost
	s.queueBytes -= changeCost
	if ev != nil {
		s.queueBytes -= ev.Size
		ev.Unpin(s.m.mem)
	}
}

func (q *itemQueue) dropChanges() {
	for key := range q.changes {
		q.dropChange(key)
	}
	q.changes = nil
}

// flushChanges ends the waiting of the snapshot. What is left are events about keys that were not
// in it: the client was told that events about them were lost.
func (q *itemQueue) flushChanges() {
	for key, ev := range q.changes {
		q.dropChange(key)
		if ev != nil {
			q.pushKey(ev, false)
		}
	}
	q.changes = nil
}

// written notes that the line of an event of the key is being written.
func (k *keyState) written(ev *item.Event, now time.Time) {
	if ev.Op == item.Delete {
		k.known = false
		return
	}
	if d := k.q.sub.intervals[k.q.pos-1]; k.known && d > 0 {
		k.turn = slotAfter(k.turn, now, d)
	}
	k.known = true
}

// sendKey appends the line of a node in COMMAND mode. What the command is depends on what the client has by now: it gets an ADD for
// a key it does not know, an UPDATE for one it knows, and no DELETE for a key it does not know.
func (q *itemQueue) sendKey(dst []byte, n *node) ([]byte, verdict) {
	ev, known := n.ev, false
	switch {
	case n.kind == snapshotNode:
		ev = n.rows.Events[n.n]
		if changed, ok := q.changes[ev.Key]; ok {
			if changed == nil {
				return dst, made
			}
			ev = changed
		}
	case n.key == nil: // unfiltered: keys are only tracked when lines are written
		n.key = q.key(ev.Key)
		known = n.key.known
	default:
		known = n.key.known
	}
	op := ev.Op
	switch {
	case op == item.Delete && !known:
		return dst, made
	case op != item.Delete && known:
		op = item.Modify
	case op != item.Delete:
		op = item.Add
	}
	q.values(ev)
	q.sub.s.op = op
	q.sub.s.values[q.sub.commandAt] = tlcp.Value{S: op.String()}
	return q.line(dst)
}

// holdBack takes the first node out of the list until its key's turn comes, if it is an UPDATE that the frequency limit holds
// back.
func (q *itemQueue) holdBack(now time.Time) bool {
	n := q.head
	k := n.key
	if k == nil || n != k.row || !k.known || q.sub.intervals[q.pos-1] == 0 || !k.turn.After(now) {
		return false
	}
	q.unlink(n)
	q.account(n, 1) // it still waits
	q.sub.s.parking.add(&k.park, k.turn)
	return true
}

// back puts the row that was held back into the list again. Its bytes are already counted.
func (k *keyState) back() {
	k.q.account(k.row, -1)
	k.q.append(k.row)
}

// unpark ends the holding back of the key's row, which goes into the list again.
func (k *keyState) unpark() {
	if k.park.at > 0 {
		k.q.sub.s.parking.remove(&k.park)
		k.back()
	}
}

// unparkKeys drops all rows held back.
func (q *itemQueue) unparkKeys() {
	for _, k := range q.keys {
		if k.park.at > 0 {
			q.filtered(1)
			k.unpark()
			q.discard(k.row)
			k.forget()
		}
	}
}

// forgetKeys notes that the client has no keys any more.
func (q *itemQueue) forgetKeys() {
	for _, k := range q.keys {
		k.known = false
		k.forget()
	}
}
