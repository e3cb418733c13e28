package adaptertest

import (
	"slices"
	"strings"
)

// How much of a conversation a failure shows.
const (
	shownLines   = 16
	shownOfALine = 300
)

// A transcript keeps the last lines of a connection, secrets masked. Its owner guards it.
type transcript struct {
	lines []string // a ring, once full
	next  int
}

func (s *transcript) sent(line string)     { s.add("> " + mask(line)) }
func (s *transcript) received(line string) { s.add("< " + mask(line)) }
func (s *transcript) note(text string)     { s.add("  (" + text + ")") }

func (s *transcript) add(line string) {
	if len(s.lines) < shownLines {
		s.lines = append(s.lines, line)
		return
	}
	s.lines[s.next] = line
	s.next = (s.next + 1) % shownLines
}

// String shows the lines, the eldest first.
func (s *transcript) String() string {
	if len(s.lines) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("\nlast lines, > to the adapter, < from it:")
	for _, line := range slices.Concat(s.lines[s.next:], s.lines[:s.next]) {
		b.WriteString("\n  " + line)
	}
	return b.String()
}

// mask makes a line fit to be shown: without secrets, control characters, and not too long.
func mask(line string) string {
	parts := strings.Split(line, "|")
	if len(parts) > 2 {
		switch parts[1] {
		case "RAC":
			for i := 3; i+2 < len(parts); i += 4 {
				if parts[i] == "password" {
					parts[i+2] = "***"
				}
			}
			line = strings.Join(parts, "|")
		case "NUS", "NUA":
			// A reply has no password. Of a request, headers may hold secrets as well.
			if parts[2] == "S" && len(parts) > 5 {
				line = strings.Join(parts[:4], "|") + "|S|***…"
			}
		}
	}
	line = strings.Map(func(r rune) rune {
		if r < ' ' {
			return '·'
		}
		return r
	}, line)
	return clip(line, shownOfALine)
}
