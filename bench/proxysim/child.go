//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// child is a running adapter with its connections.
type child struct {
	link

	pid     int
	enc     encoder
	version string  // of the protocol, as the adapter asked for
	began   int64   // when the process was started
	initMs  float64 // from then until the adapter was initialised

	cmd   *exec.Cmd
	conns []*net.TCPConn
	files []*os.File
	stdin io.WriteCloser
	out   output
	done  chan struct{} // closed when the process has ended

	stopSampling func()
	sampled      sync.WaitGroup
	maxThreads   atomic.Int64
	peakKB       int64
}

const (
	connectTimeout = 20 * time.Second
	replyTimeout   = 10 * time.Second
	exitTimeout    = 300 * time.Millisecond
)

// start runs the adapter, and takes it through the handshake. mss, if not 0, is the largest TCP segment of its connections.
func start(p *peer, kind string, mss int, env ...string) (*child, error) {
	c := &child{done: make(chan struct{}), stopSampling: func() {}}
	c.out.produced.Store(-1)
	var listeners []*net.TCPListener
	defer func() {
		for _, l := range listeners {
			_ = l.Close()
		}
	}()
	ports := []string{"ARI_PORT"}
	if p.Notify && kind == "data" {
		ports = append(ports, "ARI_NOTIFY_PORT")
	}
	for _, name := range ports {
		l, err := listen(mss)
		if err != nil {
			return nil, err
		}
		listeners = append(listeners, l)
		env = append(env, fmt.Sprintf("%s=%d", name, l.Addr().(*net.TCPAddr).Port))
	}
	if err := c.spawn(p, append(env, "ARI_HOST=127.0.0.1", "ARI_KIND="+kind)); err != nil {
		return nil, err
	}
	err := c.handshake(listeners, kind)
	if err != nil {
		c.stop()
		return nil, fmt.Errorf("%w; adapter output:\n%s", err, c.out.String())
	}
	c.sample()
	return c, nil
}

func listen(mss int) (*net.TCPListener, error) {
	lc := net.ListenConfig{Control: func(_, _ string, rc syscall.RawConn) error {
		if mss == 0 {
			return nil
		}
		var inner error
		err := rc.Control(func(fd uintptr) {
			inner = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, mss)
		})
		return errors.Join(err, inner)
	}}
	l, err := lc.Listen(context.Background(), "tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return l.(*net.TCPListener), nil
}

func (c *child) spawn(p *peer, env []string) (err error) {
	c.cmd = exec.Command(p.Cmd[0], p.Cmd[1:]...) //nolint:gosec,noctx // what is measured is given by the caller; stop ends it
	c.cmd.Env = append(append(os.Environ(), p.Env...), env...)
	c.cmd.Stdout = &c.out
	c.cmd.Stderr = &c.out
	c.cmd.WaitDelay = time.Second
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return err
	}
	c.began = monotonic()
	if err = c.cmd.Start(); err != nil {
		return err
	}
	c.pid = c.cmd.Process.Pid
	go func() {
		_ = c.cmd.Wait() // how it ends does not matter: what it sent does
		close(c.done)
	}()
	return nil
}

func (c *child) handshake(listeners []*net.TCPListener, kind string) error {
	for i, l := range listeners {
		if err := c.accept(l, buffers[i]); err != nil {
			return err
		}
	}
	deadline := monotonic() + int64(replyTimeout)
	for range listeners { // the second RAC has a time stamp in place of the id
		rac, err := c.line(deadline)
		if err != nil {
			return fmt.Errorf("no credentials line: %w", err)
		}
		if !strings.Contains(rac, "|RAC|") {
			return fmt.Errorf("expected the credentials line, got %q", rac)
		}
	}
	verb := map[string]string{"data": "DPI", "metadata": "MPI"}[kind]
	const id = "10000000000000001"
	const params = "|S|ARI.version|S|1.9.1|S|keepalive_hint.millis|S|10000|S|adapters_conf.id|S|BENCH|S|proxy.instance_id|S|bench\r\n"
	if err := c.write([]byte(id + "|" + verb + params)); err != nil {
		return err
	}
	for {
		reply, err := c.line(deadline)
		if err != nil {
			return fmt.Errorf("no reply to %s: %w", verb, err)
		}
		if reply == "KEEPALIVE" {
			continue
		}
		after, ok := strings.CutPrefix(reply, id+"|"+verb+"|S|ARI.version|S|")
		if !ok {
			return fmt.Errorf("unexpected reply to %s: %q", verb, reply)
		}
		c.version, _, _ = strings.Cut(after, "|")
		c.enc.old = strings.HasPrefix(c.version, "1.8.")
		c.initMs = float64(monotonic()-c.began) / 1e6
		return nil
	}
}

// accept waits for a connection for as long as the adapter lives.
func (c *child) accept(l *net.TCPListener, buf []byte) error {
	for deadline := time.Now().Add(connectTimeout); ; {
		if err := l.SetDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			return err
		}
		conn, err := l.AcceptTCP()
		if err == nil {
			c.conns = append(c.conns, conn)
			break
		}
		select {
		case <-c.done:
			return errors.New("the adapter exited without connecting")
		default:
		}
		if time.Now().After(deadline) {
			return errors.New("the adapter did not connect")
		}
	}
	file, err := c.conns[len(c.conns)-1].File()
	if err != nil {
		return err
	}
	c.files = append(c.files, file)
	w, err := newWire(int(file.Fd()), buf)
	if err != nil {
		return err
	}
	c.wires = append(c.wires, w)
	return nil
}

// sample starts to watch the number of threads.
func (c *child) sample() {
	stop := make(chan struct{})
	c.stopSampling = sync.OnceFunc(func() { close(stop) })
	c.sampled.Go(func() {
		t := time.NewTicker(100 * time.Millisecond)
		defer t.Stop()
		for {
			if n := sampleProc(c.pid).threads; n > c.maxThreads.Load() {
				c.maxThreads.Store(n)
			}
			select {
			case <-t.C:
			case <-stop:
				return
			case <-c.done:
				return
			}
		}
	})
}

func (c *child) cpu() int64        { return processCPU(c.pid) }
func (c *child) rssBytes() float64 { return float64(sampleProc(c.pid).rssKB) * 1024 }

// credit tells the adapter how many updates have arrived.
func (c *child) credit(n int64) error {
	_, err := c.stdin.Write(append(strconv.AppendInt(nil, n, 10), '\n'))
	return err
}

// dump makes the adapter print what its threads are at, as Go and Java programs do on SIGQUIT, and returns the end of its output.
func (c *child) dump() string {
	c.out.keep.Store(true)
	_ = syscall.Kill(c.pid, syscall.SIGQUIT)
	select {
	case <-c.done:
	case <-time.After(time.Second):
	}
	return c.out.String()
}

// lost is the error of a run whose connection failed.
func (c *child) lost(err error) error {
	return fmt.Errorf("connection lost (%w); adapter output:\n%s", err, c.out.String())
}

// stop closes the connections, which the adapter must take as the order to exit, and gets rid of it in any case. It returns the peak RSS in MiB. (Not
// taken from rusage, which starts from the parent's own peak.)
func (c *child) stop() float64 {
	if peak := sampleProc(c.pid).peakKB; peak > c.peakKB {
		c.peakKB = peak
	}
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	for _, f := range c.files {
		_ = f.Close()
	}
	c.stopSampling()
	select {
	case <-c.done:
	case <-time.After(exitTimeout):
		_ = c.cmd.Process.Kill()
		<-c.done
	}
	_ = c.stdin.Close()
	c.sampled.Wait()
	return float64(c.peakKB) / 1024
}
