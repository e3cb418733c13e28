package main

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/pelletier/go-toml/v2"

	"github.com/lightstreamer-go/lightstreamer/internal/files"
)

// source tells where the value of a setting comes from.
type source struct {
	file   string // with line and column; else one of the others
	text   string // as a person calls it: flag --http
	preset bool   // it is the default
}

// configuration is what flags, environment, file and defaults give together.
type configuration struct {
	flags    []*kong.Flag // the settings
	sources  map[string]source
	mistakes []string
}

// notInFile are the flags that are no settings: they say what to do now.
var notInFile = []string{"help", "config", "print-config"}

// configure completes what kong has read from flags, environment and defaults by a configuration file, if one is given. What is wrong is
// found in mistakes, all of it.
func configure(k *kong.Context, file string) *configuration {
	c := &configuration{sources: make(map[string]source)}
	given := make(map[*kong.Flag]bool)
	for _, p := range k.Path {
		if p.Flag != nil {
			given[p.Flag] = true
		}
	}
	for _, f := range k.Flags() {
		if slices.Contains(notInFile, f.Name) {
			continue
		}
		c.flags = append(c.flags, f)
		from := source{text: "default", preset: true}
		for _, name := range f.Envs {
			if _, set := os.LookupEnv(name); set {
				from = source{text: "environment " + name}
			}
		}
		if given[f] {
			from = source{text: "flag --" + f.Name}
		}
		c.sources[f.Name] = from
	}
	if file != "" {
		c.readFile(file)
	}
	for _, f := range c.flags {
		if err := checkFlag(f); err != nil {
			c.mistake(f, err)
		}
	}
	return c
}

// mistake notes what is wrong with a setting, where it was made.
func (c *configuration) mistake(f *kong.Flag, err error) {
	if from := c.sources[f.Name]; from.file != "" {
		c.mistakes = append(c.mistakes, fmt.Sprintf("%s: %s: %v", from.file, f.Name, err))
	} else {
		c.mistakes = append(c.mistakes, fmt.Sprintf("%s: %v", from.text, err))
	}
}

// readFile takes from a file what neither a flag nor the environment says.
func (c *configuration) readFile(file string) {
	text, err := files.Read(file, files.MaxConfig)
	if err != nil {
		c.mistakes = append(c.mistakes, fmt.Sprintf("--config: %v", err))
		return
	}
	values, places, err := parseFile(text)
	if err != nil {
		c.mistakes = append(c.mistakes, fmt.Sprintf("%s:%v", file, err))
		return
	}
	for _, p := range places {
		at := fmt.Sprintf("%s:%d:%d", file, p.line, p.column)
		i := slices.IndexFunc(c.flags, func(f *kong.Flag) bool { return f.Name == p.key })
		if i < 0 {
			c.mistakes = append(c.mistakes, fmt.Sprintf("%s: unknown key %q%s", at, p.key, c.meant(p.key)))
			continue
		}
		f := c.flags[i]
		if !c.sources[f.Name].preset {
			continue
		}
		c.sources[f.Name] = source{file: at, text: "file " + at}
		if err := set(f, values[p.key], filepath.Dir(file)); err != nil {
			c.mistake(f, err)
		}
	}
}

// meant guesses which key somebody had in mind.
func (c *configuration) meant(key string) string {
	plain := func(s string) string {
		return strings.ToLower(strings.NewReplacer("-", "", "_", "", ".", "").Replace(s))
	}
	for _, f := range c.flags {
		if plain(f.Name) == plain(key) || strings.HasSuffix(plain(f.Name), plain(key)) {
			return fmt.Sprintf("; perhaps %s is meant", f.Name)
		}
	}
	return ""
}

// place is where a key of the file is.
type place struct {
	key          string
	line, column int
}

// parseFile returns the values at the top of a TOML file, and where their keys are, in the order of the file. An error begins with line and
// column.
func parseFile(text []byte) (map[string]any, []place, error) {
	values := make(map[string]any)
	if err := toml.Unmarshal(text, &values); err != nil {
		if wrong, ok := errors.AsType[*toml.DecodeError](err); ok {
			line, column := wrong.Position()
			return nil, nil, fmt.Errorf("%d:%d: %s", line, column, strings.TrimPrefix(wrong.Error(), "toml: "))
		}
		return nil, nil, fmt.Errorf(" %w", err)
	}
	// The decoder tells the places of keys that it does not know: it is to know none.
	strict := toml.NewDecoder(bytes.NewReader(text))
	strict.DisallowUnknownFields()
	var places []place
	if unknown, ok := errors.AsType[*toml.StrictMissingError](strict.Decode(new(struct{}))); ok {
		for _, one := range unknown.Errors {
			line, column := one.Position()
			places = append(places, place{strings.Join(one.Key(), "."), line, column})
		}
	}
	return values, places, nil
}

// set gives a setting its value in the file. Paths are relative to dir, the file's folder.
func set(f *kong.Flag, value any, dir string) error {
	if f.IsSlice() {
		list, ok := value.([]any)
		if !ok {
			list = []any{value}
		}
		f.Target.SetZero()
		for _, one := range list {
			text, ok := one.(string)
			if !ok {
				return fmt.Errorf("want a list of strings, not %v", one)
			}
			element := reflect.New(f.Target.Type().Elem())
			if u, ok := element.Interface().(encoding.TextUnmarshaler); ok {
				if err := u.UnmarshalText([]byte(text)); err != nil {
					return err
				}
			} else {
				element.Elem().SetString(text)
			}
			f.Target.Set(reflect.Append(f.Target, element.Elem()))
		}
		return nil
	}
	var text string
	switch v := value.(type) {
	case string:
		text = v
		if f.Tag.Has("file") && text != "" && text != "-" && !filepath.IsAbs(text) {
			text = filepath.Join(dir, text)
		}
	case int64:
		text = strconv.FormatInt(v, 10)
	case bool:
		text = strconv.FormatBool(v)
	default:
		return errors.New("want a string, a whole number, true or false")
	}
	if f.Target.Kind() == reflect.String {
		if _, ok := value.(string); !ok {
			return fmt.Errorf("want a string, not %s", text)
		}
	}
	scan := kong.ScanFromTokens(kong.Token{Type: kong.FlagValueToken, Value: text})
	return f.Mapper.Decode(&kong.DecodeContext{Value: f.Value, Scan: scan}, f.Target)
}

// checkFlag refuses values that the kind of the setting cannot have.
func checkFlag(f *kong.Flag) error {
	if f.Enum != "" && !f.EnumMap()[f.Target.String()] {
		return fmt.Errorf("want one of %s", strings.ReplaceAll(f.Enum, ",", ", "))
	}
	switch v := f.Target.Interface().(type) {
	case interface{ Validate() error }:
		if err := v.Validate(); err != nil {
			return err
		}
	case []string:
		if err := checkOrigins(v); f.Tag.Has("origins") && err != nil {
			return err
		}
		if _, err := prefixes(v); f.Tag.Has("prefixes") && err != nil {
			return err
		}
	}
	least := f.Tag.Get("min")
	if least == "" {
		return nil
	}
	var n int64
	if f.Target.Type() == reflect.TypeFor[time.Duration]() {
		d, err := time.ParseDuration(least)
		if err != nil {
			panic(err) // the tag is wrong
		}
		n = int64(d)
	} else {
		number, err := strconv.Atoi(least)
		if err != nil {
			panic(err) // the tag is wrong
		}
		n = int64(number)
	}
	if f.Target.Int() < n {
		return fmt.Errorf("%v is too small: want %s or more", f.Target.Interface(), least)
	}
	return nil
}

// print returns the configuration as a file for --config. There is nothing in it to hide: what is secret stands in adapters.xml, or in files
// that are named here.
func (c *configuration) print() ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintln(&b, `# What "lsgo serve" is configured with, and where each value comes from. For --config FILE.`)
	for _, f := range c.flags {
		value := f.Target.Interface()
		switch {
		case f.Tag.Has("file") && f.Target.String() != "" && f.Target.String() != "-":
			path, err := filepath.Abs(f.Target.String())
			if err != nil {
				return nil, err
			}
			value = path
		case f.IsSlice() && f.Target.Len() == 0:
			value = []string{}
		default:
			if d, ok := value.(time.Duration); ok {
				value = shortDuration(d)
			}
		}
		line, err := toml.Marshal(map[string]any{f.Name: value})
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "\n# %s\n%s # %s\n", f.Help, bytes.TrimSpace(line), c.sources[f.Name].text)
	}
	return b.Bytes(), nil
}

// shortDuration is 1m instead of 1m0s.
func shortDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// value returns the text of a setting that belongs to the whole command.
func (c *configuration) value(name string) string {
	for _, f := range c.flags {
		if f.Name == name {
			return f.Target.String()
		}
	}
	return ""
}
