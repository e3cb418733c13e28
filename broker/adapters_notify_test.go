package broker

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/adaptersxml"
)

// A remote of ARI 1.8.3 on two connections, by hand.
func TestNotifyPort(t *testing.T) {
	set, other := xmlSet(t, literalXML, robustData), xmlSet(t, literalXML, robustData)
	other.ID = "OTHER"
	set.Data[0].Proxy.NotifyPort, other.Data[0].Proxy.NotifyPort = -1, -1 // any free one
	r, err := Start(t.Context(), Config{Addr: "127.0.0.1:0", Sets: []*adaptersxml.Set{set}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	if err := checkSets([]*adaptersxml.Set{set, other}, new(Config)); err != nil {
		t.Errorf("any free port, twice: %v", err)
	}
	at := r.Adapters()[0]
	conns := make([]net.Conn, 2)
	for i, addr := range []net.Addr{at.Addr, at.NotifyAddr} {
		if conns[i], err = net.Dial("tcp", addr.String()); err != nil {
			t.Fatal(err)
		}
		defer conns[i].Close()
	}
	requests := bufio.NewScanner(conns[0])
	next := func() (id string) {
		if !requests.Scan() {
			t.Errorf("no request: %v", requests.Err())
		}
		id, _, _ = strings.Cut(requests.Text(), "|")
		return id
	}
	fmt.Fprintf(conns[0], "1|RAC|S|enableClosePacket|S|true\r\n%s|DPI|S|ARI.version|S|1.8.3\r\n", next())
	<-r.Ready()
	done := make(chan struct{})
	go func() {
		defer close(done)
		id := next() // SUB
		fmt.Fprintf(conns[1], "1|UD3|S|item1|S|%[1]s|B|1|S|name|S|item1|S|last|S|1.0\r\n1|EOS|S|item1|S|%[1]s\r\n1|UD3|S|item1|S|%[1]s|B|0|S|last|S|1.1\r\n", id)
		fmt.Fprintf(conns[0], "%s|SUB|V\r\n", id)
	}()
	seeQuote(t, &demo{Running: r})
	<-done
}
