package proxy_test

import (
	"bytes"
	"net"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/broker/internal/provider"
	"github.com/lightstreamer-go/lightstreamer/broker/internal/proxy"
	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// countingSink tells when it has got as many updates as it was to get. It belongs to the proxy's reader.
type countingSink struct {
	left int
	done chan struct{}
}

func (s *countingSink) Update(provider.Update) {
	if s.left--; s.left == 0 {
		close(s.done)
	}
}
func (s *countingSink) EndOfSnapshot()                             {}
func (s *countingSink) ClearSnapshot()                             {}
func (s *countingSink) Lost(bool)                                  {}
func (s *countingSink) DeclareFieldDiffOrder([]provider.FieldDiff) {}

// BenchmarkUpdates measures updates of three fields from a socket to the item's sink.
func BenchmarkUpdates(b *testing.B) {
	d, err := proxy.StartData(b.Context(), proxy.DataConfig{Config: proxy.Config{Set: "DEMO"}})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	nc, err := net.Dial("tcp", d.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	buf := make([]byte, 4096)
	id := func() string {
		n, _ := nc.Read(buf)
		l, _ := ari.ParseLine(buf[:n])
		return string(l.ID)
	}
	_, _ = nc.Write(append(ari.AppendInitReply(nil, id(), ari.Data, ari.V191), '\n'))
	<-d.Ready()
	s := &countingSink{left: b.N, done: make(chan struct{})}
	d.Subscribe("item1", "", s)
	line := ari.AppendUpdateHead(nil, 1795340119454, ari.AppendItemHead(nil, ari.V191, "item1", id()), false)
	for _, f := range []string{"last_price", "time", "pct_change"} {
		line = ari.AppendField(line, ari.Smart, f, "12.345")
	}
	line = append(line, ari.EOL...)
	const batch = 500
	many := bytes.Repeat(line, batch)
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	b.ResetTimer()
	for left := b.N; left > 0; left -= batch {
		if _, err := nc.Write(many[:len(line)*min(left, batch)]); err != nil {
			b.Fatal(err)
		}
	}
	<-s.done
}
