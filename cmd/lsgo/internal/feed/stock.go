package feed

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"time"
)

// QuoteFields are the names of a quote's fields, in the order of [Quote.Values].
var QuoteFields = [...]string{
	"stock_name", "last_price", "time", "pct_change", "bid_quantity", "bid", "ask",
	"ask_quantity", "min", "max", "ref_price", "open_price", "item_status",
}

// Cents is an amount of money in hundredths. Prices are whole cents, so that comparing and formatting them is exact.
type Cents int64

// String returns the amount with two decimals: "3.04".
func (c Cents) String() string {
	sign := ""
	if c < 0 {
		sign, c = "-", -c
	}
	return fmt.Sprintf("%s%d.%02d", sign, c/100, c%100)
}

// Quote is what is known of a stock at one moment. These hold always: Min <= Last <= Max, Bid < Ask, Bid <= Last <= Ask.
type Quote struct {
	Name                     string
	Last, Bid, Ask           Cents
	Min, Max                 Cents // of the day
	Ref, Open                Cents // the previous closing price and the first price of the day
	BidQuantity, AskQuantity int
	Time                     time.Time // of the last change
	Active                   bool      // false while trading is halted
}

// PercentChange returns the change of the last price against the reference price, in percent with two decimals.
func (q Quote) PercentChange() string {
	if q.Ref == 0 {
		return "0.00"
	}
	return Cents(math.Round(float64(q.Last-q.Ref) * 10_000 / float64(q.Ref))).String()
}

// Values returns the values of [QuoteFields], in that order.
func (q Quote) Values() [len(QuoteFields)]string {
	status := "inactive"
	if q.Active {
		status = "active"
	}
	return [...]string{
		q.Name, q.Last.String(), q.Time.Format(time.TimeOnly), q.PercentChange(),
		strconv.Itoa(q.BidQuantity), q.Bid.String(), q.Ask.String(), strconv.Itoa(q.AskQuantity),
		q.Min.String(), q.Max.String(), q.Ref.String(), q.Open.String(), status,
	}
}

// A stock moves at its own pace: the mean time between two changes.
type stock struct {
	quote      Quote
	rng        *rand.Rand
	pace       time.Duration
	volatility float64 // typical change of one step, relative to the price
	due        time.Time
	changed    bell
}

const (
	haltEvery  = 10 * time.Minute // a stock is halted about this often
	haltAtMost = 12 * time.Second
)

func newStock(company company, rng *rand.Rand, now time.Time) *stock {
	s := &stock{rng: rng, pace: company.pace, volatility: 0.0018}
	ref := Cents(float64(company.price) * (0.95 + 0.1*rng.Float64()))
	open := ref + Cents(float64(ref)*0.01*rng.NormFloat64())
	s.quote = Quote{
		Name: company.name, Ref: ref, Open: open, Last: open, Min: open, Max: open,
		Time: now, Active: true,
	}
	// A morning of trades, so that nobody sees a market in which nothing has happened yet.
	for range 60 {
		s.trade()
	}
	s.due = now.Add(time.Duration(rng.Float64() * float64(s.pace)))
	return s
}

// step makes the change that is due and decides when the next one is.
func (s *stock) step(now time.Time) {
	s.quote.Time = now
	switch {
	case !s.quote.Active:
		s.quote.Active = true
	case s.rng.Float64() < float64(s.pace)/float64(haltEvery):
		s.quote.Active = false
		s.due = now.Add(haltAtMost/4 + time.Duration(s.rng.Int64N(int64(haltAtMost*3/4))))
		return
	default:
		s.trade()
	}
	s.due = now.Add(time.Duration((0.4 + 1.2*s.rng.Float64()) * float64(s.pace)))
}

// trade moves the price and what is offered around it; one time in four only the offers.
func (s *stock) trade() {
	q := &s.quote
	if s.rng.IntN(4) > 0 {
		// The pull towards the reference price keeps a demo that runs for weeks believable; the limits are those of a
		// market that stops extreme moves.
		pull := 0.003 * float64(q.Ref-q.Last)
		last := q.Last + Cents(math.Round(float64(q.Last)*s.volatility*s.rng.NormFloat64()+pull))
		q.Last = min(max(last, q.Ref*7/10), q.Ref*13/10)
		q.Min, q.Max = min(q.Min, q.Last), max(q.Max, q.Last)
	}
	halfSpread := 1 + int64(float64(q.Last)*0.0006)
	q.Bid = q.Last - Cents(1+s.rng.Int64N(halfSpread))
	q.Ask = q.Last + Cents(1+s.rng.Int64N(halfSpread))
	q.BidQuantity = 500 * (1 + s.rng.IntN(160))
	q.AskQuantity = 500 * (1 + s.rng.IntN(160))
}
