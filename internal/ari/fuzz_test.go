package ari

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// fuzzMessage feeds bodies to the parser of a message. Any body gives a value or a *MalformedError; a value, appended
// and parsed again, is the same.
func fuzzMessage(f *testing.F, name string) {
	i := slices.IndexFunc(messages, func(m message) bool { return m.name == name })
	if i < 0 {
		f.Fatalf("no message %q", name)
	}
	msg := messages[i]
	seeds := 0
	for _, v := range loadVectors(f) {
		m := slices.Index(msg.methods, vectorMethod(v))
		if m < 0 || v.Decoded.str("kind") != msg.kind || len(v.Line) > 2000 {
			continue
		}
		l, err := ParseLine([]byte(v.Line))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(bytes.Clone(l.Body), byte(m), byte(slices.Index(allVersions, vectorVersion(v))))
		seeds++
	}
	if seeds == 0 {
		f.Fatal("no seeds")
	}
	f.Fuzz(func(t *testing.T, body []byte, m, version byte) {
		if bytes.IndexByte(body, '\n') >= 0 {
			return // the end of a line cannot be in it
		}
		method := msg.methods[int(m)%len(msg.methods)]
		v := allVersions[int(version)%len(allVersions)]
		id := "1000001853ec66d38"
		if method == CLOSE {
			id = CloseID
		}
		x, err := msg.parse(Line{ID: []byte(id), Method: method, Name: []byte(method.String()), Body: body}, v)
		if err != nil {
			checkMalformed(t, err, x)
			return
		}
		line := msg.append(id, method, v, x)
		if err := checkRoundTrip(msg, line, method, v, x); err != nil {
			t.Fatalf("%s %s: %v\n body %q\n line %q\n want %#v", v, method, err, body, line, x)
		}
	})
}

func checkMalformed(t *testing.T, err error, x any) {
	t.Helper()
	if _, ok := errors.AsType[*MalformedError](err); !ok && !errors.Is(err, errNoError) {
		t.Fatalf("error of type %T: %v", err, err)
	}
	if v := reflect.ValueOf(x); v.IsValid() && !v.IsZero() {
		t.Fatalf("a value beside the error %v: %#v", err, x)
	}
}

func FuzzParseParams(f *testing.F)                       { fuzzMessage(f, "init request") }
func FuzzParseInitReply(f *testing.F)                    { fuzzMessage(f, "init reply") }
func FuzzParseClose(f *testing.F)                        { fuzzMessage(f, "close") }
func FuzzParseFailureNotice(f *testing.F)                { fuzzMessage(f, "failure notice") }
func FuzzParseError(f *testing.F)                        { fuzzMessage(f, "error reply") }
func FuzzParseVoidReply(f *testing.F)                    { fuzzMessage(f, "void reply") }
func FuzzParseItem(f *testing.F)                         { fuzzMessage(f, "item request") }
func FuzzParseUpdate(f *testing.F)                       { fuzzMessage(f, "update") }
func FuzzParseItemEvent(f *testing.F)                    { fuzzMessage(f, "item event") }
func FuzzParseDiffOrder(f *testing.F)                    { fuzzMessage(f, "diff order") }
func FuzzParseNotifyUser(f *testing.F)                   { fuzzMessage(f, "user request") }
func FuzzParseUserReply(f *testing.F)                    { fuzzMessage(f, "user reply") }
func FuzzParseNotifyUserMessage(f *testing.F)            { fuzzMessage(f, "user message") }
func FuzzParseNotifyNewSession(f *testing.F)             { fuzzMessage(f, "new session") }
func FuzzParseSessionReply(f *testing.F)                 { fuzzMessage(f, "session reply") }
func FuzzParseNotifySessionClose(f *testing.F)           { fuzzMessage(f, "session close") }
func FuzzParseGetItems(f *testing.F)                     { fuzzMessage(f, "get items") }
func FuzzParseGetSchema(f *testing.F)                    { fuzzMessage(f, "get schema") }
func FuzzParseNames(f *testing.F)                        { fuzzMessage(f, "names") }
func FuzzParseGetItemData(f *testing.F)                  { fuzzMessage(f, "get item data") }
func FuzzParseItemData(f *testing.F)                     { fuzzMessage(f, "item data") }
func FuzzParseGetUserItemData(f *testing.F)              { fuzzMessage(f, "get user item data") }
func FuzzParseUserItemData(f *testing.F)                 { fuzzMessage(f, "user item data") }
func FuzzParseNotifyNewTables(f *testing.F)              { fuzzMessage(f, "new tables") }
func FuzzParseTablesReply(f *testing.F)                  { fuzzMessage(f, "tables reply") }
func FuzzParseNotifyTablesClose(f *testing.F)            { fuzzMessage(f, "tables close") }
func FuzzParseNotifyDeviceAccess(f *testing.F)           { fuzzMessage(f, "device access") }
func FuzzParseNotifySubscriptionActivation(f *testing.F) { fuzzMessage(f, "subscription activation") }
func FuzzParseNotifyDeviceTokenChange(f *testing.F)      { fuzzMessage(f, "device token change") }
func FuzzParseForceSession(f *testing.F)                 { fuzzMessage(f, "force session") }
func FuzzParseForceUnsubscribe(f *testing.F)             { fuzzMessage(f, "force unsubscribe") }
func FuzzParseForceUnsubscribeReply(f *testing.F)        { fuzzMessage(f, "force unsubscribe reply") }

func FuzzParseLine(f *testing.F) {
	for i, v := range loadVectors(f) {
		if i%10 == 0 && len(v.Line) < 2000 {
			f.Add([]byte(v.Line))
		}
	}
	f.Add([]byte(""))
	f.Add([]byte("||a|||SUB||S|x|"))
	f.Fuzz(func(t *testing.T, line []byte) {
		l, err := ParseLine(line)
		tokens := slices.DeleteFunc(strings.Split(string(line), "|"), func(s string) bool { return s == "" })
		if (err != nil) != (len(tokens) < 2) {
			t.Fatalf("%q: error %v with %d tokens", line, err, len(tokens))
		}
		if err != nil {
			checkMalformed(t, err, l)
			return
		}
		if string(l.ID) != tokens[0] || string(l.Name) != tokens[1] {
			t.Fatalf("%q: id %q, method %q", line, l.ID, l.Name)
		}
		if l.Method != Unknown && l.Method.String() != string(l.Name) {
			t.Fatalf("%q: method %s", line, l.Method)
		}
		if !bytes.HasSuffix(line, l.Body) {
			t.Fatalf("%q: body %q", line, l.Body)
		}
		if n := CountRawPlus(l.Body, Smart); n < 0 || n > bytes.Count(l.Body, []byte{'+'}) {
			t.Fatalf("%q: %d raw plus signs", line, n)
		}
	})
}

var stringSeeds = []string{
	"", "#", "$", "##", "$x", "a b", "a+b", "%41", "%", "%4", "%zz", "a%2", "café", "caf%C3%A9", "\xff\xfe", "%FF", "😀%7C",
	"\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe0\x80\x80", "\xc0\x80", "\xf0\x80\x80\x80", "\xe2\x82", "a\r\nb", "-._~*!'()", "x\x00y",
}

func FuzzParseText(f *testing.F) {
	for _, s := range stringSeeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, tok []byte) {
		for _, enc := range []Encoding{Legacy, Smart} {
			got, err := ParseText(tok, enc)
			// The standard library's unescaping is the yardstick: of forms for legacy, of paths, where + is itself, for smart.
			want, wantErr := url.QueryUnescape(string(tok))
			if enc == Smart {
				want, wantErr = url.PathUnescape(string(tok))
			}
			if (err != nil) != (wantErr != nil) {
				t.Fatalf("%s %q: %v, want %v", enc, tok, err, wantErr)
			}
			if err != nil {
				checkMalformed(t, err, got)
				continue
			}
			switch {
			case string(tok) == "#":
				if got != Null {
					t.Fatalf("%s %q: %v", enc, tok, got)
				}
			case string(tok) == "$":
				if got != T("") {
					t.Fatalf("%s %q: %v", enc, tok, got)
				}
			case got != T(string([]rune(want))):
				t.Fatalf("%s %q: %q, want %q", enc, tok, got.S, want)
			}
			if len(tok) == 0 {
				continue // no token is empty
			}
			again, err := ParseText(AppendText(nil, enc, got), enc)
			if err != nil || again != got {
				t.Fatalf("%s %q: %v %v, want %v", enc, tok, again, err, got)
			}
		}
	})
}

func FuzzAppendString(f *testing.F) {
	for _, s := range stringSeeds {
		f.Add(s)
	}
	smart := strings.NewReplacer("\r", "%0D", "\n", "%0A", "|", "%7C", "%", "%25", "+", "%2B")
	f.Fuzz(func(t *testing.T, s string) {
		clean := string([]rune(s))
		legacyWant := strings.ReplaceAll(url.QueryEscape(clean), "~", "%7E")
		for enc, want := range []string{Legacy: legacyWant, Smart: smart.Replace(clean)} {
			switch s {
			case "":
				want = "$"
			case "#", "$":
				want = url.QueryEscape(s)
			}
			fromString := AppendString([]byte("x"), Encoding(enc), s)
			fromBytes := AppendString([]byte("x"), Encoding(enc), []byte(s))
			if string(fromString) != "x"+want || string(fromBytes) != "x"+want {
				t.Fatalf("%s %q: %q and %q, want %q", Encoding(enc), s, fromString, fromBytes, want)
			}
			if !utf8.Valid(fromString) {
				t.Fatalf("%s %q: no UTF-8: %q", Encoding(enc), s, fromString)
			}
		}
	})
}

func FuzzAppendBytesField(f *testing.F) {
	for _, s := range stringSeeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, v := range []Version{V183, V191} {
			line := AppendBytesField(AppendUpdateHead(nil, 1, AppendItemHead(nil, v, "i", "1"), true), v.Encoding(), "f", b)
			if err := checkLine(line); err != nil {
				t.Fatalf("%s: %v: %q", v, err, line)
			}
			l, err := ParseLine(line)
			if err != nil {
				t.Fatal(err)
			}
			u, err := ParseUpdate(l.Body, v)
			if want := []Field{{"f", T(latin1(b))}}; err != nil || !slices.Equal(u.Fields, want) {
				t.Fatalf("%s: %v %v, want %v", v, u.Fields, err, want)
			}
		}
	})
}

// FuzzParseMap: headers and contexts as maps are those as lists, the last of each name that is not null.
func FuzzParseMap(f *testing.F) {
	f.Add([]byte("S|user|S|S123|S|host|S|a:80|S|host|S|b%20c|S|none|S|#"))
	f.Add([]byte("S|#|S|$|S|name|S|value|S|name|S|#|S|cut short"))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, v := range []Version{V180, V191} {
			user, err := ParseNotifyUser(NUS, body, v)
			var n NotifyUser
			headers, mapErr := n.ParseMap(NUS, body, v)
			sameAsMap(t, user.Headers, err, headers, mapErr)
			if n.User != user.User || n.Password != user.Password {
				t.Errorf("%v, want %v", n, user)
			}
			session, err := ParseNotifyNewSession(body, v)
			var s NotifyNewSession
			context, mapErr := s.ParseMap(body, v)
			sameAsMap(t, session.Context, err, context, mapErr)
			if s.User != session.User || s.Session != session.Session {
				t.Errorf("%+v, want %+v", s, session)
			}
		}
	})
}

func sameAsMap(t *testing.T, list []Param, err error, got map[string]string, mapErr error) {
	t.Helper()
	if (err == nil) != (mapErr == nil) {
		t.Fatalf("as a list: %v; as a map: %v", err, mapErr)
	}
	want := map[string]string{}
	for _, p := range list {
		if !p.Value.Null {
			want[p.Name] = p.Value.S
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func FuzzLineBuffer(f *testing.F) {
	f.Add([]byte("a\r\nb\n\n\r\r\nlast"), []byte{1, 2, 3}, uint16(10))
	f.Add([]byte("0123456789\r\n0123456789A\n"), []byte{200}, uint16(10))
	f.Add([]byte("a\u2028b\x85\r\nc\rd\n"), []byte{3}, uint16(0))
	f.Fuzz(func(t *testing.T, stream, sizes []byte, bound uint16) {
		b := NewLineBuffer(int(bound))
		limit := int(bound)
		if limit == 0 {
			limit = defaultMaxLine
		}
		want, tooLong := splitLines(stream, limit)
		got, err := feed(b, stream, sizes)
		if !slices.Equal(got, want) || (err != nil) != tooLong || err != nil && !errors.Is(err, ErrLineTooLong) {
			t.Fatalf("%q in %v, at most %d: %q %v, want %q %v", stream, sizes, limit, got, err, want, tooLong)
		}
		if got, err = relay(int(bound), stream, sizes); !slices.Equal(got, want) || errors.Is(err, ErrLineTooLong) != tooLong || err != nil && !tooLong {
			t.Fatalf("%q in %v, at most %d, by two buffers: %q %v, want %q %v", stream, sizes, limit, got, err, want, tooLong)
		}
	})
}

// splitLines is what a LineBuffer does, for a stream that is all there.
func splitLines(stream []byte, limit int) (lines []string, tooLong bool) {
	for {
		raw, rest, found := bytes.Cut(stream, []byte{'\n'})
		line := strings.TrimRight(string(raw), "\r")
		if len(raw) > limit+1 || found && len(line) > limit {
			return lines, true
		}
		if !found {
			return lines, false
		}
		lines, stream = append(lines, line), rest
	}
}

// feed passes the stream through b in pieces of the sizes given, over and over.
func feed(b *LineBuffer, stream, sizes []byte) (lines []string, err error) {
	for i := 0; len(stream) > 0 && err == nil; i++ {
		stream = pour(b, stream, sizes, i)
		lines, err = drain(b, lines)
	}
	return lines, err
}

// relay is feed with two buffers: after each piece the other one goes on with what is incomplete.
func relay(bound int, stream, sizes []byte) (lines []string, err error) {
	b, next := NewLineBuffer(bound), NewLineBuffer(bound)
	for i := 0; len(stream) > 0 && err == nil; i++ {
		stream = pour(b, stream, sizes, i)
		b.Split(next)
		if lines, err = drain(b, lines); err == nil {
			_, err = drain(next, nil) // an incomplete line is measured too
		}
		b, next = next, b
	}
	return lines, err
}

// pour passes the next piece to b, and returns what is left.
func pour(b *LineBuffer, stream, sizes []byte, i int) (rest []byte) {
	n := len(stream)
	if len(sizes) > 0 {
		n = min(n, 1+int(sizes[i%len(sizes)]))
	}
	n = copy(b.Space(), stream[:n])
	b.Advance(n)
	return stream[n:]
}

// drain takes the lines that are there.
func drain(b *LineBuffer, lines []string) ([]string, error) {
	for {
		has := b.HasLine()
		line, ok, err := b.Next()
		switch {
		case err != nil:
			return lines, err
		case has != ok:
			return lines, fmt.Errorf("HasLine said %v, Next %v", has, ok)
		case !ok:
			return lines, nil
		}
		lines = append(lines, string(line))
	}
}
