// Package check finds out what the names in YARA rules mean and whether their
// types and values fit, and warns of what is likely not meant. It knows both
// dialects.
//
// Sources: YARA 4.5 documentation and its compiler's errors; YARA-X 1.x
// documentation, "Errors" and "Warnings".
package check

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"

	resyntax "github.com/showcause/showcause/regex/syntax"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
	"github.com/showcause/showcause/yara/syntax"
)

// Options say how rules are read. The zero value takes both dialects, has no
// externals, and refuses includes.
type Options struct {
	Dialect source.Dialect
	// Externals are the values of external variables. Those of kind Struct, Array
	// and Map need a type: see Types.
	Externals map[string]module.Value
	// Types are the types of externals that are structures, arrays or maps.
	Types map[string]*module.Type
	// Module is the type of a module, nil for one that does not exist. A nil
	// function is module.Load.
	Module func(name string, d source.Dialect) *module.Type
	// Ignored are modules whose rules are left out, with a warning.
	Ignored []string
	// Include opens the file that an include names; from is the source that it
	// stands in. A nil function refuses includes.
	Include func(name string, from *source.Source) (path, text string, err error)
	// StrictEscapes warns of escapes in regular expressions that mean nothing.
	StrictEscapes bool
	// RelaxedRegexps lets YARA-X take regular expressions as YARA does.
	RelaxedRegexps bool
	// Off are warnings that are not given.
	Off  []source.Code
	Lint Lint
}

// Input is one source and the namespace that its rules go to.
type Input struct {
	Namespace string
	Source    *source.Source
}

// Result is what was found out.
type Result struct {
	Rules []*Rule // in the order of the text, includes in their place
	Diags []*source.Diagnostic
	// Types are the types of expressions, Consts the values of those that are
	// constant.
	Types  map[syntax.Expr]*module.Type
	Consts map[syntax.Expr]module.Value
	// Refs are the rules that names mean.
	Refs map[*syntax.Name]*Rule
	// Regexps are the regular expressions as they were read.
	Regexps map[*syntax.Literal]*resyntax.Tree
	// Sets are the members of sets: of patterns by their index, of rules.
	Sets map[*syntax.Set]Members
}

// Members are what a set means.
type Members struct {
	Patterns []int // indexes into the rule's patterns
	Rules    []*Rule
}

// Rule is a rule with its place among the others.
type Rule struct {
	*syntax.Rule
	Namespace string
	File      *syntax.File
	Bad       bool // it has an error
	// Dialect is the one that the rule is read in: where both are taken, YARA for
	// a rule that YARA-X refuses.
	Dialect source.Dialect
	// Ignored names the module for whose sake the rule is left out.
	Ignored string
	Modules []string // that its condition uses
}

// Failed says whether there is an error.
func (r *Result) Failed() bool {
	return slices.ContainsFunc(r.Diags, func(d *source.Diagnostic) bool { return d.Severity == source.Error })
}

// Check reads sources. The Sources must be those that the inputs were added to;
// included files are added.
func Check(set *source.Sources, inputs []Input, o Options) *Result {
	c := newChecker(set, o)
	c.sources(inputs)
	c.suppress()
	c.sort()
	return c.Result
}

func newChecker(set *source.Sources, o Options) *checker {
	if o.Module == nil {
		o.Module = module.Load
	}
	return &checker{
		set:   set,
		o:     o,
		seen:  map[string]*namespace{},
		types: map[moduleKey]*module.Type{},
		Result: &Result{
			Types: map[syntax.Expr]*module.Type{}, Consts: map[syntax.Expr]module.Value{},
			Refs: map[*syntax.Name]*Rule{}, Sets: map[*syntax.Set]Members{},
			Regexps: map[*syntax.Literal]*resyntax.Tree{},
		},
	}
}

// sources parses and checks sources.
func (c *checker) sources(inputs []Input) {
	read := c.parseAll(inputs)
	for i, in := range inputs {
		c.source(in, read[i], nil)
	}
}

// checker is the state of Check.
type checker struct {
	*Result
	set    *source.Sources
	o      Options
	seen   map[string]*namespace
	types  map[moduleKey]*module.Type
	silent []silence
	cur    scope
	texts  int // sources read by include
}

// namespace is what is known by name in one namespace.
type namespace struct {
	rules   map[string]*Rule
	modules map[string]bool
	globs   []glob // sets of rules by the beginning of their names
}

// glob is a set of rules that is closed: rules that it would mean are refused.
type glob struct {
	prefix string
	at     source.Span
}

func (c *checker) namespace(name string) *namespace {
	n := c.seen[name]
	if n == nil {
		n = &namespace{rules: map[string]*Rule{}, modules: map[string]bool{}}
		c.seen[name] = n
	}
	return n
}

const (
	maxIncludes  = 16    // files in each other, as YARA has it
	maxFiles     = 4096  // files included in all
	maxWarnings  = 1000  // told, so that there is room for errors after them
	maxDiags     = 2000  // told in all
	loopNesting  = 4     // loops in each other, YARA
	maxPatterns  = 64000 // of a rule, YARA-X
	fewPatterns  = 10000 // and YARA
	patternParts = 10000 // alternatives of a hex pattern
)

// parsed is a source as it was parsed.
type parsed struct {
	file  *syntax.File
	diags []*source.Diagnostic
}

func (c *checker) parse(src *source.Source) parsed {
	file, diags := syntax.Parse(src, c.o.Dialect)
	return parsed{file, diags}
}

// parseAll parses sources on all processors: what one holds does not depend on
// the others before its names are looked up.
func (c *checker) parseAll(inputs []Input) []parsed {
	out := make([]parsed, len(inputs))
	var next atomic.Int64
	work := func() {
		for i := next.Add(1) - 1; i < int64(len(inputs)); i = next.Add(1) - 1 {
			out[i] = c.parse(inputs[i].Source)
		}
	}
	var wait sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(inputs)) - 1 {
		wait.Go(work)
	}
	work()
	wait.Wait()
	return out
}

// source checks one source and the files that it includes. trail are the names
// of the sources that include it.
func (c *checker) source(in Input, p parsed, trail []string) {
	file := p.file
	c.silences(file)
	for _, d := range p.diags {
		c.add(d)
	}
	imported := map[string]source.Span{}
	next := 0
	for i := 0; i <= len(file.Rules); i++ {
		for next < len(file.Directives) && file.Directives[next].Before <= i {
			d := file.Directives[next]
			next++
			if d.Include {
				c.include(in, d, trail)
			} else {
				c.importModule(c.namespace(in.Namespace), d, imported)
			}
		}
		if i < len(file.Rules) {
			c.rule(&Rule{Rule: file.Rules[i], Namespace: in.Namespace, File: file, Bad: file.Rules[i].Broken})
		}
	}
}

// include reads the file that an include names.
func (c *checker) include(in Input, d syntax.Directive, trail []string) {
	at := d.Name.Span
	trail = append(slices.Clone(trail), in.Source.Name)
	switch {
	case c.o.Include == nil:
		c.err(source.IncludeOff, at, "include is off", "this file would be read")
		return
	case len(trail) > maxIncludes:
		c.err(source.IncludeTooDeep, at, "includes too deep", fmt.Sprintf("more than %d files in each other", maxIncludes))
		return
	case c.texts >= maxFiles:
		c.err(source.IncludeTooDeep, at, "too many includes", fmt.Sprintf("more than %d files", maxFiles))
		return
	}
	path, text, err := c.o.Include(d.Name.Text, in.Source)
	if err != nil {
		diag := c.err(source.IncludeNotFound, at, "included file not read", "this one")
		diag.Notes = append(diag.Notes, err.Error())
		return
	}
	if slices.Contains(trail, path) {
		diag := c.err(source.IncludeCycle, at, "file includes itself", "this one is being read")
		diag.Notes = append(diag.Notes, "by way of "+strings.Join(trail, ", "))
		return
	}
	src, err := c.set.Add(path, text)
	if err != nil {
		c.err(source.TooLarge, at, "too much rule text", errors.Unwrap(err).Error())
		return
	}
	c.texts++
	c.source(Input{in.Namespace, src}, c.parse(src), trail)
}

// importModule takes in a module.
func (c *checker) importModule(n *namespace, d syntax.Directive, imported map[string]source.Span) {
	name := d.Name.Text
	if first, ok := imported[name]; ok {
		c.warn(source.DuplicateImport, d.Span, "module imported twice", "again").
			also(first, "imported here first")
	}
	imported[name] = d.Span
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' }) {
		c.err(source.InvalidModuleName, d.Name.Span, "invalid name of a module", "letters, digits and _ are names")
		return
	}
	t := c.module(name)
	if t == nil && !slices.Contains(c.o.Ignored, name) {
		diag := c.err(source.UnknownModule, d.Name.Span, "unknown module `"+printable(name)+"`", "there is none of that name")
		if near := nearest(name, module.Names()); near != "" {
			diag.Fix = &source.Fix{Span: d.Name.Span, Text: `"` + near + `"`, Why: "did you mean `" + near + "`?"}
		}
	}
	n.modules[name] = true
}

// module is the type of a module in the dialect that is being read.
func (c *checker) module(name string) *module.Type {
	key := moduleKey{name, c.o.Dialect}
	t, ok := c.types[key]
	if !ok {
		t = c.o.Module(name, c.o.Dialect)
		c.types[key] = t
	}
	return t
}

type moduleKey struct {
	name    string
	dialect source.Dialect
}

// told is a diagnostic that more can be said of.
type told struct{ *source.Diagnostic }

// also adds another place.
func (t told) also(at source.Span, text string) told {
	t.Labels = append(t.Labels, source.Label{Span: at, Text: text})
	return t
}

// note adds a remark.
func (t told) note(text string) told {
	t.Notes = append(t.Notes, text)
	return t
}

// fix adds a change of text.
func (t told) fix(at source.Span, text, why string) told {
	t.Fix = &source.Fix{Span: at, Text: text, Why: why}
	return t
}

// add keeps a diagnostic.
func (c *checker) add(d *source.Diagnostic) {
	most := maxDiags
	if d.Severity != source.Error {
		most = maxWarnings
	}
	if len(c.Diags) < most {
		c.Diags = append(c.Diags, d)
	}
}

// err tells of an error.
func (c *checker) err(code source.Code, at source.Span, title, label string) told {
	d := &source.Diagnostic{Code: code, Title: title, Labels: []source.Label{{Span: at, Text: label}}}
	c.add(d)
	if c.cur.rule != nil {
		c.cur.rule.Bad = true
	}
	return told{d}
}

// warn tells of a warning.
func (c *checker) warn(code source.Code, at source.Span, title, label string) told {
	d := &source.Diagnostic{Code: code, Severity: source.Warning, Title: title, Labels: []source.Label{{Span: at, Text: label}}}
	if !slices.Contains(c.o.Off, code) && (c.o.Dialect != source.YARA || yaraWarns(code)) {
		c.add(d)
	}
	return told{d}
}

// yaraWarns says whether a warning is given where YARA 4 is read: its own, and
// those that were asked for. Scripts take any warning for a failure.
func yaraWarns(code source.Code) bool {
	switch code {
	case source.SlowPattern, source.GreedyDotStar, source.NonBoolExpr, source.UnknownEscape, source.AmbiguousExpr,
		source.InvariantExpr, source.UnsatisfiableExpr, source.DeprecatedKeyword, source.UnsupportedModule, source.IgnoredRule,
		source.InvalidRuleName, source.InvalidTag, source.UnknownTag, source.InvalidMetadata, source.MissingMetadata:
		return true
	}
	return false
}

// sort puts diagnostics in the order of the text.
func (c *checker) sort() {
	sort.SliceStable(c.Diags, func(i, j int) bool { return c.Diags[i].Range().Start < c.Diags[j].Range().Start })
}

// printable is a name as it can be shown.
func printable(name string) string {
	if len(name) > 64 {
		name = name[:64] + "..."
	}
	return strings.ToValidUTF8(name, "?")
}

// nearest is the name among some that is most like another, empty if none is
// near.
func nearest(name string, among []string) string {
	if len(name) < 3 {
		return ""
	}
	best, at := "", min(2, 1+len(name)/4)
	for _, other := range among {
		if d := distance(name, other, at); d <= at && other != name {
			if d < at || best == "" {
				best, at = other, d
			}
		}
	}
	return best
}

// distance is how many letters of a change to make b (Levenshtein), or more than
// most.
func distance(a, b string, most int) int {
	if len(a) > 128 || len(b) > 128 || len(a)-len(b) > most || len(b)-len(a) > most {
		return most + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
