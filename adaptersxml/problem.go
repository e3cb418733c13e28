package adaptersxml

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Severity tells a mistake from something that is merely without effect.
type Severity uint8

// The severities. The zero value is SeverityError.
const (
	SeverityError   Severity = iota // the server would refuse the file
	SeverityWarning                 // the server would start, but not do what the line seems to say
)

// String returns "error" or "warning".
func (s Severity) String() string {
	if s == SeverityWarning {
		return "warning"
	}
	return "error"
}

// Problem is one thing wrong with a file. Its message names the element or parameter and never holds a password.
type Problem struct {
	File     string // as given to Read
	Line     int    // from 1; 0 when the problem is of the file as a whole
	Column   int    // from 1, in characters
	Severity Severity
	Message  string
}

// Error returns the problem the way compilers do: file:line:column: message, with "warning: " before a warning's message.
func (p *Problem) Error() string {
	prefix := ""
	if p.Severity == SeverityWarning {
		prefix = "warning: "
	}
	if p.Line == 0 {
		return fmt.Sprintf("%s: %s%s", p.File, prefix, p.Message)
	}
	return fmt.Sprintf("%s:%d:%d: %s%s", p.File, p.Line, p.Column, prefix, p.Message)
}

// Problems returns the problems inside an error of this package, in the order of the file; nil if there are none.
func Problems(err error) []*Problem {
	var list []*Problem
	var walk func(error)
	walk = func(e error) {
		if joined, ok := e.(interface{ Unwrap() []error }); ok {
			for _, one := range joined.Unwrap() {
				walk(one)
			}
			return
		}
		if p, ok := e.(*Problem); ok { //nolint:errorlint // the chain is walked here, one link at a time
			list = append(list, p)
			return
		}
		if next := errors.Unwrap(e); next != nil {
			walk(next)
		}
	}
	if err != nil {
		walk(err)
	}
	return list
}

// maxProblems bounds what a hostile file can make us say.
const maxProblems = 200

// report collects the problems of one file.
type report struct {
	file     string
	problems []*Problem
	full     bool
}

func (r *report) add(at Pos, s Severity, format string, args ...any) {
	if len(r.problems) >= maxProblems {
		if !r.full {
			r.full = true
			r.problems = append(r.problems, &Problem{File: r.file, Severity: SeverityError, Message: "too many problems; the rest is not shown"})
		}
		return
	}
	r.problems = append(r.problems, &Problem{File: r.file, Line: at.Line, Column: at.Column, Severity: s, Message: fmt.Sprintf(format, args...)})
}

func (r *report) errorf(at Pos, format string, args ...any) {
	r.add(at, SeverityError, format, args...)
}

func (r *report) warnf(at Pos, format string, args ...any) {
	r.add(at, SeverityWarning, format, args...)
}

// sorted returns the problems in the order of the file, those without a place last.
func (r *report) sorted() []*Problem {
	slices.SortStableFunc(r.problems, func(a, b *Problem) int {
		if (a.Line == 0) != (b.Line == 0) {
			return cmp.Compare(b.Line, a.Line)
		}
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return r.problems
}

// split returns the problems by severity, each part in the order of the file.
func (r *report) split() (mistakes []error, warnings []*Problem) {
	for _, p := range r.sorted() {
		if p.Severity == SeverityWarning {
			warnings = append(warnings, p)
		} else {
			mistakes = append(mistakes, p)
		}
	}
	return mistakes, warnings
}
