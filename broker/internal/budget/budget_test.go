package budget_test

import (
	"sync"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/budget"
)

func TestPartsCountForTheWhole(t *testing.T) {
	whole := budget.New(100)
	a, b := whole.Part(60), whole.Part(60)
	if !a.Take(50) || !b.Take(50) {
		t.Fatal("refused within the limits")
	}
	if a.Take(1) {
		t.Error("the whole was used up, and a part got more")
	}
	if a.Used() != 50 || b.Used() != 50 || whole.Used() != 100 {
		t.Errorf("a refusal has changed what is used: %d, %d, %d", a.Used(), b.Used(), whole.Used())
	}
	if a.Refused() != 0 || whole.Refused() != 1 {
		t.Errorf("refused by the part %d times, by the whole %d times; want 0, 1", a.Refused(), whole.Refused())
	}
	b.Add(-50)
	if a.Take(11) || !a.Take(10) {
		t.Error("a part has another limit than its own")
	}
	a.Add(500)
	if !a.Over(1) || !whole.Over(1) || !b.Over(1) || b.Used() != 0 {
		t.Error("what exists is not counted beyond the limit")
	}
}

func TestWithoutALimit(t *testing.T) {
	b := budget.New(0)
	if !b.Take(1<<40) || b.Used() != 1<<40 || b.Over(0) {
		t.Error("a budget without a limit refuses, or does not count")
	}
	var none *budget.Budget
	none.Add(1)
	if !none.Take(1) || none.Used() != 0 || none.Over(0) {
		t.Error("no budget is not like one without a limit")
	}
}

// However many take and give at a time, the limit holds and nothing is left in the end.
func TestTakenAtOnce(t *testing.T) {
	const limit, takers = 1000, 8
	whole := budget.New(limit)
	var wg sync.WaitGroup
	for range takers {
		part := whole.Part(limit / 2)
		wg.Go(func() {
			for n := range int64(2000) {
				if part.Take(n % 300) {
					if part.Used() > limit/2 {
						t.Error("a part holds more than its limit")
					}
					part.Add(-(n % 300))
				}
			}
		})
	}
	wg.Wait()
	if whole.Used() != 0 {
		t.Errorf("%d bytes are left", whole.Used())
	}
}
