package proxy

import (
	"container/list"
	"slices"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

const (
	// maxUnanswered is how many requests of a lane are sent and not answered where nothing is
	// configured.
	maxUnanswered = 4000
	// firstWindow is where a lane begins that follows its remote.
	firstWindow = 64
)

// bound says which requests make up a lane, and how many of them may be unanswered.
type bound struct {
	methods []ari.Method
	most    int // 0: maxUnanswered
	// follow has the window follow the remote where most is 0: it is firstWindow to begin with, and
	// at least, and grows up to maxUnanswered while answers come in good time. A remote that serves
	// one request after the other is not asked for more than it can answer within the time-out.
	follow bool
}

// lane is the requests that have a bound in common. It belongs to its pending, and is guarded by
// its lock.
type lane struct {
	fairQueue
	window, most int
	follow       bool
	fastest      time.Duration // answer so far; 0: there was none
	held         int           // sent and not answered
}

func newLane(b bound) *lane {
	l := &lane{most: b.most, window: b.most}
	if b.most <= 0 {
		l.most, l.window = maxUnanswered, maxUnanswered
		if l.follow = b.follow; l.follow {
			l.window = firstWindow
		}
	}
	return l
}

// answered has the window follow how long an answer has taken, in a time of timeout, 0 for no
// limit. What counts is how much longer it took than the fastest one, which is about how long the
// request has waited for others at the remote.
func (l *lane) answered(took, timeout time.Duration) {
	if !l.follow {
		return
	}
	if l.fastest == 0 || took < l.fastest {
		l.fastest = max(took, 1)
	}
	switch queued := took - l.fastest; {
	case timeout <= 0 || queued < timeout/8:
		l.window = min(l.window+1, l.most)
	case queued > timeout/4:
		l.window = max(l.window-1, firstWindow)
	}
}

// slow notes that no answer has come in time.
func (l *lane) slow() {
	if l.follow {
		l.window = firstWindow
	}
}

// fairQueue holds requests that wait to be sent. Each owner has a line of its own, and the lines
// take turns, so that nobody waits for more than one request of each other owner. A request that
// several owners want stands in the lines of all of them.
type fairQueue struct {
	waiting int
	lines   map[string]*ownerLine
	turns   list.List // of *ownerLine; the first one has its turn
}

// ownerLine is what one owner has waiting. It exists only while something does.
type ownerLine struct {
	owner    string
	requests list.List // of *request
	turn     *list.Element
}

// ticket is the place of a request in a line.
type ticket struct {
	line *ownerLine
	at   *list.Element
}

// push has r wait for all its owners.
func (q *fairQueue) push(r *request) {
	q.waiting++
	q.pushFor(r, r.owner)
	for _, owner := range r.others {
		q.pushFor(r, owner)
	}
}

// pushFor has r, which counts as waiting, wait in the line of one owner.
func (q *fairQueue) pushFor(r *request, owner string) {
	if slices.ContainsFunc(r.tickets, func(t ticket) bool { return t.line.owner == owner }) {
		return
	}
	line := q.lines[owner]
	if line == nil {
		if q.lines == nil {
			q.lines = make(map[string]*ownerLine)
		}
		line = &ownerLine{owner: owner}
		line.turn = q.turns.PushBack(line)
		q.lines[owner] = line
	}
	r.tickets = append(r.tickets, ticket{line, line.requests.PushBack(r)})
}

// pop takes out the request whose turn it is. There has to be one.
func (q *fairQueue) pop() *request {
	line := q.turns.Front().Value.(*ownerLine)
	q.turns.MoveToBack(line.turn)
	r := line.requests.Front().Value.(*request)
	q.remove(r)
	return r
}

func (q *fairQueue) remove(r *request) {
	q.waiting--
	for _, t := range r.tickets {
		t.line.requests.Remove(t.at)
		if t.line.requests.Len() == 0 {
			q.turns.Remove(t.line.turn)
			delete(q.lines, t.line.owner)
		}
	}
	r.tickets = nil
}
