//go:build unix

package broker

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
)

// childOfDescriptors is set in the process that runs the broker of the test.
const childOfDescriptors = "LIGHTSTREAMER_TEST_DESCRIPTORS"

// Clients that take all the file descriptors they can leave some for the adapters.
func TestDescriptorsForAdapters(t *testing.T) {
	if os.Getenv(childOfDescriptors) != "" {
		serveWithFewDescriptors(t)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDescriptorsForAdapters$", "-test.v")
	cmd.Env = append(os.Environ(), childOfDescriptors+"=1")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the broker's process: %v", err)
		}
	}()
	lines := bufio.NewScanner(stdout)
	next := func(prefix string) []string {
		t.Helper()
		for lines.Scan() {
			if rest, ok := strings.CutPrefix(lines.Text(), prefix+" "); ok {
				return strings.Fields(rest)
			}
		}
		t.Fatalf("the broker did not tell %s: %v", prefix, lines.Err())
		return nil
	}
	addrs := next("LISTENING")
	for range 400 {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addrs[0])
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	run(t, &adapter.MetadataServer{Provider: &hall{}, Addr: addrs[1]})
	run(t, &adapter.DataServer{Provider: quotes{}, Addr: addrs[2]})
	next("READY")
}

// serveWithFewDescriptors is the other process: it ends when its input does.
func serveWithFewDescriptors(t *testing.T) {
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 200, Max: 200}); err != nil {
		t.Fatal(err)
	}
	set := xmlSet(t, robustMeta, robustData)
	set.MetadataFirst = false
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	// More connections than there are descriptors, as they would be if other parts of a program
	// took what the broker has counted on.
	r, err := Start(ctx, Config{Addr: "127.0.0.1:0", Sets: []*adaptersxml.Set{set}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.front.gate.mu.Lock()
	r.front.gate.connections = 10_000
	r.front.gate.mu.Unlock()
	fmt.Printf("\nLISTENING %s %s %s\n", r.Addr(), r.Adapters()[0].Addr, r.Adapters()[1].Addr)
	go func() { // ends with the process
		<-r.Ready()
		fmt.Printf("\nREADY %d\n", r.Stats().Front.RefusedByDescriptors)
	}()
	bufio.NewScanner(os.Stdin).Scan()
}
