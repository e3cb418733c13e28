package adaptertest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// connected returns the two ends of a connection made through a network.
func connected(t *testing.T, buffer int) (dialled, accepted net.Conn) {
	t.Helper()
	n := NewNetwork()
	n.Buffer = buffer
	l, err := n.Listen("host:1")
	if err != nil {
		t.Fatal(err)
	}
	dialled, err = n.Dial(t.Context(), "tcp", "host:1")
	if err != nil {
		t.Fatal(err)
	}
	accepted, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return dialled, accepted
}

func TestNetworkAddresses(t *testing.T) {
	n := NewNetwork()
	l, err := n.Listen("host:1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Listen("host:1"); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("second Listen: %v, want EADDRINUSE", err)
	}
	if _, err := n.Listen("host"); err == nil {
		t.Error("Listen without a port succeeded")
	}
	free, err := n.Listen("host:0")
	if err != nil {
		t.Fatal(err)
	}
	if _, port, _ := net.SplitHostPort(free.Addr().String()); port == "0" || free.Addr().Network() != "tcp" {
		t.Errorf("a listener of port 0 has the address %v", free.Addr())
	}
	if _, err := n.Dial(t.Context(), "tcp", "nobody:1"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("Dial to nobody: %v, want ECONNREFUSED", err)
	}
	if _, err := n.Dial(t.Context(), "udp", "host:1"); err == nil {
		t.Error("Dial of udp succeeded")
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := n.Dial(over, "tcp", "host:1"); !errors.Is(err, context.Canceled) {
		t.Errorf("Dial with a context that is over: %v", err)
	}
	a, err := n.Dial(t.Context(), "tcp", "host:1")
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if a.LocalAddr().String() != b.RemoteAddr().String() || a.RemoteAddr().String() != "host:1" || b.LocalAddr().String() != "host:1" {
		t.Errorf("addresses %v-%v and %v-%v do not belong together", a.LocalAddr(), a.RemoteAddr(), b.LocalAddr(), b.RemoteAddr())
	}
	waiting, err := n.Dial(t.Context(), "tcp", "host:1")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	_ = l.Close()
	if _, err := waiting.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("a connection that was never accepted reads %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v", err)
	}
	if _, err := n.Dial(t.Context(), "tcp", "host:1"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("Dial after Close: %v", err)
	}
	if _, err := n.Listen("host:1"); err != nil {
		t.Errorf("the address is not free after Close: %v", err)
	}
}

func TestNetworkBacklog(t *testing.T) {
	n := NewNetwork()
	if _, err := n.Listen("host:1"); err != nil {
		t.Fatal(err)
	}
	for range backlog {
		if _, err := n.Dial(t.Context(), "tcp", "host:1"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := n.Dial(t.Context(), "tcp", "host:1"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a connection over the backlog: %v, want ECONNREFUSED", err)
	}
}

// All bytes arrive, in order, whatever the sizes of buffer, writes and reads, and whatever the delay.
func TestNetworkCarriesBytes(t *testing.T) {
	for _, buffer := range []int{1, 7, 4096, 0, -1} {
		for _, delay := range []time.Duration{0, time.Second} {
			synctest.Test(t, func(t *testing.T) {
				a, b := connected(t, buffer)
				a.(*socket).out.delay = delay
				sent := make([]byte, 300_000/max(1, 100/max(buffer, 1)))
				_, _ = rand.Read(sent)
				go func() {
					for rest, n := sent, 1; len(rest) > 0; n = n*3%5003 + 1 {
						n, err := a.Write(rest[:min(n, len(rest))])
						if err != nil {
							t.Error(err)
							return
						}
						rest = rest[n:]
					}
					_ = a.Close()
				}()
				got, err := io.ReadAll(b)
				if err != nil || !bytes.Equal(got, sent) {
					t.Errorf("buffer %d, delay %v: %d bytes arrived of %d (%v), or not the same", buffer, delay, len(got), len(sent), err)
				}
			})
		}
	}
}

func TestNetworkWriteWaitsForTheReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := connected(t, 10)
		var written int
		done := make(chan struct{})
		go func() {
			defer close(done)
			n, err := a.Write(make([]byte, 25))
			if n != 25 || err != nil {
				t.Errorf("Write returned %d, %v", n, err)
			}
		}()
		synctest.Wait()
		select {
		case <-done:
			t.Fatal("25 bytes went into a buffer of 10")
		default:
		}
		for written < 25 {
			n, err := b.Read(make([]byte, 100))
			if err != nil || n > 10 {
				t.Fatalf("Read returned %d, %v", n, err)
			}
			written += n
		}
		<-done
	})
}

func TestNetworkCloseAndReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := connected(t, 0)
		_, _ = a.Write([]byte("last words"))
		_ = a.Close()
		if got, err := io.ReadAll(b); string(got) != "last words" || err != nil {
			t.Errorf("after Close the other end reads %q, %v", got, err)
		}
		if _, err := b.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("writing to a closed connection: %v, want EPIPE", err)
		}
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("reading a connection closed here: %v", err)
		}
		if _, err := a.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("writing to a connection closed here: %v", err)
		}

		a, b = connected(t, 0)
		_, _ = a.Write([]byte("x"))
		_ = a.(*socket).CloseWrite()
		_, _ = b.Write([]byte("answer"))
		_ = b.Close()
		if got, err := io.ReadAll(a); string(got) != "answer" || err != nil {
			t.Errorf("after CloseWrite the same end reads %q, %v", got, err)
		}

		a, b = connected(t, 0)
		_, _ = a.Write([]byte("lost"))
		why := errors.New("cable cut")
		b.(*socket).reset(why)
		for _, end := range []net.Conn{a, b} {
			if _, err := end.Read(make([]byte, 1)); !errors.Is(err, why) {
				t.Errorf("reading after a reset: %v", err)
			}
			if _, err := end.Write([]byte("x")); !errors.Is(err, why) {
				t.Errorf("writing after a reset: %v", err)
			}
		}
	})
}

// Whoever waits is woken by a close, a reset, or a deadline.
func TestNetworkWakesWaiters(t *testing.T) {
	why := errors.New("cable cut")
	for _, tt := range []struct {
		name  string
		wake  func(mine, other *socket)
		read  error
		write error
	}{
		{"closed here", func(mine, _ *socket) { _ = mine.Close() }, net.ErrClosed, net.ErrClosed},
		{"closed there", func(_, other *socket) { _ = other.Close() }, io.EOF, syscall.EPIPE},
		{"reset", func(_, other *socket) { other.reset(why) }, why, why},
		{"deadline", func(mine, _ *socket) { _ = mine.SetDeadline(time.Now().Add(time.Hour)) }, os.ErrDeadlineExceeded, os.ErrDeadlineExceeded},
		{"deadline passed", func(mine, _ *socket) { _ = mine.SetDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded, os.ErrDeadlineExceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := connected(t, 4)
				read, write := make(chan error), make(chan error)
				go func() {
					_, err := a.Read(make([]byte, 1))
					read <- err
				}()
				go func() {
					_, err := a.Write(make([]byte, 10))
					write <- err
				}()
				synctest.Wait()
				tt.wake(a.(*socket), b.(*socket))
				if err := <-read; !errors.Is(err, tt.read) {
					t.Errorf("Read: %v, want %v", err, tt.read)
				}
				if err := <-write; !errors.Is(err, tt.write) {
					t.Errorf("Write: %v, want %v", err, tt.write)
				}
			})
		})
	}
}

func TestNetworkDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := connected(t, 4)
		_ = a.SetDeadline(time.Now().Add(time.Second))
		_ = a.SetDeadline(time.Time{})                   // taken back
		_ = a.SetReadDeadline(time.Now().Add(time.Hour)) // replaced below
		_ = a.SetReadDeadline(time.Now().Add(2 * time.Hour))
		before := time.Now()
		_, err := a.Read(make([]byte, 1))
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() || time.Since(before) != 2*time.Hour {
			t.Errorf("Read failed with %v after %v, want a time-out after two hours", err, time.Since(before))
		}
		// A deadline that has passed does not break the connection.
		_ = a.SetReadDeadline(time.Time{})
		_, _ = b.Write([]byte("x"))
		if n, err := a.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Errorf("Read returned %d, %v after the deadline was lifted", n, err)
		}
		_ = a.SetWriteDeadline(time.Now().Add(time.Second))
		if n, err := a.Write(make([]byte, 10)); n != 4 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Write returned %d, %v, want the 4 bytes that there was room for and a time-out", n, err)
		}

		l, _ := NewNetwork().Listen("h:1")
		_ = l.SetDeadline(time.Now().Add(time.Minute))
		before = time.Now()
		if _, err := l.Accept(); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(before) != time.Minute {
			t.Errorf("Accept: %v after %v", err, time.Since(before))
		}
		waiting := make(chan error)
		_ = l.SetDeadline(time.Time{})
		go func() {
			_, err := l.Accept()
			waiting <- err
		}()
		synctest.Wait()
		_ = l.SetDeadline(time.Unix(1, 0))
		if err := <-waiting; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Accept: %v, want a time-out at once", err)
		}
	})
}

func TestNetworkDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := connected(t, 0)
		a.(*socket).out.delay = 3 * time.Second
		before := time.Now()
		_, _ = a.Write([]byte("x"))
		a.(*socket).out.delay = 0 // must not overtake
		_, _ = a.Write([]byte("y"))
		_ = a.Close()
		got, err := io.ReadAll(b)
		if string(got) != "xy" || err != nil || time.Since(before) != 3*time.Second {
			t.Errorf("read %q, %v after %v", got, err, time.Since(before))
		}
	})
}
