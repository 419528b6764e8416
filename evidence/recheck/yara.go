package recheck

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/pattern"
	"github.com/showcause/showcause/regex"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/eval"
	"github.com/showcause/showcause/yara/fields"
	"github.com/showcause/showcause/yara/lower"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
	"github.com/showcause/showcause/yara/syntax"
)

// maxYARA is the number of matches of a pattern that a condition is told of.
const maxYARA = 1_000_000

// maxSteps bounds the evaluation of one condition.
const maxSteps = 1 << 30

// yaraRule is one rule in YARA's language, with nothing else of its file but the
// modules that it names.
type yaraRule struct {
	claim   *Rule
	checked *check.Result
	rule    *check.Rule
	all     map[*check.Rule]*strung // it, and those that it asks for
}

// strung are the strings of one rule.
type strung struct {
	body
	regexps []*rule.Regexp // nil for those that are patterns
}

// compileYARA reads the text of one rule. One that asks for other rules, or for
// variables from outside, cannot be evaluated by itself.
func compileYARA(r *Rule) (test, error) {
	var why error
	for _, d := range []source.Dialect{source.Either, source.YARA, source.YARAX} {
		y, err := newYARA(r, d)
		if err == nil {
			return y.test, nil
		}
		if why == nil || errors.Is(err, errOthers) {
			why = err
		}
	}
	return nil, why
}

// outside are the variables that rules of many ask for: what the file is called
// is known from the record, if at all.
func (r *Rule) outside() map[string]module.Value {
	out := map[string]module.Value{}
	for _, name := range strings.Fields("filename filepath extension filetype owner filemd5") {
		out[name] = module.TextValue("")
	}
	if r.Path != "" {
		base := path.Base(r.Path)
		out["filename"], out["filepath"] = module.TextValue(base), module.TextValue(r.Path)
		out["extension"] = module.TextValue(strings.ToLower(path.Ext(base)))
	}
	return out
}

// asksOutside tells whether a text may ask for one of them.
func (r *Rule) asksOutside() bool {
	for name := range r.outside() {
		if strings.Contains(r.Text, name) {
			return true
		}
	}
	return false
}

func newYARA(r *Rule, d source.Dialect) (*yaraRule, error) {
	var file strings.Builder
	text := strings.Join(append(slices.Clone(r.Before), r.Text), "\n")
	for _, name := range module.Names() {
		if module.Load(name, d) != nil && strings.Contains(text, name+".") {
			fmt.Fprintf(&file, "import %q\n", name)
		}
	}
	file.WriteString(text)
	set := &source.Sources{}
	src, err := set.Add("rule", file.String())
	if err != nil {
		return nil, fmt.Errorf("its text: %w", err)
	}
	y := &yaraRule{claim: r, checked: check.Check(set, []check.Input{{Source: src}}, check.Options{Dialect: d, RelaxedRegexps: true, Externals: r.outside()})}
	if asksOthers(src, y.checked, d) {
		return nil, errOthers
	}
	if len(y.checked.Rules) != 1+len(r.Before) || y.checked.Failed() {
		return nil, fmt.Errorf("its text means nothing by itself%s: it may ask for other rules, or for variables from outside", first(y.checked))
	}
	y.rule = y.checked.Rules[len(r.Before)]
	y.all = map[*check.Rule]*strung{}
	lowered := 0
	for _, p := range lower.Rules(y.checked, lower.Options{Externals: r.outside()}, func(r *rule.Rule) error {
		lowered++
		s, err := take(r)
		if err == nil && lowered <= len(y.checked.Rules) {
			y.all[y.checked.Rules[lowered-1]] = s
		}
		return err
	}) {
		if p.Err != nil {
			return nil, fmt.Errorf("its text: %w", p.Err)
		}
	}
	if len(y.all) != len(y.checked.Rules) {
		return nil, errors.New("its text is no rule that can be searched for")
	}
	return y, nil
}

// errOthers ends the compiling of a rule whose text is sound and refers to what is
// not in it.
var errOthers = errors.New("the rule asks for other rules: --db")

// asksOthers tells whether all that is wrong with a text are names in it that mean
// nothing there, as those of other rules do.
func asksOthers(src *source.Source, res *check.Result, d source.Dialect) bool {
	if !res.Failed() {
		return false
	}
	for _, x := range res.Diags {
		if x.Severity == source.Error && x.Code != source.UnknownIdentifier {
			return false
		}
	}
	_, diags := syntax.Parse(src, d)
	for _, x := range diags {
		if x.Severity == source.Error {
			return false
		}
	}
	return true
}

// first says what is wrong with a text, first.
func first(res *check.Result) string {
	for _, d := range res.Diags {
		if d.Severity == source.Error {
			return fmt.Sprintf(" (%s: %.200s)", d.Code, d.Title)
		}
	}
	return ""
}

// take keeps a rule as it was lowered: its patterns, not its condition. Where a match
// has to be is for the condition to say: all are matches.
func take(r *rule.Rule) (*strung, error) {
	y := &strung{}
	for i := range r.Patterns {
		if i < len(r.Regexps) && r.Regexps[i] != nil {
			y.rule.Patterns = append(y.rule.Patterns, pattern.Pattern{})
			y.programs, y.atoms = append(y.programs, nil), append(y.atoms, nil)
			y.regexps = append(y.regexps, r.Regexps[i])
			continue
		}
		p := clone(r.Patterns[i])
		p.Anchor = pattern.Anchor{}
		prog, atoms, err := pattern.Compile(p, nil)
		if err != nil {
			return nil, err
		}
		y.rule.Patterns = append(y.rule.Patterns, p)
		y.programs, y.atoms = append(y.programs, prog), append(y.atoms, atoms)
		y.regexps = append(y.regexps, nil)
	}
	return y, nil
}

// test searches for the strings, and interprets the condition.
func (y *yaraRule) test(w *walk, l *layer, _ []rule.Target) {
	in := &yaraInput{l: l, found: map[*check.Rule][][]showcause.Match{}}
	m := pattern.Matcher{Limit: w.budget.Limits.Work}
	for r, s := range y.all {
		for i := range s.programs {
			found := s.find(w, i, l, &m)
			in.found[r] = append(in.found[r], found)
			if r == y.rule {
				w.out.Counts = append(w.out.Counts, uint32(min(len(found), showcause.MaxCount)))
				for _, f := range found[:min(len(found), showcause.MaxMatches)] {
					f.Pattern = i
					if s.regexps[i] == nil {
						f = w.confirm(&s.body, l, f)
					}
					w.out.Matches = append(w.out.Matches, f)
				}
			}
		}
	}
	if m.Exhausted() {
		w.note("the search ended at the limit of work: not all matches are known")
	}
	in.modules = fields.New(in, fields.Host{})
	out := eval.Run(y.checked, in, eval.Options{Limit: maxSteps, Externals: y.claim.outside()})
	w.out.Holds = out.Holds[y.rule]
	if y.claim.asksOutside() {
		w.note("the rule may ask what the file is called, and whose it is: the name is taken from the record, the owner is not known")
	}
	switch {
	case len(out.Stopped) > 0:
		w.differ("rule", "that its condition holds", "more steps than are evaluated")
	case !w.out.Holds:
		w.differ("rule", "that its condition holds", fmt.Sprintf("matches of its strings with which it does not: %v", w.out.Counts))
	}
	w.compare()
}

// find returns all matches of one string.
func (y *strung) find(w *walk, i int, l *layer, m *pattern.Matcher) []showcause.Match {
	if y.regexps[i] != nil {
		return y.expression(w, i, l, m)
	}
	return y.search(i, l, m, maxYARA)
}

// expression returns all matches of a regular expression, one for each start.
func (y *strung) expression(w *walk, i int, l *layer, m *pattern.Matcher) []showcause.Match {
	re := y.regexps[i]
	in := pattern.NewInput(l.Source)
	rm := regex.Matcher{Steps: m.Steps, Limit: m.Limit}
	found := map[int64]showcause.Match{}
	anywhere, within := l.anchored(y.rule.Patterns[i].Anchor)
	emit := func(off, n int64) bool {
		if !anywhere && !slices.ContainsFunc(within, func(s stretch) bool { return s.has(off) }) {
			return true
		}
		was, ok := found[off]
		if !ok || re.Program.Greedy() == (n > was.Length) {
			found[off] = showcause.Match{Offset: off, Length: n}
		}
		return len(found) <= maxYARA
	}
	placed := len(re.Atoms) > 0
	var atoms []pattern.Atom
	for _, a := range re.Atoms {
		placed = placed && a.Place != regex.NoPlace
		atoms = append(atoms, pattern.Atom{Literal: a.Literal, Fold: a.Fold, Place: a.Place})
	}
	if placed {
		occurrences(atoms, l, func(h hit) bool {
			rm.Verify(uint32(i), re.Program, h.place, in, h.at, emit)
			return !rm.Exhausted() && len(found) <= maxYARA
		})
	} else {
		rm.Scan(uint32(i), re.Program, in, 0, in.Size()+1, emit)
	}
	m.Steps = rm.Steps
	if rm.Abandoned > 0 {
		w.note("string %d: places were left undecided", i)
	}
	return ordered(found, maxYARA)
}

// yaraInput is a layer as conditions see it.
type yaraInput struct {
	l       *layer
	modules *fields.Layer
	found   map[*check.Rule][][]showcause.Match
}

func (in *yaraInput) Size() int64 { return in.l.Source.Size() }

func (in *yaraInput) Read(off int64, n int) []byte {
	if n < 0 || !bound.In(off, int64(n), in.Size()) {
		return nil
	}
	if b, ok := in.l.Source.(showcause.Bytes); ok {
		return b[off : off+int64(n)]
	}
	b, err := bound.ReadAt(in.l.Source, off, int64(n), in.Size())
	if err != nil || len(b) < n {
		return nil
	}
	return b
}

func (in *yaraInput) Matches(r *check.Rule, i int) (out []eval.Match) {
	if i >= len(in.found[r]) {
		return nil
	}
	for _, m := range in.found[r][i] {
		out = append(out, eval.Match{Offset: m.Offset, Length: m.Length})
	}
	return out
}

func (in *yaraInput) Module(name string, d source.Dialect) module.Value {
	if v, ok := in.modules.Module(name, d); ok {
		return v
	}
	if t := module.Load(name, d); t != nil {
		return module.Constants(t, nil)
	}
	return module.Value{}
}

func (in *yaraInput) Entry() (int64, bool) {
	if x := in.l.exe; x != nil && x.Entry >= 0 {
		return x.Entry, true
	}
	return 0, false
}
