package session

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/budget"
)

// TestQueueModel lets random subscriptions of all modes, limits and speeds follow random events: in
// the end each client has what the item has, unless it was told of a loss, and the budget has
// everything back (which inWorld checks).
func TestQueueModel(t *testing.T) {
	for seed := range uint64(200) {
		queueModel(t, seed, 120)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func FuzzQueueModel(f *testing.F) {
	f.Add(uint64(1), uint16(100))
	f.Fuzz(func(t *testing.T, seed uint64, steps uint16) { queueModel(t, seed, int(steps%500)) })
}

// state is an item as its adapter sees it.
type state struct {
	row  map[string]string            // MERGE
	rows map[string]map[string]string // COMMAND
	list []string                     // DISTINCT
}

func queueModel(t *testing.T, seed uint64, steps int) {
	rng := rand.New(rand.NewPCG(seed, 11))
	cfg := Config{
		MaxBuffer: 1 + rng.IntN(8), MaxUnfiltered: 2 + rng.IntN(20), MaxQueueBytes: 500 << rng.IntN(12), HistoryBytes: 1 << (8 + rng.IntN(10)),
		Memory: budget.New(int64(1) << (19 + rng.IntN(12))), SessionMemory: 1 << (17 + rng.IntN(8)),
	}
	inWorld(t, cfg, func(t *testing.T, w *world) {
		m := &modelRun{t: t, w: w, rng: rng, merge: &state{row: map[string]string{}}, table: &state{rows: map[string]map[string]string{}}, list: &state{}}
		m.clients = append(m.clients, m.client(true))
		for range steps {
			m.step()
		}
		m.finish()
	})
}

type modelRun struct {
	t                  *testing.T
	w                  *world
	rng                *rand.Rand
	merge, table, list *state
	clients            []*modelClient
}

type modelClient struct {
	c       *conn
	r       *replica
	release func() // of a connection that hangs
	seen    int
	next    int
	mode    map[int]string
}

func (m *modelRun) pick(s ...string) string { return s[m.rng.IntN(len(s))] }

func (m *modelRun) client(good bool) *modelClient {
	b, refusal := m.w.tryCreate(ws, "LS_keepalive_millis=30000")
	if refusal != nil {
		if good || refusal.Code != 6 {
			m.t.Errorf("creation refused: %v", refusal)
		}
		return nil
	}
	return &modelClient{c: m.w.serve(b), r: newReplica(m.t), mode: map[int]string{}}
}

func (m *modelRun) step() {
	text := m.pick("", "x", strings.Repeat("y", m.rng.IntN(300)), strings.Repeat("z", m.rng.IntN(3000)))
	value := func() string { return fmt.Sprint(m.rng.IntN(1000)) + text }
	c := m.clients[m.rng.IntN(len(m.clients))]
	switch m.rng.IntN(14) {
	case 0, 1, 2:
		field := m.pick("a", "b", "new1", "new2")
		m.merge.row[field] = value()
		m.send("m", field+"="+m.merge.row[field])
	case 3, 4, 5, 6:
		key := fmt.Sprint("k", m.rng.IntN(12))
		if m.rng.IntN(4) == 0 {
			delete(m.table.rows, key)
			m.send("c", "key="+key+" command=DELETE")
			break
		}
		if m.table.rows[key] == nil {
			m.table.rows[key] = map[string]string{}
		}
		v := value()
		m.table.rows[key][m.pick("a", "b")] = v
		for f, x := range m.table.rows[key] {
			if x == v {
				m.send("c", "key="+key+" command=UPDATE "+f+"="+v)
				break
			}
		}
	case 7:
		v := value()
		m.list.list = append(m.list.list, v)
		m.send("d", "a="+v)
	case 8:
		if m.rng.IntN(6) == 0 {
			clear(m.table.rows)
			m.send("c", "CS")
		}
	case 9:
		if len(m.clients) < 6 {
			if c := m.client(false); c != nil {
				m.clients = append(m.clients, c)
			}
		}
	case 10:
		m.subscribe(c)
	case 11:
		if c.release != nil {
			c.release()
			c.release = nil
		} else if m.rng.IntN(2) == 0 {
			c.release = c.c.stall()
		}
	case 12:
		m.read(c)
	case 13:
		if m.rng.IntN(3) == 0 && c.next > 0 {
			m.w.control(c.c.id(), fmt.Sprintf("LS_op=delete&LS_subId=%d", 1+m.rng.IntN(c.next)))
		}
		pass(time.Duration(m.rng.IntN(300)) * time.Millisecond)
	}
}

func (m *modelRun) send(item, step string) {
	m.w.feed.mu.Lock()
	sink := m.w.feed.sinks[item]
	m.w.feed.mu.Unlock()
	switch {
	case sink == nil:
	case step == "CS":
		sink.ClearSnapshot()
	default:
		sink.Update(update(step))
	}
}

func (m *modelRun) subscribe(c *modelClient) {
	c.next++
	freq := m.pick("", "&LS_requested_max_frequency=20", "&LS_requested_max_frequency=unfiltered")
	mode := m.pick("MERGE", "COMMAND", "DISTINCT")
	item, schema := map[string]string{"MERGE": "m", "COMMAND": "c", "DISTINCT": "d"}[mode], "a b new1 invented"
	if mode == "COMMAND" {
		schema = "key command a b"
	}
	fresh := !slices.Contains(m.w.feed.items(), item)
	got := m.w.control(c.c.id(), add(c.next, mode, item, schema, "LS_snapshot=true"+freq))
	if got != "REQOK,1" {
		if !strings.HasPrefix(got, "REQERR,1,68,") {
			m.t.Errorf("subscription: %s", got)
		}
		return
	}
	c.mode[c.next] = mode
	if fresh { // the adapter sends what it has
		m.replay(item)
	}
}

func (m *modelRun) replay(item string) {
	switch item {
	case "m":
		step := "S"
		for f, v := range m.merge.row {
			step += " " + f + "=" + v
		}
		m.send("m", step)
	case "c":
		for _, key := range slices.Sorted(maps.Keys(m.table.rows)) {
			step := "S key=" + key + " command=ADD"
			for f, v := range m.table.rows[key] {
				step += " " + f + "=" + v
			}
			m.send("c", step)
		}
		m.w.send("c", "EOS")
	case "d":
		m.w.send("d", "EOS")
	}
}

func (m *modelRun) read(c *modelClient) {
	lines := data(c.c.take())
	c.seen += len(lines)
	c.r.apply(lines)
}

func (m *modelRun) finish() {
	for _, c := range m.clients {
		if c.release != nil {
			c.release()
		}
	}
	pass(10 * time.Second)
	for i, c := range m.clients {
		m.read(c)
		if n := c.c.b.s.queueBytes; n != 0 {
			m.t.Errorf("client %d: %d bytes still wait", i, n)
		}
		for id, sub := range c.r.subs {
			if !sub.gone && sub.items[0].lost == 0 {
				m.compare(fmt.Sprintf("client %d, subscription %d", i, id), c.mode[id], &sub.items[0])
			}
		}
	}
	if n := m.w.m.Stats().Sessions; n != len(m.clients) {
		m.t.Errorf("%d of %d sessions are left", n, len(m.clients))
	}
}

func (m *modelRun) compare(who, mode string, it *replicaItem) {
	switch mode {
	case "MERGE":
		for i, field := range []string{"a", "b", "new1", "invented"} {
			want, ok := m.merge.row[field]
			if it.last == nil && len(m.merge.row) > 0 {
				m.t.Errorf("%s has nothing", who)
				return
			}
			if it.last != nil && (it.last[i].Null == ok || it.last[i].S != want) {
				m.t.Errorf("%s: %s is %.30v, want %.30q", who, field, it.last[i], want)
			}
		}
	case "COMMAND":
		if len(it.rows) != len(m.table.rows) {
			m.t.Errorf("%s has %d rows, want %d", who, len(it.rows), len(m.table.rows))
		}
		for key, row := range m.table.rows {
			got := it.rows[key]
			for i, f := range []string{"a", "b"} {
				want, ok := row[f]
				if !ok {
					want = "#"
				}
				if got == nil || got[i+2] != want {
					m.t.Errorf("%s: row %s is %.100q, want %s=%.30q", who, key, got, f, want)
				}
			}
		}
	case "DISTINCT":
		last := ""
		for _, e := range it.events {
			if strings.Contains(e, "|") {
				last, _, _ = strings.Cut(e, "|")
			}
		}
		if n := len(m.list.list); last != "" && last != m.list.list[n-1] {
			m.t.Errorf("%s ends with %.30q, want %.30q", who, last, m.list.list[n-1])
		}
	}
}
