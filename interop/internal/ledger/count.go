package ledger

// Count is what came of the updates of an item, or of several items and clients together.
type Count struct {
	Clients   int   `json:"clients"`
	Received  int64 `json:"received"`
	Overflows int64 `json:"overflows"` // updates that the server said it had dropped
	Clears    int64 `json:"clears"`

	// Lost updates, by what told the client: an overflow, a clear snapshot, a new session, or
	// nothing. In MERGE and COMMAND there are none: what was left out is no loss there.
	Lost       int64 `json:"lost"`
	ByOverflow int64 `json:"byOverflow"`
	ByClear    int64 `json:"byClear"`
	BySession  int64 `json:"bySession"`
	Untold     int64 `json:"untold"`
	// MostUntold is the highest Untold of a client.
	MostUntold int64 `json:"mostUntold"`

	Doubled   int64 `json:"doubled"`
	Reordered int64 `json:"reordered"`
	Torn      int64 `json:"torn"`
	// Wrong counts the clients whose state at the end is not that of the adapter, without a word.
	Wrong int64 `json:"wrong"`
}

func (c *Count) lose(n int64, t told) {
	c.Lost += n
	switch t {
	case byOverflow:
		c.ByOverflow += n
	case byClear:
		c.ByClear += n
	case bySession:
		c.BySession += n
	default:
		c.Untold += n
	}
}

// Add adds the count of another client or item.
func (c *Count) Add(o Count) {
	c.Clients += o.Clients
	c.Received += o.Received
	c.Overflows += o.Overflows
	c.Clears += o.Clears
	c.Lost += o.Lost
	c.ByOverflow += o.ByOverflow
	c.ByClear += o.ByClear
	c.BySession += o.BySession
	c.Untold += o.Untold
	c.MostUntold = max(c.MostUntold, o.MostUntold)
	c.Doubled += o.Doubled
	c.Reordered += o.Reordered
	c.Torn += o.Torn
	c.Wrong += o.Wrong
}

// Count returns what came of the item, given the last numbers of all lives and, in COMMAND mode,
// the rows at the end.
func (l *Ledger) Count(finals Finals, rows map[string]Number) Count {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.count
	c.Clients = 1
	if l.mode.every() {
		for _, b := range l.borders {
			c.lose(finals.between(b.from, b.to), b.told)
		}
		if l.last != (Number{}) {
			c.lose(max(0, finals.between(l.last, Number{Life: finals.last() + 1, N: 1})), l.told)
		} else if finals.life() != 0 && l.told == untold {
			c.Wrong++ // it has never got anything
		}
	} else if !l.atEnd(finals, rows) || l.torn {
		c.Wrong++
	}
	c.MostUntold = c.Untold
	return c
}

// last is the last life, whether it has had updates or not.
func (f Finals) last() (life int64) {
	for l := range f {
		life = max(life, l)
	}
	return life
}
