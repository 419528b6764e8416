package evidence

import (
	"slices"
	"strconv"
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/eval"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
	"github.com/showcause/showcause/yara/syntax"
)

func matchAt(i int) string { return "/predicate/matches/" + strconv.Itoa(i) }

// yara evaluates the condition of a YARA rule.
func (v *verification) yara(text string) {
	set := &source.Sources{}
	src, err := set.Add("rule", text)
	if err != nil {
		v.problems.add(BadRuleText, ruleAt+"/text", "%v", err)
		return
	}
	file, diags := syntax.Parse(src, source.Either)
	for _, d := range diags {
		if d.Severity == source.Error {
			v.problems.add(BadRuleText, ruleAt+"/text", "%s: %.200s", d.Code, d.Title)
			return
		}
	}
	if len(file.Rules) != 1 {
		v.problems.add(BadRuleText, ruleAt+"/text", "%d rules, want 1", len(file.Rules))
		return
	}
	r := file.Rules[0]
	if !yaraNamed(r, plainName(v.statement.Rules.Rule.Name)) {
		v.problems.add(BadRuleName, ruleAt+"/name", "%.100q, and the text's is %.100q", v.statement.Rules.Rule.Name, r.Name.Name)
	}
	if m := v.statement.Matches; m != nil {
		for i := range m.List {
			if p := m.List[i].Pattern; p >= int64(len(r.Patterns)) {
				v.problems.add(BadMatch, matchAt(i), "of pattern %d, and the rule has %d", p, len(r.Patterns))
			}
		}
	}
	if n := len(v.statement.Counts); n > 0 && n != len(r.Patterns) {
		v.problems.add(BadCount, "/predicate/counts", "of %d patterns, and the rule has %d", n, len(r.Patterns))
	}
	if len(v.problems) > 0 {
		return
	}
	counts, cut, ok := v.statement.hits()
	if !ok {
		return
	}
	places := v.statement.Matches == nil || v.statement.Matches.Commitment == "" // they are all known
	hits := v.statement.byPattern()
	for i := range r.Patterns {
		if cut[int64(i)] {
			v.note(NoteCut, "/predicate/matches", "of pattern %d more may matter than are recorded: recheck", i)
			return
		}
		places = places && counts[int64(i)] == int64(len(hits[int64(i)]))
	}
	if why := readsFile(r, places); why != "" {
		v.note(NoteReads, ruleAt, "the condition asks for %s: recheck", why)
		return
	}
	v.evalYARA(text, counts, hits)
}

// byPattern returns the matches recorded of each pattern.
func (s *Statement) byPattern() map[int64][]eval.Match {
	out := map[int64][]eval.Match{}
	if s.Matches != nil {
		for _, x := range s.Matches.List {
			out[x.Pattern] = append(out[x.Pattern], eval.Match{Offset: x.Offset, Length: x.Length})
		}
	}
	return out
}

// yaraNamed tells whether a rule may be reported by a name: its identifier,
// with the namespace before it or not, or with points in place of its low lines
// (rules that ship with Showcause), or a text of its metadata.
func yaraNamed(r *syntax.Rule, name string) bool {
	id := r.Name.Name
	if name == id || name == strings.ReplaceAll(id, "_", ".") || strings.HasSuffix(name, id) && strings.ContainsRune(":./", rune(name[len(name)-len(id)-1])) {
		return true
	}
	return slices.ContainsFunc(r.Metas, func(m syntax.Meta) bool {
		return m.Value != nil && m.Value.Kind == syntax.TextLit && showcause.Escape(m.Value.Text) == name
	})
}

// readsFile says what a condition asks for besides the matches and the size.
// Without places, their numbers alone are known.
func readsFile(r *syntax.Rule, places bool) (why string) {
	for i := range r.Patterns {
		if r.Patterns[i].Has("private") != nil {
			return "a pattern whose matches are not shown"
		}
	}
	because := func(s string) {
		if why == "" {
			why = s
		}
	}
	vars := map[string]bool{}
	syntax.Walk(r.Cond, func(e syntax.Expr) bool {
		switch e := e.(type) {
		case *syntax.ForIn:
			for _, x := range e.Vars {
				vars[x.Name] = true
			}
		case *syntax.With:
			for _, x := range e.Vars {
				vars[x.Name] = true
			}
		case *syntax.Call:
			because("bytes of the file, or a module")
		case *syntax.Select, *syntax.Index:
			because("a module")
		case *syntax.Keyword:
			if e.Name != "filesize" {
				because("the entry point")
			}
		case *syntax.Name:
			if !vars[e.Name] {
				because("another rule, a module or a variable")
			}
		case *syntax.Glob:
			if !strings.HasPrefix(e.Name, "$") {
				because("another rule")
			}
		case *syntax.Match:
			if !places && (e.At != nil || e.In != nil) {
				because("places that are not recorded")
			}
		case *syntax.Of:
			if !places && (e.At != nil || e.In != nil) {
				because("places that are not recorded")
			}
		case *syntax.Measure:
			if !places && (e.Kind != '#' || e.In != nil) {
				because("places that are not recorded")
			}
		}
		return true
	})
	return why
}

// evalYARA evaluates a condition that is asked nothing else. A rule may have
// been read in either dialect: it holds if it holds in one.
func (v *verification) evalYARA(text string, counts map[int64]int64, hits map[int64][]eval.Match) {
	total := int64(0)
	for _, n := range counts {
		if total += n; n > maxEval || total > maxEval {
			v.note(NoteCut, "/predicate/counts", "too many matches to evaluate: recheck")
			return
		}
	}
	for i, n := range counts {
		for int64(len(hits[i])) < n { // only their number is known, and readsFile has seen that no place is asked for
			hits[i] = append(hits[i], eval.Match{})
		}
	}
	ran := false
	for _, d := range []source.Dialect{source.Either, source.YARA, source.YARAX} {
		set := &source.Sources{}
		src, err := set.Add("rule", text)
		if err != nil {
			return // it was added before
		}
		res := check.Check(set, []check.Input{{Source: src}}, check.Options{Dialect: d, RelaxedRegexps: true})
		if res.Failed() || len(res.Rules) != 1 {
			continue
		}
		out := eval.Run(res, &recorded{v.statement, hits}, eval.Options{Limit: maxEval})
		if len(out.Stopped) > 0 {
			v.note(NoteReads, ruleAt, "the condition takes too many steps: recheck")
			return
		}
		if out.Holds[res.Rules[0]] {
			v.note(NoteCondition, ruleAt, "holds with the matches recorded")
			return
		}
		ran = true
	}
	if !ran {
		v.note(NoteReads, ruleAt, "the condition means nothing without the rest of the rules: recheck")
		return
	}
	v.problems.add(BadCondition, ruleAt, "does not hold with the matches recorded")
}

// maxEval bounds an evaluation, matches and steps.
const maxEval = 100_000

// recorded is what a record tells a condition: eval.Input.
type recorded struct {
	s    *Statement
	hits map[int64][]eval.Match
}

func (r *recorded) Size() int64                                    { return r.s.last() }
func (r *recorded) Read(int64, int) []byte                         { return nil }
func (r *recorded) Module(string, source.Dialect) (v module.Value) { return v }
func (r *recorded) Entry() (int64, bool)                           { return 0, false }

func (r *recorded) Matches(_ *check.Rule, pattern int) []eval.Match { return r.hits[int64(pattern)] }
