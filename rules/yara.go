package rules

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/showcause/showcause/clamsig"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/lower"
	"github.com/showcause/showcause/yara/source"
)

// maxText is the most bytes of one file of YARA rules.
const maxText = 512 << 20

// IsYARA tells whether a file has YARA rules, by its name.
func IsYARA(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".yar", ".yara", ".rule", ".rules":
		return true
	}
	return false
}

// Split parts "NAMESPACE:PATH", as yara and yarac take it. A path that exists as
// it stands has no namespace; neither has one with a slash before the colon.
func Split(arg string) (namespace, path string) {
	ns, rest, ok := strings.Cut(arg, ":")
	if !ok || ns == "" || rest == "" || strings.ContainsRune(ns, filepath.Separator) {
		return "", arg
	}
	if _, err := os.Lstat(arg); err == nil {
		return "", arg
	}
	return ns, rest
}

// Paths are the paths of arguments of Compile, without their namespaces.
func Paths(args []string) []string {
	out := make([]string, len(args))
	for i, a := range args {
		_, out[i] = Split(a)
	}
	return out
}

// input is one file of YARA rules. name is what a database calls it: the path below
// the folder that was given, or the file's own name, never where it lies. Equal rules
// so make equal databases, and a record does not tell whose folder they were in.
type input struct{ namespace, path, name string }

// defaultSpace is the namespace of files that are named without one.
const defaultSpace = "default"

// yaraFiles are the files of YARA rules that an argument means, in the order of
// their names, and whether it is a folder. Each file of a folder is a namespace of
// its own, its path below the folder: files of one set repeat names.
func yaraFiles(arg string) (files []input, dir bool, err error) {
	namespace, path := Split(arg)
	st, err := os.Stat(path)
	if err != nil {
		return nil, false, err
	}
	if !st.IsDir() {
		if _, clam := clamsig.Classify(path); !IsYARA(path) && clam && namespace == "" {
			return nil, false, nil
		}
		if !st.Mode().IsRegular() {
			return nil, false, fmt.Errorf("%s: not a regular file", path)
		}
		if namespace == "" {
			namespace = defaultSpace
		}
		return []input{{namespace, path, filepath.Base(path)}}, false, nil
	}
	err = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if hidden := d.Name()[0] == '.' && p != path; hidden && d.IsDir() {
			return filepath.SkipDir
		} else if hidden || d.IsDir() || !IsYARA(p) {
			return nil
		}
		if st, err := os.Stat(p); err != nil {
			return err
		} else if !st.Mode().IsRegular() {
			return nil
		}
		rel, err := filepath.Rel(path, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		space := rel
		if namespace != "" {
			space = namespace + "/" + rel
		}
		files = append(files, input{space, p, rel})
		return nil
	})
	return files, true, err
}

// RuleError says what is wrong with YARA rules. Its text is that of the
// diagnostics, as they are shown.
type RuleError struct {
	Diags []*source.Diagnostic
	text  string
}

func (e *RuleError) Error() string { return e.text }

// yara compiles files of YARA rules.
func (c *compiler) yara(files []input, o *Options) error {
	if len(files) == 0 {
		return nil
	}
	var set source.Sources
	var inputs []check.Input
	c.names = map[string]string{}
	for _, f := range files {
		text, err := readText(f.path)
		if err != nil {
			return err
		}
		src, err := set.Add(f.path, text)
		if err != nil {
			return err
		}
		if _, twice := c.names[f.path]; !twice {
			c.names[f.path] = f.name
		}
		inputs = append(inputs, check.Input{Namespace: f.namespace, Source: src})
	}
	return c.checked(&set, inputs, o)
}

// checked checks and lowers sources.
func (c *compiler) checked(set *source.Sources, inputs []check.Input, o *Options) error {
	opts := check.Options{
		Dialect: o.Dialect, Externals: o.Externals, RelaxedRegexps: o.RelaxedRegexps, StrictEscapes: o.StrictEscapes, Off: o.Off,
	}
	if !o.NoIncludes {
		opts.Include = func(name string, from *source.Source) (path, text string, err error) {
			path, text, err = o.include(name, from)
			if _, twice := c.names[path]; err == nil && !twice {
				c.names[path] = includeName(name, c.name(from.Name))
			}
			return path, text, err
		}
	}
	t := tally{c: c, o: o, sources: map[string]*ruledb.Source{}}
	w := lower.NewLowering(lower.Options{Externals: o.Externals, Prepare: c.Prepare, Name: c.name}, c.Rule)
	res := check.InBatches(set, inputs, opts, func(res *check.Result, rules []*check.Rule) {
		t.batch(rules, w.Batch(res, rules))
	})
	if o.Told != nil {
		for _, d := range res.Diags {
			o.Told(set, d)
		}
	}
	if res.Failed() {
		return failure(set, res)
	}
	if t.err != nil {
		return t.err
	}
	if o.Slow != nil {
		for _, line := range t.slow {
			o.Slow(line)
		}
	}
	for _, in := range inputs { // a file without rules is one that was read, too
		t.source(in.Source.Name)
	}
	c.meta.Tool = tool
	c.meta.Externals = map[string]string{}
	for name, v := range o.Externals {
		c.meta.Externals[name] = v.Kind.String()
	}
	for _, name := range t.order {
		c.meta.Sources = append(c.meta.Sources, *t.sources[name])
	}
	return nil
}

// tally counts what became of the rules of each source.
type tally struct {
	c       *compiler
	o       *Options
	sources map[string]*ruledb.Source
	order   []string // of their first rules
	slow    []string
	err     error
}

// source is the count of a source.
func (t *tally) source(name string) *ruledb.Source {
	s := t.sources[name]
	if s == nil {
		s = &ruledb.Source{File: t.c.name(name)}
		t.sources[name] = s
		t.order = append(t.order, name)
	}
	return s
}

// batch counts some rules, and what became of them.
func (t *tally) batch(rules []*check.Rule, problems []lower.Problem) {
	for _, r := range rules {
		s := t.source(r.File.Source.Name)
		if !r.Bad && r.Ignored == "" && r.Cond != nil {
			s.Loaded++
		}
	}
	for _, p := range problems {
		from := p.Rule.File.Source
		line, _ := from.Line(p.Rule.Start)
		switch {
		case p.Err != nil && !t.o.Lenient:
			if t.err == nil {
				t.err = fmt.Errorf("%s:%d: %s", from.Name, line, p.String())
			}
		case p.Err != nil:
			s := t.source(from.Name)
			s.Loaded--
			s.Skipped++
			if s.Reasons == nil {
				s.Reasons = map[string]int{}
			}
			s.Reasons["yara"]++
			t.c.Builder.Skip(ruledb.Skip{File: s.File, Line: line, Name: p.Rule.Name.Name, Reason: "yara", Detail: p.String()})
		default:
			t.slow = append(t.slow, fmt.Sprintf("%s:%d: %s", from.Name, line, p.String()))
		}
	}
}

// name is what the database calls a source.
func (c *compiler) name(path string) string {
	if n, ok := c.names[path]; ok {
		return n
	}
	return path
}

// includeName is what the database calls a file that another includes: as the other
// names it, below the other's folder.
func includeName(name, from string) string {
	name = filepath.ToSlash(name)
	if path.IsAbs(name) {
		return path.Base(name)
	}
	return path.Join(path.Dir(from), name)
}

// failure is the error of rules that were refused.
func failure(set *source.Sources, res *check.Result) error {
	out := &RuleError{}
	var b strings.Builder
	for _, d := range res.Diags {
		if d.Severity != source.Error {
			continue
		}
		out.Diags = append(out.Diags, d)
		if len(out.Diags) <= maxShown {
			set.Render(&b, d)
		}
	}
	if n := len(out.Diags) - maxShown; n > 0 {
		fmt.Fprintf(&b, "and %d more\n", n)
	}
	out.text = strings.TrimRight(b.String(), "\n")
	return out
}

// maxShown is the number of errors that are shown.
const maxShown = 20

// include opens a file that rules include: beside the file that includes it, then
// in the folders of the options.
func (o *Options) include(name string, from *source.Source) (path, text string, err error) {
	tries := []string{name}
	if !filepath.IsAbs(name) {
		tries = []string{filepath.Join(filepath.Dir(from.Name), name)}
		for _, d := range o.IncludeDirs {
			tries = append(tries, filepath.Join(d, name))
		}
	}
	for _, path = range tries {
		if text, err = readText(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err == nil && o.included != nil {
		o.included(path)
	}
	return path, text, err
}

// readText reads a file of rules.
func readText(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !st.Mode().IsRegular() {
		return "", fmt.Errorf("%s: not a regular file", path)
	}
	var b strings.Builder
	b.Grow(int(min(st.Size(), maxText)) + 1)
	n, err := io.CopyBuffer(&b, io.LimitReader(f, maxText+1), make([]byte, min(b.Cap(), 32<<10)))
	if err != nil {
		return "", err
	}
	if n > maxText {
		return "", fmt.Errorf("%s: more than %d bytes", path, maxText)
	}
	return b.String(), nil
}
