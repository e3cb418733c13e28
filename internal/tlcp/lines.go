package tlcp

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// The appenders of this file append one whole line with its CR-LF. Texts are encoded; ids, names and links go as they are, with
// whatever could break a line taken out, since clients do not decode them.

// Bandwidth is what CONS reports. The zero value is unlimited.
type Bandwidth struct {
	Unmanaged bool    // the server does not limit, and clients are not to ask
	Limit     float64 // kbit/s; 0: unlimited
}

// AppendCONOK appends the answer to a creation or bind: the largest request in bytes, the keepalive granted (streaming) or the idle
// time granted (polling), and the control link, * for none.
func AppendCONOK(dst []byte, session string, requestLimit int, time time.Duration, controlLink string) []byte {
	dst = appendPlain(append(dst, "CONOK,"...), session)
	dst = appendIntArg(dst, int64(requestLimit))
	dst = appendIntArg(dst, time.Milliseconds())
	dst = appendPlain(append(dst, ','), controlLink)
	return append(dst, EOL...)
}

// AppendCONERR appends the refusal of a creation or bind.
func AppendCONERR(dst []byte, code int, text string) []byte {
	return appendCodeText(append(dst, "CONERR"...), code, text)
}

// AppendEND appends the end of a session.
func AppendEND(dst []byte, code int, text string) []byte {
	return appendCodeText(append(dst, "END"...), code, text)
}

// AppendERROR appends the answer to a request that could not be understood as far as its id.
func AppendERROR(dst []byte, code int, text string) []byte {
	return appendCodeText(append(dst, "ERROR"...), code, text)
}

// AppendREQOK appends the answer to an accepted request; with an empty id the short form for a heartbeat over HTTP.
func AppendREQOK(dst []byte, reqID string) []byte {
	dst = append(dst, "REQOK"...)
	if reqID != "" {
		dst = appendPlain(append(dst, ','), reqID)
	}
	return append(dst, EOL...)
}

// AppendREQERR appends the answer to a refused request.
func AppendREQERR(dst []byte, reqID string, code int, text string) []byte {
	return appendCodeText(appendPlain(append(dst, "REQERR,"...), reqID), code, text)
}

// AppendSERVNAME appends the name of the listening port.
func AppendSERVNAME(dst []byte, name string) []byte {
	return append(appendPlain(append(dst, "SERVNAME,"...), name), EOL...)
}

// AppendCLIENTIP appends the address of the client, without port.
func AppendCLIENTIP(dst []byte, ip string) []byte {
	return append(appendPlain(append(dst, "CLIENTIP,"...), ip), EOL...)
}

// AppendCONS appends the bandwidth of the session.
func AppendCONS(dst []byte, b Bandwidth) []byte {
	dst = append(dst, "CONS,"...)
	switch {
	case b.Unmanaged:
		dst = append(dst, "unmanaged"...)
	case b.Limit <= 0:
		dst = append(dst, "unlimited"...)
	default:
		dst = appendDecimal(dst, b.Limit)
	}
	return append(dst, EOL...)
}

// AppendPROG appends the number of data notifications from which a flow goes on: that of a recovery, or of a bind over HTTP.
func AppendPROG(dst []byte, count int64) []byte {
	return append(appendIntArg(append(dst, "PROG"...), count), EOL...)
}

// AppendNOOP appends a filler, which clients ignore.
func AppendNOOP(dst []byte, text string) []byte {
	return append(appendPlain(append(dst, "NOOP,"...), text), EOL...)
}

// AppendPROBE appends the keepalive.
func AppendPROBE(dst []byte) []byte { return append(dst, "PROBE"+EOL...) }

// AppendSYNC appends the whole seconds since the connection was bound.
func AppendSYNC(dst []byte, since time.Duration) []byte {
	return append(appendIntArg(append(dst, "SYNC"...), int64(since/time.Second)), EOL...)
}

// AppendLOOP appends the end of a connection whose session goes on, with the pause expected before the next bind.
func AppendLOOP(dst []byte, pause time.Duration) []byte {
	return append(appendIntArg(append(dst, "LOOP"...), pause.Milliseconds()), EOL...)
}

// AppendWSOK appends the answer to wsok.
func AppendWSOK(dst []byte) []byte { return append(dst, "WSOK"+EOL...) }

// AppendSUBOK appends the start of a subscription in RAW, MERGE or DISTINCT mode. A data notification.
func AppendSUBOK(dst []byte, subID, items, fields int) []byte {
	dst = appendIntArg(append(dst, "SUBOK"...), int64(subID))
	dst = appendIntArg(dst, int64(items))
	return append(appendIntArg(dst, int64(fields)), EOL...)
}

// AppendSUBCMD appends the start of a subscription in COMMAND mode, with the positions from 1 of the key and command fields. A data
// notification.
func AppendSUBCMD(dst []byte, subID, items, fields, key, command int) []byte {
	dst = appendIntArg(append(dst, "SUBCMD"...), int64(subID))
	dst = appendIntArg(dst, int64(items))
	dst = appendIntArg(dst, int64(fields))
	dst = appendIntArg(dst, int64(key))
	return append(appendIntArg(dst, int64(command)), EOL...)
}

// AppendCONF appends the frequency granted to a subscription. A data notification.
func AppendCONF(dst []byte, subID int, f Frequency) []byte {
	dst = append(appendIntArg(append(dst, "CONF"...), int64(subID)), ',')
	if f.Limit > 0 {
		dst = appendDecimal(dst, f.Limit)
	} else {
		dst = append(dst, "unlimited"...)
	}
	if f.Unfiltered {
		return append(dst, ",unfiltered"+EOL...)
	}
	return append(dst, ",filtered"+EOL...)
}

// AppendEOS appends the end of an item's snapshot. A data notification.
func AppendEOS(dst []byte, subID, item int) []byte {
	return appendItem(append(dst, "EOS"...), subID, item)
}

// AppendCS appends the clearing of an item's snapshot. A data notification.
func AppendCS(dst []byte, subID, item int) []byte {
	return appendItem(append(dst, "CS"...), subID, item)
}

// AppendOV appends the loss of count updates of an item. A data notification.
func AppendOV(dst []byte, subID, item int, count int64) []byte {
	dst = appendIntArg(appendIntArg(append(dst, "OV"...), int64(subID)), int64(item))
	return append(appendIntArg(dst, count), EOL...)
}

// AppendUNSUB appends the end of a subscription. A data notification.
func AppendUNSUB(dst []byte, subID int) []byte {
	return append(appendIntArg(append(dst, "UNSUB"...), int64(subID)), EOL...)
}

// AppendMSGDONE appends the outcome of a processed message; an empty sequence is *. The response is left out for clients whose
// version does not know it. A data notification.
func AppendMSGDONE(dst []byte, v Version, sequence string, prog int, response string) []byte {
	dst = appendMessageID(append(dst, "MSGDONE"...), sequence, prog)
	if v.HasMessageResponse() {
		dst = appendText(append(dst, ','), response)
	}
	return append(dst, EOL...)
}

// AppendMSGFAIL appends the outcome of a message that was not processed; an empty sequence is *. With [CodeMessagesTimeout] the
// text is how many messages it stands for. A data notification.
func AppendMSGFAIL(dst []byte, sequence string, prog, code int, text string) []byte {
	return appendCodeText(appendMessageID(append(dst, "MSGFAIL"...), sequence, prog), code, text)
}

func appendMessageID(dst []byte, sequence string, prog int) []byte {
	if sequence == "" {
		sequence = "*"
	}
	return appendIntArg(appendPlain(append(dst, ','), sequence), int64(prog))
}

func appendItem(dst []byte, subID, item int) []byte {
	return append(appendIntArg(appendIntArg(dst, int64(subID)), int64(item)), EOL...)
}

func appendIntArg(dst []byte, n int64) []byte { return strconv.AppendInt(append(dst, ','), n, 10) }

func appendCodeText(dst []byte, code int, text string) []byte {
	dst = append(appendIntArg(dst, int64(code)), ',')
	return append(appendText(dst, text), EOL...)
}

// appendText encodes a text argument: what would break the line or the list of arguments, and nothing else.
func appendText(dst []byte, s string) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '%' || c == ',' || c == '\r' || c == '\n':
			dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
			i++
		case c < utf8.RuneSelf:
			dst = append(dst, c)
			i++
		default:
			r, size := utf8.DecodeRuneInString(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += size
		}
	}
	return dst
}

// appendPlain copies an argument that clients do not decode. A comma or control character, which it must not have, becomes an
// underscore rather than another argument or line.
func appendPlain(dst []byte, s string) []byte {
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r < ' ' || r == ',' {
			r = '_'
		}
		dst = utf8.AppendRune(dst, r)
		i += size
	}
	return dst
}
