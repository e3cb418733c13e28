package feed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
)

func TestPortfolioOrders(t *testing.T) {
	type order struct {
		sell     bool
		key      string
		quantity int
		err      error
	}
	for _, test := range []struct {
		name   string
		orders []order
		want   []Change
	}{
		{name: "nothing", want: []Change{{"item2", 100, true}}},
		{name: "buy more", orders: []order{{key: "item2", quantity: 5}}, want: []Change{{"item2", 105, true}}},
		{name: "buy new", orders: []order{{key: "item10", quantity: 5}}, want: []Change{{"item2", 100, true}, {"item10", 5, true}}},
		{name: "sell some", orders: []order{{sell: true, key: "item2", quantity: 99}}, want: []Change{{"item2", 1, true}}},
		{name: "sell all", orders: []order{{sell: true, key: "item2", quantity: 100}}},
		{name: "sell more than all", orders: []order{{sell: true, key: "item2", quantity: 101}}},
		{name: "sell what is not held", orders: []order{{sell: true, key: "item3", quantity: 1, err: ErrNotHeld}}, want: []Change{{"item2", 100, true}}},
		{name: "sell twice", orders: []order{{sell: true, key: "item2", quantity: 100}, {sell: true, key: "item2", quantity: 1, err: ErrNotHeld}}},
		{name: "buy nothing", orders: []order{{key: "item2", err: ErrQuantity}}, want: []Change{{"item2", 100, true}}},
		{name: "buy less than nothing", orders: []order{{key: "item2", quantity: -1, err: ErrQuantity}}, want: []Change{{"item2", 100, true}}},
		{name: "sell less than nothing", orders: []order{{sell: true, key: "item2", quantity: -1, err: ErrQuantity}}, want: []Change{{"item2", 100, true}}},
		{name: "buy too many", orders: []order{{key: "item2", quantity: MaxQuantity + 1, err: ErrQuantity}}, want: []Change{{"item2", 100, true}}},
		{name: "hold too many", orders: []order{{key: "item2", quantity: MaxQuantity, err: ErrPosition}}, want: []Change{{"item2", 100, true}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := NewPortfolio(map[string]int{"item2": 100})
			for _, o := range test.orders {
				act := p.Buy
				if o.sell {
					act = p.Sell
				}
				if err := act(o.key, o.quantity); !errors.Is(err, o.err) {
					t.Fatalf("%+v gives %v", o, err)
				}
			}
			if got, _ := p.Watch(t.Context()); !slices.Equal(got, test.want) {
				t.Errorf("positions are %v, want %v", got, test.want)
			}
		})
	}
}

func TestPortfolioChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var p Portfolio // the zero value is an empty portfolio
		positions, changes := p.Watch(ctx)
		if len(positions) != 0 {
			t.Errorf("positions of an empty portfolio are %v", positions)
		}
		var got []Change
		done := make(chan struct{})
		go func() {
			defer close(done)
			for change := range changes {
				got = append(got, change)
			}
		}()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}
		must(p.Buy("item3", 100))
		must(p.Buy("item3", 50))
		must(p.Sell("item3", 20))
		must(p.Sell("item3", 500))
		must(p.Buy("item3", 1))
		cancel()
		<-done
		want := []Change{{"item3", 100, true}, {"item3", 150, false}, {"item3", 130, false}, {"item3", 0, false}, {"item3", 1, true}}
		if !slices.Equal(got, want) {
			t.Errorf("changes are %v, want %v", got, want)
		}
	})
}

// TestPortfolioReaderBehind shows that a reader that missed steps still ends with the right positions.
func TestPortfolioReaderBehind(t *testing.T) {
	p := NewPortfolio(map[string]int{"item1": 10, "item2": 20, "item3": 30})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, changes := p.Watch(ctx)
	for i := range 1000 {
		if err := p.Buy(fmt.Sprintf("item%d", 4+i%3), 1); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{p.Sell("item1", 10), p.Sell("item2", 5), p.Sell("item5", 1000)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	var got []Change
	for change := range changes {
		if got = append(got, change); len(got) == 4 {
			cancel()
		}
	}
	want := []Change{{"item1", 0, false}, {"item2", 15, false}, {"item4", 334, true}, {"item6", 333, true}}
	if !slices.Equal(got, want) {
		t.Errorf("changes are %v, want %v", got, want)
	}
}
