package examples

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// client is a small client of the broker, over HTTP streaming.
type client struct {
	t       *testing.T
	url     string
	session string
	lines   chan string // closed when the session's connection ends
	request int
	subs    map[string]*subscription
}

type subscription struct {
	fields []string
	values map[string]map[string]string // by item number
}

// post sends a request of the protocol.
func post(t *testing.T, address, name string, params url.Values) *http.Response {
	t.Helper()
	response, err := http.Post(address+"/lightstreamer/"+name+".txt?LS_protocol=TLCP-2.5.0", "text/plain; charset=utf-8",
		strings.NewReader(strings.ReplaceAll(params.Encode(), "+", "%20")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	return response
}

// enter asks for a session and returns the first line of the answer too: CONOK or CONERR. While the Metadata Adapter is not connected yet it
// tries again, as the official clients do.
func enter(t *testing.T, address, set, user, password string) (*client, string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		c, first := create(t, address, set, user, password)
		if !strings.HasPrefix(first, "CONERR,6,") || time.Now().After(deadline) {
			return c, first
		}
		<-time.After(20 * time.Millisecond)
	}
}

func create(t *testing.T, address, set, user, password string) (*client, string) {
	t.Helper()
	params := url.Values{"LS_adapter_set": {set}, "LS_cid": {"test"}, "LS_send_sync": {"false"}, "LS_supported_diffs": {""}}
	if user != "" {
		params.Set("LS_user", user)
		params.Set("LS_password", password)
	}
	c := &client{t: t, url: address, lines: make(chan string, 1000), subs: make(map[string]*subscription)}
	response := post(t, address, "create_session", params)
	go func() { // ends when the test closes the body
		defer close(c.lines)
		for lines := bufio.NewScanner(response.Body); lines.Scan(); {
			c.lines <- lines.Text()
		}
	}()
	first := c.next()
	if rest, ok := strings.CutPrefix(first, "CONOK,"); ok {
		c.session, _, _ = strings.Cut(rest, ",")
	}
	return c, first
}

// connect opens a session.
func connect(t *testing.T, address, set, user, password string) *client {
	t.Helper()
	c, first := enter(t, address, set, user, password)
	if c.session == "" {
		t.Fatalf("no session: %s", first)
	}
	return c
}

func (c *client) next() string {
	c.t.Helper()
	select {
	case line, ok := <-c.lines:
		if !ok {
			return "closed"
		}
		return line
	case <-time.After(patience):
		c.t.Fatal("no line")
		return ""
	}
}

// until returns the next line that begins with a prefix.
func (c *client) until(prefix string) string {
	c.t.Helper()
	var seen []string
	for {
		line := c.next()
		if strings.HasPrefix(line, prefix) {
			return line
		}
		if seen = append(seen, line); line == "closed" {
			c.t.Fatalf("the connection ended before %s; it brought\n%s", prefix, strings.Join(seen, "\n"))
		}
	}
}

// control sends a request and returns the answer, but for the number of the request.
func (c *client) control(name string, params url.Values) string {
	c.t.Helper()
	c.request++
	params.Set("LS_reqId", fmt.Sprint(c.request))
	params.Set("LS_session", c.session)
	body, err := io.ReadAll(post(c.t, c.url, name, params).Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return strings.TrimSpace(strings.Replace(string(body), fmt.Sprintf(",%d", c.request), "", 1))
}

// subscribe asks for items and returns the answer: REQOK or REQERR.
func (c *client) subscribe(id, mode, items, fields, dataAdapter string) string {
	c.t.Helper()
	c.subs[id] = &subscription{fields: strings.Fields(fields), values: make(map[string]map[string]string)}
	return c.control("control", url.Values{
		"LS_op": {"add"}, "LS_subId": {id}, "LS_mode": {mode}, "LS_group": {items}, "LS_schema": {fields}, "LS_data_adapter": {dataAdapter}, "LS_snapshot": {"true"},
	})
}

func (c *client) mustSubscribe(id, mode, items, fields, dataAdapter string) {
	c.t.Helper()
	if answer := c.subscribe(id, mode, items, fields, dataAdapter); answer != "REQOK" {
		c.t.Fatalf("subscription refused: %s", answer)
	}
}

// say sends a message and returns its outcome: MSGDONE or MSGFAIL.
func (c *client) say(number int, text string) string {
	c.t.Helper()
	if answer := c.control("msg", url.Values{"LS_message": {text}, "LS_msg_prog": {fmt.Sprint(number)}}); answer != "REQOK" {
		c.t.Fatalf("message refused: %s", answer)
	}
	return c.until("MSG")
}

// update returns the values of the fields of a subscription after its next update.
func (c *client) update(id string) map[string]string {
	c.t.Helper()
	parts := strings.SplitN(c.until("U,"+id+","), ",", 4)
	s := c.subs[id]
	values := s.values[parts[2]]
	if values == nil {
		values = make(map[string]string)
		s.values[parts[2]] = values
	}
	at := 0
	for _, v := range strings.Split(parts[3], "|") {
		switch {
		case v == "":
		case v == "#":
			delete(values, s.fields[at])
		case v == "$":
			values[s.fields[at]] = ""
		case strings.HasPrefix(v, "^"):
			var skipped int
			if _, err := fmt.Sscanf(v, "^%d", &skipped); err != nil {
				c.t.Fatalf("value %q", v)
			}
			at += skipped - 1
		default:
			text, err := url.PathUnescape(v)
			if err != nil {
				c.t.Fatal(err)
			}
			values[s.fields[at]] = text
		}
		at++
	}
	return values
}
