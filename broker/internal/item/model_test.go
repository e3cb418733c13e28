package item

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
)

// The models below are naive on purpose: each computes what one subscriber must have received from the whole list of the
// source's events and the number of events that came before it attached.

type modelSub struct {
	at       int // events before the attach
	snapshot bool
	length   int
}

func line(kind string, schema []string, row map[string]string) string {
	vals := make([]string, len(schema))
	for i, f := range schema {
		vals[i] = "#"
		if v, ok := row[f]; ok {
			vals[i] = v
		}
	}
	return kind + " " + strings.Join(vals, "|")
}

func fieldsOf(step string, row map[string]string) (snapshot bool) {
	for w := range strings.FieldsSeq(step) {
		if w == "S" {
			snapshot = true
			continue
		}
		name, v, _ := strings.Cut(w, "=")
		row[name] = v
	}
	return snapshot
}

// completedAt returns the index of the event that ends the snapshot phase.
func completedAt(steps []string, mode provider.Mode) int {
	for i, s := range steps {
		if mode == provider.Merge || s == "EOS" || s == "CS" || !strings.HasPrefix(s+" ", "S ") {
			return i
		}
	}
	return len(steps)
}

func modelMerge(steps, schema []string, s modelSub) (out []string) {
	row := map[string]string{}
	done, got := completedAt(steps, provider.Merge), !s.snapshot
	for i := 0; i <= len(steps); i++ {
		if i == s.at && i > done && !got {
			out, got = append(out, line("S", schema, row)), true
		}
		if i == len(steps) {
			return out
		}
		step, isSnap := steps[i], false
		switch step {
		case "EOS":
			if i != done {
				continue
			}
			isSnap = true
		case "CS":
			row = map[string]string{}
		default:
			isSnap = fieldsOf(step, row) && i == done
		}
		switch {
		case i < s.at:
		case !got:
			out, got = append(out, line("S", schema, row)), true
		case !isSnap:
			out = append(out, line("L", schema, row))
		}
	}
	return out
}

func modelDistinct(keep int) func(steps, schema []string, s modelSub) []string {
	return func(steps, schema []string, s modelSub) (out []string) {
		var all []string // "a|b" of the events since the last clear
		done, got := completedAt(steps, provider.Distinct), !s.snapshot
		snapshot := func() {
			n := keep
			if s.length > 0 {
				n = min(n, s.length)
			}
			for _, l := range all[max(0, len(all)-n):] {
				out = append(out, "S "+l)
			}
			out, got = append(out, "EOS"), true
		}
		for i := 0; i <= len(steps); i++ {
			if i == s.at && !got && i > done {
				snapshot()
			}
			if i == len(steps) {
				return out
			}
			step := steps[i]
			if step == "CS" {
				all = nil
			}
			if i == done && i >= s.at && !got {
				snapshot()
			}
			if step == "EOS" {
				continue
			}
			if step == "CS" {
				if i >= s.at {
					out = append(out, "CS")
				}
				continue
			}
			row := map[string]string{}
			fieldsOf(step, row)
			l := line("L", schema, row)
			all = append(all, l[2:])
			if i >= s.at && i >= done {
				out = append(out, l)
			}
		}
		return out
	}
}

func modelCommand(steps, schema []string, s modelSub) (out []string) {
	type entry struct {
		key string
		row map[string]string
	}
	var rows []entry
	done, got := completedAt(validCommands(steps), provider.Command), !s.snapshot
	snapshot := func() {
		for _, e := range rows {
			e.row["command"] = "ADD"
			out = append(out, line("S", schema, e.row))
		}
		out, got = append(out, "EOS"), true
	}
	for i := 0; i <= len(steps); i++ {
		if i == s.at && !got && i > done {
			snapshot()
		}
		if i == len(steps) {
			return out
		}
		step := steps[i]
		if step == "CS" {
			rows = nil
		}
		if i == done && i >= s.at && !got {
			snapshot()
		}
		if step == "CS" && i >= s.at {
			out = append(out, "CS")
		}
		ev := map[string]string{}
		if step != "EOS" && step != "CS" {
			fieldsOf(step, ev)
		}
		key, ok := ev["key"]
		if !ok {
			continue
		}
		at := slices.IndexFunc(rows, func(e entry) bool { return e.key == key })
		row := map[string]string{"key": key, "command": "DELETE"}
		switch {
		case ev["command"] == "DELETE" && at < 0:
			continue
		case ev["command"] == "DELETE":
			rows = slices.Delete(rows, at, at+1)
		case at < 0:
			row = ev
			row["command"] = "ADD"
			rows = append(rows, entry{key, row})
		default:
			row = rows[at].row
			for k, v := range ev {
				row[k] = v
			}
			row["command"] = "UPDATE"
		}
		if i >= s.at && i >= done {
			out = append(out, line("L", schema, row))
		}
	}
	return out
}

// validCommands hides the events that COMMAND mode ignores behind a snapshot mark, so that they complete nothing.
func validCommands(steps []string) []string {
	out := slices.Clone(steps)
	for i, s := range out {
		if s != "EOS" && s != "CS" && !strings.Contains(s, "key=") {
			out[i] = "S "
		}
	}
	return out
}

func randomSteps(rng *rand.Rand, mode provider.Mode) []string {
	steps := make([]string, rng.IntN(25))
	for i := range steps {
		switch rng.IntN(20) {
		case 0:
			steps[i] = "CS"
		case 1, 2:
			steps[i] = "EOS"
		default:
			var w []string
			if rng.IntN(3) == 0 || i < 5 && rng.IntN(3) > 0 {
				w = append(w, "S")
			}
			if mode == provider.Command && rng.IntN(12) > 0 {
				w = append(w, "key="+string(rune('p'+rng.IntN(3))), "command="+[]string{"ADD", "UPDATE", "DELETE"}[rng.IntN(3)])
			}
			for _, f := range []string{"a", "b", "c"} {
				if rng.IntN(2) == 0 {
					w = append(w, fmt.Sprint(f, "=", rng.IntN(50)))
				}
			}
			steps[i] = strings.Join(w, " ")
		}
	}
	return steps
}

func TestAgainstModels(t *testing.T) {
	const keep = 4
	models := map[provider.Mode]func([]string, []string, modelSub) []string{
		provider.Merge: modelMerge, provider.Distinct: modelDistinct(keep), provider.Command: modelCommand,
	}
	schema := []string{"key", "command", "b", "a"}
	for mode, model := range models {
		t.Run(mode.String(), func(t *testing.T) {
			for seed := range uint64(1500) {
				rng := rand.New(rand.NewPCG(seed, 7))
				steps := randomSteps(rng, mode)
				subs := make([]modelSub, 4)
				readers := make([]*reader, len(subs))
				for i := range subs {
					subs[i] = modelSub{at: rng.IntN(len(steps) + 1), snapshot: i != 3, length: rng.IntN(4)}
					readers[i] = &reader{}
				}
				subs[0].at = 0
				f := newFeed(t)
				src := NewSource(Config{Data: f, Linger: -1})
				for i := 0; i <= len(steps); i++ {
					for j, s := range subs {
						if s.at == i {
							mustAttach(t, src, "i", Options{Mode: mode, Schema: schema, Snapshot: s.snapshot, Length: s.length, History: keep}, readers[j])
						}
					}
					if i < len(steps) {
						play(f.sink("i"), steps[i])
					}
				}
				src.Close()
				for j, s := range subs {
					if got, want := readers[j].take(), model(steps, schema, s); !slices.Equal(got, want) {
						t.Fatalf("seed %d, subscriber %+v\nevents %q\ngot    %q\nwant   %q", seed, s, steps, got, want)
					}
				}
			}
		})
	}
}
