package session

import (
	"container/heap"
	"time"
)

// readyList is the queues that have something to send, in the order of their turns: each sends one line, then goes behind the
// others. A queue is in it at most once.
type readyList struct{ head, tail *itemQueue }

func (l *readyList) push(q *itemQueue) {
	if q.inReady {
		return
	}
	q.inReady, q.nextReady = true, nil
	if l.tail != nil {
		l.tail.nextReady = q
	} else {
		l.head = q
	}
	l.tail = q
}

func (l *readyList) pop() *itemQueue {
	q := l.head
	l.head = q.nextReady
	if l.head == nil {
		l.tail = nil
	}
	q.inReady, q.nextReady = false, nil
	return q
}

// parked is something held back by a frequency limit until a time: a queue, or the update of one key of a COMMAND queue.
type parked struct {
	due   time.Time
	at    int // place in the heap plus one; 0: not in it
	queue *itemQueue
	key   *keyState // nil: the queue itself
}

// parking is a heap of what is held back, the next one due first.
type parking []*parked

func (p parking) Len() int           { return len(p) }
func (p parking) Less(i, j int) bool { return p[i].due.Before(p[j].due) }
func (p parking) Swap(i, j int) {
	p[i], p[j] = p[j], p[i]
	p[i].at, p[j].at = i+1, j+1
}

// Push and Pop are for container/heap.
func (p *parking) Push(x any) {
	e := x.(*parked)
	*p = append(*p, e)
	e.at = len(*p)
}

// Pop is for container/heap.
func (p *parking) Pop() any {
	old := *p
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*p = old[:len(old)-1]
	e.at = 0
	return e
}

func (p *parking) add(e *parked, due time.Time) {
	e.due = due
	heap.Push(p, e)
}

func (p *parking) remove(e *parked) {
	if e.at > 0 {
		heap.Remove(p, e.at-1)
	}
}

// due takes the next one whose time has come; nil if there is none.
func (p *parking) take(now time.Time) *parked {
	if len(*p) == 0 || (*p)[0].due.After(now) {
		return nil
	}
	return heap.Pop(p).(*parked)
}

// next is when the next one is due; zero if there is none.
func (p parking) next() time.Time {
	if len(p) == 0 {
		return time.Time{}
	}
	return p[0].due
}

// slotAfter returns when the next event may be sent, if one is sent now whose turn came at slot. Turns keep their distance from
// slot, not from now, so that being late by less than an interval does not lower the frequency.
func slotAfter(slot, now time.Time, interval time.Duration) time.Time {
	if next := slot.Add(interval); next.After(now) {
		return next
	}
	return now.Add(interval)
}

// The least that is granted of what a client or an adapter limits: with less a subscription or a
// session would stand still, for days or for ever.
const (
	minFrequency = 1e-4 // updates per second: one in about three hours
	minBandwidth = 0.1  // kbit/s: twelve bytes per second
)

// maxLimit keeps the arithmetic with limits, those of adapters included, far from infinity.
const maxLimit = 1e12

// atLeast brings a limit up to the least that is granted; 0 and below are no limit, and NaN is none
// either.
func atLeast(limit, least float64) float64 {
	if limit > 0 {
		return min(max(limit, least), maxLimit)
	}
	return 0
}

// maxDuration bounds every time that is computed from a client's numbers.
const maxDuration = 30 * 24 * time.Hour

// seconds turns a number of seconds into a duration, which is at most maxDuration; what is no
// number is maxDuration, too.
func seconds(s float64) time.Duration {
	switch {
	case s <= 0:
		return 0
	case s < maxDuration.Seconds():
		return time.Duration(s * float64(time.Second))
	}
	return maxDuration
}

// intervalOf returns the distance of events at a frequency in events per second; 0 for an unlimited one.
func intervalOf(frequency float64) time.Duration {
	if frequency = atLeast(frequency, minFrequency); frequency == 0 {
		return 0
	}
	return seconds(1 / frequency)
}
