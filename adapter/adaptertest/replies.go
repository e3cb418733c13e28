package adaptertest

import (
	"fmt"
	"slices"

	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// reply judges a line that can only be a reply.
func (k *checker) reply(r *received, line ari.Line) string {
	id := string(line.ID)
	q, wrong := k.find(id, line.Method)
	if q == nil {
		return wrong
	}
	r.request, q.answered = q, true
	v := k.version
	if line.Method == k.initMethod() || v == 0 {
		v = ari.Latest
	}
	f, isError, err := ari.ParseError(line.Method, line.Body, v)
	if err != nil {
		return err.Error()
	}
	if isError {
		r.refusal = refusalOf(line.Method, f)
		if may := ari.AllowedIn(f.Kind, line.Method, v); may != f.Kind {
			wrong = fmt.Sprintf("error E%s does not belong in a reply to %s", f.Kind, line.Method)
		}
	} else if q.optional && line.Method != ari.SUB && line.Method != ari.USB {
		wrong = fmt.Sprintf("the request %q (%s) makes no sense here and was answered as if it did", clip(id, 40), line.Method)
	} else if err := k.parseReply(q, line); err != nil {
		wrong = err.Error()
	}
	return joinWrong(wrong, k.answered(q, isError))
}

// find returns the oldest request with the id and method that has no reply yet; nil if there is none, and what is wrong with that.
func (k *checker) find(id string, m ari.Method) (*request, string) {
	all := k.requests[id]
	var same *request
	for _, r := range all {
		if r.method != m {
			continue
		}
		if !r.answered {
			return r, ""
		}
		same = r
	}
	switch {
	case same != nil:
		return nil, fmt.Sprintf("a second reply to the request %q (%s); each gets exactly one", clip(id, 40), m)
	case len(all) > 0:
		return nil, fmt.Sprintf("a reply says %s, but the request %q was %s", m, clip(id, 40), all[0].method)
	case k.blind:
		return nil, ""
	}
	return nil, fmt.Sprintf("a reply to a request %q (%s) that was never sent on this connection", clip(id, 40), m)
}

func (k *checker) parseReply(q *request, line ari.Line) error {
	var err error
	switch line.Method {
	case ari.DPI, ari.MPI:
		var r ari.InitReply
		if r, err = ari.ParseInitReply(line.Body); err == nil {
			if k.version, err = ari.Accept(r); err == nil {
				k.ready = true
			}
		}
	case ari.NUS, ari.NUA:
		_, err = ari.ParseUserReply(line.Body)
	case ari.NNS:
		_, err = ari.ParseSessionReply(line.Body)
	case ari.NNT:
		_, err = ari.ParseTablesReply(line.Body)
	case ari.GIS, ari.GSC:
		_, err = ari.ParseNames(line.Body, k.version)
	case ari.GIT:
		var d []ari.ItemData
		if d, err = ari.ParseItemData(line.Body); err == nil {
			err = sameCount(q, len(d))
		}
	case ari.GUI:
		var d []ari.UserItemData
		if d, err = ari.ParseUserItemData(line.Body); err == nil {
			err = sameCount(q, len(d))
		}
	default:
		err = ari.ParseVoidReply(line.Body)
	}
	return err
}

func sameCount(q *request, got int) error {
	if q.names >= 0 && got != q.names {
		return fmt.Errorf("%s asked for %d items, the reply tells of %d", q.method, q.names, got)
	}
	return nil
}

// answered draws the consequences of a reply to SUB and USB.
func (k *checker) answered(q *request, isError bool) (wrong string) {
	if q.optional || q.method != ari.SUB && q.method != ari.USB {
		return ""
	}
	queue := k.byItem[q.item]
	if i := slices.Index(queue, q); i >= 0 {
		if i > 0 {
			wrong = fmt.Sprintf("the reply to %s %q overtakes that to %s %q: requests for one item are served in order",
				q.method, q.id, queue[0].method, queue[0].id)
		}
		if queue = slices.Delete(queue, i, i+1); len(queue) == 0 {
			delete(k.byItem, q.item)
		} else {
			k.byItem[q.item] = queue
		}
	}
	switch {
	case q.method == ari.USB:
		for _, s := range q.ends {
			k.end(s, fmt.Sprintf("ended with the reply to USB %q", q.id))
		}
	case isError:
		k.end(q.sub, "was refused")
	default:
		// Of two in a row the later one holds.
		for _, s := range slices.Clone(k.current[q.item]) {
			if s == q.sub {
				break
			}
			k.end(s, fmt.Sprintf("was replaced by SUB %q", q.id))
		}
	}
	return wrong
}

func (k *checker) end(s *subscription, why string) {
	if s.over == "" {
		s.over = why
	}
	left := slices.DeleteFunc(k.current[s.item], func(o *subscription) bool { return o == s })
	if len(left) == 0 {
		delete(k.current, s.item)
	} else {
		k.current[s.item] = left
	}
}

// parseRequest tells what is wrong with a request.
func parseRequest(line ari.Line, kind AdapterKind, v ari.Version) error {
	var err error
	m := line.Method
	if kind == DataAdapter {
		if m != ari.SUB && m != ari.USB {
			return fmt.Errorf("%s is not a request to a Data Adapter", m)
		}
		_, err = ari.ParseItem(line.Body, v)
		return err
	}
	switch m {
	case ari.NUS, ari.NUA:
		_, err = ari.ParseNotifyUser(m, line.Body, v)
	case ari.NNS:
		_, err = ari.ParseNotifyNewSession(line.Body, v)
	case ari.NSC:
		_, err = ari.ParseNotifySessionClose(line.Body, v)
	case ari.GIS:
		_, err = ari.ParseGetItems(line.Body, v)
	case ari.GSC:
		_, err = ari.ParseGetSchema(line.Body, v)
	case ari.GIT:
		_, err = ari.ParseGetItemData(line.Body, v)
	case ari.GUI:
		_, err = ari.ParseGetUserItemData(line.Body, v)
	case ari.NUM:
		_, err = ari.ParseNotifyUserMessage(line.Body, v)
	case ari.NNT:
		_, err = ari.ParseNotifyNewTables(line.Body, v)
	case ari.NTC:
		_, err = ari.ParseNotifyTablesClose(line.Body, v)
	case ari.MDA:
		_, err = ari.ParseNotifyDeviceAccess(line.Body, v)
	case ari.MSA:
		_, err = ari.ParseNotifySubscriptionActivation(line.Body, v)
	case ari.MDC:
		_, err = ari.ParseNotifyDeviceTokenChange(line.Body, v)
	default:
		err = fmt.Errorf("%s is not a request to a Metadata Adapter", m)
	}
	return err
}

func joinWrong(a, b string) string {
	if a != "" && b != "" {
		return a + "; " + b
	}
	return a + b
}
