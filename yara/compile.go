package yara

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/showcause/showcause/yara/calc"
	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
)

// MaxSource is the longest rule file that is read, bytes.
const MaxSource = 512 << 20

// Options say how rules are read. The zero value takes both dialects and refuses
// includes.
type Options struct {
	// Dialect is what the rules are written in. source.Either takes what either
	// dialect takes; where they disagree on a meaning, YARA-X is followed and a
	// warning says so.
	Dialect source.Dialect
	// Include opens the files that rules include; nil refuses them. See Folders
	// and FromFS.
	Include Include
	// RelaxedRegexps lets YARA-X take regular expressions as YARA 4 does.
	RelaxedRegexps bool
	// StrictEscapes warns of escapes in regular expressions that mean nothing.
	StrictEscapes bool
	// Ignored are modules whose rules are left out, with a warning.
	Ignored []string
	// Off are warnings that are not given.
	Off []source.Code
	// Lint are demands on names, tags and metadata.
	Lint check.Lint
	// Modules are modules of the caller's own, by name. One that has the name of a
	// module that is known here takes its place. The scanner needs them too.
	Modules map[string]Module
	// MaxPatterns is the most patterns that one rule may have; 0 is the dialect's own bound.
	MaxPatterns int
}

// Module is a module of the caller's own.
type Module struct {
	// Type is the type of its fields and functions in a dialect; see module.Parse.
	Type func(d source.Dialect) *module.Type
	// Value is what it says of what is scanned.
	Value func(in calc.Input, d source.Dialect) module.Value
}

// Include opens the file that an include names. from is the path of the file that
// it stands in. It returns the path by which the file is known, and its text.
type Include func(name, from string) (path, text string, err error)

// Folders looks for included files beside the file that includes them, then in
// dirs, in that order. Absolute names are taken as they are.
func Folders(dirs ...string) Include {
	return func(name, from string) (string, string, error) {
		tries := []string{name}
		if !filepath.IsAbs(name) {
			tries = []string{filepath.Join(filepath.Dir(from), name)}
			for _, d := range dirs {
				tries = append(tries, filepath.Join(d, name))
			}
		}
		for i, p := range tries {
			text, err := readSource(p)
			if err == nil || !errors.Is(err, fs.ErrNotExist) || i == len(tries)-1 {
				return p, text, err
			}
		}
		return "", "", fs.ErrNotExist
	}
}

// FromFS looks for included files in fsys, beside the file that includes them,
// then at its root.
func FromFS(fsys fs.FS) Include {
	return func(name, from string) (string, string, error) {
		for _, p := range []string{path.Join(path.Dir(from), name), path.Clean(name)} {
			if !fs.ValidPath(p) {
				continue
			}
			f, err := fsys.Open(p)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return "", "", err
			}
			text, err := readText(f)
			f.Close()
			return p, text, err
		}
		return "", "", &fs.PathError{Op: "include", Path: name, Err: fs.ErrNotExist}
	}
}

// readSource reads a rule file: a regular file, without the mark of its byte order.
func readSource(path string) (string, error) {
	st, err := os.Stat(path)
	switch {
	case err != nil:
		return "", err
	case !st.Mode().IsRegular():
		return "", &fs.PathError{Op: "read", Path: path, Err: errors.New("not a regular file")}
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return readText(f)
}

func readText(r io.Reader) (string, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxSource+1))
	switch {
	case err != nil:
		return "", err
	case len(b) > MaxSource:
		return "", fmt.Errorf("rules: more than %d bytes", MaxSource)
	}
	return strings.TrimPrefix(string(b), "\uFEFF"), nil
}

// Compiler gathers sources and compiles them. It is not safe for concurrent use.
type Compiler struct {
	o         Options
	set       source.Sources
	inputs    []check.Input
	externals map[string]module.Value
	types     map[string]*module.Type
}

// NewCompiler returns a Compiler without sources.
func NewCompiler(o Options) *Compiler {
	return &Compiler{o: o, externals: map[string]module.Value{}, types: map[string]*module.Type{}}
}

// Define defines an external variable, before rules are added that name it. The
// value is a bool, an integer, a float, a string or []byte, or (YARA-X) an array
// []any or a map map[string]any of them, all of one type.
func (c *Compiler) Define(name string, value any) error {
	v, t, err := external(value)
	if err != nil {
		return fmt.Errorf("external %s: %w", name, err)
	}
	c.externals[name] = v
	delete(c.types, name)
	switch t.Kind {
	case module.Struct, module.Array, module.Map:
		c.types[name] = t
	}
	return nil
}

// AddSource adds rule text. name is what diagnostics call it; an empty namespace
// is "default".
func (c *Compiler) AddSource(namespace, name, text string) error {
	src, err := c.set.Add(name, strings.TrimPrefix(text, "\uFEFF"))
	if err != nil {
		return fmt.Errorf("rules: %w", err)
	}
	if namespace == "" {
		namespace = DefaultNamespace
	}
	c.inputs = append(c.inputs, check.Input{Namespace: namespace, Source: src})
	return nil
}

// DefaultNamespace is where rules are that are added without one.
const DefaultNamespace = "default"

// AddFile adds a file of rules.
func (c *Compiler) AddFile(namespace, path string) error {
	text, err := readSource(path)
	if err != nil {
		return fmt.Errorf("rules: %w", err)
	}
	return c.AddSource(namespace, path, text)
}

// AddReader adds rules that are read to their end.
func (c *Compiler) AddReader(namespace, name string, r io.Reader) error {
	text, err := readText(r)
	if err != nil {
		return fmt.Errorf("rules: %w", err)
	}
	return c.AddSource(namespace, name, text)
}

// Check reads all sources without compiling them: for tools that need the tree.
// The diagnostics are the second result.
func (c *Compiler) Check() (*check.Result, Diagnostics) {
	o := check.Options{
		Dialect: c.o.Dialect, Externals: c.externals, Types: c.types, Ignored: c.o.Ignored,
		StrictEscapes: c.o.StrictEscapes, RelaxedRegexps: c.o.RelaxedRegexps, Off: c.o.Off, Lint: c.o.Lint,
	}
	o.Module = func(name string, d source.Dialect) *module.Type {
		if m, ok := c.o.Modules[name]; ok {
			return m.Type(d)
		}
		return module.Load(name, d)
	}
	if c.o.Include != nil {
		o.Include = func(name string, from *source.Source) (string, string, error) {
			return c.o.Include(name, from.Name)
		}
	}
	res := check.Check(&c.set, c.inputs, o)
	if n := c.o.MaxPatterns; n > 0 {
		for _, r := range res.Rules {
			if len(r.Patterns) > n && !r.Bad {
				r.Bad = true
				res.Diags = append(res.Diags, &source.Diagnostic{
					Code: source.TooManyPatterns, Title: fmt.Sprintf("more than %d patterns", n),
					Labels: []source.Label{{Span: r.Name.Span, Text: fmt.Sprintf("this rule has %d", len(r.Patterns))}},
				})
			}
		}
	}
	return res, c.diagnostics(res)
}

// diagnostics puts what was found out into the form that callers get.
func (c *Compiler) diagnostics(res *check.Result) Diagnostics {
	out := make(Diagnostics, 0, len(res.Diags))
	rules := slices.Clone(res.Rules)
	slices.SortFunc(rules, func(a, b *check.Rule) int { return cmp.Compare(a.Start, b.Start) })
	for _, d := range res.Diags {
		e := Diagnostic{Code: d.Code, Severity: d.Severity, Title: d.Title}
		var b strings.Builder
		_ = c.set.Render(&b, d) // a Builder takes all
		e.text = b.String()
		e.json, _ = c.set.JSON(d)
		if src := c.set.Find(d.Range().Start); src != nil {
			e.File = src.Name
			e.Line, e.Column = src.Line(d.Range().Start)
			e.Text, e.Label = src.Slice(d.Range()), d.Labels[0].Text
			if len(d.Labels) > 1 {
				if other := c.set.Find(d.Labels[1].Span.Start); other != nil {
					e.OtherText, e.OtherLabel = other.Slice(d.Labels[1].Span), d.Labels[1].Text
				}
			}
			i := sort.Search(len(rules), func(i int) bool { return rules[i].Start > d.Range().Start })
			if i > 0 && d.Range().Start < rules[i-1].End {
				e.Rule = rules[i-1].Name.Name
				e.RuleAt = rules[i-1].Start
				for _, p := range rules[i-1].Patterns {
					if p.Start <= d.Range().Start && d.Range().Start < p.End {
						e.Pattern = p.Name.Name
					}
				}
			}
		}
		out = append(out, e)
	}
	return out
}

// Diagnostic is one thing that is wrong, or likely wrong, with rule text.
type Diagnostic struct {
	Code     source.Code // stable
	Severity source.Severity
	Title    string // one line
	File     string
	Line     int    // from 1
	Column   int    // from 1, characters
	Rule     string // the rule that it is in, empty if it is in none
	// RuleAt is where that rule begins, as a place over all sources: no two rules
	// have the same.
	RuleAt source.Pos
	Text   string // of the rule, at that place
	Label  string // what is said of it, can be empty
	// Pattern is the string of the rule that it is in, "$a"; empty if it is in none.
	Pattern string
	// OtherText and OtherLabel are the same of a second place, where there is one.
	OtherText, OtherLabel string
	text                  string
	json                  []byte
}

// String is the diagnostic as people read it: several lines, with the lines of
// the rule that it is about.
func (d Diagnostic) String() string { return d.text }

// MarshalJSON is the diagnostic for an editor.
func (d Diagnostic) MarshalJSON() ([]byte, error) { return d.json, nil }

// Diagnostics are all that is told of rules, in the order of the text. As an
// error it stands for those among it that are errors.
type Diagnostics []Diagnostic

// Errors are those that keep the rules from being compiled.
func (d Diagnostics) Errors() Diagnostics { return d.of(source.Error) }

// Warnings are those that do not.
func (d Diagnostics) Warnings() Diagnostics { return d.of(source.Warning) }

func (d Diagnostics) of(s source.Severity) (out Diagnostics) {
	for _, x := range d {
		if x.Severity == s {
			out = append(out, x)
		}
	}
	return out
}

// Error is the first error in one line, and how many there are.
func (d Diagnostics) Error() string {
	errs := d.Errors()
	if len(errs) == 0 {
		return "rules: no error"
	}
	e := errs[0]
	s := fmt.Sprintf("rules: %s:%d:%d: %s [%s]", e.File, e.Line, e.Column, e.Title, e.Code)
	if n := len(errs) - 1; n > 0 {
		s += fmt.Sprintf(" (and %d more)", n)
	}
	return s
}

// External is a Go value as an external variable, as Compiler.Define takes it.
func External(value any) (module.Value, error) {
	v, _, err := external(value)
	return v, err
}

// external is a Go value as an external variable.
func external(value any) (module.Value, *module.Type, error) {
	switch v := value.(type) {
	case bool:
		return module.BoolValue(v), &module.Type{Kind: module.Bool}, nil
	case int:
		return module.IntValue(int64(v)), &module.Type{Kind: module.Int}, nil
	case int64:
		return module.IntValue(v), &module.Type{Kind: module.Int}, nil
	case uint64:
		if v > math.MaxInt64 {
			return module.Value{}, nil, errors.New("more than 63 bits")
		}
		return module.IntValue(int64(v)), &module.Type{Kind: module.Int}, nil
	case float64:
		return module.FloatValue(v), &module.Type{Kind: module.Float}, nil
	case string:
		return module.TextValue(v), &module.Type{Kind: module.String}, nil
	case []byte:
		return module.TextValue(string(v)), &module.Type{Kind: module.String}, nil
	case []any:
		return externalArray(v)
	case map[string]any:
		return externalStruct(v)
	}
	return module.Value{}, nil, fmt.Errorf("a %T is no value", value)
}

func externalArray(v []any) (module.Value, *module.Type, error) {
	if len(v) == 0 {
		return module.Value{}, nil, errors.New("an array without values has no type")
	}
	var list module.List
	var elem *module.Type
	for _, x := range v {
		e, t, err := external(x)
		switch {
		case err != nil:
			return module.Value{}, nil, err
		case elem != nil && elem.Kind != t.Kind:
			return module.Value{}, nil, errors.New("values of two types in one array")
		}
		elem, list = t, append(list, e)
	}
	return module.Value{Kind: module.Array, Ref: list}, &module.Type{Kind: module.Array, Elem: elem}, nil
}

func externalStruct(v map[string]any) (module.Value, *module.Type, error) {
	tree, t := module.Tree{}, &module.Type{Kind: module.Struct}
	for _, k := range slices.Sorted(maps.Keys(v)) {
		e, et, err := external(v[k])
		if err != nil {
			return module.Value{}, nil, fmt.Errorf("%s: %w", k, err)
		}
		tree[k] = e
		t.Fields = append(t.Fields, module.Field{Name: k, Type: et})
	}
	return module.Value{Kind: module.Struct, Ref: tree}, t, nil
}
