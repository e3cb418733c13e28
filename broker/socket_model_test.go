package broker

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lightstreamer-go/lightstreamer/internal/tlcp"
	"github.com/lightstreamer-go/lightstreamer/internal/wsconn"
)

// socketModel knows what answers are due on a WebSocket: for each message that is sent it tells the lines that have to come, data
// notifications aside. Lines are shortened to tag, request id and code.
type socketModel struct {
	sessions int // created; the last one is that of the socket
	alive    bool
	bound    bool
	subs     map[int]string // the parameters of each subscription
	reqs     int
	progs    map[int]bool // unordered messages
	over     bool         // the broker closes the socket
}

// operations that a fuzzer chooses from. Each returns the message to send, the answers due, and whether these must have come before
// the next message is sent, since the connection changes its state beside the reader.
var operations = []func(m *socketModel, arg int) (message string, due []string, wait bool){
	func(*socketModel, int) (string, []string, bool) { return "wsok", []string{"WSOK"}, false },
	func(*socketModel, int) (string, []string, bool) { return "heartbeat\r\n\r\n", nil, false },
	func(*socketModel, int) (string, []string, bool) {
		return "fly\r\nLS_reqId=1", []string{"ERROR,67"}, false
	},
	func(*socketModel, int) (string, []string, bool) { return "", []string{"ERROR,67"}, false },
	func(*socketModel, int) (string, []string, bool) {
		return "heartbeat\r\nLS_session=%", []string{"ERROR,65"}, false
	},
	(*socketModel).create, (*socketModel).bind, (*socketModel).bind,
	(*socketModel).add, (*socketModel).add, (*socketModel).add, (*socketModel).subscription, (*socketModel).subscription,
	(*socketModel).malformed, (*socketModel).session, (*socketModel).message, (*socketModel).message, (*socketModel).batch,
}

func (m *socketModel) create(arg int) (string, []string, bool) {
	body, due := "LS_send_sync=false&LS_adapter_set=DEMO", "CONOK"
	const add = "LS_op=add&LS_subId=1&LS_group=merge1&LS_mode=MERGE&LS_schema=a%20b&LS_snapshot=true"
	combined := arg%8 == 3
	switch arg % 8 {
	case 0:
		body, due = "LS_adapter_set=NONE", "CONERR,2"
	case 1:
		body, due = body+"&LS_user=mallory", "CONERR,1"
	case 2:
		body, due = "LS_adapter_set=DEMO&LS_polling=perhaps", "CONERR,65"
	case 3:
		body += "\r\n" + add
	case 6: // the second one fails, so that there is no session
		body, due = body+"\r\n"+add+"\r\nLS_op=delete&LS_subId=2", "CONERR,64"
	}
	if m.bound {
		due = "CONERR,69"
	}
	if due == "CONOK" {
		m.sessions++
		m.alive, m.bound, m.subs, m.progs = true, true, map[int]string{}, map[int]bool{}
		if combined {
			m.subs[1] = add
		}
	}
	return "create_session\r\n" + body, []string{due}, true
}

func (m *socketModel) bind(arg int) (string, []string, bool) {
	const polling = "LS_polling=true&LS_polling_millis=0&LS_idle_millis=0"
	own := "LS_send_sync=false"
	switch arg % 4 {
	case 0:
		if m.bound {
			return "bind_session\r\nLS_session=S1", []string{"CONERR,69"}, true
		}
		return "bind_session\r\nLS_session=S1", []string{"CONERR,20"}, true
	case 1:
		own = polling
	}
	switch {
	case m.sessions == 0:
		return "bind_session\r\n" + own, []string{"CONERR,67"}, true
	case !m.alive: // its end is told, once more, and the socket closed
		m.over = true
		return "bind_session\r\n" + own, []string{"END,31"}, true
	case own == polling:
		m.bound = false
		return "bind_session\r\n" + own, []string{"CONOK", "LOOP"}, true
	}
	m.bound = true
	return "bind_session\r\n" + own, []string{"CONOK"}, true
}

// request numbers a control request and says what is due: REQOK, or REQERR with a code other than 0.
func (m *socketModel) request(params string, code int, noAck bool) (string, []string) {
	m.reqs++
	line := fmt.Sprintf("LS_reqId=%d&%s", m.reqs, params)
	if noAck {
		line += "&LS_ack=false"
	}
	switch {
	case code != 0:
		return line, []string{fmt.Sprintf("REQERR,%d,%d", m.reqs, code)}
	case noAck:
		return line, nil
	}
	return line, []string{fmt.Sprintf("REQOK,%d", m.reqs)}
}

func (m *socketModel) addLine(arg int) (string, []string) {
	id := 1 + arg%3
	code, params := 0, fmt.Sprintf("LS_op=add&LS_subId=%d&LS_group=merge%d&LS_mode=", id, id)
	switch arg / 3 % 6 {
	case 0:
		params, code = params+"MERGE&LS_schema=a&LS_data_adapter=NONE", tlcp.CodeDataAdapterUnknown
	case 1:
		params, code = params+"COMMAND&LS_schema=a", tlcp.CodeKeyMissing
	case 2:
		params += "MERGE&LS_schema=a&LS_requested_max_frequency=unfiltered"
	default:
		params += "MERGE&LS_schema=a%20b&LS_snapshot=true"
	}
	switch {
	case !m.alive:
		code = tlcp.CodeSessionUnknown
	case m.subs[id] == params:
		code = 0
	case m.subs[id] != "":
		code = tlcp.CodeInternal
	case code == 0:
		m.subs[id] = params
	}
	return m.request(params, code, arg%7 == 0)
}

func (m *socketModel) add(arg int) (string, []string, bool) {
	line, due := m.addLine(arg)
	return "control\r\n" + line, due, false
}

// subscription removes or changes one that may not exist.
func (m *socketModel) subscription(arg int) (string, []string, bool) {
	id := 1 + arg%3
	params, code := fmt.Sprintf("LS_op=delete&LS_subId=%d", id), 0
	change := arg/3%2 == 0
	if change {
		params = fmt.Sprintf("LS_op=reconf&LS_subId=%d&LS_requested_max_frequency=2.5", id)
	}
	switch {
	case !m.alive:
		code = tlcp.CodeSessionUnknown
	case m.subs[id] == "":
		code = tlcp.CodeSubscriptionUnknown
	case change && strings.Contains(m.subs[id], "unfiltered"):
		code = tlcp.CodeReconfUnfiltered
	case !change:
		delete(m.subs, id)
	}
	line, due := m.request(params, code, arg%5 == 0)
	return "control\r\n" + line, due, false
}

func (m *socketModel) malformed(arg int) (string, []string, bool) {
	if arg%4 == 0 {
		return "control\r\nLS_op=destroy", []string{"ERROR,67"}, false
	}
	tries := []struct {
		params string
		code   int
	}{
		{"LS_op=fly", tlcp.CodeInternal}, {"LS_op=add&LS_subId=0", tlcp.CodeInternal}, {"LS_op=add&LS_subId=x", tlcp.CodeInternal},
		{"LS_op=delete", tlcp.CodeInternal}, {"LS_op=register", tlcp.CodeMPNDisabled}, {"", tlcp.CodeInternal},
		{"LS_op=destroy&LS_session=S1", tlcp.CodeSessionUnknown},
	}
	try := tries[arg%len(tries)]
	if try.code == tlcp.CodeMPNDisabled && !m.alive {
		try.code = tlcp.CodeSessionUnknown
	}
	line, due := m.request(try.params, try.code, false)
	return "control\r\n" + line, due, false
}

// session ends the flow or the session.
func (m *socketModel) session(arg int) (string, []string, bool) {
	params, code := "LS_op=constrain&LS_requested_max_bandwidth=unlimited", 0
	switch arg % 3 {
	case 0:
		params = "LS_op=force_rebind"
	case 1:
		params = "LS_op=destroy"
	}
	if !m.alive {
		code = tlcp.CodeSessionUnknown
	}
	line, due := m.request(params, code, false)
	switch {
	case !m.alive || arg%3 == 2:
	case arg%3 == 1:
		if m.bound {
			due, m.over = append(due, "END,31"), true
		}
		m.alive, m.bound = false, false
	case m.bound:
		due, m.bound = append(due, "LOOP"), false
	}
	return "control\r\n" + line, due, true
}

func (m *socketModel) message(arg int) (string, []string, bool) {
	prog := arg % 5
	params, code := fmt.Sprintf("LS_message=m%d&LS_msg_prog=%d", arg, prog), 0
	switch {
	case prog == 0:
		params, code = "LS_message=x", tlcp.CodeInternal
	case !m.alive:
		code = tlcp.CodeSessionUnknown
	default:
		m.progs[prog] = true
	}
	line, due := m.request(params, code, arg%3 == 0)
	return "msg\r\n" + line, due, false
}

// batch is several requests in one message.
func (m *socketModel) batch(arg int) (string, []string, bool) {
	message, due := "control", []string(nil)
	for i := range 1 + arg%4 {
		line, more := m.addLine(arg + 5*i)
		message, due = message+"\r\n"+line, append(due, more...)
	}
	return message, due, false
}

// FuzzSocketMachine plays random sequences of requests, valid and not, one after the other without waiting where that is allowed, and
// compares the answers with those of the model: all of them come, and nothing else.
func FuzzSocketMachine(f *testing.F) {
	f.Add([]byte{0, 0, 5, 3, 8, 9, 8, 13, 11, 0, 15, 1, 14, 0, 6, 2, 14, 1})
	f.Add([]byte{5, 4, 17, 3, 17, 2, 14, 3, 6, 1, 6, 1, 6, 3, 12, 3, 11, 4})
	f.Add([]byte{6, 0, 6, 1, 8, 1, 15, 2, 5, 0, 5, 5, 5, 5, 13, 0, 13, 6, 14, 0, 14, 1, 6, 2})
	f.Add([]byte{5, 6, 5, 3, 8, 9, 9, 3, 10, 0, 11, 3, 14, 0, 6, 2, 14, 1})
	f.Add([]byte{5, 3, 14, 0, 14, 1, 5, 3, 5, 4, 14, 0, 6, 3, 14, 1})
	d := startDemo(f, Config{RebindTimeout: time.Hour, RecoveryTimeout: time.Millisecond})
	f.Fuzz(func(t *testing.T, steps []byte) {
		conn, err := wsconn.Dial(t.Context(), d.URL()+"/lightstreamer", wsconn.DialOptions{Subprotocol: tlcp.Latest.Subprotocol()})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.CloseNow()
		p := &play{t: t, conn: conn, model: &socketModel{}, outcomes: make(map[int]int)}
		for i := 0; i+1 < min(len(steps), 80) && !p.model.over; i += 2 {
			p.send(operations[int(steps[i])%len(operations)](p.model, int(steps[i+1])))
		}
		if p.model.alive && !p.model.bound { // or it would stay for an hour
			p.send(p.model.bind(2))
		}
		if p.model.alive {
			p.send(p.model.session(1))
		}
		p.finish()
	})
}

// play sends messages and holds the answers to the model.
type play struct {
	t        *testing.T
	conn     *wsconn.Conn
	model    *socketModel
	due      []string
	outcomes map[int]int // MSGDONE by number
}

func (p *play) send(message string, due []string, wait bool) {
	if strings.HasSuffix(message, "LS_op=destroy") && strings.HasPrefix(due[0], "REQOK") {
		// What is at work when a session ends may get its answer or not; behind this one nothing is.
		p.conn.WriteText([]byte("control\r\nLS_reqId=last&LS_op=delete&LS_subId=99"))
		p.due = append(p.due, "REQERR,last,19")
		p.settle()
	}
	p.due = append(p.due, due...)
	if err := p.conn.WriteText([]byte(message)); err != nil {
		p.t.Fatalf("sending %q: %v", message, err)
	}
	if wait || len(p.due) > 20 {
		p.settle()
	}
}

// settle reads until nothing is due.
func (p *play) settle() {
	for len(p.due) > 0 {
		m, err := p.conn.ReadText()
		if err != nil {
			p.t.Fatalf("%v, with %q due", err, p.due)
		}
		p.take(m)
	}
}

// take takes the lines of a message out of what is due.

func (p *play) take(message []byte) {
	for raw := range tlcp.Lines(message) {
		line, err := tlcp.ParseLine(raw)
		got := line.Tag.String()
		switch line.Tag {
		case tlcp.TagREQOK:
			got += "," + line.ReqID
		case tlcp.TagREQERR:
			got += fmt.Sprintf(",%s,%d", line.ReqID, line.Code)
		case tlcp.TagERROR, tlcp.TagCONERR, tlcp.TagEND:
			got += fmt.Sprintf(",%d", line.Code)
		case tlcp.TagWSOK, tlcp.TagCONOK, tlcp.TagLOOP:
		case tlcp.TagMSGDONE:
			if p.outcomes[line.Prog]++; p.outcomes[line.Prog] > p.model.sessions {
				p.t.Errorf("outcome of message %d comes again", line.Prog)
			}
			continue
		default:
			if err != nil || line.Tag == 0 {
				p.t.Errorf("line %q: %v", raw, err)
			}
			continue // data, or what comes by the clock
		}
		i := slices.Index(p.due, got)
		if i < 0 {
			p.t.Fatalf("line %q is not due; %q are", raw, p.due)
		}
		p.due = slices.Delete(p.due, i, i+1)
	}
}

// finish waits for what is due, and sees that nothing else comes.
func (p *play) finish() {
	if !p.model.over {
		p.send("wsok", []string{"WSOK"}, true)
		return
	}
	for {
		m, err := p.conn.ReadText()
		if err != nil {
			break
		}
		p.take(m)
	}
	if len(p.due) > 0 {
		p.t.Errorf("the socket was closed with %q due", p.due)
	}
}
