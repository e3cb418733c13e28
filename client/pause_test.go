//go:build unix

package client_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/client"
)

// pausedURL has the address of the server for the process that is stopped.
const pausedURL = "LIGHTSTREAMER_TEST_PAUSED"

// A process that was stopped for longer than its server may be silent goes on with what is in its
// socket: no recovery, nothing lost.
func TestPause(t *testing.T) {
	if url := os.Getenv(pausedURL); url != "" {
		paused(t, url)
		return
	}
	r, f, _ := start(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPause$", "-test.v")
	cmd.Env = append(os.Environ(), pausedURL+"="+r.URL())
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(stdout)
	expect := func(want string) {
		t.Helper()
		for said.Scan() {
			if text, ours := strings.CutPrefix(said.Text(), "child: "); ours {
				if text != want {
					t.Errorf("got %q, want %q", text, want)
				}
				return
			}
		}
		t.Fatalf("nothing comes; want %q", want)
	}
	item := f.item(t, "raw.1")
	item.Update(adapter.Fields{"n": 0})
	expect("raw.1 0!")
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	item.Update(adapter.Fields{"n": 1})
	<-time.After(3 * time.Second) // twice what the server may be silent for
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	expect("raw.1 1!")
	item.Update(adapter.Fields{"n": "end"})
	expect("raw.1 end!")
	expect("recoveries 0")
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// paused is what the stopped process does: it tells its updates, and in the end how often it had to
// recover.
func paused(t *testing.T, url string) {
	c := connect(t, client.Config{Addr: url, Keepalive: time.Second, Patience: 500 * time.Millisecond})
	got := make(recorder, 100)
	if _, err := c.Subscribe(t.Context(), got.callbacks(client.Subscription{Mode: client.Raw, Items: []string{"raw.1"}, Fields: []string{"n"}})); err != nil {
		t.Fatal(err)
	}
	for text := ""; text != "raw.1 end!"; {
		text = <-got
		fmt.Println("child:", text)
	}
	fmt.Println("child: recoveries", c.Stats().Recoveries)
}
