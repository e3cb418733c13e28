package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/adapter/adaptertest"
)

func quotes(t *testing.T) *replay {
	t.Helper()
	r, err := read(filepath.Join("..", "quotes.csv"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestReplay follows a symbol through the file and once more.
func TestReplay(t *testing.T) {
	r := quotes(t)
	synctest.Test(t, func(t *testing.T) {
		p := adaptertest.NewProxy(t)
		p.Modes = map[string]adapter.Mode{"BOLT": adapter.Merge}
		p.Run(&adapter.DataServer{Provider: r})
		item := p.Subscribe("BOLT")
		before := r.at("BOLT", time.Now())
		item.Expect(adaptertest.Snapshot("number", before.Number, "last", before.Last))
		for range 2 * len(r.quotes) / 3 {
			e := item.Next()
			if e.Kind == adaptertest.EndOfSnapshotEvent {
				continue
			}
			if want := r.at("BOLT", time.Now()); e.Fields["number"] != want.Number || e.Fields["last"] != want.Last || e.Fields["symbol"] != "BOLT" {
				t.Fatalf("%v, want %+v", e, want)
			}
		}
		p.Subscribe("NONE").Expect(adaptertest.Refused(adaptertest.SubscribeError))
	})
}

func TestConformance(t *testing.T) {
	adaptertest.Conformance(t, quotes(t), adaptertest.Options{
		Items:   []adaptertest.ItemSpec{{Name: "ACME", Mode: adapter.Merge, Snapshot: true, Live: true}, {Name: "CRUX", Mode: adapter.Merge, Snapshot: true, Live: true}},
		Unknown: "NONE", Virtual: true,
	})
}

func TestBadFiles(t *testing.T) {
	for i, text := range []string{"", "number,symbol,last,bid,ask,volume\n", "number,symbol\n1,A\n", `1,2,3,4,5,"6`} {
		name := filepath.Join(t.TempDir(), fmt.Sprint(i))
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := read(name); err == nil {
			t.Errorf("%q is taken for quotes", text)
		}
	}
	if _, err := read("no such file"); err == nil {
		t.Error("no error for a file that is not there")
	}
}
