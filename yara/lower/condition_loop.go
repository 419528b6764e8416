package lower

import (
	"github.com/showcause/showcause/yara/code"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/syntax"
)

// quantity is how many must hold.
type quantity struct {
	word    string // "all", "none"; or n, or the integers reg and reg+1, which is not 0 for "all"
	percent bool
	known   bool
	n       int64
	reg     int
}

// fixed is the number of a known quantity out of size: 0 is none, less is any
// number.
func (q quantity) fixed(size int) (int64, bool) {
	switch {
	case q.word == "all":
		if size == 0 {
			return -1, true
		}
		return int64(size), true
	case q.word == "none":
		return 0, true
	case !q.known:
		return 0, false
	case !q.percent:
		return max(q.n, -1), true
	}
	if n := (q.n*int64(size) + 99) / 100; n > 0 {
		return n, true
	}
	return -1, true
}

// quantity makes the code of a quantifier. YARA 4 takes an undefined one for
// "all"; the number 0 means "none".
func (g *gen) quantity(q *syntax.Quantifier, undefined code.Label) quantity {
	switch q.Word {
	case "all", "none":
		return quantity{word: q.Word}
	case "any":
		return quantity{known: true, n: 1}
	}
	if v, ok := g.constant(bare(q.N)); ok {
		if v.Int == 0 && !q.Percent {
			return quantity{word: "none"}
		}
		return quantity{known: true, n: v.Int, percent: q.Percent}
	}
	out := quantity{percent: q.Percent, reg: g.newInt()}
	all := g.newInt()
	if !g.yara4() || q.Percent {
		g.intTo(q.N, out.reg, undefined)
		g.b.Emit(code.Instr{Op: code.Int, A: all})
		return out
	}
	g.b.Emit(code.Instr{Op: code.Int, A: all, N: 1})
	on := g.b.Label()
	g.intTo(q.N, out.reg, on)
	g.b.Emit(code.Instr{Op: code.Int, A: all})
	g.b.Bind(on)
	return out
}

// counter is where a loop keeps how many must still hold, if it has to count.
type counter struct {
	q    quantity
	need int // two integers
}

// count makes the code that begins to count. size is the integer that has how
// often the loop goes round.
func (g *gen) count(q quantity, size int, j jumps) counter {
	c := counter{q: q, need: -1}
	if !q.counts() {
		return c
	}
	c.need = g.newInt()
	g.newInt()
	if q.known { // as if it were computed
		q.reg = g.newInt()
		g.b.Emit(code.Instr{Op: code.Int, A: q.reg, N: q.n})
		g.b.Emit(code.Instr{Op: code.Int, A: g.newInt()})
	}
	g.b.Emit(code.Instr{Op: code.Quota, A: c.need, B: q.reg, C: size, Percent: q.percent, To: j.yes})
	return c
}

// counts says whether a loop has to count: not for all, none and any.
func (q quantity) counts() bool {
	return q.word == "" && !(q.known && !q.percent && q.n == 1)
}

// round makes the code of the body of a loop and of what follows from it, up to
// where the loop goes on. body makes the code of the body itself.
func (g *gen) round(c counter, j jumps, body func(j jumps, next code.Label)) {
	on := g.b.Label()
	switch {
	case c.q.word == "all":
		body(jumps{on, j.no, j.no}, on)
	case c.q.word == "none":
		body(jumps{j.no, on, on}, on)
	case !c.q.counts():
		body(jumps{j.yes, on, on}, on)
	default:
		hit, miss := g.b.Label(), g.b.Label()
		body(jumps{hit, miss, miss}, hit)
		g.b.Bind(hit)
		g.b.Emit(code.Instr{Op: code.Hit, A: c.need, Enough: j.yes, To: j.no})
		g.b.Emit(code.Instr{Op: code.Jump, To: on})
		g.b.Bind(miss)
		g.b.Emit(code.Instr{Op: code.Miss, A: c.need, To: j.no})
	}
	g.b.Bind(on)
}

// finish makes the code of what is left when a loop has gone round.
func (g *gen) finish(c counter, j jumps, next code.Label) {
	switch {
	case c.q.word != "":
		g.goTo(j.yes, next)
	case !c.q.counts():
		g.goTo(j.no, next)
	default: // none was asked for, and none held
		g.test(code.Instr{Op: code.Eq, B: c.need, HasY: true}, j, next)
	}
}

// ofTuple makes the code of "of" over conditions.
func (g *gen) ofTuple(e *syntax.Of, j jumps, next code.Label) {
	q := g.quantity(e.Quant, j.undefined)
	size := g.newInt()
	g.b.Emit(code.Instr{Op: code.Int, A: size, N: int64(len(e.Set.Items))})
	c := g.count(q, size, j)
	for _, item := range e.Set.Items {
		g.round(c, j, func(j jumps, next code.Label) { g.cond(item, j, next) })
	}
	g.finish(c, j, next)
}

// loop takes the registers of a loop: its counter, the last value of that, and
// how often it goes round.
func (g *gen) loop() int {
	base := g.newInt()
	g.newInt()
	g.newInt()
	return base
}

// upTo makes the code that sets a loop to go round n times, from 0.
func (g *gen) upTo(base, n int) {
	g.b.Emit(code.Instr{Op: code.Int, A: base})
	g.b.Emit(code.Instr{Op: code.Int, A: base + 1, N: int64(n) - 1})
	g.b.Emit(code.Instr{Op: code.Int, A: base + 2, N: int64(n)})
}

// forOf makes the code of a loop over patterns.
func (g *gen) forOf(e *syntax.ForOf, j jumps, next code.Label) {
	q := g.quantity(e.Quant, j.undefined)
	members := g.res.Sets[e.Set].Patterns
	if len(members) == 0 {
		g.fail(e, "loop over no patterns")
		return
	}
	base := g.loop()
	g.upTo(base, len(members))
	c := g.count(q, base+2, j)
	current := g.newInt()
	head := g.b.Label()
	g.b.Bind(head)
	in := code.Instr{Op: code.Member, A: current, B: base, C: len(members)}
	in.N, in.Indirect = g.b.Members(members)
	g.b.Emit(in)
	g.current = append(g.current, current)
	g.round(c, j, func(j jumps, next code.Label) { g.cond(e.Body, j, next) })
	g.current = g.current[:len(g.current)-1]
	g.b.Emit(code.Instr{Op: code.Next, A: base, To: head})
	g.finish(c, j, next)
}

// forIn makes the code of a loop over values. One that goes round never is false.
func (g *gen) forIn(e *syntax.ForIn, j jumps, next code.Label) {
	q := g.quantity(e.Quant, j.undefined)
	base := g.loop()
	never := j.no
	var each func() []variable // makes the code that gives the variables their values
	switch it := e.Iter.(type) {
	case *syntax.Range:
		g.intTo(it.Lo, base, never)
		g.intTo(it.Hi, base+1, never)
		g.b.Emit(code.Instr{Op: code.Range, A: base, To: never})
		each = func() []variable {
			return []variable{{name: e.Vars[0].Name, kind: module.Int, reg: base, flag: -1}}
		}
	case *syntax.Set:
		g.upTo(base, len(it.Items))
		each = func() []variable { return []variable{g.item(e.Vars[0].Name, it, base)} }
	default:
		t := g.res.Types[e.Iter]
		if t == nil || t.Elem == nil {
			g.fail(e, "loop over what is no array")
			return
		}
		v := g.valueOf(e.Iter, never)
		g.b.Emit(code.Instr{Op: code.Len, A: base + 1, B: v, To: never})
		g.b.Emit(code.Instr{Op: code.Int, A: base})
		g.b.Emit(code.Instr{Op: code.Sub, A: base + 1, B: base + 1, Y: 1, HasY: true})
		g.b.Emit(code.Instr{Op: code.Range, A: base, To: never})
		each = func() []variable { return g.elements(e, t, v, base) }
	}
	c := g.count(q, base+2, j)
	head := g.b.Label()
	g.b.Bind(head)
	depth := len(g.vars)
	g.vars = append(g.vars, each()...)
	g.round(c, j, func(j jumps, next code.Label) { g.cond(e.Body, j, next) })
	g.vars = g.vars[:depth]
	g.b.Emit(code.Instr{Op: code.Next, A: base, To: head})
	g.finish(c, j, next)
}

// elements makes the code of the variables of a loop over an array or a map.
func (g *gen) elements(e *syntax.ForIn, t *module.Type, from, index int) []variable {
	if t.Kind == module.Map {
		pair := g.newValue()
		g.newValue()
		g.b.Emit(code.Instr{Op: code.Pair, A: pair, B: from, C: index})
		out := []variable{g.unboxed(e.Vars[0].Name, t.Key, pair)}
		if len(e.Vars) > 1 {
			out = append(out, g.unboxed(e.Vars[1].Name, t.Elem.Kind, pair+1))
		}
		return out
	}
	v := g.newValue()
	g.b.Emit(code.Instr{Op: code.Index, A: v, B: from, C: index})
	return []variable{g.unboxed(e.Vars[0].Name, t.Elem.Kind, v)}
}

// unboxed makes the code of a variable whose value stands in a register.
func (g *gen) unboxed(name string, k module.Kind, from int) variable {
	v := g.declare(name, k)
	if v.kind == module.Struct {
		v.reg = from
		return v
	}
	g.assign(&v, func(undefined code.Label) {
		op := code.UnboxInt
		switch k {
		case module.Float:
			op = code.UnboxFloat
		case module.String:
			op = code.UnboxText
		}
		g.b.Emit(code.Instr{Op: op, A: v.reg, B: from, To: undefined})
	})
	return v
}

// item makes the code of the variable of a loop over a list of values.
func (g *gen) item(name string, s *syntax.Set, index int) variable {
	v := g.declare(name, g.kind(s.Items[0]))
	if v.kind == module.Regexp {
		g.fail(s, "list of regular expressions")
		return v
	}
	if list, ok := g.numbers(s); ok && v.kind == module.Int {
		g.b.Emit(code.Instr{Op: code.NumberAt, A: v.reg, B: index, C: len(list), N: g.b.Numbers(list)})
		return v
	}
	g.assign(&v, func(undefined code.Label) {
		on := g.b.Label()
		targets := make([]code.Label, len(s.Items))
		for i := range targets {
			targets[i] = g.b.Label()
		}
		g.b.Emit(code.Instr{Op: code.Switch, B: index, C: len(targets), N: g.b.Targets(targets), To: on})
		for i, item := range s.Items {
			g.b.Bind(targets[i])
			was := g.now
			g.to(item, v, undefined)
			g.now = was
			g.b.Emit(code.Instr{Op: code.Jump, To: on})
		}
		g.b.Bind(on)
	})
	return v
}

// numbers are the values of a list of constants.
func (g *gen) numbers(s *syntax.Set) ([]int64, bool) {
	out := make([]int64, len(s.Items))
	for i, item := range s.Items {
		v, ok := g.constant(bare(item))
		if !ok || v.Kind != module.Int {
			return nil, false
		}
		out[i] = v.Int
	}
	return out, true
}
