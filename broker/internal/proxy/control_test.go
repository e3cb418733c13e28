package proxy_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/proxy"
)

// kernel serves the remote's requests: the sessions it does not know are no error, table 4 is not unsubscribable.
type kernel struct {
	block chan struct{} // nil: serves at once

	mu    sync.Mutex
	calls []string
}

func (k *kernel) add(call string) {
	if k.block != nil {
		<-k.block
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.calls = append(k.calls, call)
}

func (k *kernel) take() string {
	synctest.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	all := strings.Join(k.calls, ", ")
	k.calls = nil
	return all
}

func (k *kernel) ForceSessionTermination(session string, cause *provider.Cause) error {
	if session == "bad" {
		return errors.New("no way | out")
	}
	call := "end " + session
	if cause != nil {
		call += fmt.Sprintf(" %d %s", cause.Code, cause.Message.S)
	}
	k.add(call)
	return nil
}

func (k *kernel) ForceUnsubscription(session string, winIndex int) (bool, error) {
	if session == "bad" {
		return false, errors.New("no way")
	}
	k.add(fmt.Sprintf("leave %s %d", session, winIndex))
	return winIndex != 4, nil
}

func TestControl(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, ln := startMetadata(t, proxy.MetadataConfig{})
		r := connectMetadata(t, ln)
		r.say("64|FST|S|S1|V")
		r.expect("64|FST|E|not available yet")
		r.say("65|FUS|S|S1|I|1")
		r.expect("65|FUS|E|not available yet")
		k := &kernel{}
		m.SetControl(k)
		for _, tt := range []struct{ line, reply, call string }{
			{"66|FST|S|S1|V", "66|FST|V", "end S1"},
			{"67|FST|S|S1|I|-7|S|bye %7C now", "67|FST|V", "end S1 -7 bye | now"},
			{"68|FST|S|S1|I|0|S|#", "68|FST|V", "end S1 0 "},
			{"69|FST|S|S1|I|7|S|x", "69|FST|E|code 7: it has to be 0 or negative", ""},
			{"6a|FST|S|bad|V", "6a|FST|E|no way %7C out", ""},
			{"6b|FUS|S|S1|I|3", "6b|FUS|B|1", "leave S1 3"},
			{"6c|FUS|S|S1|I|4", "6c|FUS|B|0", "leave S1 4"},
			{"6d|FUS|S|bad|I|4", "6d|FUS|E|no way", ""},
		} {
			r.say("%s", tt.line)
			r.expect(tt.reply)
			if got := k.take(); got != tt.call {
				t.Errorf("%s: the kernel was asked to %q, want %q", tt.line, got, tt.call)
			}
		}
		for _, line := range []string{"70|FST|S", "70|FST|B|1", "70|FUS|S|S1", "70|FUS|S|S1|I|x"} {
			r.say("%s", line)
			if reply := r.next(); !strings.HasPrefix(reply, line[:7]+"E|") {
				t.Errorf("%s: reply %q", line, reply)
			}
		}
	})
}

// TestControlHeld: what the adapter asks from within NNS and NNT waits for their end.
func TestControlHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, ln := startMetadata(t, proxy.MetadataConfig{Config: proxy.Config{Robust: true}})
		k := &kernel{}
		m.SetControl(k)
		r := connectMetadata(t, ln)
		begin := func() <-chan error {
			return background(func() error {
				_, err := m.NotifyNewSession(t.Context(), provider.Null, "A", nil)
				return err
			})
		}
		begun := begin()
		nns := r.request("NNS|S|#|S|A")
		r.say("64|FST|S|A|V\r\n65|FUS|S|A|I|1\r\n66|FST|S|B|V")
		r.expect("66|FST|V") // of another session
		r.silent()
		r.say("%s|NNS|I|0", nns)
		<-begun
		r.expect("64|FST|V")
		r.expect("65|FUS|B|1")
		if got := k.take(); got != "end B, end A, leave A 1" {
			t.Errorf("calls: %s", got)
		}

		opened := background(func() error {
			_, err := m.NotifyNewTables(t.Context(), provider.Null, "A", []provider.Table{win(1)})
			return err
		})
		nntID := r.request(nnt("A", 1))
		r.say("67|FUS|S|A|I|1\r\n68|FUS|S|A|I|2\r\n69|FST|S|A|V")
		r.expect("68|FUS|B|1") // of another table
		r.expect("69|FST|V")
		r.silent()
		r.say("%s|NNT|EC|no|0|#", nntID)
		<-opened
		r.expect("67|FUS|B|1")
		k.take()

		// What a lost remote asked for is dropped.
		begun = begin()
		r.request("NNS|S|#|S|A")
		r.say("70|FST|S|A|V")
		r.nc.Close()
		asError(t, <-begun, provider.Unavailable)
		_ = k.take() // it may have been served at the end of NNS: either is right
		r = connectMetadata(t, ln)
		r.silent()
	})
}

// TestControlBound: a remote cannot make the proxy hold any number of requests, nor does a slow kernel stop the reader.
func TestControlBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, ln := startMetadata(t, proxy.MetadataConfig{})
		k := &kernel{block: make(chan struct{})}
		m.SetControl(k)
		r := connectMetadata(t, ln)
		const sent, bound = 2000, 1024
		for i := range sent {
			r.say("%x|FST|S|S|V", i+100)
		}
		refused := 0
		for range sent - bound - 1 { // one is at the kernel
			if !strings.Contains(r.next(), "|FST|E|more than 1024 requests at a time") {
				t.Fatal("not refused")
			}
			refused++
		}
		r.silent()
		close(k.block)
		for range sent - refused {
			if line := r.next(); !strings.HasSuffix(line, "|FST|V") {
				t.Fatalf("reply %q", line)
			}
		}
	})
}
