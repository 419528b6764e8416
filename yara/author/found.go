package author

import (
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/yara"
	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/eval"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
	"github.com/showcause/showcause/yara/syntax"
)

// Holding says why the condition of a finding holds, as far as can be said from the
// finding alone and a few bytes of the file: what modules say of it is not asked, and
// parts that depend on it are told without a value. read gives bytes of the layer; it
// is nil if they are not at hand. The result is nil for rules that are not YARA's, or
// that need other rules.
func Holding(info ruledb.Info, f *showcause.Finding, size int64, read func(off int64, n int) []byte) *Explanation {
	if info.YARA == nil {
		return nil
	}
	var text strings.Builder
	for _, name := range module.Names() {
		if strings.Contains(info.Text, name+".") {
			text.WriteString(`import "` + name + `" `)
		}
	}
	text.WriteString(info.Text)
	c := yara.NewCompiler(yara.Options{RelaxedRegexps: true})
	for _, name := range yara.UsualExternals() {
		if err := c.Define(name, ""); err != nil {
			return nil
		}
	}
	if err := c.AddSource(info.YARA.Namespace, info.File, text.String()); err != nil {
		return nil
	}
	res, diags := c.Check()
	if len(diags.Errors()) > 0 || len(res.Rules) != 1 || len(res.Rules[0].Patterns) != len(info.YARA.Names) {
		return nil
	}
	in := &finding{size: size, read: read, matches: make([][]eval.Match, len(info.YARA.Names)), cut: make([]bool, len(info.YARA.Names))}
	for _, m := range f.Matches {
		if m.Pattern >= len(in.matches) {
			return nil
		}
		in.matches[m.Pattern] = append(in.matches[m.Pattern], eval.Match{Offset: m.Offset, Length: m.Length})
		in.cut[m.Pattern] = len(in.matches[m.Pattern]) >= showcause.MaxMatches
	}
	r := res.Rules[0]
	t := &tracer{res: res, in: in, by: map[*check.Rule]*Explanation{}, blank: in.unknown}
	eval.Run(res, in, eval.Options{Trace: t, Limit: 100_000})
	x := t.by[r]
	if x == nil || x.Cond == nil {
		return nil
	}
	x.Matches, x.Line = true, info.Line
	return x
}

// finding is what a finding tells of its layer.
type finding struct {
	size    int64
	read    func(off int64, n int) []byte
	matches [][]eval.Match
	cut     []bool // there may be more
}

// Size is the number of bytes.
func (in *finding) Size() int64 { return in.size }

// Read gives bytes of the layer, if they are at hand.
func (in *finding) Read(off int64, n int) []byte {
	if in.read == nil || off < 0 || off > in.size-int64(n) {
		return nil
	}
	if b := in.read(off, n); len(b) == n {
		return b
	}
	return nil
}

// Matches are the places of a string that the finding tells.
func (in *finding) Matches(_ *check.Rule, pattern int) []eval.Match { return in.matches[pattern] }

// Module is nothing: nothing is read of a format here.
func (in *finding) Module(string, source.Dialect) module.Value { return module.Value{} }

// Entry is not known.
func (in *finding) Entry() (int64, bool) { return 0, false }

// unknown says whether the value of an expression is not known here, apart from its
// parts.
func (in *finding) unknown(r *check.Rule, e syntax.Expr, bound bool) bool {
	switch e := e.(type) {
	case *syntax.Name:
		return !bound
	case *syntax.Keyword:
		return e.Name != "filesize" || in.size < 0
	case *syntax.Call:
		return in.read == nil
	case *syntax.Measure:
		for i, p := range r.Patterns {
			if in.cut[i] && (p.Name.Name == e.Name.Name || e.Name.Name == "$") {
				return true
			}
		}
	case *syntax.Match:
		if e.At == nil && e.In == nil {
			return false
		}
		for i, p := range r.Patterns {
			if in.cut[i] && (p.Name.Name == e.Name.Name || e.Name.Name == "$") {
				return true
			}
		}
	case *syntax.Of:
		for _, cut := range in.cut {
			if cut && (e.At != nil || e.In != nil) {
				return true
			}
		}
	}
	return false
}

// Tree writes the condition with its values, each line after indent.
func (x *Explanation) Tree(indent string) string {
	var b strings.Builder
	x.Cond.tree(&b, indent)
	return b.String()
}
