//go:build interop

package clients

import (
	"strings"
	"time"

	"github.com/lightstreamer-go/lightstreamer/interop/testset"
)

var limits = []capability{
	{"frequency: told, limited, changed", changeFrequency},
	{"frequency: unfiltered", unfiltered},
	{"bandwidth: told, limited, changed", changeBandwidth},
	{"bandwidth: kept", keepBandwidth},
}

// changeFrequency looks at the values and not at the clock: the counter grows by 10 a second, so that at 2 updates a second they are 5 apart.
func changeFrequency(l *lab) {
	c := l.connected(remote.URL, "WS-STREAMING")
	c.count("frequency", "2")
	c.await("the frequency", isNumber("frequency", "2"))
	apart := func() float64 {
		first := c.number(c.await("an update", isUpdate("count")), "count")
		last := first
		const updates = 4
		for range updates {
			last = c.number(c.await("an update", isUpdate("count")), "count")
		}
		return float64(last-first) / updates
	}
	c.await("the snapshot", isUpdate("count"))
	if got := apart(); got < 4 {
		l.Errorf("at 2 updates a second the values are %v apart, want about 5", got)
	}
	c.do("frequency", "sub", "count", "value", "unlimited")
	c.await("the frequency", isText("frequency", "unlimited"))
	c.await("an update that waited", isUpdate("count"))
	if got := apart(); got > 3 {
		l.Errorf("without a limit the values are %v apart, want about 1", got)
	}
	c.do("frequency", "sub", "count", "value", "2.5")
	c.await("the frequency", isNumber("frequency", "2.5"))
}

// isNumber is isText for libraries that write 2 as 2.0.
func isNumber(name, number string) func(event) bool {
	return func(e event) bool { return e.Event == name && (e.Text == number || e.Text == number+".0") }
}

func unfiltered(l *lab) {
	c := l.connected(remote.URL, "WS-STREAMING")
	c.count("frequency", "unfiltered")
	c.await("the frequency", isText("frequency", "unlimited"))
	last := c.number(c.await("the snapshot", isUpdate("count")), "count")
	for range 10 {
		value := c.number(c.await("an update", isUpdate("count")), "count")
		if value != last+1 {
			l.Errorf("%d after %d", value, last)
		}
		last = value
	}
}

func changeBandwidth(l *lab) {
	c := l.client(remote.URL)
	c.do("connect")
	c.await("the bandwidth", isNumber("bandwidth", "40"))
	for _, step := range [][2]string{{"20.1", "20.1"}, {"70.1", "40"}, {"10", "10"}, {"unlimited", "40"}} {
		c.do("bandwidth", "value", step[0])
		c.await("the bandwidth after "+step[0]+" was requested", isNumber("bandwidth", step[1]))
	}
}

// keepBandwidth measures what comes from the broker. It may be less, on a slow machine.
func keepBandwidth(l *lab) {
	const kbit = 12
	f := forward(l, remote.URL)
	c := l.client(f.url)
	c.do("bandwidth", "value", "12")
	c.do("connect", "transport", "WS-STREAMING")
	c.await("the bandwidth", isNumber("bandwidth", "12"))
	c.subscribe(testset.Overflow, "MERGE", testset.OverflowItem, []string{"value"})
	c.await("an update", isUpdate(testset.OverflowItem))
	f.seen()
	begin := time.Now()
	updates := 0
	for ; updates < 40; updates++ {
		c.await("an update", isUpdate(testset.OverflowItem))
	}
	took := time.Since(begin).Seconds()
	bytes := len(f.seen())
	if got := float64(bytes) * 8 / 1000 / took; got > 1.3*kbit {
		l.Errorf("%d bytes in %.1f s are %.1f kbit/s, more than %d", bytes, took, got, kbit)
	}
	for _, e := range c.since(0) {
		if e.Event == "update" && !strings.HasSuffix(e.value("value"), ".") {
			l.Errorf("wrong value: %v", e)
		}
	}
}
