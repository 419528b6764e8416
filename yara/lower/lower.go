package lower

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"

	"github.com/showcause/showcause/pattern"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/syntax"
)

// Options say how rules are lowered. The zero value works.
type Options struct {
	// Externals are the values that the rules were checked with.
	Externals map[string]module.Value
	// Name is the name of a source as findings tell it; nil leaves it as it is.
	Name func(source string) string
	// Prepare is called for each rule that was lowered, by many goroutines at once,
	// before it is emitted. It may be nil.
	Prepare func(*rule.Rule)
}

// Problem is something that a person who compiles rules should know: a rule that
// is left out, with Err, or a string that slows every scan down.
type Problem struct {
	Rule    *check.Rule
	Pattern *syntax.Pattern // nil: the rule as a whole
	Err     error           // why the rule is left out; nil: it is only slow
}

// String says it in one line, without the place.
func (p *Problem) String() string {
	what := "rule " + p.Rule.Name.Name
	if p.Pattern != nil {
		what += ", string " + p.Pattern.Name.Name
	}
	if p.Err != nil {
		return what + ": " + p.Err.Error()
	}
	return what + ": no byte of it is fixed, so that files for which the rule can hold are searched from end to end"
}

// errLeftOut says that a rule needs another that is not there.
var errLeftOut = errors.New("it needs a rule that is left out")

// ahead is the most rules that are lowered before their turn to be emitted.
const ahead = 4096

// loweredRule is what became of one rule.
type loweredRule struct {
	from     *check.Rule
	rule     *rule.Rule // nil if it has to be left out
	deps     []*check.Rule
	problems []Problem
	done     chan struct{} // gets one when it is lowered
}

// Rules lowers all rules of a result that have no error, on all processors, and gives
// each to emit in order, whose error makes the rule one that is left out.
func Rules(res *check.Result, o Options, emit func(*rule.Rule) error) (problems []Problem) {
	return NewLowering(o, emit).Batch(res, res.Rules)
}

// Lowering lowers rules in batches, which may ask for rules of batches before them.
type Lowering struct {
	o       Options
	emit    func(*rule.Rule) error
	emitted map[*check.Rule]bool
}

// NewLowering begins one; emit is as Rules has it.
func NewLowering(o Options, emit func(*rule.Rule) error) *Lowering {
	return &Lowering{o: o, emit: emit, emitted: map[*check.Rule]bool{}}
}

// Batch lowers some rules of a result, as Rules does.
func (w *Lowering) Batch(res *check.Result, rules []*check.Rule) (problems []Problem) {
	all := make([]*check.Rule, 0, len(rules))
	for _, r := range rules {
		if !r.Bad && r.Ignored == "" && r.Cond != nil {
			r.File.Source.Line(r.Start) // it counts the lines once, and not for many at a time
			all = append(all, r)
		}
	}
	lowerAll(res, &w.o, all, func(l *loweredRule) {
		problems = append(problems, l.problems...)
		if l.rule == nil {
			return
		}
		if err := l.emit(w.emitted, w.emit); err != nil {
			problems = append(problems, Problem{Rule: l.from, Err: err})
			return
		}
		w.emitted[l.from] = true
	})
	return problems
}

// emit names the rules that the rule needs and emits it.
func (l *loweredRule) emit(emitted map[*check.Rule]bool, emit func(*rule.Rule) error) error {
	for _, d := range l.deps {
		if !emitted[d] {
			return fmt.Errorf("rule %s: %w", d.Name.Name, errLeftOut)
		}
		l.rule.YARA.Deps = append(l.rule.YARA.Deps, d.Namespace+":"+d.Name.Name)
	}
	return emit(l.rule)
}

// lowerAll lowers rules on all processors and gives each to take, in order, while
// those after it are lowered.
func lowerAll(res *check.Result, o *Options, all []*check.Rule, take func(*loweredRule)) {
	window := make([]loweredRule, min(ahead, len(all))) // rule i is at i modulo its length
	free := make(chan int, len(window))                 // the indexes of rules that there is room for
	for i := range window {
		window[i].done = make(chan struct{}, 1)
		free <- i
	}
	var wait sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(all)) {
		wait.Go(func() {
			for i := range free {
				l := &window[i%len(window)]
				l.from = all[i]
				l.rule, l.deps, l.problems = lowerRule(res, l.from, o)
				if l.rule != nil && o.Prepare != nil {
					o.Prepare(l.rule)
				}
				l.done <- struct{}{}
			}
		})
	}
	for i := range all {
		l := &window[i%len(window)]
		<-l.done
		take(l)
		if next := i + len(window); next < len(all) {
			free <- next
		}
	}
	close(free)
	wait.Wait()
}

// lowerRule lowers one rule, but for its Deps; nil if it has to be left out.
func lowerRule(res *check.Result, r *check.Rule, o *Options) (*rule.Rule, []*check.Rule, []Problem) {
	out := &rule.Rule{YARA: &rule.YARA{
		Namespace: r.Namespace,
		Private:   r.Flag("private"),
		Global:    r.Flag("global"),
		Metas:     metas(r),
	}}
	line, _ := r.File.Source.Line(r.Start)
	out.Origin = rule.Origin{Name: r.Name.Name, File: r.File.Source.Name, Line: line, Text: r.File.Source.Slice(r.Span)}
	if o.Name != nil {
		out.File = o.Name(out.File)
	}
	if n := len(r.Patterns); n > 0 {
		out.Patterns = make([]pattern.Pattern, 0, n)
		out.YARA.Needs, out.YARA.Names = make([]uint32, 0, n), make([]string, 0, n)
	}
	for _, t := range r.Tags {
		out.YARA.Tags = append(out.YARA.Tags, t.Name)
	}
	cond, err := lowerCondition(res, r, o.Externals)
	if err != nil {
		return nil, nil, []Problem{{Rule: r, Err: fmt.Errorf("condition: %w", err)}}
	}
	out.Cond, out.Guard = cond.cond, cond.guard
	out.YARA.Code, out.YARA.Absent = cond.code, cond.absent
	var problems []Problem
	places := asksPlaces(r.Cond)
	for i, p := range r.Patterns {
		pat, re, err := lowerPattern(res, r, p)
		if err != nil {
			return nil, nil, []Problem{{Rule: r, Pattern: p, Err: err}}
		}
		need := cond.needs[i]
		if places && need.count > 0 {
			need.count = math.MaxUint32
		}
		if need.at >= 0 {
			pat.Anchor.Base, pat.Anchor.Offset = pattern.Start, need.at
		}
		if re != nil {
			if out.Regexps == nil {
				out.Regexps = make([]*rule.Regexp, len(r.Patterns))
			}
			out.Regexps[i] = re
			if len(re.Atoms) == 0 {
				problems = append(problems, Problem{Rule: r, Pattern: p})
			}
		}
		out.Patterns = append(out.Patterns, pat)
		out.YARA.Needs = append(out.YARA.Needs, need.count)
		out.YARA.Names = append(out.YARA.Names, p.Name.Name)
		if p.Has("private") != nil {
			out.YARA.Hidden = append(out.YARA.Hidden, i)
		}
	}
	return out, cond.deps, problems
}

// asksPlaces tells whether a condition asks where matches are or how long. Matches
// are found in the order of the literals in them: which is the first, and
// how long it is, is not known before all are.
func asksPlaces(cond syntax.Expr) (asks bool) {
	syntax.Walk(cond, func(e syntax.Expr) bool {
		if m, ok := e.(*syntax.Measure); ok && m.Kind != '#' {
			asks = true
		}
		return !asks
	})
	return asks
}

func metas(r *check.Rule) []rule.Meta {
	if len(r.Metas) == 0 {
		return nil
	}
	out := make([]rule.Meta, 0, len(r.Metas))
	for _, m := range r.Metas {
		v := rule.Meta{Name: m.Name.Name}
		switch m.Value.Kind {
		case syntax.IntegerLit:
			v.Value = m.Value.Int
		case syntax.FloatLit:
			v.Value = m.Value.Float
		case syntax.BoolLit:
			v.Value = m.Value.Int != 0
		default:
			v.Value = m.Value.Text
		}
		out = append(out, v)
	}
	return out
}
