package item

import (
	"fmt"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
)

// TestLost: receivers of RAW and DISTINCT are told that updates may be missing, in the place where
// they would be; those of MERGE and COMMAND are not, and those of DISTINCT not when the list is
// about to be cleared.
func TestLost(t *testing.T) {
	for _, tt := range []struct {
		mode provider.Mode
		want [2]int // notices for Lost(false), and for Lost(true)
	}{
		{provider.Raw, [2]int{1, 1}}, {provider.Distinct, [2]int{1, 0}}, {provider.Merge, [2]int{}}, {provider.Command, [2]int{}},
	} {
		for i, cleared := range []bool{false, true} {
			t.Run(fmt.Sprint(tt.mode, cleared), func(t *testing.T) {
				f := newFeed(t)
				src := NewSource(Config{Data: f, Linger: -1})
				defer src.Close()
				var kinds []Kind
				o := Options{Mode: tt.mode, Schema: []string{"key", "command"}, Snapshot: true, History: 3}
				mustAttach(t, src, "i", o, receiverFunc(func(_ Columns, events []*Event, _ bool) {
					for _, e := range events {
						kinds = append(kinds, e.Kind)
					}
				}))
				s := f.sink("i")
				s.Update(up("key=a command=ADD"))
				before := len(kinds)
				s.Lost(cleared)
				notices := kinds[before:]
				if len(notices) != tt.want[i] || len(notices) > 0 && notices[0] != Lost {
					t.Errorf("received %v, want %d notices", notices, tt.want[i])
				}
			})
		}
	}
}

// Who waits for the snapshot has had no updates that others could be missing between.
func TestLostBeforeSnapshot(t *testing.T) {
	f := newFeed(t)
	src := NewSource(Config{Data: f, Linger: -1})
	defer src.Close()
	r := &reader{}
	mustAttach(t, src, "i", Options{Mode: provider.Distinct, Schema: []string{"a"}, Snapshot: true, History: 3}, r)
	s := f.sink("i")
	s.Update(up("S a=1"))
	s.Lost(false)
	s.Update(up("S a=2"))
	s.EndOfSnapshot()
	expect(t, "reader", r.take(), "S 1", "S 2", "EOS")
}
