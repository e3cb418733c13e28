package ari

import (
	"bytes"
	"encoding/base64"
)

// AppendSubscribe appends the request to subscribe an item. The reply is void; the id becomes the name of the
// subscription in all notifications of the item.
func AppendSubscribe(dst []byte, id string, v Version, item string) []byte {
	return appendStr(appendHead(dst, id, SUB), SUB.Encoding(v), item)
}

// AppendUnsubscribe appends the request to unsubscribe an item, with an id of its own. The reply is void.
func AppendUnsubscribe(dst []byte, id string, v Version, item string) []byte {
	return appendStr(appendHead(dst, id, USB), USB.Encoding(v), item)
}

// ParseItem reads the body of SUB and USB.
func ParseItem(body []byte, v Version) (item string, err error) {
	p := parser{method: "SUB/USB", rest: body, enc: SUB.Encoding(v)}
	item = p.str("item")
	if err := p.done(); err != nil {
		return "", err
	}
	return item, nil
}

// AppendItemHead appends the part that all notifications of a subscription share. A sender encodes it once, keeps it with
// the subscription, and gives it to the functions below. subID is the id of the SUB request, written as it is.
func AppendItemHead(dst []byte, v Version, item, subID string) []byte {
	dst = appendStr(dst, v.Encoding(), item)
	return append(append(dst, "|S|"...), subID...)
}

// AppendUpdateHead appends an update (UD3) up to its fields, which the caller appends with AppendField and its kin. millis
// is the remote's clock. A line without fields is legal.
func AppendUpdateHead[S ~string | ~[]byte](dst []byte, millis int64, itemHead S, snapshot bool) []byte {
	return AppendUpdateItem(AppendUpdateTime(dst, millis), itemHead, snapshot)
}

// AppendUpdateTime is the first half of [AppendUpdateHead]. A sender of many updates can keep it as long as it is right.
func AppendUpdateTime(dst []byte, millis int64) []byte { return appendMillis(dst, millis, UD3) }

// AppendUpdateItem is the second half of [AppendUpdateHead].
func AppendUpdateItem[S ~string | ~[]byte](dst []byte, itemHead S, snapshot bool) []byte {
	return appendTaggedBool(append(dst, itemHead...), snapshot)
}

// AppendField appends one field of an update. It allocates only when dst has to grow and keeps nothing of value.
func AppendField[S ~string | ~[]byte](dst []byte, enc Encoding, name string, value S) []byte {
	return AppendString(AppendFieldName(dst, enc, name), enc, value)
}

// AppendNullField appends one field of an update whose value is null.
func AppendNullField(dst []byte, enc Encoding, name string) []byte {
	return append(AppendFieldName(dst, enc, name), '#')
}

// AppendBytesField appends one field of an update whose value is bytes to be read as ISO-8859-1 text: as base64 in Legacy,
// whose servers decode it, as text in Smart. A nil value is the empty one.
func AppendBytesField(dst []byte, enc Encoding, name string, value []byte) []byte {
	if enc == Smart {
		return appendLatin1(AppendFieldName(dst, enc, name), value)
	}
	dst = append(appendStr(dst, enc, name), "|Y|"...)
	if len(value) == 0 {
		return append(dst, '$')
	}
	return base64.StdEncoding.AppendEncode(dst, value)
}

// AppendFieldName appends a field of an update up to its value, which the caller appends with [AppendString] or
// [AppendText]. A sender with a fixed list of fields encodes these parts once.
func AppendFieldName(dst []byte, enc Encoding, name string) []byte {
	return append(appendStr(dst, enc, name), "|S|"...)
}

// AppendEndOfSnapshot appends EOS: the snapshot of the item is complete.
func AppendEndOfSnapshot[S ~string | ~[]byte](dst []byte, millis int64, itemHead S) []byte {
	return append(appendMillis(dst, millis, EOS), itemHead...)
}

// AppendClearSnapshot appends CLS: what is known of the item is no longer true.
func AppendClearSnapshot[S ~string | ~[]byte](dst []byte, millis int64, itemHead S) []byte {
	return append(appendMillis(dst, millis, CLS), itemHead...)
}

// Field is a field of an update. A null value and an absent field differ: what each means is up to the mode.
type Field struct {
	Name  string
	Value Text
}

// Update is an update (UD3) as the proxy gets it. Fields are in the order of the line, names as they came.
type Update struct {
	Item, SubID string
	Snapshot    bool
	Fields      []Field
	Indexed     bool // the line was in the deprecated form with field numbers, which are dropped
}

// ParseUpdate reads the body of UD3. Fields without a name, which only the indexed form has, are dropped; bytes are
// turned into text.
func ParseUpdate(body []byte, v Version) (Update, error) {
	p := parser{method: "UD3", rest: body, enc: UD3.Encoding(v)}
	u := Update{Item: p.str("item"), SubID: p.id("subscription id"), Snapshot: p.boolean("snapshot flag")}
	// A field takes four tokens: this is right for all but the deprecated form, and never more than the bytes allow.
	if n := (bytes.Count(p.rest, []byte{'|'}) + 1) / 4; n > 0 && p.err == nil {
		u.Fields = make([]Field, 0, n)
	}
	for p.more() {
		if string(p.peek()) == "I" {
			p.int32("field index")
			u.Indexed = true
			continue
		}
		name := p.text("field name")
		value := p.value()
		if p.err == nil && !name.Null {
			u.Fields = append(u.Fields, Field{name.S, value})
		}
	}
	if err := p.done(); err != nil {
		return Update{}, err
	}
	if len(u.Fields) == 0 {
		u.Fields = nil
	}
	return u, nil
}

// value takes the value of a field: a string or, before the smart encoding, bytes.
func (p *parser) value() Text {
	const field = "field value"
	if p.enc == Legacy && string(p.peek()) == "Y" {
		p.cut()
		return p.latin1(field)
	}
	return p.text(field)
}

// ParseItemEvent reads the body of EOS and CLS.
func ParseItemEvent(body []byte, v Version) (item, subID string, err error) {
	p := parser{method: "EOS/CLS", rest: body, enc: v.Encoding()}
	item, subID = p.str("item"), p.id("subscription id")
	if err := p.done(); err != nil {
		return "", "", err
	}
	return item, subID, nil
}
