//go:build interop

package interop

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

func TestPythonTranscript(t *testing.T) { transcript(t, "python") }
func TestNodeTranscript(t *testing.T)   { transcript(t, "node") }
func TestJavaTranscript(t *testing.T)   { transcript(t, "java") }

// wire is the scripted proxy's side of one adapter: everything that the adapter says, on one connection or two.
type wire struct {
	t       *testing.T
	channel ari.Channel
	conns   []net.Conn // the first is for requests
	version ari.Version

	mu      sync.Mutex
	changed chan struct{}
	lines   []string
	first   map[int]string // what each connection began with
	ended   int            // connections that have
}

// listenForPeer opens the ports of an adapter.
func listenForPeer(t *testing.T, n int) []net.Listener {
	t.Helper()
	var list []net.Listener
	for range n {
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		list = append(list, l)
	}
	return list
}

// acceptPeer waits for the adapter's connections.
func acceptPeer(t *testing.T, ch ari.Channel, listeners []net.Listener) *wire {
	t.Helper()
	w := &wire{t: t, channel: ch, changed: make(chan struct{}), first: make(map[int]string)}
	for i, l := range listeners {
		l.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		var reading sync.WaitGroup
		t.Cleanup(func() { c.Close(); reading.Wait() })
		w.conns = append(w.conns, c)
		reading.Go(func() { w.read(i, c) })
	}
	return w
}

func (w *wire) read(i int, c net.Conn) {
	in := bufio.NewScanner(c)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		line := in.Text()
		w.mu.Lock()
		if w.first[i] == "" {
			w.first[i] = line
		}
		w.lines = append(w.lines, line)
		close(w.changed)
		w.changed = make(chan struct{})
		w.mu.Unlock()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended++
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *wire) send(line []byte) {
	w.t.Helper()
	if _, err := w.conns[0].Write(append(line, "\r\n"...)); err != nil {
		w.t.Fatal(err)
	}
}

// await waits until enough says so of all lines so far.
func (w *wire) await(what string, enough func(lines []string) bool) {
	w.t.Helper()
	deadline := time.After(patience)
	for {
		w.mu.Lock()
		lines, changed := w.lines, w.changed
		w.mu.Unlock()
		if enough(lines) {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			w.t.Fatalf("%s: not all of it came; the last lines are %q", what, lines[max(0, len(lines)-5):])
		}
	}
}

const initID = "1000000000000init"

// init goes through the opening.
func (w *wire) init() {
	w.t.Helper()
	params := []ari.Param{{Name: ari.ParamVersion, Value: ari.T("1.9.1")}, {Name: ari.ParamAdaptersConfID, Value: ari.T("LAB")}}
	if w.channel == ari.Data {
		params = append(params, ari.Param{Name: ari.ParamDataProviderName, Value: ari.T("LAB")})
	}
	w.send(ari.AppendInit(nil, initID, w.channel, params))
	var reply string
	w.await("init", func(lines []string) bool {
		i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, initID+"|") })
		if i >= 0 {
			reply = lines[i]
		}
		return i >= 0
	})
	l, err := ari.ParseLine([]byte(reply))
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := ari.ParseInitReply(l.Body)
	if err != nil {
		w.t.Fatalf("init answered %q: %v", reply, err)
	}
	if w.version, err = ari.Accept(r); err != nil {
		w.t.Fatal(err)
	}
}

// mark makes the ids of a step: their middle tells it, their beginning the place in it.
func mark(step int) string { return fmt.Sprintf("step%03d", step) }

// played is what an adapter has said to the script, by step.
type played struct {
	version ari.Version
	lines   map[int][]string
	opening map[ari.Channel]string // the first line of each side
}

// play plays the script. Lines belong to a step by its mark, which is in the ids of replies and of notifications.
func play(t *testing.T, wires map[ari.Channel]*wire, steps []step) played {
	t.Helper()
	p := played{version: wires[ari.Metadata].version, lines: make(map[int][]string), opening: make(map[ari.Channel]string)}
	of := func(lines []string, i int) (all []string) {
		for _, l := range lines {
			if strings.Contains(l, mark(i)) {
				all = append(all, l)
			}
		}
		return all
	}
	for i, s := range steps {
		w := wires[s.channel]
		for j, r := range s.requests {
			w.send(r(fmt.Sprintf("%x%s", j+1, mark(i)), w.version))
		}
		if !s.unsure {
			w.await(s.row, func(lines []string) bool { return len(of(lines, i)) >= len(s.requests)+s.notifications })
		}
	}
	// The last request is answered after whatever was said beyond what was waited for, if the adapter is still there.
	last := len(steps) - 1
	wires[steps[last].channel].awaitOrEnd(fmt.Sprintf("%x%s|", len(steps[last].requests), mark(last)))
	for ch, w := range wires {
		p.opening[ch] = w.first[0]
		for i, s := range steps {
			if s.channel == ch {
				p.lines[i] = of(w.lines, i)
			}
		}
	}
	return p
}

// awaitOrEnd waits for a line, or for the end of the adapter's connections.
func (w *wire) awaitOrEnd(prefix string) {
	over := time.After(patience)
	for {
		w.mu.Lock()
		found := w.ended == len(w.conns) || slices.ContainsFunc(w.lines, func(l string) bool { return strings.HasPrefix(l, prefix) })
		changed := w.changed
		w.mu.Unlock()
		if found {
			return
		}
		select {
		case <-changed:
		case <-over:
			return
		}
	}
}

// theirs plays the script to an official SDK.
func theirs(t *testing.T, peer string) played {
	t.Helper()
	n := 1
	if peer == "node" {
		n = 2
	}
	metadataPorts, dataPorts := listenForPeer(t, 1), listenForPeer(t, n)
	s := settings{Metadata: address(metadataPorts[0].Addr()), Data: address(dataPorts[0].Addr())}
	if peer == "node" {
		s.Notify = address(dataPorts[1].Addr())[1].(int)
	}
	startPeer(t, peer, s)
	wires := map[ari.Channel]*wire{ari.Metadata: acceptPeer(t, ari.Metadata, metadataPorts)}
	wires[ari.Metadata].init()
	wires[ari.Data] = acceptPeer(t, ari.Data, dataPorts)
	wires[ari.Data].init()
	return play(t, wires, script())
}

// ours plays it to the same adapter written with our SDK.
func ours(t *testing.T, peer string) played {
	t.Helper()
	metadataPorts, dataPorts := listenForPeer(t, 1), listenForPeer(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	t.Cleanup(func() { cancel(); running.Wait() })
	running.Go(func() {
		_ = adapter.Run(ctx, // its end is that of the test
			&adapter.MetadataServer{Provider: &goMetadata{peer: peer}, Addr: metadataPorts[0].Addr().String(), Reconnect: adapter.NoReconnect},
			&adapter.DataServer{Provider: goData{peer: peer}, Addr: dataPorts[0].Addr().String(), Reconnect: adapter.NoReconnect})
	})
	wires := map[ari.Channel]*wire{
		ari.Metadata: acceptPeer(t, ari.Metadata, metadataPorts),
		ari.Data:     acceptPeer(t, ari.Data, dataPorts),
	}
	for _, w := range wires {
		w.init()
	}
	return play(t, wires, script())
}

func transcript(t *testing.T, peer string) {
	their, our := theirs(t, peer), ours(t, peer)
	sc := scope{table: transcriptsTable, peer: peer}
	for i, s := range script() {
		sc.try(t, s.row, func(t *testing.T, o *outcome) {
			compare(t, o, intended[peer][s.row], normal(their.lines[i]), normal(our.lines[i]), their.version, our.version)
		})
	}
	sc.try(t, negotiation, func(t *testing.T, o *outcome) { negotiated(t, peer, o) })
	opening := "RAC"
	sc.try(t, opening, func(t *testing.T, o *outcome) {
		for _, ch := range []ari.Channel{ari.Metadata, ari.Data} {
			compare(t, o, intended[peer][opening], []string{their.opening[ch]}, []string{our.opening[ch]}, their.version, our.version)
		}
	})
}

// normal sorts lines in a way that keeps the order of an item's notifications, and takes the clock out of these: nothing orders
// replies among each other, nor replies and notifications.
func normal(lines []string) []string {
	var replies, notifications []string
	for _, l := range lines {
		id, rest, _ := strings.Cut(l, "|")
		if _, err := strconv.ParseInt(id, 10, 64); err == nil {
			notifications = append(notifications, "0|"+rest)
		} else {
			replies = append(replies, l)
		}
	}
	slices.Sort(replies)
	// Of several items: each by itself, in the order of the subscription ids.
	slices.SortStableFunc(notifications, func(a, b string) int { return strings.Compare(subscriptionOf(a), subscriptionOf(b)) })
	return append(replies, notifications...)
}

// subscriptionOf finds the mark of a notification, with the place in the step before it.
func subscriptionOf(line string) string {
	for tok := range strings.SplitSeq(line, "|") {
		if strings.Contains(tok, "step") {
			return tok
		}
	}
	return ""
}

// compare judges one row.
func compare(t *testing.T, o *outcome, reason string, their, our []string, theirV, ourV ari.Version) {
	t.Helper()
	same := theirV == ourV && slices.Equal(their, our)
	if !same && theirV != ourV {
		same = slices.Equal(decode(t, their, theirV), decode(t, our, ourV))
	}
	switch {
	case same && reason == "":
	case same:
		t.Errorf("equal, and yet in the list of intended differences: %s", reason)
	case reason != "":
		o.difference("%s", reason)
	default:
		t.Errorf("theirs (%v):\n%s\nours (%v):\n%s", theirV, short(their), ourV, short(our))
		t.Logf("decoded, theirs:\n%s\nours:\n%s", short(decode(t, their, theirV)), short(decode(t, our, ourV)))
	}
}

func short(lines []string) string {
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "%.600s\n", l)
	}
	return b.String()
}

// decode turns lines into what they mean, whatever the version.
func decode(t *testing.T, lines []string, v ari.Version) []string {
	t.Helper()
	var all []string
	for _, text := range lines {
		l, err := ari.ParseLine([]byte(text))
		if err != nil {
			t.Fatalf("line %q: %v", text, err)
		}
		meaning, err := meaning(l, v)
		if err != nil {
			t.Fatalf("line %q: %v", text, err)
		}
		all = append(all, fmt.Sprintf("%s %v %+v", l.ID, l.Method, meaning))
	}
	return all
}

func meaning(l ari.Line, v ari.Version) (any, error) {
	switch l.Method {
	case ari.RAC:
		return ari.ParseParams(l.Body)
	case ari.UD3:
		return ari.ParseUpdate(l.Body, v)
	case ari.EOS, ari.CLS:
		item, id, err := ari.ParseItemEvent(l.Body, v)
		return item + " " + id, err
	}
	f, isError, err := ari.ParseError(l.Method, l.Body, v)
	if isError || err != nil {
		return f, err
	}
	switch l.Method {
	case ari.NUS, ari.NUA:
		return ari.ParseUserReply(l.Body)
	case ari.NNS:
		return ari.ParseSessionReply(l.Body)
	case ari.NNT:
		return ari.ParseTablesReply(l.Body)
	case ari.GIS, ari.GSC:
		return ari.ParseNames(l.Body, v)
	case ari.GIT:
		return ari.ParseItemData(l.Body)
	case ari.GUI:
		return ari.ParseUserItemData(l.Body)
	}
	return "void", ari.ParseVoidReply(l.Body)
}
