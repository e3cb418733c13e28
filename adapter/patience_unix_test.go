//go:build unix

package adapter

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// A process that was stopped reads what has come meanwhile before it judges that nothing has.
func TestTimeoutsOfAStoppedProcess(t *testing.T) {
	if os.Getenv("ADAPTER_TEST_STOPPED") != "" {
		waitForByte()
	}
	const limit = 800 * time.Millisecond
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestTimeoutsOfAStoppedProcess$")
	child.Env = append(os.Environ(), "ADAPTER_TEST_STOPPED="+limit.String())
	child.Stderr = os.Stderr
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	pipe, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewReader(pipe)
	if line, err := out.ReadString('\n'); line != "waiting\n" {
		t.Fatalf("the child said %q, %v", line, err)
	}
	if err := child.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	<-time.After(2 * limit)
	if err := child.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if line, err := out.ReadString('\n'); line != "read\n" {
		t.Errorf("the child said %q, %v", line, err)
	}
	_ = in.Close()
	_ = child.Wait()
}

// waitForByte is what the child does.
func waitForByte() {
	limit, err := time.ParseDuration(os.Getenv("ADAPTER_TEST_STOPPED"))
	if err != nil {
		panic(err)
	}
	done := make(chan struct{})
	go func() {
		_, _ = io.ReadFull(os.Stdin, make([]byte, 1))
		close(done)
	}()
	_, _ = os.Stdout.WriteString("waiting\n")
	said := "read\n"
	if expires(limit, done) {
		said = "expired\n"
	}
	_, _ = os.Stdout.WriteString(said)
	os.Exit(0)
}
