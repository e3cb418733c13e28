package item

import "github.com/lightstreamer-go/lightstreamer/broker/internal/provider"

// raw passes the events on as they are. The mode has no snapshot, so the source's is left out.
type raw struct{ base }

func (r *raw) update(u provider.Update) {
	if u.Snapshot && !r.complete {
		return
	}
	r.complete = true
	if len(r.subs) > 0 {
		r.live(r.it.fresh(u))
	}
}

func (r *raw) endOfSnapshot() { r.complete = true }

func (r *raw) clear() { r.complete = true }

func (r *raw) lost(bool) { r.live(lostEvent) }

func (r *raw) attach(*subscriber, Options) {}
