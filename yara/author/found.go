package author

import (
	"slices"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/eval"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
	"github.com/showcause/showcause/yara/syntax"
)

// Holding says why the condition of a finding holds, as far as can be said from the
// findings alone and a few bytes of the file: what modules say of it is not asked, and
// parts that depend on it are told without a value. among are the findings of the whole
// input: rules that this one asks for are told by theirs. read gives bytes of the layer; it
// is nil if they are not at hand, as size is less than 0. The result is nil for rules
// that are not YARA's, or that cannot be told so.
func Holding(db *ruledb.DB, f *showcause.Finding, among []showcause.Finding, size int64, read func(off int64, n int) []byte) *Explanation {
	o, order := originOf(db, f.Index)
	if o == nil {
		return nil
	}
	res := o.check()
	if res == nil {
		return nil
	}
	in := &finding{size: size, read: read, by: map[string]*places{}}
	for i, r := range o.Rules {
		in.by[r.Name] = &places{matches: make([][]eval.Match, r.Patterns), cut: make([]bool, r.Patterns), unseen: i < len(o.Rules)-1}
	}
	for i := range among {
		if g := &among[i]; slices.Contains(order, g.Index) && slices.Equal(g.Trail, f.Trail) && !in.take(db, g) {
			return nil
		}
	}
	if !in.take(db, f) {
		return nil
	}
	r := res.Rules[len(res.Rules)-1]
	t := &tracer{res: res, in: in, by: map[*check.Rule]*Explanation{}}
	t.blank = func(r *check.Rule, e syntax.Expr, bound bool) bool {
		if name, ok := e.(*syntax.Name); ok {
			if dep := res.Refs[name]; dep != nil {
				x := t.by[dep]
				return x == nil || x.Cond == nil || x.Cond.blank
			}
		}
		return in.unknown(r, e, bound)
	}
	eval.Run(res, in, eval.Options{Trace: t, Limit: 100_000})
	x := t.by[r]
	if x == nil || x.Cond == nil {
		return nil
	}
	x.Matches, x.Line = true, o.Line
	return x
}

// take takes in what a finding of one of the rules tells.
func (in *finding) take(db *ruledb.DB, f *showcause.Finding) bool {
	s := in.by[db.Name(f.Index)]
	if s == nil {
		return false
	}
	s.unseen = false
	for i := range s.matches {
		s.matches[i], s.cut[i] = nil, false
	}
	for _, m := range f.Matches {
		if m.Pattern >= len(s.matches) {
			return false
		}
		s.matches[m.Pattern] = append(s.matches[m.Pattern], eval.Match{Offset: m.Offset, Length: m.Length})
		s.cut[m.Pattern] = len(s.matches[m.Pattern]) >= showcause.MaxMatches
	}
	return true
}

// places are the places of the strings of one rule.
type places struct {
	matches [][]eval.Match
	cut     []bool // there may be more
	unseen  bool   // there is no finding of the rule: nothing is known of its strings
}

// finding is what a finding tells of its layer.
type finding struct {
	size int64
	read func(off int64, n int) []byte
	by   map[string]*places // by the name of the rule
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
func (in *finding) Matches(r *check.Rule, pattern int) []eval.Match {
	return in.by[r.Name.Name].matches[pattern]
}

// Module is nothing: nothing is read of a format here.
func (in *finding) Module(string, source.Dialect) module.Value { return module.Value{} }

// Entry is not known.
func (in *finding) Entry() (int64, bool) { return 0, false }

// unknown says whether the value of an expression is not known here, apart from its
// parts.
func (in *finding) unknown(r *check.Rule, e syntax.Expr, bound bool) bool {
	s := in.by[r.Name.Name]
	switch e := e.(type) {
	case *syntax.Name:
		return !bound
	case *syntax.Keyword:
		return e.Name != "filesize" || in.size < 0
	case *syntax.Call:
		return in.read == nil
	case *syntax.Measure:
		if s.unseen {
			return true
		}
		for i, p := range r.Patterns {
			if s.cut[i] && (p.Name.Name == e.Name.Name || e.Name.Name == "$") {
				return true
			}
		}
	case *syntax.Match:
		if s.unseen {
			return true
		}
		if e.At == nil && e.In == nil {
			return false
		}
		for i, p := range r.Patterns {
			if s.cut[i] && (p.Name.Name == e.Name.Name || e.Name.Name == "$") {
				return true
			}
		}
	case *syntax.Of, *syntax.ForOf:
		if s.unseen {
			return true
		}
		of, ok := e.(*syntax.Of)
		if !ok {
			return false
		}
		for _, cut := range s.cut {
			if cut && (of.At != nil || of.In != nil) {
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

// Whole says that every part has its value that was asked for.
func (x *Explanation) Whole() bool { return !x.Cond.blank }
