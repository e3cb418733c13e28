package ari

// Mode is a subscription mode, by its letter. The zero Mode is none.
type Mode byte

// The modes.
const (
	Raw      Mode = 'R'
	Merge    Mode = 'M'
	Distinct Mode = 'D'
	Command  Mode = 'C'
)

// modeOrder is the order in which every SDK writes the letters.
var modeOrder = [...]Mode{Raw, Merge, Distinct, Command}

// String returns RAW, MERGE, DISTINCT, COMMAND or, for anything else, NONE.
func (m Mode) String() string {
	switch m {
	case Raw:
		return "RAW"
	case Merge:
		return "MERGE"
	case Distinct:
		return "DISTINCT"
	case Command:
		return "COMMAND"
	}
	return "NONE"
}

func (m Mode) bit() Modes {
	for i, o := range modeOrder {
		if o == m {
			return 1 << i
		}
	}
	return 0
}

// Modes is a set of modes. The zero value is the empty set.
type Modes uint8

// AllModes holds the four modes.
const AllModes Modes = 1<<len(modeOrder) - 1

// Has says whether the set holds m.
func (s Modes) Has(m Mode) bool { return s&m.bit() != 0 }

// With returns the set with m added; m must be one of the four modes, others add nothing.
func (s Modes) With(m Mode) Modes { return s | m.bit() }

// String returns the letters of the modes in the order of the wire, such as "RMDC"; empty for the empty set.
func (s Modes) String() string { return string(s.appendLetters(nil)) }

func (s Modes) appendLetters(dst []byte) []byte {
	for _, m := range modeOrder {
		if s.Has(m) {
			dst = append(dst, byte(m))
		}
	}
	return dst
}

func appendModes(dst []byte, s Modes) []byte {
	dst = append(dst, "|M|"...)
	if s&AllModes == 0 {
		return append(dst, '$')
	}
	return s.appendLetters(dst)
}

// modes takes a set of modes; null is the empty set.
func (p *parser) modes(field string) Modes {
	var s Modes
	if !p.tag("M", field) {
		return s
	}
	tok := p.token(field)
	if t := string(tok); t == "#" || t == "$" {
		return s
	}
	for _, c := range tok {
		b := Mode(c).bit()
		if b == 0 {
			p.fail(field, "unknown letter")
			return 0
		}
		s |= b
	}
	return s
}

func appendMode(dst []byte, m Mode) []byte {
	dst = append(dst, "|M|"...)
	if m == 0 {
		return append(dst, '#')
	}
	return append(dst, byte(m))
}

// mode takes the one mode of a table; null is the zero Mode.
func (p *parser) mode(field string) Mode {
	if !p.tag("M", field) {
		return 0
	}
	tok := p.token(field)
	if p.err != nil || string(tok) == "#" {
		return 0
	}
	if len(tok) != 1 || Mode(tok[0]).bit() == 0 {
		p.fail(field, "want one of R, M, D, C")
		return 0
	}
	return Mode(tok[0])
}
