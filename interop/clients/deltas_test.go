//go:build interop

package clients

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/lightstreamer-go/lightstreamer/interop/testset"
)

var streaming = []string{"WS-STREAMING", "HTTP-STREAMING"}

var deltas = slices.Concat(
	forEach(streaming, "JSON Patch:", jsonPatch),
	forEach(streaming, "TLCP-diff:", tlcpDiff),
)

// jsonPatch: what the client makes of the differences is the value that the adapter sent, and it offers the differences themselves.
func jsonPatch(l *lab, transport string) {
	f := forward(l, remote.URL)
	c := l.connected(f.url, transport)
	c.count("adapter", testset.JSONCount)
	last := -1
	for n := range 8 {
		e := c.await("an update", isUpdate("count"))
		var value struct {
			What  string
			Where []string
			Value int
		}
		if err := json.Unmarshal([]byte(e.value("count")), &value); err != nil {
			l.Fatalf("%v: %v", err, e)
		}
		if value.Value <= last || !slices.Equal(value.Where, []string{"testset", "€"}) || !strings.HasPrefix(value.What, "a counter") {
			l.Errorf("wrong after %d: %v", last, e)
		}
		last = value.Value
		if n == 0 {
			if e.Patch != nil {
				l.Errorf("the snapshot is a difference: %v", e)
			}
			continue
		}
		var patch []operation
		if e.Patch == nil {
			l.Fatalf("no JSON Patch: %v", e)
		}
		if err := json.Unmarshal([]byte(*e.Patch), &patch); err != nil {
			l.Fatalf("%v: %v", err, e)
		}
		if !slices.Contains(patch, operation{"replace", "/value", float64(value.Value)}) {
			l.Errorf("the patch is not that of the value: %v", e)
		}
	}
	if !bytes.Contains(f.seen(), []byte("^P")) {
		l.Error("no JSON Patch was on the wire")
	}
}

// operation is one of a JSON Patch.
type operation struct {
	Op, Path string
	Value    any
}

var sentence = regexp.MustCompile(`^Così fan tutte, 10 € each: value=(\d+), and it grows by one ten times a second$`)

func tlcpDiff(l *lab, transport string) {
	f := forward(l, remote.URL)
	c := l.connected(f.url, transport)
	c.count("adapter", testset.DiffCount)
	last := -1
	for range 8 {
		e := c.await("an update", isUpdate("count"))
		match := sentence.FindStringSubmatch(e.value("count"))
		if match == nil {
			l.Fatalf("wrong: %v", e)
		}
		value, err := strconv.Atoi(match[1])
		if err != nil || value <= last {
			l.Errorf("%v after %d", e, last)
		}
		last = value
	}
	if !bytes.Contains(f.seen(), []byte("^T")) {
		l.Error("no TLCP-diff was on the wire")
	}
}

func overflowNumber(c *client, e event) int {
	c.t.Helper()
	digits, _, _ := strings.Cut(e.value("value"), ".")
	n, err := strconv.Atoi(digits)
	if err != nil {
		c.t.Fatalf("no number: %v", e)
	}
	return n
}
