package feed

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestMarketItems(t *testing.T) {
	m := NewMarket(1, time.Now())
	items := m.Items()
	if len(items) != 30 || items[0] != "item1" || items[29] != "item30" {
		t.Fatalf("items are %v, want item1 … item30", items)
	}
	names := make(map[string]bool)
	for _, item := range items {
		if !m.Has(item) {
			t.Errorf("Has(%q) is false", item)
		}
		for quote := range m.Watch(t.Context(), item) {
			names[quote.Name] = true
			break
		}
	}
	if len(names) != 30 {
		t.Errorf("%d different names, want 30", len(names))
	}
	for _, item := range []string{"", "item0", "item31", "item01", "ITEM1", "item1 "} {
		if m.Has(item) {
			t.Errorf("Has(%q) is true", item)
		}
		for range m.Watch(t.Context(), item) {
			t.Errorf("Watch(%q) gives a quote", item)
		}
	}
}

// TestMarketIsConsistent runs a trading hour and checks every quote of every stock.
func TestMarketIsConsistent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		m := NewMarket(42, time.Now())
		var wg sync.WaitGroup
		var mu sync.Mutex
		changes, halts := make(map[string]int), 0
		for _, item := range m.Items() {
			wg.Go(func() {
				var before Quote
				for q := range m.Watch(ctx, item) {
					if err := check(before, q); err != nil {
						t.Errorf("%s: %v: %+v", item, err, q)
						cancel()
						return
					}
					mu.Lock()
					changes[item]++
					if !q.Active {
						halts++
					}
					mu.Unlock()
					before = q
				}
			})
		}
		wg.Go(func() { m.Run(ctx) })
		wg.Wait()

		if n := changes["item24"]; n < 8_000 {
			t.Errorf("a fast stock changed %d times in an hour, want several times a second", n)
		}
		if n := changes["item30"]; n < 200 || n > 900 {
			t.Errorf("a slow stock changed %d times in an hour, want once in several seconds", n)
		}
		if halts < 30 || halts > 400 {
			t.Errorf("%d halts in an hour of 30 stocks, want about six each", halts)
		}
	})
}

func check(before, q Quote) error {
	switch {
	case q.Min > q.Last || q.Last > q.Max:
		return fmt.Errorf("last price outside of min and max")
	case q.Bid >= q.Ask || q.Bid > q.Last || q.Ask < q.Last:
		return fmt.Errorf("bid and ask do not enclose the last price")
	case q.Bid <= 0 || q.BidQuantity <= 0 || q.AskQuantity <= 0:
		return fmt.Errorf("something is not positive")
	case q.Open < q.Min || q.Open > q.Max:
		return fmt.Errorf("open price outside of min and max")
	case q.Time.After(time.Now()):
		return fmt.Errorf("from the future")
	}
	if before.Name == "" {
		return nil
	}
	switch {
	case before.Name != q.Name || before.Ref != q.Ref || before.Open != q.Open:
		return fmt.Errorf("name, reference or open price changed")
	case q.Min > before.Min || q.Max < before.Max:
		return fmt.Errorf("min rose or max fell")
	case !q.Active && q.Last != before.Last:
		return fmt.Errorf("a halted stock moved")
	case !q.Time.After(before.Time):
		return fmt.Errorf("no new time")
	}
	return nil
}

func TestMarketIsRepeatable(t *testing.T) {
	run := func(seed uint64) (tape []string) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			m := NewMarket(seed, time.Now())
			go m.Run(ctx)
			for q := range m.Watch(ctx, "item1") {
				values := q.Values()
				tape = append(tape, strings.Join(values[:], " "))
			}
		})
		return tape
	}
	first := run(7)
	if len(first) < 60 {
		t.Fatalf("%d quotes of item1 in a minute, want several a second", len(first))
	}
	if !slices.Equal(first, run(7)) {
		t.Error("the same seed gives other prices")
	}
	if slices.Equal(first, run(8)) {
		t.Error("another seed gives the same prices")
	}
}

// TestSlowWatcher shows that a watcher that sleeps neither stops the market nor is sent what is out of date.
func TestSlowWatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		m := NewMarket(3, time.Now())
		go m.Run(ctx)
		n := 0
		for q := range m.Watch(ctx, "item1") {
			if age := time.Since(q.Time); age > haltAtMost {
				t.Fatalf("quote is %v old", age)
			}
			n++
			<-time.After(time.Minute)
		}
		if n < 9 {
			t.Errorf("%d quotes, want one a minute", n)
		}
	})
}

func TestQuoteValues(t *testing.T) {
	q := Quote{
		Name: "Some & Co", Last: 304, Bid: 303, Ask: 306, Min: 290, Max: 1310, Ref: 308, Open: 300,
		BidQuantity: 500, AskQuantity: 12000, Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Active: true,
	}
	values := q.Values()
	want := "Some & Co|3.04|03:04:05|-1.30|500|3.03|3.06|12000|2.90|13.10|3.08|3.00|active"
	if got := strings.Join(values[:], "|"); got != want {
		t.Errorf("values are\n%s, want\n%s", got, want)
	}
	q.Active = false
	if got := q.Values()[12]; got != "inactive" {
		t.Errorf("status of a halted stock is %q", got)
	}
	contract := "stock_name last_price time pct_change bid_quantity bid ask ask_quantity min max ref_price open_price item_status"
	if got := strings.Join(QuoteFields[:], " "); got != contract {
		t.Errorf("fields are\n%s, want\n%s", got, contract)
	}
}

func TestPercentChange(t *testing.T) {
	for _, test := range []struct {
		last, ref Cents
		want      string
	}{
		{100, 100, "0.00"},
		{100_000, 100_001, "0.00"}, // not -0.00
		{101, 100, "1.00"},
		{99, 100, "-1.00"},
		{10_005, 10_000, "0.05"},
		{9_995, 10_000, "-0.05"},
		{200, 100, "100.00"},
		{5, 0, "0.00"},
	} {
		if got := (Quote{Last: test.last, Ref: test.ref}).PercentChange(); got != test.want {
			t.Errorf("%v against %v is %s, want %s", test.last, test.ref, got, test.want)
		}
	}
}

func TestCents(t *testing.T) {
	for amount, want := range map[Cents]string{0: "0.00", 5: "0.05", 99: "0.99", 100: "1.00", -1: "-0.01", -250: "-2.50", 2_845_000: "28450.00"} {
		if got := amount.String(); got != want {
			t.Errorf("%d cents are %s, want %s", int64(amount), got, want)
		}
		if _, err := strconv.ParseFloat(amount.String(), 64); err != nil {
			t.Error(err)
		}
	}
}
