package main

import (
	"fmt"
	"io"
	"os"
)

// style writes what a person reads: indented lines, in colour on a terminal.
type style struct {
	out      io.Writer
	terminal bool
	color    bool
}

func newStyle(out io.Writer) *style {
	terminal := isTerminal(out)
	return &style{out: out, terminal: terminal, color: terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

func isTerminal(out io.Writer) bool {
	if o, ok := out.(*output); ok {
		out = o.to
	}
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// line writes one line. Where the output leads to nobody, there is nobody to tell that it failed.
func (s *style) line(format string, args ...any) {
	_, _ = fmt.Fprintf(s.out, "  "+format+"\n", args...)
}

func (s *style) gap() { _, _ = fmt.Fprintln(s.out) }

func (s *style) title(name, detail string) {
	s.gap()
	s.line("%s %s", s.strong(name), s.faint(detail))
	s.gap()
}

func (s *style) paint(code, text string) string {
	if !s.color || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s *style) strong(text string) string { return s.paint("1", text) }
func (s *style) faint(text string) string  { return s.paint("2", text) }
func (s *style) accent(text string) string { return s.paint("36", text) }
func (s *style) link(text string) string   { return s.paint("1;4;36", text) }
func (s *style) good(text string) string   { return s.paint("32", text) }
func (s *style) warn(text string) string   { return s.paint("1;33", text) }

func (s *style) bad(text string) string { return s.paint("1;31", text) }

// farewell ends what a command says of itself before it waits.
func (s *style) farewell() {
	s.line("%s", s.faint("For development and tests; production belongs to Lightstreamer Server."))
	s.line("Press %s to stop.", s.strong("Ctrl-C"))
	s.gap()
}
