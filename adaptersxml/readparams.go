package adaptersxml

import (
	"math"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"time"
)

// params reads the parameters of one provider by name. A parameter that was found to be void is as if it were absent.
type params struct {
	*reader
	p    *Provider
	void map[string]bool
}

// get returns a parameter that counts.
func (r *params) get(name string) (Param, bool) {
	if r.void[name] {
		return Param{}, false
	}
	return r.p.Param(name)
}

func (r *params) has(name string) bool {
	_, ok := r.get(name)
	return ok
}

// ignore makes parameters void, with a warning at each. A name that ends in a dot stands for all that begin with it.
func (r *params) ignore(why string, names ...string) {
	for _, p := range r.p.Params {
		for _, name := range names {
			if p.Name != name && (!strings.HasSuffix(name, ".") || !strings.HasPrefix(p.Name, name)) || r.void[p.Name] {
				continue
			}
			r.ignoreParam(p, why)
		}
	}
}

func (r *params) ignoreParam(p Param, why string) {
	r.warnf(p.Pos, "parameter %s has no effect %s", quote(p.Name), why)
	r.void[p.Name] = true
}

// at is the place of a parameter, or of the provider if it is absent.
func (r *params) at(name string) Pos {
	if p, ok := r.get(name); ok {
		return p.Pos
	}
	return r.p.Pos
}

// text returns the parameter's text, "" when absent.
func (r *params) text(name string) string {
	p, _ := r.get(name)
	return p.Value
}

func (r *params) integer(name string, def, least, most int) int {
	p, ok := r.get(name)
	if !ok {
		return def
	}
	return r.parseInt(p.Pos, "parameter "+quote(name), p.Value, def, least, most)
}

// millis reads a time in milliseconds; the default is given in milliseconds, too.
func (r *params) millis(name string, def int) time.Duration {
	return time.Duration(r.integer(name, def, math.MinInt32, math.MaxInt32)) * time.Millisecond
}

func (r *params) boolean(name string, def bool) bool {
	p, ok := r.get(name)
	if !ok {
		return def
	}
	return r.parseBool(p.Pos, "parameter "+quote(name), p.Value, def)
}

func (r *params) choice(name, def string, choices ...string) string {
	p, ok := r.get(name)
	if !ok {
		return def
	}
	return r.parseChoice(p.Pos, "parameter "+quote(name), p.Value, def, choices...)
}

// Rates in a file, per second or in kbit/s, are such that the time between two events can be
// reckoned with.
const (
	leastNumber = 0.001
	mostNumber  = 1_000_000_000
)

func (r *params) number(name string) float64 {
	p, ok := r.get(name)
	if !ok {
		return 0
	}
	f, err := strconv.ParseFloat(p.Value, 64)
	if err != nil || f != 0 && !(f >= leastNumber && f <= mostNumber) {
		r.errorf(p.Pos, "parameter %s is %s; it has to be 0 (no limit), or a number from %v to %v", quote(name), quote(p.Value), leastNumber, mostNumber)
		return 0
	}
	return f
}

// family returns the parameters whose names begin with prefix, with the rest of each name; of equal names the last.
func (r *params) family(prefix string) (list []Param, suffixes []string) {
	for i, p := range r.p.Params {
		suffix, ok := strings.CutPrefix(p.Name, prefix)
		if !ok || r.void[p.Name] || slices.ContainsFunc(r.p.Params[i+1:], func(q Param) bool { return q.Name == p.Name }) {
			continue
		}
		if suffix == "" {
			r.errorf(p.Pos, "parameter %s lacks the suffix that makes it unique", quote(p.Name))
			continue
		}
		list, suffixes = append(list, p), append(suffixes, suffix)
	}
	return list, suffixes
}

// Bounds on regular expressions, whose compiled form is many times their length: x{1000} is a
// thousand states, \pL has six hundred ranges. Both are counted by size.
const (
	maxPattern      = 4096 // characters
	maxPatternSize  = 10_000
	maxPatternSizes = 50_000 // of all expressions of a file
)

// pattern compiles a Java regular expression. Those that Go's engine lacks (look-around, back references) are refused: they
// cannot be obeyed.
func (r *params) pattern(p Param, wrap func(string) string) *regexp.Regexp {
	if len(p.Value) > maxPattern {
		r.errorf(p.Pos, "parameter %s is longer than %d characters", quote(p.Name), maxPattern)
		return nil
	}
	if r.patterns > maxPatternSizes {
		r.errorf(p.Pos, "parameter %s comes after too many large regular expressions", quote(p.Name))
		return nil
	}
	// Read alone first, so that an unbalanced parenthesis cannot escape the wrapping.
	tree, err := syntax.Parse(p.Value, syntax.Perl)
	if err != nil {
		r.errorf(p.Pos, "parameter %s is no regular expression that Go understands: %s", quote(p.Name),
			shorten(strings.TrimPrefix(err.Error(), "error parsing regexp: ")))
		return nil
	}
	n := size(tree)
	r.patterns += n
	if n > maxPatternSize {
		r.errorf(p.Pos, "parameter %s is too large a regular expression: repetitions and classes count for what they stand for", quote(p.Name))
		return nil
	}
	re, err := regexp.Compile(wrap(p.Value))
	if err != nil {
		r.errorf(p.Pos, "parameter %s is too long a regular expression", quote(p.Name))
		return nil
	}
	return re
}

// size returns the number of states and ranges that an expression compiles to, roughly; no more
// than a little over the maximum is counted.
func size(re *syntax.Regexp) int {
	n := 1 + len(re.Rune)
	for _, sub := range re.Sub {
		if n += size(sub); n > maxPatternSize {
			break
		}
	}
	if re.Op == syntax.OpRepeat {
		n *= max(re.Min, re.Max, 1)
	}
	return min(n, maxPatternSize+1)
}

// unknownParams warns of names the server does not know. Those with a colon are free for the remote.
func (r *params) unknownParams(known func(string) bool, candidates []string) {
	for _, p := range r.p.Params {
		if known(p.Name) || strings.Contains(p.Name, ":") {
			continue
		}
		hint := ""
		if len(r.problems) < maxProblems {
			hint = didYouMean(p.Name, withSuffixes(p.Name, candidates))
		}
		r.warnf(p.Pos, "unknown parameter %s%s", quote(p.Name), hint)
	}
}

// withSuffixes completes the candidates that end in a dot with what follows each dot of name, so that auth.credential.1.user
// can be compared with auth.credentials.1.user.
func withSuffixes(name string, candidates []string) []string {
	if len(name) > maxGuess {
		return nil
	}
	var list []string
	for _, c := range candidates {
		if !strings.HasSuffix(c, ".") {
			list = append(list, c)
			continue
		}
		for i := range len(name) {
			if name[i] == '.' && i+1 < len(name) {
				list = append(list, c+name[i+1:])
			}
		}
	}
	return list
}

// require reports a mistake at the parameter, or at the provider if it is absent, unless ok.
func (r *params) require(ok bool, name, format string, args ...any) {
	if !ok {
		r.errorf(r.at(name), format, args...)
	}
}
