package demo

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/cmd/lsgo/internal/feed"
)

// Names of the Data Adapters, as in adapters.xml.
const (
	quoteAdapter     = "QUOTE_ADAPTER"
	chatAdapter      = "CHAT_ROOM"
	portfolioAdapter = "PORTFOLIO_ADAPTER"
)

// streams counts the goroutines that feed subscriptions. Each ends with the context of its subscription.
type streams struct{ sync.WaitGroup }

var (
	quoteSchema = adapter.NewSchema(feed.QuoteFields[:]...)
	chatSchema  = adapter.NewSchema(feed.ChatFields[:]...)
	heldSchema  = adapter.NewSchema("qty")
)

// quotes is the Data Adapter of the stock list. MERGE: the snapshot has all fields, an update those that have changed.
type quotes struct {
	market  *feed.Market
	streams *streams
}

func (q *quotes) Subscribe(_ context.Context, sub *adapter.Subscription) error {
	if !q.market.Has(sub.Item()) {
		return noSuchItem(sub)
	}
	if err := sub.SnapshotFollows(); err != nil {
		return err
	}
	q.streams.Go(func() { q.stream(sub) })
	return nil
}

func (q *quotes) stream(sub *adapter.Subscription) {
	first := true
	var before [len(feed.QuoteFields)]string
	for quote := range q.market.Watch(sub.Context(), sub.Item()) {
		values := quote.Values()
		var err error
		if first {
			err = sub.Row(quoteSchema).Snapshot(values[:]...)
		} else if fields := changed(before, values); len(fields) > 0 {
			err = sub.Update(fields)
		}
		if err != nil {
			return // the subscription has ended
		}
		before, first = values, false
	}
}

func changed(before, after [len(feed.QuoteFields)]string) adapter.Fields {
	fields := make(adapter.Fields, 4)
	for i, name := range feed.QuoteFields {
		if after[i] != before[i] {
			fields[name] = after[i]
		}
	}
	return fields
}

// chat is the Data Adapter of the chat room. DISTINCT: every message is an event; the last ones are the snapshot.
type chat struct {
	room    *feed.Chat
	streams *streams
}

func (c *chat) Subscribe(_ context.Context, sub *adapter.Subscription) error {
	if sub.Item() != feed.ChatItem {
		return noSuchItem(sub)
	}
	if err := sub.SnapshotFollows(); err != nil {
		return err
	}
	c.streams.Go(func() { c.stream(sub) })
	return nil
}

func (c *chat) stream(sub *adapter.Subscription) {
	row := sub.Row(chatSchema)
	history, news := c.room.Enter(sub.Context())
	for _, message := range history {
		values := message.Values()
		if row.Snapshot(values[:]...) != nil {
			return // the subscription has ended
		}
	}
	if sub.EndOfSnapshot() != nil {
		return
	}
	for message := range news {
		values := message.Values()
		if row.Update(values[:]...) != nil {
			return
		}
	}
}

// portfolio is the Data Adapter of the portfolio. COMMAND: one row for each stock held.
type portfolio struct {
	positions *feed.Portfolio
	streams   *streams
}

func (p *portfolio) Subscribe(_ context.Context, sub *adapter.Subscription) error {
	if sub.Item() != feed.PortfolioItem {
		return noSuchItem(sub)
	}
	if err := sub.SnapshotFollows(); err != nil {
		return err
	}
	p.streams.Go(func() { p.stream(sub) })
	return nil
}

func (p *portfolio) stream(sub *adapter.Subscription) {
	row := sub.Row(heldSchema)
	positions, changes := p.positions.Watch(sub.Context())
	for _, held := range positions {
		if row.Add(held.Key, strconv.Itoa(held.Quantity)) != nil {
			return // the subscription has ended
		}
	}
	if sub.EndOfSnapshot() != nil {
		return
	}
	for change := range changes {
		var err error
		switch {
		case change.Quantity == 0:
			err = sub.Delete(change.Key)
		case change.New:
			err = row.Add(change.Key, strconv.Itoa(change.Quantity))
		default:
			err = row.Modify(change.Key, strconv.Itoa(change.Quantity))
		}
		if err != nil {
			return
		}
	}
}

func noSuchItem(sub *adapter.Subscription) error {
	return &adapter.SubscribeError{Message: fmt.Sprintf("there is no item %q", sub.Item())}
}
