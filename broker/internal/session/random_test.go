package session

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// TestRandomFlow sends random events to subscriptions of all modes over a connection that hangs, breaks and changes at random; in
// the end each client has what the source has.
func TestRandomFlow(t *testing.T) {
	for seed := range uint64(100) {
		inWorld(t, Config{MaxUnfiltered: 8, MaxBuffer: 5}, func(t *testing.T, w *world) {
			randomFlow(t, w, rand.New(rand.NewPCG(seed, 1)))
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		})
		if t.Failed() {
			return
		}
	}
}

func randomFlow(t *testing.T, w *world, rng *rand.Rand) {
	c := w.create(ws, "LS_keepalive_millis=30000")
	id := c.id()
	pick := func(s ...string) string { return s[rng.IntN(len(s))] }
	freq := func() string {
		return "LS_snapshot=true" + pick("", "&LS_requested_max_frequency=3", "&LS_requested_max_frequency=unfiltered")
	}
	w.ok(id, add(1, "MERGE", "m1 m2", "a b", freq()))
	w.ok(id, add(2, "DISTINCT", "d", "a b", freq()))
	cmd := freq()
	lossless := !strings.Contains(cmd, "unfiltered")
	w.ok(id, add(3, "COMMAND", "c", "key command a", cmd))
	w.ok(id, add(4, "RAW", "m1", "a", ""))
	r := newReplica(t)
	seen := 0
	read := func() {
		lines := data(c.take())
		seen += len(lines)
		r.apply(lines)
	}
	merge, rows, raw := map[string]string{}, map[string]string{}, int64(0)
	for range 120 {
		n := strconv.Itoa(rng.IntN(1000))
		switch rng.IntN(12) {
		case 0, 1, 2:
			item, field := pick("m1", "m2"), pick("a", "b")
			w.send(item, field+"="+n)
			merge[item+field] = n
			if item == "m1" {
				raw++
			}
		case 3, 4:
			w.send("d", "a="+n)
		case 5, 6, 7:
			key := pick("x", "y", "z")
			w.send("c", "key="+key+" command=UPDATE a="+n)
			rows[key] = n
		case 8:
			key := pick("x", "y", "z")
			w.send("c", "key="+key+" command=DELETE")
			delete(rows, key)
		case 9:
			if item := pick("c", "d", "m2", ""); item != "" && rng.IntN(4) == 0 {
				w.send(item, "CS")
				switch item {
				case "c":
					clear(rows)
				case "m2":
					merge["m2a"], merge["m2b"] = "#", "#"
				}
			}
		case 10:
			pass(time.Duration(rng.IntN(400)) * time.Millisecond)
		case 11:
			read()
			if rng.IntN(3) > 0 {
				break
			}
			if rng.IntN(2) == 0 {
				release := c.stall()
				for i := range rng.IntN(12) {
					w.send("m1", fmt.Sprint("a=", i))
					merge["m1a"] = strconv.Itoa(i)
					raw++
				}
				release()
				break
			}
			c.cut()
			read()
			for i := range rng.IntN(15) {
				w.send("c", fmt.Sprintf("key=x command=UPDATE a=%d", i))
				rows["x"] = strconv.Itoa(i)
			}
			_, lines, _ := w.recovery(id, seen)
			seen += len(lines)
			r.apply(lines)
			c = w.bind(ws, "LS_session="+id+"&LS_keepalive_millis=30000")
		}
	}
	pass(10 * time.Second) // for what a frequency limit holds back
	read()
	for i, item := range []string{"m1", "m2"} {
		for f, field := range []string{"a", "b"} {
			want, ok := merge[item+field]
			if last := r.subs[1].items[i].last; ok && (last == nil || !last[f].Null && last[f].S != want || last[f].Null && want != "#") {
				t.Errorf("%s.%s is %v, want %s", item, field, last, want)
			}
		}
	}
	got := map[string]string{}
	for key, row := range r.subs[3].items[0].rows {
		got[key] = row[2]
	}
	if lossless || r.subs[3].items[0].lost == 0 {
		if fmt.Sprint(got) != fmt.Sprint(rows) {
			t.Errorf("COMMAND table %v, want %v", got, rows)
		}
	}
	if it := r.subs[4].items[0]; int64(len(it.events)-strings.Count(strings.Join(it.events, " "), "OV"))+it.lost != raw {
		t.Errorf("RAW: %d lines, %d lost, want %d in all: %q", len(it.events), it.lost, raw, it.events)
	}
	if w.m.Stats().QueueBytes != 0 {
		t.Errorf("%d bytes still wait", w.m.Stats().QueueBytes)
	}
}

// TestConcurrent has many clients come, subscribe, break and go at once while the source sends: for the race detector, and for what
// is left behind.
func TestConcurrent(t *testing.T) {
	inWorld(t, Config{}, func(t *testing.T, w *world) {
		w.meta.user = func(provider.User) (provider.UserGrant, error) { return provider.UserGrant{WantsTables: true}, nil }
		stop, fed := make(chan struct{}), make(chan struct{})
		go func() { // ends when the clients have
			defer close(fed)
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
				}
				w.feed.mu.Lock()
				sinks := slices.Collect(maps.Values(w.feed.sinks))
				w.feed.mu.Unlock()
				for _, s := range sinks {
					s.Update(update(fmt.Sprintf("key=k%d command=UPDATE a=%d", i%5, i)))
				}
			}
		}()
		var clients sync.WaitGroup
		for g := range 12 {
			clients.Go(func() { busyClient(t, w, rand.New(rand.NewPCG(uint64(g), 3))) })
		}
		clients.Wait()
		close(stop)
		<-fed
	})
}

func busyClient(t *testing.T, w *world, rng *rand.Rand) {
	for range 3 {
		c := w.connect(ws)
		id := c.id()
		for i := range 15 {
			mode := []string{"MERGE", "COMMAND", "RAW"}[i%3]
			req, _ := tlcp.ParseControl([]byte("LS_reqId=1&LS_session=" + id + "&" + add(i+1, mode, mode, "key command a", "LS_snapshot=true&LS_requested_max_frequency=50")))
			w.m.Submit(ws, nil, req, func([]byte) {})
			w.msg(id, fmt.Sprintf("LS_message=m&LS_sequence=s&LS_msg_prog=%d", 15-i))
			<-time.After(time.Duration(rng.IntN(20)) * time.Millisecond)
			switch rng.IntN(4) {
			case 0:
				w.control(id, fmt.Sprintf("LS_op=delete&LS_subId=%d", rng.IntN(15)+1))
			case 1:
				w.control(id, fmt.Sprintf("LS_op=reconf&LS_subId=%d&LS_requested_max_frequency=%d", rng.IntN(15)+1, rng.IntN(100)+1))
			case 2:
				c.cut()
				req, _ := tlcp.ParseBindSession([]byte("LS_session=" + id))
				b, err := w.m.Bind(t.Context(), ws, req, nil)
				if err != nil {
					t.Error(err)
					return
				}
				c = w.run(b)
			case 3:
				w.m.Stats()
			}
		}
		if rng.IntN(2) == 0 {
			w.control(id, "LS_op=destroy")
			<-c.end
			continue
		}
		c.cut()
	}
}
