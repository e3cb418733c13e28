package broker

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
)

// Everything a client does, over each of the four transports.
func TestTransports(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			d := startDemo(t, Config{})
			c := connect(t, d, transport)
			testMerge(t, d, c)
			testDistinct(t, d, c)
			testCommand(t, d, c)
			testRaw(t, d, c)
			testMessages(t, c)
			testDestroy(t, c)
			d.Close()
			d.metadata.mu.Lock()
			defer d.metadata.mu.Unlock()
			if !d.metadata.closed[c.session] {
				t.Error("the Metadata Adapter was not told that the session is closed")
			}
		})
	}
}

func testDestroy(t *testing.T, c *client) {
	t.Helper()
	c.control(tlcp.Control{Op: tlcp.OpDestroy, Destroy: &tlcp.Destroy{CloseSocket: true, Code: tlcp.CodeDestroyed}})
	var got []string
	for line := range c.lines {
		if line.Tag != tlcp.TagREQOK {
			got = append(got, fmt.Sprintf("%v,%d", line.Tag, line.Code))
		}
	}
	switch {
	case slices.Equal(got, []string{"END,31"}):
	case strings.HasSuffix(c.transport, "POLLING") && (len(got) == 0 || slices.Equal(got, []string{"CONERR,20"})):
		// It came between two polls, so that there was no connection to say END on.
	default:
		t.Errorf("destroy: %q", got)
	}
}

func subscribe(c *client, add tlcp.Add) {
	c.control(tlcp.Control{Op: tlcp.OpAdd, NoAck: true, Add: &add})
}

func expectLines(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

func unsubscribe(t *testing.T, d *demo, c *client, subID int, item string) {
	t.Helper()
	c.control(tlcp.Control{Op: tlcp.OpDelete, NoAck: true, Delete: &tlcp.Delete{SubID: subID}})
	expectLines(t, "unsubscription", c.until(tlcp.TagUNSUB), "UNSUB")
	d.data.awaitGone(t, item)
}

func testMerge(t *testing.T, d *demo, c *client) {
	t.Helper()
	subscribe(c, tlcp.Add{SubID: 1, Mode: tlcp.ModeMerge, Group: "merge1 merge2", Schema: "a b c d", Snapshot: tlcp.Snapshot{Requested: true}})
	expectLines(t, "MERGE", append(c.until(tlcp.TagCONF), append(c.until(tlcp.TagU), c.until(tlcp.TagU)...)...),
		"SUBOK", "CONF", "U,1,1,1|x%7Cy|$|#", "U,1,2,1|x%7Cy|$|#")
	d.data.update(t, "merge2", "a", "2")
	expectLines(t, "MERGE", c.until(tlcp.TagU), "U,1,2,2|||")
	d.data.update(t, "merge2", "d", "è☃,")
	expectLines(t, "MERGE", c.until(tlcp.TagU), "U,1,2,|||è☃,")
	unsubscribe(t, d, c, 1, "merge1")
}

func testDistinct(t *testing.T, d *demo, c *client) {
	t.Helper()
	subscribe(c, tlcp.Add{SubID: 2, Mode: tlcp.ModeDistinct, Group: "distinct1", Schema: "a", Snapshot: tlcp.Snapshot{Requested: true}})
	expectLines(t, "DISTINCT", c.until(tlcp.TagEOS), "SUBOK", "CONF", "U,2,1,first", "U,2,1,second", "EOS")
	d.data.update(t, "distinct1", "a", "third")
	expectLines(t, "DISTINCT", c.until(tlcp.TagU), "U,2,1,third")
	unsubscribe(t, d, c, 2, "distinct1")
}

func testCommand(t *testing.T, d *demo, c *client) {
	t.Helper()
	subscribe(c, tlcp.Add{SubID: 3, Mode: tlcp.ModeCommand, Group: "command1", Schema: "key command qty", Snapshot: tlcp.Snapshot{Requested: true}})
	expectLines(t, "COMMAND", c.until(tlcp.TagEOS), "SUBCMD", "CONF", "U,3,1,k1|ADD|10", "U,3,1,k2||20", "EOS")
	d.data.update(t, "command1", "key", "k1", "command", "UPDATE", "qty", "11")
	expectLines(t, "COMMAND", c.until(tlcp.TagU), "U,3,1,k1|UPDATE|11")
	d.data.update(t, "command1", "key", "k1", "command", "DELETE")
	expectLines(t, "COMMAND", c.until(tlcp.TagU), "U,3,1,|DELETE|#")
	unsubscribe(t, d, c, 3, "command1")
}

func testRaw(t *testing.T, d *demo, c *client) {
	t.Helper()
	subscribe(c, tlcp.Add{SubID: 4, Mode: tlcp.ModeRaw, Group: "raw1", Schema: "a b"})
	expectLines(t, "RAW", c.until(tlcp.TagCONF), "SUBOK", "CONF")
	d.data.update(t, "raw1", "a", "1", "b", "")
	expectLines(t, "RAW", c.until(tlcp.TagU), "U,4,1,1|$")
	d.data.update(t, "raw1", "a", "1", "b", "")
	expectLines(t, "RAW", c.until(tlcp.TagU), "U,4,1,|")
	unsubscribe(t, d, c, 4, "raw1")
}

func testMessages(t *testing.T, c *client) {
	t.Helper()
	send := func(m tlcp.Message) {
		t.Helper()
		c.request("msg", func(id string) []byte { m.ReqID = id; return m.Append(nil) })
	}
	send(tlcp.Message{Text: "one", Sequence: "q", Prog: 1})
	send(tlcp.Message{Text: "silent", Sequence: "q", Prog: 2, NoOutcome: true})
	send(tlcp.Message{Text: "deny no, 100%", Sequence: "q", Prog: 3})
	expectLines(t, "messages", c.until(tlcp.TagMSGFAIL), "MSGDONE,q,1,got one", "MSGFAIL,q,3,-7,no, 100%")
	send(tlcp.Message{Text: "two\r\nlines", Prog: 1})
	expectLines(t, "messages", c.until(tlcp.TagMSGDONE), "MSGDONE,,1,got two\r\nlines")
}
