package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
	"github.com/lightstreamer-go/lightstreamer/broker"
)

// startFolder has a broker in the process of the test follow a folder, step by step.
func startFolder(t *testing.T, dir string) (f *folder, running *broker.Running, problems *[]string) {
	t.Helper()
	problems = new([]string)
	f = &folder{dir: dir, tell: func(p *adaptersxml.Problem) { *problems = append(*problems, p.Error()) }}
	sets, err := f.start()
	if err != nil {
		t.Fatal(err, *problems)
	}
	running, err = broker.Start(t.Context(), broker.Config{Addr: "127.0.0.1:0", Sets: sets})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(running.Close)
	return f, running, problems
}

// stepped looks twice, after which a change has come to rest, and returns what was done in words.
func stepped(t *testing.T, f *folder, to reloadable) string {
	t.Helper()
	if _, news := f.step(t.Context(), to); news {
		t.Error("applied at first sight")
	}
	done, news := f.step(t.Context(), to)
	if !news {
		return "nothing"
	}
	text := fmt.Sprintf("added %v replaced %v removed %v kept %v", done.Added, done.Replaced, done.Removed, done.kept)
	for _, file := range done.leftOut {
		text += " left out " + filepath.Base(filepath.Dir(file))
	}
	return text
}

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %s, want %s", what, got, want)
	}
}

// Sets may change their places in one go; where files do not go together, those that do are taken over.
func TestFilesThatChangeTogether(t *testing.T) {
	dir := t.TempDir()
	a, b, c := filepath.Join(dir, "a", "adapters.xml"), filepath.Join(dir, "b", "adapters.xml"), filepath.Join(dir, "c", "adapters.xml")
	one, two, three := freePort(t), freePort(t), freePort(t)
	writeFile(t, a, setXML("A", one))
	writeFile(t, b, setXML("B", two))
	f, running, problems := startFolder(t, dir)
	expect(t, "no change", stepped(t, f, running), "nothing")

	writeFile(t, a, setXML("A", two))
	writeFile(t, b, setXML("B", one))
	expect(t, "ports exchanged", stepped(t, f, running), "added [] replaced [A B] removed [] kept []")

	writeFile(t, a, setXML("A", one))
	writeFile(t, c, setXML("C", three))
	expect(t, "a port of another set, and a new set", stepped(t, f, running), "added [C] replaced [] removed [] kept [A]")
	if len(*problems) == 0 || !strings.HasPrefix((*problems)[0], b+":8:") && !strings.HasPrefix((*problems)[0], a+":8:") {
		t.Errorf("the problems are %q", *problems)
	}

	if err := os.Remove(b); err != nil {
		t.Fatal(err)
	}
	expect(t, "the other set is gone", stepped(t, f, running), "added [] replaced [A] removed [B] kept []")

	if err := os.Rename(dir, dir+" away"); err != nil {
		t.Fatal(err)
	}
	expect(t, "the folder is away", stepped(t, f, running), "nothing")
	if err := os.Rename(dir+" away", dir); err != nil {
		t.Fatal(err)
	}
	expect(t, "the folder is back", stepped(t, f, running), "nothing")
	writeFile(t, b, setXML("A", two))
	expect(t, "a new set of the same id", stepped(t, f, running), "added [] replaced [] removed [] kept [] left out b")
}

// Warnings and mistakes are told once, not at each change of another file.
func TestProblemsAreToldOnce(t *testing.T) {
	dir := t.TempDir()
	broken, fine := filepath.Join(dir, "broken", "adapters.xml"), filepath.Join(dir, "fine", "adapters.xml")
	port := freePort(t)
	writeFile(t, fine, setXML("FINE", port))
	f, running, problems := startFolder(t, dir)
	writeFile(t, broken, setXML("BROKEN", 0))
	expect(t, "a broken file", stepped(t, f, running), "added [] replaced [] removed [] kept [] left out broken")
	if len(*problems) != 1 || !strings.HasPrefix((*problems)[0], broken+":8:") {
		t.Fatalf("the problems are %q", *problems)
	}
	writeFile(t, fine, strings.Replace(setXML("FINE", port), "</data", `<param name="timout">1</param></data`, 1))
	expect(t, "another file", stepped(t, f, running), "added [] replaced [FINE] removed [] kept [] left out broken")
	if len(*problems) != 2 || !strings.HasPrefix((*problems)[1], fine+":9:") || !strings.Contains((*problems)[1], "warning") {
		t.Errorf("the problems are %q", *problems)
	}
}

// A set of which a port is taken is put into service when the port is free, without a change of the file.
func TestTakenPortIsTriedAgain(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "a", "adapters.xml"), setXML("A", freePort(t)))
	f, running, problems := startFolder(t, dir)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "b", "adapters.xml"), setXML("B", taken.Addr().(*net.TCPAddr).Port))
	expect(t, "the port is taken", stepped(t, f, running), "added [B] replaced [] removed [] kept []")
	again := func() string {
		f.tried = time.Time{} // long ago
		done, news := f.step(t.Context(), running)
		return fmt.Sprint(news, done.Added)
	}
	expect(t, "it is still taken", again(), "false []")
	if len(*problems) != 1 || !strings.Contains((*problems)[0], "request_reply_port") {
		t.Errorf("the problems are %q", *problems)
	}
	taken.Close()
	expect(t, "it is free", again(), "true [B]")
	expect(t, "all is well", again(), "false []")
	if at := running.Adapters(); len(at) != 2 || at[1].Set != "B" {
		t.Errorf("adapters are waited for at %v", at)
	}
}

func TestAdapterWatch(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 1, 1, 12, minute, 0, 0, time.UTC) }
	var told []string
	w := adapterWatch{tell: func(a adapterEvent) {
		state := "lost after " + a.lasted.String()
		if a.connected {
			state = "connected"
		}
		told = append(told, fmt.Sprintf("%s %s/%s %s", a.at.Format("15:04"), a.set, a.name, state))
	}}
	stats := func(connected ...int) []broker.AdapterStats {
		all := []broker.AdapterStats{{Set: "S"}, {Set: "S", DataAdapter: "D"}, {Set: "IN", InProcess: true, Connected: true, Since: at(0)}}
		for i, minute := range connected {
			if minute > 0 {
				all[i].Connected, all[i].Since = true, at(minute)
			}
		}
		return all
	}
	for _, step := range []struct {
		name  string
		stats []broker.AdapterStats
		want  []string
	}{
		{"none", stats(), nil},
		{"one", stats(1), []string{"12:01 S/ connected"}},
		{"both", stats(1, 2), []string{"12:02 S/D connected"}},
		{"the same", stats(1, 2), nil},
		{"lost", stats(0, 2), []string{"12:59 S/ lost after 58m0s"}},
		{"again, and the other one in between", stats(3, 4), []string{"12:04 S/D lost after 2m0s", "12:03 S/ connected", "12:04 S/D connected"}},
		{"the set is gone", nil, []string{"12:59 S/ lost after 56m0s", "12:59 S/D lost after 55m0s"}},
	} {
		told = nil
		if w.look(step.stats, at(59)); !slices.Equal(told, step.want) {
			t.Errorf("%s: %q, want %q", step.name, told, step.want)
		}
	}
}

// Nothing is done any more when the context has ended, and what is not done in time is left behind.
func TestEveryAndWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		every(ctx, time.Second, func() {
			if n++; n == 3 {
				cancel()
			}
		})
		if n != 3 {
			t.Errorf("called %d times", n)
		}
		if took, cut := within(time.Minute, func() { <-time.After(time.Second) }); took != time.Second || cut {
			t.Errorf("took %v, cut %v", took, cut)
		}
		end := make(chan struct{})
		if took, cut := within(time.Minute, func() { <-end }); took != time.Minute || !cut {
			t.Errorf("took %v, cut %v", took, cut)
		}
		close(end)
	})
}
