package client_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/broker"
	"github.com/lightstreamer-go/lightstreamer/client"
)

// A wholeWay is an adapter, a broker and two clients, which are used for one script after the
// other.
type wholeWay struct {
	adapter.LiteralMetadata
	count   atomic.Int64
	clients [2]*client.Client
	wires   [2]*network

	mu    sync.Mutex
	begin map[string]func(*adapter.Subscription) error // by item
	live  map[string]chan *adapter.Subscription
}

func startWholeWay(t testing.TB) *wholeWay {
	t.Helper()
	w := &wholeWay{begin: make(map[string]func(*adapter.Subscription) error), live: make(map[string]chan *adapter.Subscription)}
	r, err := broker.Start(context.WithoutCancel(t.Context()), broker.Config{
		Addr: "127.0.0.1:0", Linger: -1, Adapters: map[string]adapter.Set{"DEFAULT": {Metadata: w, Data: map[string]adapter.DataProvider{"DEFAULT": w}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	for i := range w.clients {
		w.wires[i] = &network{}
		w.clients[i] = connect(t, client.Config{Addr: r.URL(), DialContext: w.wires[i].dial, RecoveryTimeout: patience})
	}
	return w
}

func (w *wholeWay) Subscribe(_ context.Context, sub *adapter.Subscription) error {
	w.mu.Lock()
	begin, live := w.begin[sub.Item()], w.live[sub.Item()]
	w.mu.Unlock()
	if err := begin(sub); err != nil {
		return err
	}
	live <- sub
	return nil
}

// A row is the values of the fields f0 to f2, as text that tells null from the empty string.
type row [3]string

const null = "null"

var nullRow = row{null, null, null}

func (r row) with(changes map[int]string) row {
	for i, v := range changes {
		r[i] = v
	}
	return r
}

// A picture is what one knows of an item: all events of a RAW or DISTINCT item, the row of a MERGE
// item under the key "", the rows of a COMMAND item.
type picture struct {
	mode   client.Mode
	events []string
	rows   map[string]row
}

func newPicture(mode client.Mode) *picture { return &picture{mode: mode, rows: map[string]row{}} }

// update is the reference: what an update does, by the words of the documentation.
func (p *picture) update(command, key string, changes map[int]string) {
	switch p.mode {
	case client.Merge:
		old, known := p.rows[""]
		if !known {
			old = nullRow
		}
		p.rows[""] = old.with(changes)
	case client.Command:
		switch command {
		case "ADD":
			p.rows[key] = nullRow.with(changes)
		case "UPDATE":
			p.rows[key] = p.rows[key].with(changes)
		case "DELETE":
			delete(p.rows, key)
		}
	default:
		p.events = append(p.events, fmt.Sprintf("%q", nullRow.with(changes)))
	}
}

func (p *picture) clear() {
	switch p.mode {
	case client.Merge:
		p.rows[""] = nullRow
	case client.Command:
		clear(p.rows)
	case client.Distinct:
		p.events = append(p.events, "clear")
	}
}

// A viewer is a client's picture of an item.
type viewer struct {
	*picture
	fields []string
	end    string // the value of the last update's field "end"
	done   chan struct{}
	wrong  []string
}

func (v *viewer) subscription(item string, unfiltered bool) client.Subscription {
	return client.Subscription{
		Mode: v.mode, Items: []string{item}, Fields: v.fields, Snapshot: true, Unfiltered: unfiltered && v.mode != client.Raw,
		BufferSize:      -1, // a DISTINCT one would drop events of which nobody is told
		OnUpdate:        v.update,
		OnClearSnapshot: func(string, int) { v.clear() },
		OnLost:          func(_ string, _ int, n int64) { v.wrong = append(v.wrong, fmt.Sprintf("%d updates lost", n)) },
	}
}

func (v *viewer) update(u *client.Update) {
	if end, _ := u.Value("end"); end == v.end {
		defer close(v.done)
		if v.mode != client.Merge { // there it may be merged with others
			return
		}
	}
	changes := map[int]string{}
	for i := range nullRow {
		name := "f" + strconv.Itoa(i)
		value, ok := u.Value(name)
		if !slices.Contains(v.fields, name) || !ok {
			value = null
		} else {
			value = "=" + value
		}
		changes[i] = value
	}
	command := u.Command()
	if command == "UPDATE" && v.rows[u.Key()] == (row{}) {
		v.wrong = append(v.wrong, "UPDATE of the unknown row "+u.Key())
	}
	v.picture.update(command, u.Key(), changes)
}

// A script is read byte by byte; after its end, zeros come.
type script []byte

func (s *script) next() int {
	if len(*s) == 0 {
		return 0
	}
	b := (*s)[0]
	*s = (*s)[1:]
	return int(b)
}

// changes reads the fields of an update, for the adapter and for the reference.
func (s *script) changes() (adapter.Fields, map[int]string) {
	fields, changes := adapter.Fields{}, map[int]string{}
	for mask, i := s.next(), 0; i < len(nullRow); i++ {
		if mask&(1<<i) == 0 {
			continue
		}
		name := "f" + strconv.Itoa(i)
		switch b := s.next(); {
		case b == 0:
			fields[name], changes[i] = nil, null
		case b < 20:
			text := []string{"", "#", "$", "^", "|", "%", "a|b", "\r\n", "#x", "^4", "^Tb", "%41", "é☃", "😀", ",", " ", "\x01", "null", "$$", "1"}[b]
			fields[name], changes[i] = text, "="+text
		case b < 128:
			fields[name], changes[i] = b, "="+strconv.Itoa(b)
		default: // long, and much like others of the kind, so that differences are sent
			text := strings.Repeat("lorem ipsum dolor ", 16)
			text = text[:b] + strings.Repeat("é", b%5) + text[b+b%7:]
			fields[name], changes[i] = text, "="+text
		}
	}
	return fields, changes
}

// play has an adapter send what a script says, and compares what two clients know in the end with
// what a reference knows. One has been there from the beginning, the other one comes in the midst,
// with fewer fields and updates that may be merged.
func (w *wholeWay) play(t *testing.T, s script) {
	mode := client.Raw + client.Mode(s.next()%4)
	options := s.next()
	ref := newPicture(mode)
	end := strconv.FormatInt(w.count.Add(1), 10)
	item := mode.String() + "." + end
	first := &viewer{picture: newPicture(mode), fields: []string{"f0", "f1", "f2", "end"}, end: end, done: make(chan struct{})}
	later := &viewer{picture: newPicture(mode), fields: []string{"end", "f2", "f0"}, end: end, done: make(chan struct{})}
	if mode == client.Command {
		first.fields = append(first.fields, "key", "command")
		later.fields = append([]string{"command", "key"}, later.fields...)
	}
	live := make(chan *adapter.Subscription, 1)
	w.mu.Lock()
	w.live[item], w.begin[item] = live, func(sub *adapter.Subscription) error { return s.snapshot(sub, options, ref) }
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.live, item)
		delete(w.begin, item)
	}()
	subscribed, err := w.clients[0].Subscribe(t.Context(), first.subscription(item, true))
	if err != nil {
		t.Fatal(err)
	}
	sub := <-live
	joined, sent := -1, 0
	for join := options >> 4; len(s) > 0; sent++ {
		if sent == join {
			joined = len(ref.events)
			w.join(t, later.subscription(item, false))
		}
		if s[0] == 255 {
			w.wires[s.next()%2].cutAll()
			w.wires[1].cutAll()
			continue
		}
		if err := s.event(sub, ref); err != nil {
			t.Fatal(err)
		}
	}
	if joined < 0 {
		joined = len(ref.events)
		w.join(t, later.subscription(item, false))
	}
	if mode == client.Command {
		err = sub.Add("end", adapter.Fields{"end": end})
	} else {
		err = sub.Update(adapter.Fields{"end": end})
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []*viewer{first, later} {
		select {
		case <-v.done:
		case <-time.After(patience):
			t.Fatal("the last update does not come")
		}
	}
	first.compare(t, ref, 0, true)
	later.compare(t, ref, joined, false)
	if err := subscribed.Unsubscribe(t.Context()); err != nil {
		t.Error(err)
	}
}

func (w *wholeWay) join(t *testing.T, s client.Subscription) {
	t.Helper()
	sub, err := w.clients[1].Subscribe(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sub.Unsubscribe(context.WithoutCancel(t.Context())) })
}

// snapshot sends what the script has as a snapshot.
func (s *script) snapshot(sub *adapter.Subscription, options int, ref *picture) error {
	if options&1 != 0 {
		if err := sub.DeclareFieldDiffOrder(adapter.FieldDiffOrder{"f0": {adapter.DiffMatchPatch}, "f1": {}, "f2": {adapter.JSONPatch, adapter.DiffMatchPatch}}); err != nil {
			return err
		}
	}
	n := s.next() % 8
	if ref.mode == client.Merge {
		n = min(n, 1)
	}
	for i := range n {
		fields, changes := s.changes()
		switch ref.mode {
		case client.Raw:
			return nil
		case client.Command:
			key := "k" + strconv.Itoa(i)
			if err := sub.Add(key, fields); err != nil {
				return err
			}
			ref.update("ADD", key, changes)
		default:
			if err := sub.Snapshot(fields); err != nil {
				return err
			}
			ref.update("", "", changes)
		}
	}
	if n == 0 && ref.mode == client.Merge {
		return nil
	}
	return sub.EndOfSnapshot()
}

// event sends one event of the script.
func (s *script) event(sub *adapter.Subscription, ref *picture) error {
	kind := s.next()
	if kind%16 == 15 && ref.mode != client.Raw {
		ref.clear()
		return sub.ClearSnapshot()
	}
	fields, changes := s.changes()
	if ref.mode != client.Command {
		ref.update("", "", changes)
		return sub.Update(fields)
	}
	key := "k" + strconv.Itoa(kind/16)
	_, known := ref.rows[key]
	switch {
	case !known:
		ref.update("ADD", key, changes)
		return sub.Add(key, fields)
	case kind%4 == 0:
		ref.update("DELETE", key, nil)
		return sub.Delete(key)
	}
	ref.update("UPDATE", key, changes)
	return sub.Modify(key, fields)
}

// compare compares a client's picture with the reference. Of the events before a client has come,
// it may have the last ones.
func (v *viewer) compare(t *testing.T, ref *picture, joined int, unfiltered bool) {
	t.Helper()
	who := "later"
	if unfiltered {
		who = "first"
	}
	for _, text := range v.wrong {
		t.Errorf("%s: %s", who, text)
	}
	seen := func(r row) row { // what is seen of a row
		for i := range r {
			if !slices.Contains(v.fields, "f"+strconv.Itoa(i)) {
				r[i] = null
			}
		}
		return r
	}
	switch v.mode {
	case client.Merge, client.Command:
		want := map[string]row{}
		for key, r := range ref.rows {
			want[key] = seen(r)
		}
		if v.mode == client.Merge && len(want) == 0 {
			want[""] = nullRow // of no event but the last one
		}
		if !maps.Equal(v.rows, want) {
			t.Errorf("%s: in %v mode there is\n%q, want\n%q", who, v.mode, v.rows, want)
		}
	default:
		var want []string
		for _, e := range ref.events {
			if e != "clear" {
				var r row
				if _, err := fmt.Sscanf(e, "[%q %q %q]", &r[0], &r[1], &r[2]); err != nil {
					t.Fatal(err)
				}
				e = fmt.Sprintf("%q", seen(r))
			}
			want = append(want, e)
		}
		events := v.events
		if !unfiltered {
			// What waits in the broker is left out when the list is cleared, unless the
			// subscription is unfiltered.
			events = events[lastClear(events):]
			cleared := lastClear(want)
			want, joined = want[cleared:], max(joined-cleared, 0)
		}
		n := len(want) - len(events)
		if n < 0 || n > joined {
			t.Fatalf("%s: in %v mode there are %d events of %d, %d of which came before the subscription", who, v.mode, len(events), len(want), joined)
		}
		for i, e := range events {
			if e != want[n+i] {
				t.Fatalf("%s: in %v mode event %d of %d is\n%s, want\n%s", who, v.mode, i, len(events), e, want[n+i])
			}
		}
	}
}

// lastClear returns where the events after the last clear begin.
func lastClear(events []string) int {
	for i := len(events); i > 0; i-- {
		if events[i-1] == "clear" {
			return i
		}
	}
	return 0
}

// What an adapter sends is what clients know in the end, through the SDK, the broker and the wire,
// in every mode: whatever is null, empty, cleared, deleted, sent as a difference, and wherever
// connections break.
func FuzzWholeWay(f *testing.F) {
	for _, s := range wholeScripts(8) {
		f.Add(s)
	}
	f.Add([]byte{1, 0x11, 1, 7, 200, 201, 202, 1, 7, 203, 201, 0, 15, 1, 3, 200, 129})
	f.Add([]byte{3, 0x21, 3, 7, 1, 2, 3, 7, 200, 0, 1, 1, 1, 9, 0x10, 0x11, 7, 5, 5, 5, 0x10, 255, 0x11, 7, 1, 1, 1, 15, 0x11, 1, 130})
	w := startWholeWay(f)
	f.Fuzz(func(t *testing.T, s []byte) {
		if len(s) > 2000 {
			return
		}
		w.play(t, s)
	})
}

// wholeScripts makes scripts of all modes.
func wholeScripts(n int) [][]byte {
	r := rand.New(rand.NewPCG(8, 9))
	list := make([][]byte, n)
	for i := range list {
		s := []byte{byte(i), byte(r.IntN(256))}
		for range r.IntN(300) {
			s = append(s, byte(r.IntN(255)))
		}
		if i%8 == 7 {
			s = append(s, 255, byte(i), 7, 1, 2, 3)
		}
		list[i] = s
	}
	return list
}

// The same, with random scripts.
func TestWholeWay(t *testing.T) {
	w := startWholeWay(t)
	for i, s := range wholeScripts(150) {
		t.Run(strconv.Itoa(i), func(t *testing.T) { w.play(t, s) })
	}
}
