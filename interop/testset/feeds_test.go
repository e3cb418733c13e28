package testset

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/adapter/adaptertest"
)

// inBubble runs one Data Adapter of a new Set against a scripted proxy, in virtual time.
func inBubble(t *testing.T, name string, test func(t *testing.T, set *Set, p *adaptertest.Proxy)) {
	synctest.Test(t, func(t *testing.T) {
		set := New()
		p := adaptertest.NewProxy(t)
		p.Modes = map[string]adapter.Mode{
			CountItem: adapter.Merge, MultTableItem: adapter.Command, EndOfSnapshotItem: adapter.Command, OverflowItem: adapter.Merge,
		}
		p.Run(&adapter.DataServer{Provider: set.Adapters().Data[name]})
		test(t, set, p)
	})
}

func TestConformance(t *testing.T) {
	set := New()
	if err := set.names.ask("any", []string{"value1"}); err != nil {
		t.Fatal(err)
	}
	item := map[string]adaptertest.ItemSpec{
		Count:           {Name: CountItem, Mode: adapter.Merge, Snapshot: true, Live: true},
		JSONCount:       {Name: CountItem, Mode: adapter.Merge, Snapshot: true, Live: true},
		DiffCount:       {Name: CountItem, Mode: adapter.Merge, Snapshot: true, Live: true},
		MultTable:       {Name: MultTableItem, Mode: adapter.Command, Snapshot: true, Live: true},
		TwoLevelCommand: {Name: TwoLevelPrefix + "7", Mode: adapter.Command, Snapshot: true},
		StrangeNames:    {Name: "any", Mode: adapter.Merge, Snapshot: true, Live: true},
		ClearSnapshot:   {Name: ClearSnapshotItem, Mode: adapter.Command, Snapshot: true, Live: true},
		EndOfSnapshot:   {Name: EndOfSnapshotItem, Mode: adapter.Command, Snapshot: true, Live: true},
		Overflow:        {Name: OverflowItem, Mode: adapter.Merge, Snapshot: true, Live: true},
	}
	for name, provider := range set.Adapters().Data {
		t.Run(name, func(t *testing.T) {
			unknown := "nothing"
			if name == StrangeNames {
				unknown = ""
			}
			adaptertest.Conformance(t, provider, adaptertest.Options{Items: []adaptertest.ItemSpec{item[name]}, Unknown: unknown, Virtual: true})
			adaptertest.Audit(t, provider)
		})
	}
	set.Wait()
}

func TestCountGrowsByOne(t *testing.T) {
	inBubble(t, Count, func(t *testing.T, _ *Set, p *adaptertest.Proxy) {
		count := p.Subscribe(CountItem)
		begin := time.Now()
		count.Expect(adaptertest.Snapshot(CountField, "0").Only())
		for n := 1; n <= 50; n++ {
			count.Expect(adaptertest.Update(CountField, n).Only())
		}
		if took := time.Since(begin); took != 50*CountInterval {
			t.Errorf("50 values took %v", took)
		}
		// Whoever comes later gets the present value, and it goes on from there: over a new connection too.
		count.Unsubscribe()
		count.Expect(adaptertest.Unsubscribed()).ExpectNothing(time.Minute)
		count = p.Subscribe(CountItem)
		count.Expect(adaptertest.Snapshot(CountField, "50"), adaptertest.Update(CountField, "51"))
		p.Cut(io.ErrUnexpectedEOF)
		p.AcceptAgain(time.Minute)
		p.Subscribe(CountItem).Expect(adaptertest.Snapshot(CountField, "51"), adaptertest.Update(CountField, "52"))
	})
}

func TestCountsWithDifferences(t *testing.T) {
	for name, algorithm := range map[string]adapter.DiffAlgorithm{JSONCount: adapter.JSONPatch, DiffCount: adapter.DiffMatchPatch} {
		inBubble(t, name, func(_ *testing.T, set *Set, p *adaptertest.Proxy) {
			value := set.data[name].(*counts).value
			p.Subscribe(CountItem).Expect(
				adaptertest.DiffOrder(adapter.FieldDiffOrder{CountField: {algorithm}}),
				adaptertest.Snapshot(CountField, value(0)), adaptertest.Update(CountField, value(1)), adaptertest.Update(CountField, value(2)))
		})
	}
	var object struct{ Value int64 }
	if err := json.Unmarshal([]byte(jsonValue(17)), &object); err != nil || object.Value != 17 {
		t.Errorf("%s holds %d, %v", jsonValue(17), object.Value, err)
	}
	if len(jsonValue(0)) < 50 {
		t.Error("too short to be sent as a difference by servers that want 50 characters")
	}
	if !strings.Contains(sentence(17), "value=17,") {
		t.Error(sentence(17))
	}
}

// TestMultTable follows the rows for a while: the table stays right, and all three commands occur.
func TestMultTable(t *testing.T) {
	inBubble(t, MultTable, func(t *testing.T, _ *Set, p *adaptertest.Proxy) {
		table := p.Subscribe(MultTableItem)
		rows, seen := make(map[string]bool), make(map[string]int)
		for n := range 200 {
			event := table.Next()
			if event.Kind == adaptertest.EndOfSnapshotEvent {
				if n != tableRows {
					t.Errorf("the snapshot has %d rows", n)
				}
				continue
			}
			key, command := fmt.Sprint(event.Fields["key"]), fmt.Sprint(event.Fields["command"])
			seen[command]++
			if rows[key] == (command == "ADD") {
				t.Fatalf("%v does not follow from rows %v", event, rows)
			}
			rows[key] = command != "DELETE"
			if command == "DELETE" {
				continue
			}
			row, err1 := strconv.Atoi(key)
			value1, err2 := strconv.Atoi(fmt.Sprint(event.Fields["value1"]))
			if err1 != nil || err2 != nil || event.Fields["value2"] != strconv.Itoa(row*value1) {
				t.Fatalf("wrong row: %v", event)
			}
		}
		if seen["ADD"] < 2*tableRows || seen["UPDATE"] == 0 || seen["DELETE"] == 0 {
			t.Errorf("commands seen: %v", seen)
		}
	})
}

func TestTwoLevels(t *testing.T) {
	inBubble(t, TwoLevelCommand, func(_ *testing.T, _ *Set, p *adaptertest.Proxy) {
		for _, item := range []string{TwoLevelPrefix, TwoLevelPrefix + "2"} {
			p.Subscribe(item).Expect(adaptertest.Add("count"), adaptertest.EndOfSnapshot()).ExpectNothing(time.Hour)
		}
	})
}

func TestClearSnapshot(t *testing.T) {
	inBubble(t, ClearSnapshot, func(_ *testing.T, _ *Set, p *adaptertest.Proxy) {
		item := p.Subscribe(ClearSnapshotItem)
		item.Expect(adaptertest.Add("row1", "dummy", 1), adaptertest.EndOfSnapshot(), adaptertest.Add("row2"), adaptertest.Add("row3", "dummy", 3),
			adaptertest.ClearSnapshot(), adaptertest.Add("row1", "dummy", 5), adaptertest.Add("row2"), adaptertest.Add("row3"), adaptertest.ClearSnapshot())
	})
}

func TestEndOfSnapshot(t *testing.T) {
	inBubble(t, EndOfSnapshot, func(_ *testing.T, _ *Set, p *adaptertest.Proxy) {
		p.Subscribe(EndOfSnapshotItem).Expect(
			adaptertest.Add("row1", "value", 1), adaptertest.Add("row2", "value", 2), adaptertest.Add("row3", "value", 3), adaptertest.EndOfSnapshot(),
			adaptertest.Modify("row1", "value", 4), adaptertest.Modify("row1", "value", 5))
	})
}

func TestOverflowIsTooMuch(t *testing.T) {
	inBubble(t, Overflow, func(t *testing.T, _ *Set, p *adaptertest.Proxy) {
		item := p.Subscribe(OverflowItem)
		begin, bytes := time.Now(), 0
		for n := 1; n <= 1001; n++ {
			value := fmt.Sprint(item.Next().Fields["value"])
			if n > 1 && value == "<nil>" { // the end of the snapshot
				n--
				continue
			}
			if number, _, _ := strings.Cut(value, "."); number != strconv.Itoa(n) {
				t.Fatalf("value %d is %s", n, value)
			}
			bytes += len(value)
		}
		if kbits := float64(bytes) * 8 / 1000 / time.Since(begin).Seconds(); kbits < 5*MaxBandwidth {
			t.Errorf("%v kbit/s do not flood a session with %v", kbits, MaxBandwidth)
		}
	})
}

func TestStrangeNames(t *testing.T) {
	inBubble(t, StrangeNames, func(t *testing.T, set *Set, p *adaptertest.Proxy) {
		item, field := "strange:🌐&+=%|\r\n", "值,|\r\n%&+="
		if err := set.names.ask(item, []string{field, "x"}); err != nil {
			t.Fatal(err)
		}
		sub := p.Subscribe(item)
		sub.Expect(adaptertest.Snapshot(field, StrangeValue(item, field, 1), "x", StrangeValue(item, "x", 1)).Only())
		if err := set.names.ask(item, []string{"x", "late"}); err != nil { // another client, with other fields
			t.Fatal(err)
		}
		sub.Expect(adaptertest.Update(field, adaptertest.Any, "x", adaptertest.Any, "late", StrangeValue(item, "late", 2)).Only())
	})
}

func TestNamesAreBounded(t *testing.T) {
	var n names
	for i := range maxItems + 5 {
		if err := n.ask(fmt.Sprint("item", i), []string{"f"}); err != nil {
			t.Fatal(err)
		}
	}
	if len(n.fields) != maxItems || len(n.order) != maxItems || n.of("item4") != nil || n.of("item5") == nil {
		t.Errorf("%d items are remembered", len(n.fields))
	}
	var many []string
	for i := range maxFields + 1 {
		many = append(many, fmt.Sprint("field", i))
	}
	if err := n.ask("item9", many); err == nil {
		t.Error("any number of fields is remembered")
	}
}
