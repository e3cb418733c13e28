package adaptersxml

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Option changes how a file is read.
type Option func(*options)

type options struct {
	maxBytes int64
	env      func(string) (string, bool)
}

// WithEnv expands texts of the form $env.NAME through lookup, which tells whether the variable is set; os.LookupEnv fits.
// Without this option such a text stays as it is, with a warning: the server, too, expands only when it is told to
// (enable_expansion_for_adapters_config).
func WithEnv(lookup func(name string) (string, bool)) Option {
	return func(o *options) { o.env = lookup }
}

// WithMaxBytes bounds the length of the file; 1 MiB by default. 0 or less means the default.
func WithMaxBytes(n int64) Option {
	return func(o *options) {
		if n > 0 {
			o.maxBytes = n
		}
	}
}

// Read reads one adapters.xml. The error holds every mistake of the file, see [Problems]; the Set is nil then. The file name
// is only for messages and for [Set.Path]: Read opens nothing.
func Read(r io.Reader, filename string, opts ...Option) (*Set, error) {
	set, rep := read(r, filename, opts)
	mistakes, warnings := rep.split()
	if len(mistakes) > 0 {
		return nil, errors.Join(mistakes...)
	}
	set.Warnings = warnings
	return set, nil
}

// ReadFile reads the file of that name, as [Read] does. It has to be a regular file: to open
// another may block for ever.
func ReadFile(filename string, opts ...Option) (*Set, error) {
	info, err := os.Stat(filename)
	if err != nil {
		return nil, fmt.Errorf("adaptersxml: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("adaptersxml: %s is not a regular file", filename)
	}
	f, err := os.Open(filename) //nolint:gosec // the file the caller asked for
	if err != nil {
		return nil, fmt.Errorf("adaptersxml: %w", err)
	}
	defer f.Close()
	return Read(f, filename, opts...)
}

// Check reads one adapters.xml and returns its mistakes and warnings together, in the order of the file.
func Check(r io.Reader, filename string, opts ...Option) []*Problem {
	_, rep := read(r, filename, opts)
	return rep.sorted()
}

// reader holds what reading one file needs.
type reader struct {
	options
	*report
	patterns int // size of the regular expressions so far
}

func read(in io.Reader, filename string, opts []Option) (*Set, *report) {
	r := reader{options: options{maxBytes: defaultMaxBytes}, report: &report{file: filename}}
	for _, o := range opts {
		o(&r.options)
	}
	data, err := load(in, r.maxBytes)
	if err != nil {
		r.errorf(Pos{}, "the file is %s", err)
		return nil, r.report
	}
	root, comment := parse(data, r.report)
	if root == nil {
		return nil, r.report
	}
	set := &Set{File: filename, FileTag: r.fileTag(comment), Pos: root.pos}
	if root.name != "adapters_conf" {
		r.errorf(root.pos, "the root element is <%s>; it has to be <adapters_conf>", shorten(root.name))
		return nil, r.report
	}
	r.readSet(set, root)
	return set, r.report
}

var fileTag = regexp.MustCompile(`File tag:\s*(\S*[^\s.])`)

func (r *reader) fileTag(comment string) string {
	m := fileTag.FindStringSubmatch(comment)
	if m == nil {
		return ""
	}
	if !strings.HasPrefix(m[1], "adapters_conf-APV-") {
		r.warnf(Pos{1, 1}, "the file tag is %s, not that of an adapters.xml", quote(m[1]))
	}
	return m[1]
}

func (r *reader) readSet(set *Set, root *node) {
	r.attributes(root, "id")
	id, ok := root.attr("id")
	if set.ID = strings.TrimSpace(id); !ok || set.ID == "" {
		r.errorf(root.pos, "adapters_conf has no id")
	}
	set.MetadataFirst = true
	metadata := 0
	names := map[string]Pos{}
	once := r.once()
	for _, n := range root.children {
		switch n.name {
		case "adapter_set_pool":
			if once(n) {
				set.Pool = r.pool(n)
			}
		case "metadata_adapter_initialised_first":
			if once(n) {
				set.MetadataFirst = r.boolean(n, true)
			}
		case "metadata_provider":
			metadata++
			if metadata > 1 {
				r.errorf(n.pos, "a second metadata_provider; a set has one")
				continue
			}
			set.Metadata = r.provider(n, set.ID)
		case "data_provider":
			p := r.provider(n, set.ID)
			if at, dup := names[p.Name]; dup {
				r.errorf(n.pos, "a second data_provider of the name %s; the first is at line %d", quote(p.Name), at.Line)
				continue
			}
			names[p.Name] = n.pos
			set.Data = append(set.Data, p)
		default:
			r.unknownElement(n, "adapter_set_pool", "metadata_adapter_initialised_first", "metadata_provider", "data_provider")
		}
	}
	if metadata == 0 {
		r.errorf(root.pos, "no metadata_provider")
	}
	if len(set.Data) == 0 {
		r.errorf(root.pos, "no data_provider")
	}
	r.checkFamilies(set)
	for _, p := range portClashes(set) {
		r.errorf(p.at, "%s", p.message)
	}
}

// checkFamilies warns of item families bound to a Data Adapter that the set does not have.
func (r *reader) checkFamilies(set *Set) {
	if set.Metadata.Literal == nil {
		return
	}
	for _, f := range set.Metadata.Literal.Families {
		if f.DataAdapter == "" || slices.ContainsFunc(set.Data, func(p Provider) bool { return p.Name == f.DataAdapter }) {
			continue
		}
		at, _ := set.Metadata.Param("data_adapter_for_item_family_" + strconv.Itoa(f.N))
		r.warnf(at.Pos, "%s names %s, which is not a data_provider of this set", shorten(at.Name), quote(f.DataAdapter))
	}
}

// once returns a check that an element has not been seen before in its parent.
func (r *reader) once() func(*node) bool {
	seen := map[string]bool{}
	return func(n *node) bool {
		if seen[n.name] {
			r.errorf(n.pos, "a second <%s> in the same element", shorten(n.name))
			return false
		}
		seen[n.name] = true
		return true
	}
}

func (r *reader) unknownElement(n *node, known ...string) {
	r.warnf(n.pos, "unknown element <%s>%s", shorten(n.name), r.guess(n.name, known))
}

// attributes warns of attributes that mean nothing on n.
func (r *reader) attributes(n *node, known ...string) {
	for _, a := range n.attrs {
		if a.Name.Space == "" && !slices.Contains(known, a.Name.Local) && a.Name.Local != "xmlns" {
			r.warnf(n.pos, "unknown attribute %s of <%s>%s", quote(a.Name.Local), shorten(n.name), r.guess(a.Name.Local, known))
		}
	}
}

// text returns the text of an element, with $env.NAME expanded. What names it in messages.
func (r *reader) text(n *node, what string) string {
	text := strings.TrimSpace(n.text.String())
	for _, c := range n.children {
		r.errorf(c.pos, "element <%s> inside of %s, which takes text only", shorten(c.name), what)
	}
	name, ok := strings.CutPrefix(text, "$env.")
	if !ok {
		return text
	}
	if r.env == nil {
		r.warnf(n.pos, "%s is taken literally: expansion of $env is not switched on", what)
		return text
	}
	value, ok := r.env(name)
	if !ok {
		r.errorf(n.pos, "%s needs the environment variable %s, which is not set", what, quote(name))
	}
	return value
}

func (r *reader) boolean(n *node, def bool) bool {
	what := "<" + n.name + ">"
	r.attributes(n)
	return r.parseBool(n.pos, what, r.text(n, what), def)
}

func (r *reader) parseBool(at Pos, what, text string, def bool) bool {
	switch text {
	case "Y", "true":
		return true
	case "N", "false":
		return false
	}
	r.errorf(at, "%s is %s; it has to be Y or N (or true or false)", what, quote(text))
	return def
}

func (r *reader) parseInt(at Pos, what, text string, def, least, most int) int {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < int64(least) || n > int64(most) {
		r.errorf(at, "%s is %s; it has to be a whole number from %d to %d", what, quote(text), least, most)
		return def
	}
	return int(n)
}

func (r *reader) parseChoice(at Pos, what, text string, def string, choices ...string) string {
	if slices.Contains(choices, text) {
		return text
	}
	r.errorf(at, "%s is %s; it has to be one of %s", what, quote(text), strings.Join(choices, ", "))
	return def
}
