package ari

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
)

var allVersions = []Version{V180, V182, V183, V190, V191}

// message is one message of the protocol, one direction: what the round trips and the fuzz targets need of it.
type message struct {
	name    string
	kind    string // of the vectors that are the seeds
	methods []Method
	since   Version
	random  func(r *random, m Method, v Version) any
	append  func(id string, m Method, v Version, x any) []byte
	parse   func(l Line, v Version) (any, error)
}

func msg[T any](name, kind string, since Version, methods []Method, random_ func(r *random, m Method, v Version) T,
	append_ func(id string, m Method, v Version, x T) []byte, parse func(l Line, v Version) (T, error),
) message {
	return message{
		name: name, kind: kind, since: since, methods: methods,
		random: func(r *random, m Method, v Version) any { return random_(r, m, v) },
		append: func(id string, m Method, v Version, x any) []byte { return append_(id, m, v, x.(T)) },
		parse:  func(l Line, v Version) (any, error) { return parse(l, v) },
	}
}

// event is EOS, CLS or DFD.
type event struct {
	Item, SubID string
	Order       []FieldDiff
}

var repliedMethods = []Method{
	DPI, MPI, SUB, USB, NUS, NUA, NNS, NSC, GIS, GSC, GIT, GUI, NUM, NNT, NTC, MDA, MSA, MDC, FST, FUS,
}

var allKinds = []ErrorKind{
	KindGeneric, KindDataProvider, KindSubscription, KindFailure, KindMetadataProvider, KindAccess, KindResource,
	KindCredits, KindConflictingSession, KindItems, KindSchema, KindNotification,
}

func randomFailure(r *random, _ Method, _ Version) Failure {
	f := Failure{Kind: allKinds[r.IntN(len(allKinds))], Message: r.text()}
	if f.Kind == KindCredits || f.Kind == KindConflictingSession {
		f.Code, f.ClientMessage = r.int32(), r.text()
	}
	if f.Kind == KindConflictingSession {
		f.Session = r.text()
	}
	return f
}

func appendUpdate(id string, _ Method, v Version, u Update) []byte {
	millis, _ := strconv.ParseInt(id, 16, 64)
	dst := AppendUpdateHead(nil, millis, AppendItemHead(nil, v, u.Item, u.SubID), u.Snapshot)
	for i, f := range u.Fields {
		switch {
		case f.Value.Null:
			dst = AppendNullField(dst, v.Encoding(), f.Name)
		case i%2 == 0:
			dst = AppendField(dst, v.Encoding(), f.Name, f.Value.S)
		default:
			dst = AppendField(dst, v.Encoding(), f.Name, []byte(f.Value.S))
		}
	}
	return dst
}

func appendEvent(id string, m Method, v Version, e event) []byte {
	millis, _ := strconv.ParseInt(id, 16, 64)
	head := AppendItemHead(nil, v, e.Item, e.SubID)
	switch m {
	case EOS:
		return AppendEndOfSnapshot(nil, millis, head)
	case CLS:
		return AppendClearSnapshot(nil, millis, head)
	}
	return AppendDiffOrder(nil, millis, head, v.Encoding(), e.Order)
}

var messages = []message{
	msg("credentials", "credentials", V182, []Method{RAC},
		func(r *random, _ Method, _ Version) []Param { return r.params() },
		func(id string, _ Method, _ Version, x []Param) []byte { return AppendRAC(nil, id, x) },
		func(l Line, _ Version) ([]Param, error) { return ParseParams(l.Body) }),
	msg("init request", "request", V180, []Method{DPI, MPI},
		func(r *random, _ Method, _ Version) []Param { return r.params() },
		func(id string, m Method, _ Version, x []Param) []byte { return AppendInit(nil, id, channelOf(m), x) },
		func(l Line, _ Version) ([]Param, error) { return ParseParams(l.Body) }),
	msg("init reply", "reply", V180, []Method{DPI, MPI},
		func(_ *random, _ Method, v Version) InitReply {
			if v == V180 {
				return InitReply{Void: true}
			}
			return InitReply{Params: []Param{{ParamVersion, T(v.String())}}}
		},
		func(id string, m Method, v Version, x InitReply) []byte {
			switch {
			case x.Void:
				return AppendInitReply(nil, id, channelOf(m), V180)
			case v != V180 && same(x.Params, []Param{{ParamVersion, T(v.String())}}):
				return AppendInitReply(nil, id, channelOf(m), v)
			}
			// Only a fuzzer makes other ones.
			return appendParams(appendHead(nil, id, m), Legacy, x.Params)
		},
		func(l Line, _ Version) (InitReply, error) { return ParseInitReply(l.Body) }),
	msg("close", "request", V183, []Method{CLOSE},
		func(r *random, _ Method, _ Version) string { return r.str() },
		func(_ string, _ Method, _ Version, x string) []byte { return AppendClose(nil, x) },
		func(l Line, _ Version) (string, error) { return ParseClose(l) }),
	msg("failure notice", "failure", V180, []Method{FAL},
		func(r *random, _ Method, _ Version) Text { return r.text() },
		func(id string, _ Method, v Version, x Text) []byte {
			return AppendFailureNotice(nil, []Channel{Data, Metadata}[len(id)%2], v, 17, x)
		},
		func(l Line, v Version) (Text, error) { return ParseFailureNotice(l.Body, v) }),
	msg("error reply", "error", V180, repliedMethods, randomFailure,
		func(id string, m Method, v Version, x Failure) []byte { return AppendError(nil, id, m, v, x) },
		func(l Line, v Version) (Failure, error) {
			f, isError, err := ParseError(l.Method, l.Body, v)
			if !isError {
				return f, errors.Join(err, errNoError)
			}
			if err != nil {
				return Failure{}, err
			}
			return f, nil
		}),
	msg("void reply", "reply", V180, repliedMethods,
		func(*random, Method, Version) struct{} { return struct{}{} },
		func(id string, m Method, _ Version, _ struct{}) []byte { return AppendVoidReply(nil, id, m) },
		func(l Line, _ Version) (struct{}, error) { return struct{}{}, ParseVoidReply(l.Body) }),

	msg("item request", "request", V180, []Method{SUB, USB},
		func(r *random, _ Method, _ Version) string { return r.str() },
		func(id string, m Method, v Version, x string) []byte {
			if m == SUB {
				return AppendSubscribe(nil, id, v, x)
			}
			return AppendUnsubscribe(nil, id, v, x)
		},
		func(l Line, v Version) (string, error) { return ParseItem(l.Body, v) }),
	msg("update", "notification", V180, []Method{UD3},
		func(r *random, _ Method, _ Version) Update {
			return Update{
				Item: r.str(), SubID: r.id(), Snapshot: r.boolean(),
				Fields: list(r, func() Field { return Field{r.str(), r.text()} }),
			}
		},
		appendUpdate,
		func(l Line, v Version) (Update, error) {
			u, err := ParseUpdate(l.Body, v)
			u.Indexed = false // never appended
			return u, err
		}),
	msg("item event", "notification", V180, []Method{EOS, CLS},
		func(r *random, _ Method, _ Version) event { return event{Item: r.str(), SubID: r.id()} },
		appendEvent,
		func(l Line, v Version) (e event, err error) {
			e.Item, e.SubID, err = ParseItemEvent(l.Body, v)
			return e, err
		}),
	msg("diff order", "notification", V190, []Method{DFD},
		func(r *random, _ Method, _ Version) event {
			return event{r.str(), r.id(), list(r, func() FieldDiff {
				if r.IntN(4) == 0 {
					return FieldDiff{Field: r.str(), None: true}
				}
				return FieldDiff{Field: r.str(), Algorithms: list(r, func() DiffAlgorithm {
					return []DiffAlgorithm{JSONPatch, DiffMatchPatch}[r.IntN(2)]
				})}
			})}
		},
		appendEvent,
		func(l Line, v Version) (e event, err error) {
			e.Item, e.SubID, e.Order, err = ParseDiffOrder(l.Body, v)
			return e, err
		}),

	msg("user request", "request", V180, []Method{NUS, NUA},
		func(r *random, m Method, _ Version) NotifyUser {
			n := NotifyUser{User: r.text(), Password: r.text(), HasPrincipal: m == NUA, Headers: r.params()}
			if n.HasPrincipal {
				n.Principal = r.text()
			}
			return n
		},
		func(id string, _ Method, v Version, x NotifyUser) []byte { return x.Append(nil, id, v) },
		func(l Line, v Version) (NotifyUser, error) { return ParseNotifyUser(l.Method, l.Body, v) }),
	msg("user reply", "reply", V180, []Method{NUS, NUA},
		func(r *random, _ Method, _ Version) UserReply { return UserReply{r.double(), r.boolean()} },
		func(id string, m Method, _ Version, x UserReply) []byte { return x.Append(nil, id, m) },
		func(l Line, _ Version) (UserReply, error) { return ParseUserReply(l.Body) }),
	msg("user message", "request", V180, []Method{NUM},
		func(r *random, _ Method, _ Version) NotifyUserMessage {
			return NotifyUserMessage{r.text(), r.str(), r.text()}
		},
		func(id string, _ Method, v Version, x NotifyUserMessage) []byte { return x.Append(nil, id, v) },
		func(l Line, v Version) (NotifyUserMessage, error) { return ParseNotifyUserMessage(l.Body, v) }),
	msg("new session", "request", V180, []Method{NNS},
		func(r *random, _ Method, _ Version) NotifyNewSession {
			return NotifyNewSession{r.text(), r.str(), r.params()}
		},
		func(id string, _ Method, v Version, x NotifyNewSession) []byte { return x.Append(nil, id, v) },
		func(l Line, v Version) (NotifyNewSession, error) { return ParseNotifyNewSession(l.Body, v) }),
	msg("session reply", "reply", V180, []Method{NNS},
		func(r *random, _ Method, v Version) int32 {
			if !v.AtLeast(V190) {
				return 0
			}
			return int32(r.int32())
		},
		func(id string, _ Method, v Version, x int32) []byte {
			return AppendSessionReply(nil, id, max(v, V190), x)
		},
		func(l Line, _ Version) (int32, error) { return ParseSessionReply(l.Body) }),
	msg("session close", "request", V180, []Method{NSC},
		func(r *random, _ Method, _ Version) NotifySessionClose { return NotifySessionClose{r.str()} },
		func(id string, _ Method, v Version, x NotifySessionClose) []byte { return x.Append(nil, id, v) },
		func(l Line, v Version) (NotifySessionClose, error) { return ParseNotifySessionClose(l.Body, v) }),

	msg("get items", "request", V180, []Method{GIS},
		func(r *random, _ Method, _ Version) GetItems { return GetItems{r.text(), r.text(), r.str()} },
		func(id string, _ Method, v Version, x GetItems) []byte { return x.Append(nil, id, v) },
		func(l Line, v Version) (GetItems, error) { return ParseGetItems(l.Body, v) }),
	msg("get schema", "request", V180, []Method{GSC},
		func(r *random, _ Method, _ Version) GetSchema {
			return GetSchema{r.text(), r.text(), r.text(), r.str()}
		},
		func(id string, _ Method, v Version, x GetSchema) []byte { return x.Append(nil, id, v) },
		func(l Line, v Version) (GetSchema, error) { return ParseGetSchema(l.Body, v) }),
	msg("names", "reply", V180, []Method{GIS, GSC},
		func(r *random, _ Method, _ Version) []string { return r.strs() },
		func(id string, m Method, v Version, x []string) []byte { return AppendNames(nil, id, m, v, x) },
		func(l Line, v Version) ([]string, error) { return ParseNames(l.Body, v) }),
	msg("get item data", "request", V180, []Method{GIT},
		func(r *random, _ Method, _ Version) GetItemData { return GetItemData{r.strs()} },
		func(id string, _ Method, v Version, x GetItemData) []byte { return x.Append(nil, id, v) },
		func(l Line, v Version) (GetItemData, error) { return ParseGetItemData(l.Body, v) }),
	msg("item data", "reply", V180, []Method{GIT},
		func(r *random, _ Method, _ Version) []ItemData {
			return list(r, func() ItemData { return ItemData{r.int32(), r.double(), r.modes()} })
		},
		func(id string, _ Method, _ Version, x []ItemData) []byte { return AppendItemData(nil, id, x) },
		func(l Line, _ Version) ([]ItemData, error) { return ParseItemData(l.Body) }),
	msg("get user item data", "request", V180, []Method{GUI},
		func(r *random, _ Method, _ Version) GetUserItemData { return GetUserItemData{r.text(), r.strs()} },
		func(id string, _ Method, v Version, x GetUserItemData) []byte { return x.Append(nil, id, v) },
		func(l Line, v Version) (GetUserItemData, error) { return ParseGetUserItemData(l.Body, v) }),
	msg("user item data", "reply", V180, []Method{GUI},
		func(r *random, _ Method, _ Version) []UserItemData {
			return list(r, func() UserItemData { return UserItemData{r.int32(), r.double(), r.modes()} })
		},
		func(id string, _ Method, _ Version, x []UserItemData) []byte { return AppendUserItemData(nil, id, x) },
		func(l Line, _ Version) ([]UserItemData, error) { return ParseUserItemData(l.Body) }),

	msg("new tables", "request", V180, []Method{NNT},
		func(r *random, m Method, v Version) NotifyNewTables {
			return NotifyNewTables{r.text(), r.str(), r.tables(m, v)}
		},
		func(id string, _ Method, v Version, x NotifyNewTables) []byte { return x.Append(nil, id, v) },
		func(l Line, v Version) (NotifyNewTables, error) { return ParseNotifyNewTables(l.Body, v) }),
	msg("tables reply", "reply", V180, []Method{NNT},
		func(r *random, _ Method, v Version) TablesReply {
			if !v.AtLeast(V190) {
				return TablesReply{}
			}
			return TablesReply{r.boolean(), r.boolean()}
		},
		func(id string, _ Method, v Version, x TablesReply) []byte {
			if x != (TablesReply{}) {
				v = max(v, V190)
			}
			return x.Append(nil, id, v)
		},
		func(l Line, _ Version) (TablesReply, error) { return ParseTablesReply(l.Body) }),
	msg("tables close", "request", V180, []Method{NTC},
		func(r *random, m Method, v Version) NotifyTablesClose {
			return NotifyTablesClose{r.str(), r.tables(m, v)}
		},
		func(id string, _ Method, v Version, x NotifyTablesClose) []byte { return x.Append(nil, id, v) },
		func(l Line, v Version) (NotifyTablesClose, error) { return ParseNotifyTablesClose(l.Body, v) }),

	msg("device access", "request", V180, []Method{MDA},
		func(r *random, _ Method, _ Version) NotifyDeviceAccess {
			return NotifyDeviceAccess{r.text(), r.str(), r.device()}
		},
		func(id string, _ Method, v Version, x NotifyDeviceAccess) []byte { return x.Append(nil, id, v) },
		func(l Line, v Version) (NotifyDeviceAccess, error) { return ParseNotifyDeviceAccess(l.Body, v) }),
	msg("subscription activation", "request", V180, []Method{MSA},
		func(r *random, m Method, v Version) NotifySubscriptionActivation {
			return NotifySubscriptionActivation{r.text(), r.str(), r.table(m, v), r.device(), r.text(), r.text()}
		},
		func(id string, _ Method, v Version, x NotifySubscriptionActivation) []byte {
			return x.Append(nil, id, v)
		},
		func(l Line, v Version) (NotifySubscriptionActivation, error) {
			return ParseNotifySubscriptionActivation(l.Body, v)
		}),
	msg("device token change", "request", V180, []Method{MDC},
		func(r *random, _ Method, _ Version) NotifyDeviceTokenChange {
			return NotifyDeviceTokenChange{r.text(), r.str(), r.device(), r.str()}
		},
		func(id string, _ Method, v Version, x NotifyDeviceTokenChange) []byte { return x.Append(nil, id, v) },
		func(l Line, v Version) (NotifyDeviceTokenChange, error) {
			return ParseNotifyDeviceTokenChange(l.Body, v)
		}),

	msg("force session", "request", V190, []Method{FST},
		func(r *random, _ Method, _ Version) ForceSession {
			if r.boolean() {
				return ForceSession{Session: r.str()}
			}
			return ForceSession{r.str(), true, r.int32(), r.text()}
		},
		func(id string, _ Method, v Version, x ForceSession) []byte { return x.Append(nil, id, v) },
		func(l Line, v Version) (ForceSession, error) { return ParseForceSession(l.Body, v) }),
	msg("force unsubscribe", "request", V190, []Method{FUS},
		func(r *random, _ Method, _ Version) ForceUnsubscribe { return ForceUnsubscribe{r.str(), r.int32()} },
		func(id string, _ Method, v Version, x ForceUnsubscribe) []byte { return x.Append(nil, id, v) },
		func(l Line, v Version) (ForceUnsubscribe, error) { return ParseForceUnsubscribe(l.Body, v) }),
	msg("force unsubscribe reply", "reply", V190, []Method{FUS},
		func(r *random, _ Method, _ Version) bool { return r.boolean() },
		func(id string, _ Method, _ Version, x bool) []byte { return AppendForceUnsubscribeReply(nil, id, x) },
		func(l Line, _ Version) (bool, error) { return ParseForceUnsubscribeReply(l.Body) }),
}

var errNoError = errors.New("read as no error")

func channelOf(m Method) Channel {
	if m == DPI {
		return Data
	}
	return Metadata
}

// same compares by print, so that two NaN are the same, and nil and empty are not.
func same(a, b any) bool { return fmt.Sprintf("%#v", a) == fmt.Sprintf("%#v", b) }

// checkLine says what no appended line may have.
func checkLine(line []byte) error {
	switch {
	case bytes.ContainsAny(line, "\n"):
		return errors.New("LF within the line")
	case bytes.Contains(line, []byte("||")), bytes.HasSuffix(line, []byte("|")), bytes.HasPrefix(line, []byte("|")):
		return errors.New("empty token")
	}
	return nil
}

func TestRoundTrip(t *testing.T) {
	r := &random{rand.New(rand.NewPCG(1, 2))}
	for _, msg := range messages {
		t.Run(msg.name, func(t *testing.T) {
			for _, m := range msg.methods {
				for _, v := range allVersions {
					if !v.AtLeast(msg.since) {
						continue
					}
					for range 100 {
						want := msg.random(r, m, v)
						id := r.id()
						line := msg.append(id, m, v, want)
						if err := checkRoundTrip(msg, line, m, v, want); err != nil {
							t.Fatalf("%s %s: %v\n line %s\n want %#v", v, m, err, line, want)
						}
						if v.Encoding() == Legacy && !isASCII(line) {
							t.Fatalf("%s %s: not ASCII: %s", v, m, line)
						}
					}
				}
			}
		})
	}
}

func checkRoundTrip(msg message, line []byte, m Method, v Version, want any) error {
	if err := checkLine(line); err != nil {
		return err
	}
	l, err := ParseLine(line)
	if err != nil {
		return err
	}
	if l.Method != m || string(l.Name) != m.String() {
		return fmt.Errorf("method %s %q", l.Method, l.Name)
	}
	got, err := msg.parse(l, v)
	if err != nil {
		return err
	}
	if !same(got, want) {
		return fmt.Errorf("got %#v", got)
	}
	return nil
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}
