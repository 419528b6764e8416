package lower

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/code"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
	"github.com/showcause/showcause/yara/syntax"
)

// condition is what becomes of a rule's condition.
type condition struct {
	code code.Program
	// deps are the rules that the code names, all of them earlier ones, by their
	// numbers. The global rules of the namespace are not among them.
	deps []*check.Rule
	// cond must hold of the patterns wherever the condition does; rule.True if it
	// can hold without a match. guard must hold of the layer.
	cond  rule.Node
	guard rule.Guard
	needs []need // one a pattern
	// absent tells that more matches may make the condition false.
	absent  bool
	modules []string
}

// need is what of the matches of a pattern a condition looks at.
type need struct {
	// count is how many matches, from the lowest offset on, are told apart: 0 none,
	// 1 only whether there is one, math.MaxUint32 all.
	count uint32
	at    int64 // the one offset that matters; -1: any
}

// errLowering is wrapped where a tree is not one that the checker has let through.
var errLowering = errors.New("condition not in order")

// lowerCondition compiles the condition of a rule without an error. externals are
// those that the rules were checked with.
func lowerCondition(res *check.Result, r *check.Rule, externals map[string]module.Value) (condition, error) {
	g := &gen{
		res: res, rule: r, externals: externals,
		b:     code.NewBuilder(r.Dialect, len(r.Patterns), 0),
		depOf: map[*check.Rule]int{},
		index: map[string]int{},
	}
	for i, p := range r.Patterns {
		if _, ok := g.index[p.Name.Name]; !ok {
			g.index[p.Name.Name] = i
		}
	}
	holds, fails := g.b.Label(), g.b.Label()
	g.cond(r.Cond, jumps{holds, fails, fails}, holds)
	g.b.Bind(holds)
	g.b.Emit(code.Instr{Op: code.True})
	g.b.Bind(fails)
	g.b.Emit(code.Instr{Op: code.False})
	g.b.Registers(g.most.ints, g.most.texts, g.most.values)
	g.b.SetDeps(len(g.deps))
	if g.err != nil {
		return condition{}, fmt.Errorf("rule %s: %w", r.Name.Name, g.err)
	}
	prog, err := g.b.Program()
	if err != nil {
		return condition{}, fmt.Errorf("rule %s: %w", r.Name.Name, err)
	}
	n := &necessity{res: res, rule: r, index: g.index}
	out := condition{code: prog, deps: g.deps, modules: r.Modules}
	if slices.Contains(r.Modules, "console") { // it writes whatever there is
		out.cond = always()
	} else {
		out.cond, out.guard = n.node(r.Cond), guardOf(res, r)
	}
	out.needs, out.absent = n.needs(r.Cond)
	return out, nil
}

// registers are counts of registers.
type registers struct{ ints, texts, values int }

// gen makes the code of one condition.
type gen struct {
	res       *check.Result
	rule      *check.Rule
	externals map[string]module.Value
	b         *code.Builder
	now, most registers // in use
	vars      []variable
	current   []int // integers that hold the pattern of a loop
	deps      []*check.Rule
	depOf     map[*check.Rule]int
	index     map[string]int // patterns by name
	err       error
}

// variable is a variable of a loop or of "with".
type variable struct {
	name   string
	kind   module.Kind // Struct for all that are values
	reg    int
	flag   int             // the integer that says whether it is defined, -1: it is
	regexp *syntax.Literal // a regular expression by name
}

// jumps are where to go on after a condition.
type jumps struct{ yes, no, undefined code.Label }

// fail keeps the first error.
func (g *gen) fail(e syntax.Expr, what string) {
	if g.err == nil {
		g.err = fmt.Errorf("%s at %d: %w", what, e.Range().Start, errLowering)
	}
}

func (g *gen) yara4() bool { return g.rule.Dialect == source.YARA }

// newInt takes an integer register, and so do newText and newValue of their kind.
// They are given back by setting now to what it was.
func (g *gen) newInt() int {
	g.now.ints++
	g.most.ints = max(g.most.ints, g.now.ints)
	return g.now.ints - 1
}

func (g *gen) newText() int {
	g.now.texts++
	g.most.texts = max(g.most.texts, g.now.texts)
	return g.now.texts - 1
}

func (g *gen) newValue() int {
	g.now.values++
	g.most.values = max(g.most.values, g.now.values)
	return g.now.values - 1
}

// kind is the static kind of an expression.
func (g *gen) kind(e syntax.Expr) module.Kind {
	if t := g.res.Types[e]; t != nil {
		return t.Kind
	}
	return module.Undefined
}

// constant is the value of an expression, if that is known.
func (g *gen) constant(e syntax.Expr) (module.Value, bool) {
	v, ok := g.res.Consts[e]
	switch v.Kind {
	case module.Bool, module.Int, module.Float, module.String:
		return v, ok
	}
	return v, false
}

// find is the variable of a name, the innermost first.
func (g *gen) find(name string) *variable {
	for i := len(g.vars) - 1; i >= 0; i-- {
		if g.vars[i].name == name {
			return &g.vars[i]
		}
	}
	return nil
}

// dep is the number of a rule.
func (g *gen) dep(r *check.Rule) int64 {
	n, ok := g.depOf[r]
	if !ok {
		n = len(g.deps)
		g.depOf[r] = n
		g.deps = append(g.deps, r)
	}
	return int64(n)
}

// bare is an expression without the brackets around it.
func bare(e syntax.Expr) syntax.Expr {
	for {
		p, ok := e.(*syntax.Paren)
		if !ok {
			return e
		}
		e = p.X
	}
}

// goTo jumps, unless the place is the next one.
func (g *gen) goTo(to, next code.Label) {
	if to != next {
		g.b.Emit(code.Instr{Op: code.Jump, To: to})
	}
}

// test adds a test and what follows it. next, one of j.yes and j.no, is bound
// right behind.
func (g *gen) test(in code.Instr, j jumps, next code.Label) {
	if next == j.yes {
		in.If, in.To = false, j.no
	} else {
		in.If, in.To = true, j.yes
	}
	g.b.Emit(in)
	if next != j.yes && next != j.no {
		g.goTo(j.no, next)
	}
}

// cond makes the code that takes an expression for true or false. next is where
// it falls through to.
func (g *gen) cond(e syntax.Expr, j jumps, next code.Label) {
	e = bare(e)
	if v, ok := g.constant(e); ok {
		if v.Truth() {
			g.goTo(j.yes, next)
		} else {
			g.goTo(j.no, next)
		}
		return
	}
	was := g.now
	defer func() { g.now = was }()
	switch e := e.(type) {
	case *syntax.Logic:
		g.logic(e, j, next)
		return
	case *syntax.Unary:
		if e.Op == "not" {
			g.cond(e.X, jumps{j.no, j.yes, j.undefined}, next)
			return
		}
		if e.Op == "defined" {
			g.defined(e.X, j, next)
			return
		}
	case *syntax.Binary:
		if g.comparison(e, j, next) {
			return
		}
	case *syntax.Match:
		g.match(e, j, next)
		return
	case *syntax.Of:
		g.of(e, j, next)
		return
	case *syntax.ForOf:
		g.forOf(e, j, next)
		return
	case *syntax.ForIn:
		g.forIn(e, j, next)
		return
	case *syntax.With:
		g.with(e, j, next)
		return
	case *syntax.Name:
		if r := g.res.Refs[e]; r != nil && g.find(e.Name) == nil {
			g.test(code.Instr{Op: code.Rule, N: g.dep(r)}, j, next)
			return
		}
	}
	g.truth(e, j, next)
}

// truth takes a number or a text for true or false.
func (g *gen) truth(e syntax.Expr, j jumps, next code.Label) {
	switch g.kind(e) {
	case module.Bool, module.Int:
		g.test(code.Instr{Op: code.Ne, B: g.intOf(e, j.undefined), HasY: true}, j, next)
	case module.Float:
		x, zero := g.floatOf(e, j.undefined), g.newInt()
		g.b.Emit(code.Instr{Op: code.Int, A: zero})
		g.test(code.Instr{Op: code.FNe, B: x, C: zero}, j, next)
	case module.String:
		g.test(code.Instr{Op: code.Filled, B: g.textOf(e, j.undefined)}, j, next)
	case module.Regexp:
		g.goTo(j.no, next)
	default:
		g.fail(e, "value taken as a boolean")
	}
}

// logic makes the code of "and" and "or". What is undefined counts as false.
func (g *gen) logic(e *syntax.Logic, j jumps, next code.Label) {
	last := len(e.Kids) - 1
	for i, k := range e.Kids {
		if i == last {
			g.cond(k, jumps{j.yes, j.no, j.no}, next)
			return
		}
		on := g.b.Label()
		if e.Op == "and" {
			g.cond(k, jumps{on, j.no, j.no}, on)
		} else {
			g.cond(k, jumps{j.yes, on, on}, on)
		}
		g.b.Bind(on)
	}
}

// defined makes the code of "defined".
func (g *gen) defined(e syntax.Expr, j jumps, next code.Label) {
	is := g.b.Label()
	e = bare(e)
	switch k := g.kind(e); {
	case k == module.Regexp:
	case isCondition(e):
		g.cond(e, jumps{is, is, j.no}, is)
	case k == module.Bool, k == module.Int:
		g.intOf(e, j.no)
	case k == module.Float:
		g.floatOf(e, j.no)
	case k == module.String:
		g.textOf(e, j.no)
	default:
		v := g.valueOf(e, j.no)
		g.test(code.Instr{Op: code.Defined, B: v}, jumps{is, j.no, j.no}, is)
	}
	g.b.Bind(is)
	g.goTo(j.yes, next)
}

// isCondition says whether cond makes the code of an expression, rather than
// takes its value.
func isCondition(e syntax.Expr) bool {
	switch e := e.(type) {
	case *syntax.Logic, *syntax.Match, *syntax.Of, *syntax.ForOf, *syntax.ForIn, *syntax.With:
		return true
	case *syntax.Unary:
		return e.Op == "not" || e.Op == "defined"
	case *syntax.Binary:
		_, arithmetic := arithmetics[e.Op]
		return !arithmetic
	}
	return false
}

// match makes the code of $a, $a at and $a in.
func (g *gen) match(e *syntax.Match, j jumps, next code.Label) {
	in := code.Instr{Op: code.Found}
	g.pattern(&in, e.Name)
	switch {
	case e.At != nil:
		in.Op = code.FoundAt
		undefined := j.undefined
		if g.yara4() {
			undefined = j.no
		}
		g.second(&in, e.At, undefined)
	case e.In != nil:
		in.Op = code.FoundIn
		in.C = g.span(e.In, j.undefined)
	}
	g.test(in, j, next)
}

// pattern sets the pattern that a name means in an instruction.
func (g *gen) pattern(in *code.Instr, name syntax.Ident) {
	if name.Name == "$" {
		if n := len(g.current); n > 0 {
			in.B, in.Indirect = g.current[n-1], true
			return
		}
	}
	i, ok := g.index[name.Name]
	if !ok && g.err == nil {
		g.err = fmt.Errorf("pattern %s: %w", name.Name, errLowering)
	}
	in.B = i
}

// span makes the code of the bounds of a range, in two registers.
func (g *gen) span(r *syntax.Range, undefined code.Label) int {
	lo, hi := g.newInt(), g.newInt()
	g.intTo(r.Lo, lo, undefined)
	g.intTo(r.Hi, hi, undefined)
	return lo
}

// of makes the code of "2 of them" and the like.
func (g *gen) of(e *syntax.Of, j jumps, next code.Label) {
	members, known := g.res.Sets[e.Set]
	if !known {
		g.ofTuple(e, j, next)
		return
	}
	in := code.Instr{Op: code.Of}
	size := len(members.Patterns)
	if members.Rules != nil {
		size = len(members.Rules)
	}
	if size > math.MaxUint16 {
		g.fail(e, "set of more than 65,535")
		return
	}
	in.C = size
	q := g.quantity(e.Quant, j.undefined)
	g.need(&in, q, size)
	if members.Rules != nil {
		deps := make([]int, size)
		for i, r := range members.Rules {
			deps[i] = int(g.dep(r))
		}
		in.Op, in.N = code.OfRules, g.b.Rules(deps)
		g.test(in, j, next)
		return
	}
	in.N, in.Indirect = g.b.Members(members.Patterns)
	switch {
	case e.At != nil:
		in.Op, in.B = code.OfAt, g.newInt()
		g.intTo(e.At, in.B, j.undefined)
	case e.In != nil:
		in.Op, in.B = code.OfIn, g.span(e.In, j.undefined)
	}
	g.test(in, j, next)
}

// need sets how many of a number of members must hold in an instruction.
func (g *gen) need(in *code.Instr, q quantity, size int) {
	n, ok := q.fixed(size)
	if ok && n >= 0 && n <= math.MaxUint16 {
		in.A = int(n)
		return
	}
	in.Counted, in.A = true, g.newInt()
	g.newInt() // Quota takes two
	if ok {
		g.b.Emit(code.Instr{Op: code.Int, A: in.A, N: n})
		return
	}
	many, on := g.newInt(), g.b.Label()
	g.b.Emit(code.Instr{Op: code.Int, A: in.A, N: -1}) // any number will do
	g.b.Emit(code.Instr{Op: code.Int, A: many, N: int64(size)})
	g.b.Emit(code.Instr{Op: code.Quota, A: in.A, B: q.reg, C: many, Percent: q.percent, To: on})
	g.b.Bind(on)
}

// with makes the code of "with".
func (g *gen) with(e *syntax.With, j jumps, next code.Label) {
	depth := len(g.vars)
	for i, v := range e.Vars {
		g.vars = append(g.vars, g.bind(v.Name, e.Values[i]))
	}
	g.cond(e.Body, j, next)
	g.vars = g.vars[:depth]
}

// bind makes the code that gives a variable its value.
func (g *gen) bind(name string, e syntax.Expr) variable {
	v := g.declare(name, g.kind(e))
	if v.kind == module.Regexp {
		v.regexp = g.regexp(e)
		return v
	}
	g.assign(&v, func(undefined code.Label) { g.to(e, v, undefined) })
	return v
}

// declare takes the register of a variable.
func (g *gen) declare(name string, k module.Kind) variable {
	v := variable{name: name, kind: k, flag: -1}
	switch k {
	case module.Bool, module.Int, module.Float:
		v.reg = g.newInt()
	case module.String:
		v.reg = g.newText()
	case module.Regexp:
	default:
		v.kind, v.reg = module.Struct, g.newValue()
	}
	return v
}

// assign runs what gives a variable its value, and makes the code that keeps
// whether there is one.
func (g *gen) assign(v *variable, give func(undefined code.Label)) {
	was := g.now
	undefined := g.b.Label()
	give(undefined)
	g.now = was
	if !g.b.Used(undefined) {
		g.b.Bind(undefined)
		return
	}
	on := g.b.Label()
	if v.kind == module.Struct {
		g.b.Emit(code.Instr{Op: code.Jump, To: on})
		g.b.Bind(undefined)
		g.nothing(v.reg)
		g.b.Bind(on)
		return
	}
	v.flag = g.newInt()
	g.b.Emit(code.Instr{Op: code.Int, A: v.flag, N: 1})
	g.b.Emit(code.Instr{Op: code.Jump, To: on})
	g.b.Bind(undefined)
	g.b.Emit(code.Instr{Op: code.Int, A: v.flag})
	g.b.Bind(on)
}

// nothing makes a value undefined: a field of what has none.
func (g *gen) nothing(reg int) {
	was := g.now
	i := g.newInt()
	g.b.Emit(code.Instr{Op: code.Int, A: i})
	g.b.Emit(code.Instr{Op: code.BoxInt, A: reg, B: i})
	g.b.Emit(code.Instr{Op: code.Index, A: reg, B: reg, C: i})
	g.now = was
}
