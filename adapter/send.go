package adapter

import (
	"sync"

	"github.com/lightstreamer-go/lightstreamer/internal/ari"
)

// Events on their way from the author's call to the writer. While nobody else wants the writer they are encoded straight into its buffer; else into memory
// of their own first, so that producers contend for a copy only.

var scratch = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

// Larger buffers are not kept.
const maxScratch = 4 << 20

// send sends an event whose fields encode appends. encode must not fail and must not run user code: the lock of the writer may be held.
func (s *Subscription) send(kind eventKind, encode func(dst []byte) []byte) error {
	if w, ok := s.to.(*writer); ok && w.mu.TryLock() {
		if w.open(s, kind) {
			w.finish(encode(w.updateHead(s, s.enter(kind))))
			w.updates++
			w.unlockAndSend()
			return nil
		}
		w.mu.Unlock()
	}
	return s.sendCopy(kind, func(dst []byte) ([]byte, error) { return encode(dst), nil })
}

// sendCopy is send for an encode that may fail, and may run user code.
func (s *Subscription) sendCopy(kind eventKind, encode func(dst []byte) ([]byte, error)) error {
	p := scratch.Get().(*[]byte)
	body, err := encode(*p)
	if err == nil {
		err = s.to.event(s, kind, body)
	} else {
		err = s.fail("update", err)
	}
	if cap(body) <= maxScratch {
		*p = body[:0]
		scratch.Put(p)
	}
	return err
}

func (s *Subscription) sendFields(kind eventKind, command, key string, fields Fields) error {
	if err := checkFilledIn(s, command, fields); err != nil {
		return err
	}
	return s.sendCopy(kind, func(dst []byte) ([]byte, error) {
		return appendFields(appendCommand(dst, command, key), fields)
	})
}

func (s *Subscription) sendStrings(kind eventKind, command, key string, fields map[string]string) error {
	if err := checkFilledIn(s, command, fields); err != nil {
		return err
	}
	return s.send(kind, func(dst []byte) []byte { return appendStrings(appendCommand(dst, command, key), fields) })
}

func (r Row) send(kind eventKind, command, key string, values []string) error {
	if len(values) > len(r.schema.heads) {
		return r.tooMany(len(values))
	}
	return r.sub.send(kind, func(dst []byte) []byte {
		return appendRow(appendCommand(dst, command, key), r.schema, values)
	})
}

func (r Row) sendBytes(kind eventKind, values [][]byte) error {
	if len(values) > len(r.schema.heads) {
		return r.tooMany(len(values))
	}
	return r.sub.send(kind, func(dst []byte) []byte { return appendByteRow(dst, r.schema, values) })
}

func appendCommand(dst []byte, command, key string) []byte {
	if command == "" {
		return dst
	}
	dst = ari.AppendField(dst, wire, "key", key)
	return ari.AppendField(dst, wire, "command", command)
}
