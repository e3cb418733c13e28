package session

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/item"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// subscription is one subscription of a session. What can change is guarded by the session's lock.
type subscription struct {
	s    *Session
	id   int
	add  tlcp.Add // as requested
	mode provider.Mode

	items, schema    []string
	keyAt, commandAt int // positions in the schema, from 0; COMMAND only
	data             []provider.ItemData
	user             []provider.UserItemData
	grant            provider.TablesGrant
	table            provider.Table

	queues    []*itemQueue
	intervals []time.Duration // by item: the distance of updates; 0: unlimited
	frequency float64         // requested; 0: unlimited
	held      bool            // not started: events are queued, but not sent
	closed    bool            // gone: events are ignored
	refused   bool            // its snapshots are too much
	paid      int64           // see pay
}

// filtered says whether events may be merged and dropped without a word.
func (sub *subscription) filtered() bool {
	return sub.mode != provider.Raw && !sub.add.MaxFrequency.Unfiltered
}

// subscribe does LS_op=add, in the session's worker: it asks the Metadata Adapter and takes the items. It returns a code of
// REQERR, or 0.
func (s *Session) subscribe(a *tlcp.Add) (code int, text string) {
	s.mu.Lock()
	have, live, crowded := s.subs[a.SubID], len(s.subs), s.crowded()
	s.mu.Unlock()
	switch {
	case have != nil && sameAdd(&have.add, a):
		return 0, "" // repeated by a client that has missed the answer
	case have != nil:
		return tlcp.CodeInternal, "LS_subId is in use by another subscription of the session"
	case live >= s.m.cfg.MaxSubscriptions:
		return s.refuseSubscription("Subscriptions", "Too many subscriptions in the session")
	case crowded:
		return s.refuseSubscription("PendingMessages", "Too many notifications waiting in the session")
	}
	source := s.set.sources[a.DataAdapter]
	if source == nil {
		return tlcp.CodeDataAdapterUnknown, tlcp.RequestText(tlcp.CodeDataAdapterUnknown)
	}
	sub := &subscription{s: s, id: a.SubID, add: *a, mode: provider.Mode(a.Mode), frequency: a.MaxFrequency.Limit, held: true}
	if code, text = sub.askInTurn(); code != 0 {
		sub.refund()
		return code, text
	}
	sub.makeQueues()
	if code, text = sub.attach(source); code != 0 {
		sub.leave()
		return code, text
	}
	if !sub.start() {
		sub.leave()
		return tlcp.CodeSessionUnknown, tlcp.RequestText(tlcp.CodeSessionUnknown)
	}
	return 0, ""
}

func sameAdd(a, b *tlcp.Add) bool {
	x, y := *a, *b
	sameSelector := text(x.Selector) == text(y.Selector)
	x.Selector, y.Selector = nil, nil
	return sameSelector && x == y
}

// askInTurn is ask when it is the client's turn: the adapter is asked for few subscriptions at a
// time, however many sessions there are, half of them for one address, and with few bytes.
func (sub *subscription) askInTurn() (code int, text string) {
	s := sub.s
	if no := s.set.asks.enter(s.ctx, s.place.addr, 0); no != nil { // the session has ended
		return tlcp.CodeSessionUnknown, tlcp.RequestText(tlcp.CodeSessionUnknown)
	}
	defer s.set.asks.leave(s.place.addr)
	size := int64(len(sub.add.Group) + len(sub.add.Schema))
	s.set.courier.take(size)
	defer s.set.courier.give(size)
	return sub.ask()
}

// ask has the Metadata Adapter decide about everything.
func (sub *subscription) ask() (code int, text string) {
	s, a, md := sub.s, &sub.add, sub.s.set.Metadata
	refused := func(call string, err error, badItems int) (int, string) {
		s.m.logged("session: subscription refused by the Metadata Adapter", "session", s.label(), "call", call, "error", errorText(err))
		return requestError(err, badItems)
	}
	var err error
	if sub.items, err = md.Items(s.ctx, s.user, a.Group, s.id); err != nil {
		return refused("Items", err, tlcp.CodeBadGroup)
	}
	if sub.schema, err = md.Schema(s.ctx, s.user, a.Group, a.Schema, s.id); err != nil {
		return refused("Schema", err, tlcp.CodeBadGroupForSchema)
	}
	if code = sub.checkLists(); code != 0 {
		return code, tlcp.RequestText(code)
	}
	if no := sub.pay(); no != nil {
		s.overLimit(SubscriptionRefused, no)
		return no.code, no.text
	}
	if sub.data, err = md.ItemData(s.ctx, sub.items); err != nil {
		return refused("ItemData", err, tlcp.CodeBadGroup)
	}
	if sub.user, err = md.UserItemData(s.ctx, s.user, sub.items); err != nil {
		return refused("UserItemData", err, tlcp.CodeBadGroup)
	}
	if code := sub.checkItems(); code != 0 {
		return code, tlcp.RequestText(code)
	}
	sub.table = provider.Table{
		WinIndex: sub.id, Mode: sub.mode, Group: a.Group, DataAdapter: a.DataAdapter, Schema: a.Schema,
		Min: 1, Max: len(sub.items), Selector: textOf(a.Selector), Items: sub.items,
	}
	if s.tables {
		if sub.grant, err = md.NotifyNewTables(s.ctx, s.user, s.id, []provider.Table{sub.table}); err != nil {
			return refused("NotifyNewTables", err, tlcp.CodeBadGroup)
		}
	}
	return 0, ""
}

func textOf(s *string) provider.Text { return text(s) }

func (sub *subscription) checkLists() (code int) {
	switch {
	case len(sub.items) == 0:
		return tlcp.CodeBadGroup
	case len(sub.schema) == 0:
		return tlcp.CodeBadSchema
	case sub.mode != provider.Command:
		return 0
	}
	sub.keyAt = slices.Index(sub.schema, item.KeyField)
	sub.commandAt = slices.Index(sub.schema, item.CommandField)
	switch {
	case sub.keyAt < 0:
		return tlcp.CodeKeyMissing
	case sub.commandAt < 0:
		return tlcp.CodeCommandMissing
	}
	return 0
}

func (sub *subscription) checkItems() (code int) {
	if len(sub.data) != len(sub.items) || len(sub.user) != len(sub.items) {
		return tlcp.CodeMetadataException // an adapter that answers about other items than asked
	}
	for i := range sub.items {
		if !sub.data[i].Modes.Has(sub.mode) || !sub.user[i].Modes.Has(sub.mode) {
			return tlcp.CodeModeRefused
		}
		if sub.add.MaxFrequency.Unfiltered && sub.mode != provider.Raw && sub.user[i].MaxFrequency > 0 {
			return tlcp.CodeUnfilteredLimited
		}
	}
	return 0
}

func (sub *subscription) makeQueues() {
	sub.queues = make([]*itemQueue, len(sub.items))
	for i := range sub.items {
		q := &itemQueue{sub: sub, pos: i + 1, buffer: sub.buffer(i)}
		q.park.queue = q
		sub.queues[i] = q
	}
	sub.intervals = make([]time.Duration, len(sub.items))
	sub.setIntervals()
}

// buffer is how many live updates of an item may wait.
func (sub *subscription) buffer(i int) int {
	cfg := &sub.s.m.cfg
	if !sub.filtered() {
		return cfg.MaxUnfiltered
	}
	n := cfg.MaxBuffer
	switch req := sub.add.BufferSize; {
	case req > 0:
		n = min(n, req)
	case req == 0 && sub.mode == provider.Merge:
		n = 1
	}
	if limit := sub.user[i].BufferSize; limit > 0 {
		n = min(n, limit)
	}
	return n
}

// frequencyOf is the limit for an item: the lower one of what was requested and what the user is allowed.
func (sub *subscription) frequencyOf(i int) float64 {
	if !sub.filtered() {
		return 0
	}
	limit := max(sub.user[i].MaxFrequency, 0)
	if limit == 0 || sub.frequency > 0 && sub.frequency < limit {
		limit = sub.frequency
	}
	return atLeast(limit, minFrequency)
}

func (sub *subscription) setIntervals() {
	for i := range sub.intervals {
		sub.intervals[i] = intervalOf(sub.frequencyOf(i))
	}
}

// conf is the CONF line: the highest frequency among the items.
func (sub *subscription) conf() []byte {
	f := tlcp.Frequency{Unfiltered: sub.add.MaxFrequency.Unfiltered}
	for i := range sub.items {
		limit := sub.frequencyOf(i)
		if limit == 0 {
			f.Limit = 0
			break
		}
		f.Limit = max(f.Limit, limit)
	}
	return tlcp.AppendCONF(nil, sub.id, f)
}

// attach takes the items. Events queue from now on, but nothing is sent before start.
func (sub *subscription) attach(source *item.Source) (code int, text string) {
	for i, name := range sub.items {
		hold, err := source.Attach(name, item.Options{
			Mode: sub.mode, Allowed: sub.data[i].Modes, Schema: sub.schema,
			Snapshot: sub.add.Snapshot.Requested && sub.mode != provider.Raw,
			Length:   sub.add.Snapshot.Length, History: sub.data[i].DistinctSnapshotLength,
			Owner: sub.s.id,
		}, sub.queues[i])
		if err != nil {
			sub.s.m.logged("session: subscription refused", "session", sub.s.label(), "error", errorText(err))
			if errors.Is(err, item.ErrMemory) {
				return sub.s.refuseSubscription("Memory", "The server is short of memory; try again later, or ask for less")
			}
			return tlcp.CodeModeRefused, tlcp.RequestText(tlcp.CodeModeRefused)
		}
		sub.queues[i].hold = hold
		sub.s.mu.Lock()
		refused := sub.refused
		sub.s.mu.Unlock()
		if refused {
			return tlcp.CodeInternal, fmt.Sprintf("The rows of %d items take more than the %d bytes that a session may hold; ask for fewer items", i+1, sub.s.m.cfg.SessionMemory)
		}
	}
	return 0, ""
}

// start makes the subscription one of the session's and begins its flow; false if the session has ended meanwhile.
func (sub *subscription) start() bool {
	s := sub.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		sub.close()
		return false
	}
	s.enlist(sub)
	var ok []byte
	if sub.mode == provider.Command {
		ok = tlcp.AppendSUBCMD(nil, sub.id, len(sub.items), len(sub.schema), sub.keyAt+1, sub.commandAt+1)
	} else {
		ok = tlcp.AppendSUBOK(nil, sub.id, len(sub.items), len(sub.schema))
	}
	s.tell(ok)
	s.tell(sub.conf())
	sub.held = false
	for _, q := range sub.queues {
		q.schedule()
	}
	return true
}

// unsubscribe does LS_op=delete, in the session's worker.
func (s *Session) unsubscribe(id int) (code int) {
	s.mu.Lock()
	sub := s.subs[id]
	s.mu.Unlock()
	if sub == nil {
		return tlcp.CodeSubscriptionUnknown
	}
	s.remove(sub)
	return 0
}

// remove ends a subscription, in the session's worker.
func (s *Session) remove(sub *subscription) {
	s.mu.Lock()
	if s.subs[sub.id] != sub {
		s.mu.Unlock()
		return
	}
	s.drop(sub)
	sub.close()
	s.tell(tlcp.AppendUNSUB(nil, sub.id))
	s.mu.Unlock()
	sub.leave()
}

// close stops the flow. It is called once, with the session's lock held.
func (sub *subscription) close() {
	sub.closed = true
	for _, q := range sub.queues {
		q.empty()
	}
	sub.s.show()
	sub.s.charge(sub.s.loose)
}

// leave gives the items back and tells the Metadata Adapter. The subscription gets no events before start or after close, so
// nothing of it is left when this returns.
func (sub *subscription) leave() {
	s := sub.s
	s.mu.Lock()
	if !sub.closed {
		sub.close()
	}
	s.mu.Unlock()
	for _, q := range sub.queues {
		if q.hold != nil {
			q.hold.Detach()
		}
	}
	sub.refund()
	if !s.tables {
		return
	}
	if sub.grant.FinalStats {
		s.mu.Lock()
		sub.table.Stats = make([]provider.TableStats, len(sub.queues))
		for i, q := range sub.queues {
			sub.table.Stats[i] = q.stats
		}
		s.mu.Unlock()
	}
	s.set.Metadata.NotifyTablesClose(s.id, []provider.Table{sub.table})
}

// reconfigure does LS_op=reconf, in the session's worker.
func (s *Session) reconfigure(r *tlcp.Reconf) (code int, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := s.subs[r.SubID]
	switch {
	case sub == nil:
		code = tlcp.CodeSubscriptionUnknown
	case sub.add.MaxFrequency.Unfiltered:
		code = tlcp.CodeReconfUnfiltered
	case s.crowded():
		return tlcp.CodeInternal, "Too many notifications waiting in the session"
	}
	if code != 0 {
		return code, tlcp.RequestText(code)
	}
	if r.MaxFrequency != nil {
		sub.frequency = r.MaxFrequency.Limit
	}
	sub.setIntervals()
	now := time.Now()
	for i, q := range sub.queues {
		q.retime(now, sub.intervals[i])
	}
	s.tell(sub.conf())
	return 0, ""
}

// retime lets what is held back go by the new interval.
func (q *itemQueue) retime(now time.Time, interval time.Duration) {
	if t := now.Add(interval); q.turn.After(t) {
		q.turn = t
	}
	q.sub.s.parking.remove(&q.park)
	for _, k := range q.keys {
		if t := now.Add(interval); k.turn.After(t) {
			k.turn = t
		}
		k.unpark()
	}
	q.schedule()
}
