package ari

// DiffAlgorithm is a way of sending a field's value to clients as a difference from the one before.
type DiffAlgorithm byte

// The algorithms, by their letters.
const (
	JSONPatch      DiffAlgorithm = 'J'
	DiffMatchPatch DiffAlgorithm = 'M' // reaches clients in TLCP-diff form
)

// String returns the name the official adapter interfaces use.
func (a DiffAlgorithm) String() string {
	switch a {
	case JSONPatch:
		return "JSONPATCH"
	case DiffMatchPatch:
		return "DIFF_MATCH_PATCH"
	}
	return "UNKNOWN"
}

// FieldDiff declares which algorithms may be used for a field, in order of preference.
type FieldDiff struct {
	Field      string
	Algorithms []DiffAlgorithm // empty with None false: no algorithm may be used
	None       bool            // nothing is declared, the server decides; Algorithms is then ignored
}

// AppendDiffOrder appends DFD, which exists from 1.9.0 on. It should precede the updates of the fields it names.
func AppendDiffOrder[S ~string | ~[]byte](dst []byte, millis int64, itemHead S, enc Encoding, order []FieldDiff) []byte {
	dst = append(appendMillis(dst, millis, DFD), itemHead...)
	for _, d := range order {
		dst = append(appendStr(dst, enc, d.Field), "|F|"...)
		switch {
		case d.None:
			dst = append(dst, '#')
		case len(d.Algorithms) == 0:
			dst = append(dst, '$')
		}
		if !d.None {
			for _, a := range d.Algorithms {
				dst = append(dst, byte(a))
			}
		}
	}
	return dst
}

// ParseDiffOrder reads the body of DFD. An unknown algorithm is a *MalformedError.
func ParseDiffOrder(body []byte, v Version) (item, subID string, order []FieldDiff, err error) {
	p := parser{method: "DFD", rest: body, enc: DFD.Encoding(v)}
	item, subID = p.str("item"), p.id("subscription id")
	for p.more() {
		order = append(order, p.fieldDiff())
	}
	if err := p.done(); err != nil {
		return "", "", nil, err
	}
	return item, subID, order, nil
}

func (p *parser) fieldDiff() FieldDiff {
	d := FieldDiff{Field: p.str("field name")}
	const field = "diff algorithms"
	if !p.tag("F", field) {
		return d
	}
	tok := p.token(field)
	switch string(tok) {
	case "#":
		d.None = true
		return d
	case "$":
		return d
	}
	for _, c := range tok {
		a := DiffAlgorithm(c)
		if a != JSONPatch && a != DiffMatchPatch {
			p.fail(field, "unknown letter")
			return d
		}
		d.Algorithms = append(d.Algorithms, a)
	}
	return d
}
