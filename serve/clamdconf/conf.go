// Package clamdconf reads clamd.conf as ClamAV's clamd does, and knows of each
// option of ClamAV 1.4 and 1.5 what becomes of it here: it is honoured, or it has
// no place, and why.
//
// The form of the file (clamd.conf(5), and measured on clamd 1.4.6): one option a line,
// "Name value"; white space before the name and around the value does not count; a value may
// stand in double quotes; a line that begins with # says nothing, nor does one of a single
// character. Names are case-sensitive. A second value of an option that takes only one
// is passed over. A line that begins with Example makes the file unusable, so that nobody runs
// the example that ClamAV ships.
package clamdconf

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
)

// File is a clamd.conf that was read.
type File struct {
	name   string
	given  map[string][]value
	notes  []Note
	lines  int
	values map[string]*Option
}

// A value is one line.
type value struct {
	text string
	num  int64
	line int
}

// Note is what whoever runs the service is told of a line.
type Note struct {
	Line   int
	Option string
	Text   string
}

// maxLine is the longest line that is read, in bytes. clamd cuts a line after 511 and
// takes the rest for the next one.
const maxLine = 64 << 10

// ErrExample says that the file is the example that ClamAV ships.
var ErrExample = errors.New("the line Example is in it: take it out when the file was looked through")

// Read reads the file of a path.
func Read(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return Parse(path, f)
}

// Parse reads a file. Errors begin with name and the number of the line.
func Parse(name string, r io.Reader) (*File, error) {
	f := &File{name: name, given: map[string][]value{}, values: map[string]*Option{}}
	for i := range table {
		f.values[table[i].Name] = &table[i]
	}
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 0, 4096), maxLine)
	for in.Scan() {
		f.lines++
		if err := f.line(in.Text()); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, f.lines, err)
		}
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("%s:%d: %w", name, f.lines+1, err)
	}
	return f, nil
}

// line takes one line, without its end.
func (f *File) line(s string) error {
	s = strings.TrimLeft(strings.TrimSuffix(s, "\r"), " \t")
	if len(s) <= 1 || s[0] == '#' {
		return nil
	}
	if strings.HasPrefix(s, "Example") {
		return ErrExample
	}
	name, rest := s, ""
	if i := strings.IndexAny(s, " \t"); i >= 0 {
		name, rest = s[:i], strings.Trim(s[i:], " \t")
	}
	o, known := f.values[name]
	switch {
	case !known:
		return unknown(name)
	case rest == "":
		return fmt.Errorf("option %s: no value", name)
	}
	text, err := unquote(rest)
	if err != nil {
		return fmt.Errorf("option %s: %w", name, err)
	}
	v := value{text: text, line: f.lines}
	if o.Fate != Removed {
		if v.num, err = o.number(text); err != nil {
			return fmt.Errorf("option %s: %w", name, err)
		}
	}
	if old := f.given[name]; len(old) > 0 && !o.Many {
		f.note(name, fmt.Sprintf("is given a second time; the value of line %d counts, as with clamd", old[0].line))
		return nil
	}
	f.given[name] = append(f.given[name], v)
	if o.Fate != Honoured && len(f.given[name]) == 1 {
		f.note(name, o.Fate.String()+": "+o.Why)
	}
	return nil
}

func (f *File) note(option, text string) {
	f.notes = append(f.notes, Note{Line: f.lines, Option: option, Text: text})
}

// unquote takes the quotes off a value.
func unquote(s string) (string, error) {
	if s[0] != '"' {
		return s, nil
	}
	end := strings.LastIndexByte(s, '"')
	switch end {
	case 0:
		return "", errors.New("the closing quotation mark is missing")
	case 1:
		return "", errors.New("no value between the quotation marks")
	}
	return s[1:end], nil
}

// unknown is the error of a name that no option has, with one that is near.
func unknown(name string) error {
	for i := range table {
		if strings.EqualFold(table[i].Name, name) {
			return fmt.Errorf("unknown option %.80q; the name is written %s", name, table[i].Name)
		}
	}
	return fmt.Errorf("unknown option %.80q", name)
}

// number checks a value against the option's kind and returns it as a number,
// 0 for text.
func (o *Option) number(s string) (int64, error) {
	switch o.Kind {
	case Bool:
		switch strings.ToLower(s) {
		case "yes", "true", "1":
			return 1, nil
		case "no", "false", "0":
			return 0, nil
		}
		return 0, fmt.Errorf("%.80q is not one of yes, no, true, false, 1, 0", s)
	case Number:
		if strings.Trim(s, "0123456789") != "" {
			return 0, fmt.Errorf("%.80q is not a number", s)
		}
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n > math.MaxInt32 {
			return 0, fmt.Errorf("%.80q is more than %d", s, math.MaxInt32)
		}
		return n, nil
	case Size:
		return parseSize(s)
	}
	if len(o.Words) == 0 {
		return 0, nil
	}
	for i, w := range o.Words {
		if strings.EqualFold(s, w) {
			return int64(i), nil
		}
	}
	return 0, fmt.Errorf("%.80q is not one of %s", s, strings.Join(o.Words, ", "))
}

// parseSize reads a number of bytes: digits and K, M or G. Zero is no limit. Digits that
// begin with 0 are octal, as strtoul takes them for clamd.
func parseSize(s string) (int64, error) {
	digits, shift := s, 0
	if i := strings.IndexByte("KMG", upper(s[len(s)-1])); i >= 0 {
		digits, shift = s[:len(s)-1], 10*(i+1)
	}
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, fmt.Errorf("%.80q is not a size: digits, and K, M or G behind them", s)
	}
	base := 10
	if digits[0] == '0' {
		base = 8
	}
	n, err := strconv.ParseUint(digits, base, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return math.MaxInt64, nil
	case err != nil:
		return 0, fmt.Errorf("%.80q begins with 0 and is not octal", s)
	case n == 0 || n > math.MaxInt64>>shift:
		return math.MaxInt64, nil
	}
	return int64(n) << shift, nil
}

func upper(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}

// Name is the name that the file was read under.
func (f *File) Name() string { return f.name }

// Notes are what is to be told of lines, in their order: options that have no place
// here, those that ClamAV itself passes over, and values that do not count.
func (f *File) Notes() []Note { return f.notes }

// option returns what is known of a name. To ask for one that no option has is a mistake
// in the program.
func (f *File) option(name string, kind Kind) *Option {
	o := f.values[name]
	if o == nil || o.Kind != kind {
		panic("clamdconf: no option " + name + " of this kind")
	}
	return o
}

// Given returns the number of the line that sets an option, the first of them, or 0 if
// none does and its default counts.
func (f *File) Given(name string) int {
	if f.values[name] == nil {
		panic("clamdconf: no option " + name)
	}
	if v := f.given[name]; len(v) > 0 {
		return v[0].line
	}
	return 0
}

// Place says where an option's value comes from: "clamd.conf:12", or "default".
func (f *File) Place(name string) string {
	if line := f.Given(name); line > 0 {
		return fmt.Sprintf("%s:%d", f.name, line)
	}
	return "default"
}

// Bool returns the value of a Bool.
func (f *File) Bool(name string) bool { return f.num(f.option(name, Bool)) == 1 }

// Number returns the value of a Number.
func (f *File) Number(name string) int { return int(f.num(f.option(name, Number))) }

// Size returns the value of a Size in bytes; math.MaxInt64 is no limit.
func (f *File) Size(name string) int64 { return f.num(f.option(name, Size)) }

func (f *File) num(o *Option) int64 {
	if v := f.given[o.Name]; len(v) > 0 {
		return v[0].num
	}
	if o.Default == "" {
		return 0
	}
	n, err := o.number(o.Default)
	if err != nil {
		panic("clamdconf: default of " + o.Name)
	}
	return n
}

// Text returns the value of a Text, "" if there is none.
func (f *File) Text(name string) string {
	if t := f.Texts(name); len(t) > 0 {
		return t[0]
	}
	return ""
}

// Texts returns all values of a Text in their order.
func (f *File) Texts(name string) (out []string) {
	o := f.option(name, Text)
	for _, v := range f.given[name] {
		out = append(out, v.text)
	}
	if out == nil && o.Default != "" {
		out = []string{o.Default}
	}
	return out
}

// Setting is one option with the value that counts.
type Setting struct {
	Option
	Values []string // as the file or the default has them; none: not set
	Place  string   // as File.Place has it
}

// Settings returns all options in their order.
func (f *File) Settings() (out []Setting) {
	for i := range table {
		s := Setting{Option: table[i], Place: f.Place(table[i].Name)}
		for _, v := range f.given[table[i].Name] {
			s.Values = append(s.Values, v.text)
		}
		if s.Values == nil && s.Default != "" {
			s.Values = []string{s.Default}
		}
		out = append(out, s)
	}
	return out
}
