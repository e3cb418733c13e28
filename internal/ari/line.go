package ari

import "bytes"

// EOL ends every line written. Readers split on LF alone, see [LineBuffer].
const EOL = "\r\n"

// KeepaliveLine is the line a remote sends to show that it is alive. The proxy never sends one.
const KeepaliveLine = "KEEPALIVE"

// IsKeepalive says whether line is a keepalive, which [ParseLine] would refuse.
func IsKeepalive(line []byte) bool { return string(line) == KeepaliveLine }

// Method is the second token of a line.
type Method uint8

// The methods. The zero Method is Unknown: lines with it are to be logged and ignored.
const (
	Unknown    Method = iota
	DPI               // init of a data adapter
	MPI               // init of a metadata adapter
	RAC               // the remote's credentials
	CLOSE             // the proxy is about to close the connection
	FAL               // failure of the whole adapter
	SUB               // subscribe
	USB               // unsubscribe
	UD3               // update
	EOS               // end of snapshot
	CLS               // clear snapshot
	DFD               // declare field diff order
	NUS               // notify user
	NUA               // notify user, with the principal of a client certificate
	NNS               // notify new session
	NSC               // notify session close
	GIS               // get items
	GSC               // get schema
	GIT               // get item data
	GUI               // get user item data
	NUM               // notify user message
	NNT               // notify new tables
	NTC               // notify tables close
	MDA               // notify push device access
	MSA               // notify push subscription activation
	MDC               // notify push device token change
	FST               // force session termination
	FUS               // force unsubscription
	lastMethod = FUS
)

// Methods is how many methods there are, Unknown included: each is a number below.
const Methods = int(lastMethod) + 1

var methodNames = [...]string{
	Unknown: "UNKNOWN", DPI: "DPI", MPI: "MPI", RAC: "RAC", CLOSE: "CLOSE", FAL: "FAL",
	SUB: "SUB", USB: "USB", UD3: "UD3", EOS: "EOS", CLS: "CLS", DFD: "DFD",
	NUS: "NUS", NUA: "NUA", NNS: "NNS", NSC: "NSC", GIS: "GIS", GSC: "GSC", GIT: "GIT", GUI: "GUI",
	NUM: "NUM", NNT: "NNT", NTC: "NTC", MDA: "MDA", MSA: "MSA", MDC: "MDC", FST: "FST", FUS: "FUS",
}

// String returns the method as it is written on the wire, or "UNKNOWN".
func (m Method) String() string {
	if m > lastMethod {
		m = Unknown
	}
	return methodNames[m]
}

// ParseMethod reads a method token; Unknown if it is none.
func ParseMethod(b []byte) Method {
	switch string(b) {
	case "DPI":
		return DPI
	case "MPI":
		return MPI
	case "RAC":
		return RAC
	case "CLOSE":
		return CLOSE
	case "FAL":
		return FAL
	case "SUB":
		return SUB
	case "USB":
		return USB
	case "UD3":
		return UD3
	case "EOS":
		return EOS
	case "CLS":
		return CLS
	case "DFD":
		return DFD
	}
	return parseMetadataMethod(b)
}

func parseMetadataMethod(b []byte) Method {
	switch string(b) {
	case "NUS":
		return NUS
	case "NUA":
		return NUA
	case "NNS":
		return NNS
	case "NSC":
		return NSC
	case "GIS":
		return GIS
	case "GSC":
		return GSC
	case "GIT":
		return GIT
	case "GUI":
		return GUI
	case "NUM":
		return NUM
	case "NNT":
		return NNT
	case "NTC":
		return NTC
	case "MDA":
		return MDA
	case "MSA":
		return MSA
	case "MDC":
		return MDC
	case "FST":
		return FST
	case "FUS":
		return FUS
	}
	return Unknown
}

// Encoding returns how the strings of a message of this method are written once v is agreed, in requests, replies and
// error replies alike. What opens and closes a connection is Legacy in every version.
func (m Method) Encoding(v Version) Encoding {
	switch m {
	case RAC, CLOSE, DPI, MPI:
		return Legacy
	}
	return v.Encoding()
}

// Line is a line taken apart. Its slices point into the line given to [ParseLine].
type Line struct {
	ID     []byte // the id, or the remote's clock in a notification
	Method Method
	Name   []byte // the method as it was written
	Body   []byte // what follows the method, for the parser of that method; may be empty
}

// ParseLine splits a line without its end into id, method and body. A line with fewer than two tokens is a
// *MalformedError; keepalives and empty lines are of that kind, so callers look for them first. It does not allocate.
func ParseLine(line []byte) (Line, error) {
	// Nearly all lines are like this: an id, three letters, a body.
	if i := bytes.IndexByte(line, '|'); i > 0 && len(line) > i+4 && line[i+4] == '|' {
		if m := ParseMethod(line[i+1 : i+4]); m != Unknown {
			return Line{ID: line[:i], Method: m, Name: line[i+1 : i+4], Body: line[i+5:]}, nil
		}
	}
	p := parser{method: "line", rest: line}
	id := p.token("id")
	name := p.token("method")
	if p.err != nil {
		return Line{}, p.err
	}
	return Line{ID: id, Method: ParseMethod(name), Name: name, Body: p.rest}, nil
}
