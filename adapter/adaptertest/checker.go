package adaptertest

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/lightstreamer-go/lightstreamer/adapter"
	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// checker holds one connection to the protocol: it sees every line sent to the adapter and every line that comes from it, and says what is wrong.
// It does no I/O and keeps no time; whoever owns it guards it.
type checker struct {
	kind    AdapterKind
	modes   map[string]adapter.Mode
	version ari.Version // agreed; 0 before

	blind    bool // something was sent that the checker has not seen: what it does not know may be right
	sawRAC   bool
	inits    int  // requests sent
	ready    bool // init answered well
	requests map[string][]*request
	byItem   map[string][]*request // SUB and USB not yet answered, in the order sent
	subs     map[string]*subscription
	current  map[string][]*subscription // of an item, not over
	controls map[string]bool            // ids of FST and FUS, true once answered
}

// A request is one that was sent to the adapter.
type request struct {
	id       string
	method   ari.Method
	item     string // of SUB and USB
	optional bool   // so wrong that silence is an answer too
	answered bool
	sub      *subscription // of SUB
	ends     []*subscription
	owner    *pending // nil: sent by hand
	names    int      // items asked for by GIT and GUI; -1: not known
}

// A subscription is one SUB and what follows from it.
type subscription struct {
	id    string
	item  string
	over  string // why there must be nothing more; empty: there may be
	state snapshotState
	owner *Item // nil: sent by hand
}

func newChecker(kind AdapterKind, modes map[string]adapter.Mode) *checker {
	return &checker{
		kind: kind, modes: modes, requests: make(map[string][]*request), byItem: make(map[string][]*request),
		subs: make(map[string]*subscription), current: make(map[string][]*subscription), controls: make(map[string]bool),
	}
}

func (k *checker) initMethod() ari.Method {
	if k.kind == MetadataAdapter {
		return ari.MPI
	}
	return ari.DPI
}

// sent notes a line to the adapter. It returns nil if the line asks for no reply that could be recognised.
func (k *checker) sent(raw []byte) *request {
	line, err := ari.ParseLine(raw)
	if err != nil || len(line.ID) == 0 {
		return nil
	}
	id := string(line.ID)
	switch line.Method {
	case ari.Unknown, ari.CLOSE, ari.RAC, ari.FAL:
		return nil
	case ari.FST, ari.FUS:
		if k.kind == MetadataAdapter {
			k.controls[id] = true
			return nil
		}
	case ari.DPI, ari.MPI:
		k.inits++
	}
	r := &request{id: id, method: line.Method, names: -1, optional: !k.answerable(line)}
	if !r.optional {
		k.sentGood(r, line)
	}
	k.requests[id] = append(k.requests[id], r)
	return r
}

// answerable tells whether an adapter owes a reply to the request: it can be read, belongs to its kind and comes when it may.
func (k *checker) answerable(line ari.Line) bool {
	if line.Method == ari.DPI || line.Method == ari.MPI {
		return line.Method == k.initMethod() && k.inits == 1
	}
	return k.ready && parseRequest(line, k.kind, k.version) == nil
}

// sentGood notes what a request that can be understood leads to.
func (k *checker) sentGood(r *request, line ari.Line) {
	switch r.method {
	case ari.SUB:
		r.item, _ = ari.ParseItem(line.Body, k.version)
		r.sub = &subscription{id: r.id, item: r.item, state: snapshotState{mode: k.modes[r.item]}}
		k.subs[r.id] = r.sub
		k.current[r.item] = append(k.current[r.item], r.sub)
	case ari.USB:
		r.item, _ = ari.ParseItem(line.Body, k.version)
		r.ends = append(r.ends, k.current[r.item]...)
	case ari.GIT:
		q, _ := ari.ParseGetItemData(line.Body, k.version)
		r.names = len(q.Items)
	case ari.GUI:
		q, _ := ari.ParseGetUserItemData(line.Body, k.version)
		r.names = len(q.Items)
	}
	if r.method == ari.SUB || r.method == ari.USB {
		k.byItem[r.item] = append(k.byItem[r.item], r)
	}
}

// A received is what a line from the adapter turned out to be.
type received struct {
	text    string // the line, a time stamp left out
	wrong   string // how it breaks the protocol; empty: it does not
	method  ari.Method
	request *request      // a reply's
	refusal *Refusal      // a reply that is an error
	body    []byte        // of the line
	sub     *subscription // a notification's
	event   Event         // likewise
}

// received judges a line from the adapter, without its end.
func (k *checker) received(raw []byte) (r received) {
	r.text = string(raw)
	if ari.IsKeepalive(raw) {
		if !k.sawRAC {
			r.wrong = "a keepalive before RAC, which has to be the first line"
		}
		return r
	}
	line, err := ari.ParseLine(raw)
	if err != nil {
		r.wrong = "not a line of the protocol: " + err.Error()
		return r
	}
	r.method, r.body = line.Method, bytes.Clone(line.Body)
	line.Body = r.body
	switch {
	case line.Method == ari.RAC:
		r.wrong = k.rac(line)
	case !k.sawRAC:
		r.wrong = "the first line is not RAC"
	case line.Method == ari.Unknown:
		r.wrong = fmt.Sprintf("unknown method %q", clip(string(line.Name), 20))
	case line.Method == ari.FAL:
		r.wrong = k.fail(&r, line)
	case isNotification(line.Method):
		r.wrong = k.notification(&r, line)
	case k.kind == MetadataAdapter && (line.Method == ari.FST || line.Method == ari.FUS):
		r.wrong = k.control(line)
	default:
		r.wrong = k.reply(&r, line)
	}
	return r
}

func isNotification(m ari.Method) bool {
	return m == ari.UD3 || m == ari.EOS || m == ari.CLS || m == ari.DFD
}

func (k *checker) rac(line ari.Line) string {
	if k.sawRAC {
		return "a second RAC: it is sent once, as the first line"
	}
	k.sawRAC = true
	if string(line.ID) != ari.CredentialsID {
		return fmt.Sprintf("RAC has the id %q, not %s", clip(string(line.ID), 20), ari.CredentialsID)
	}
	if _, err := ari.ParseParams(line.Body); err != nil {
		return err.Error()
	}
	return ""
}

func (k *checker) fail(r *received, line ari.Line) string {
	if k.kind == DataAdapter {
		if wrong := stripStamp(r, line); wrong != "" {
			return wrong
		}
	} else if string(line.ID) != ari.FailureID {
		return fmt.Sprintf("FAL of a Metadata Adapter has the id %q, not %s", clip(string(line.ID), 20), ari.FailureID)
	}
	v := k.version
	if v == 0 {
		v = ari.Latest
	}
	if _, err := ari.ParseFailureNotice(line.Body, v); err != nil {
		return err.Error()
	}
	return ""
}

// stripStamp checks the time stamp that comes in place of an id and leaves it out of the text.
func stripStamp(r *received, line ari.Line) string {
	if _, err := strconv.ParseInt(string(line.ID), 10, 64); err != nil {
		return fmt.Sprintf("%s begins with %q, not with a time stamp in milliseconds", line.Method, clip(string(line.ID), 20))
	}
	r.text = r.text[len(line.ID)+1:]
	return ""
}

func (k *checker) control(line ari.Line) string {
	id := string(line.ID)
	if !k.ready {
		return fmt.Sprintf("%s before the reply to the initialisation", line.Method)
	}
	if _, again := k.controls[id]; again {
		return fmt.Sprintf("%s with the id %q, which an earlier request of the adapter had", line.Method, clip(id, 20))
	}
	k.controls[id] = false
	var err error
	if line.Method == ari.FST {
		_, err = ari.ParseForceSession(line.Body, k.version)
	} else {
		_, err = ari.ParseForceUnsubscribe(line.Body, k.version)
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// unanswered counts the requests to which a reply is still due.
func (k *checker) unanswered() int {
	n := 0
	for _, all := range k.requests {
		for _, r := range all {
			if !r.answered && !r.optional {
				n++
			}
		}
	}
	return n
}

func clip(s string, most int) string {
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
