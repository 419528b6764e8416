// Package eval runs the conditions of rules as they stand in the tree. It is slow
// and simple: what a compiled form of a condition is held against, and what
// explains one.
//
// A value can be undefined: a read past the end, a field that a file does not
// have, the second match of a pattern with one. What is computed from an undefined
// value is undefined; "and", "or", loops and the rule itself take it for false;
// "defined" asks for it.
package eval

import (
	"slices"

	"github.com/showcause/showcause/regex"
	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/source"
	"github.com/showcause/showcause/yara/syntax"
)

// Match is one place where a pattern was found, bytes.
type Match struct{ Offset, Length int64 }

// Input is what is scanned.
type Input interface {
	// Size is the number of bytes.
	Size() int64
	// Read gives bytes off to off+n, nil if some of them are not there.
	Read(off int64, n int) []byte
	// Matches are the places of a pattern of a rule, by offset.
	Matches(r *check.Rule, pattern int) []Match
	// Module is the value of a module.
	Module(name string, d source.Dialect) module.Value
	// Entry is the entry point for YARA's keyword, false if there is none.
	Entry() (int64, bool)
}

// Options bound a run. The zero value has no externals and a million steps.
type Options struct {
	Externals map[string]module.Value
	// Limit is the number of steps of one rule: nodes visited and values iterated.
	Limit int64
	// Trace is told what is evaluated; nil: nobody is.
	Trace Tracer
}

// Tracer is told what is evaluated, in the order in which that happens. With one,
// "and" and "or" evaluate what they need not as well, within a budget of its own,
// so that it can be told; the value is the same.
type Tracer interface {
	// Rule begins the condition of a rule, and Done ends it.
	Rule(r *check.Rule)
	Done(r *check.Rule, holds bool)
	// Enter begins an expression, and Leave ends it.
	Enter(e syntax.Expr)
	Leave(e syntax.Expr, v module.Value)
	// Round begins a round of the loop that was entered last, with the values of
	// its variables, or with the index of a pattern.
	Round(values []module.Value, pattern int)
	// Member is a member of the set of the "of" that was entered last: a pattern by
	// its index, or a rule.
	Member(pattern int, r *check.Rule, holds bool)
}

// defaultLimit is the Limit of the zero value.
const defaultLimit = 1 << 20

// Outcome says which rules hold.
type Outcome struct {
	// Holds says of each rule whether its condition holds, global rules of its
	// namespace included. Private rules are among them.
	Holds map[*check.Rule]bool
	// Stopped are rules that reached the limit: they are not known not to hold.
	Stopped []*check.Rule
}

// Run evaluates all rules that have no error.
func Run(res *check.Result, in Input, o Options) *Outcome {
	if o.Limit == 0 {
		o.Limit = defaultLimit
	}
	out := &Outcome{Holds: map[*check.Rule]bool{}}
	m := &machine{res: res, in: in, o: o, out: out, programs: map[string]regex.Program{}}
	barred := map[string]bool{} // namespaces in which a global rule does not hold
	for _, r := range res.Rules {
		if r.Bad || r.Ignored != "" || r.Cond == nil {
			continue
		}
		m.rule, m.steps, m.vars, m.current, m.stopped = r, 0, nil, nil, false
		if o.Trace != nil {
			o.Trace.Rule(r)
		}
		holds := m.eval(r.Cond).Truth()
		if m.stopped {
			out.Stopped = append(out.Stopped, r)
			holds = false
		}
		out.Holds[r] = holds
		if o.Trace != nil {
			o.Trace.Done(r, holds)
		}
		if r.Flag("global") && !holds {
			barred[r.Namespace] = true
		}
	}
	for r := range out.Holds {
		if barred[r.Namespace] {
			out.Holds[r] = false
		}
	}
	return out
}

// machine evaluates one rule at a time.
type machine struct {
	res      *check.Result
	in       Input
	o        Options
	out      *Outcome
	rule     *check.Rule
	vars     []variable
	current  []int // patterns of the loops around here
	steps    int64
	stopped  bool
	idle     bool // what is evaluated is only to be told
	programs map[string]regex.Program
}

type variable struct {
	name  string
	value module.Value
}

// undefined is the zero Value, named for the reader.
func undefined() module.Value { return module.Value{} }

// step counts and says whether the rule may go on.
func (m *machine) step() bool {
	m.steps++
	if m.steps > m.o.Limit {
		m.stopped = true
	}
	return !m.stopped
}

// yara4 says whether the rule is read as YARA 4 has it.
func (m *machine) yara4() bool { return m.rule.Dialect == source.YARA }

// eval is the value of an expression.
func (m *machine) eval(e syntax.Expr) module.Value {
	if !m.step() {
		return undefined()
	}
	if m.o.Trace == nil {
		return m.value(e)
	}
	m.o.Trace.Enter(e)
	v := m.value(e)
	m.o.Trace.Leave(e, v)
	return v
}

// value is eval without the count and the trace.
func (m *machine) value(e syntax.Expr) module.Value {
	switch e := e.(type) {
	case *syntax.Literal:
		return literal(e)
	case *syntax.Keyword:
		if e.Name == "filesize" {
			return module.IntValue(m.in.Size())
		}
		if at, ok := m.in.Entry(); ok {
			return module.IntValue(at)
		}
	case *syntax.Name:
		return m.name(e)
	case *syntax.Select:
		if fields, ok := m.eval(e.X).Ref.(module.Fields); ok {
			return fields.Field(e.Field.Name)
		}
	case *syntax.Index:
		return m.index(e)
	case *syntax.Call:
		return m.call(e)
	case *syntax.Unary:
		return m.unary(e)
	case *syntax.Binary:
		return m.binary(e)
	case *syntax.Logic:
		return m.logic(e)
	case *syntax.Paren:
		return m.eval(e.X)
	case *syntax.Match:
		return m.found(m.pattern(e.Name), e.At, e.In)
	case *syntax.Measure:
		return m.measure(e)
	case *syntax.Of:
		return m.of(e)
	case *syntax.ForOf:
		return m.forOf(e)
	case *syntax.ForIn:
		return m.forIn(e)
	case *syntax.With:
		return m.with(e)
	}
	return undefined()
}

func literal(e *syntax.Literal) module.Value {
	switch e.Kind {
	case syntax.IntegerLit:
		return module.IntValue(e.Int)
	case syntax.FloatLit:
		return module.FloatValue(e.Float)
	case syntax.TextLit:
		return module.TextValue(e.Text)
	case syntax.BoolLit:
		return module.BoolValue(e.Int != 0)
	}
	return module.Value{Kind: module.Regexp, Text: e.Text, Flags: e.Flags}
}

// name is the value of an identifier: a variable, an external, a rule or a
// module.
func (m *machine) name(e *syntax.Name) module.Value {
	for i := len(m.vars) - 1; i >= 0; i-- {
		if m.vars[i].name == e.Name {
			return m.vars[i].value
		}
	}
	if r := m.res.Refs[e]; r != nil {
		return m.holds(r)
	}
	if v, ok := m.o.Externals[e.Name]; ok {
		return v
	}
	return m.in.Module(e.Name, m.rule.Dialect)
}

// holds is the value of a rule before this one.
func (m *machine) holds(r *check.Rule) module.Value {
	if slices.Contains(m.out.Stopped, r) {
		m.stopped = true // what is built on it is not known either
	}
	return module.BoolValue(m.out.Holds[r])
}

func (m *machine) index(e *syntax.Index) module.Value {
	x, i := m.eval(e.X), m.eval(e.I)
	if !i.Defined() {
		return undefined()
	}
	switch ref := x.Ref.(type) {
	case module.Items:
		return ref.At(i.Int)
	case module.Pairs:
		return ref.Find(i)
	}
	return undefined()
}

func (m *machine) call(e *syntax.Call) module.Value {
	if n, ok := e.Fn.(*syntax.Name); ok && len(e.Args) == 1 && isRead(n.Name) {
		return m.read(n.Name, m.eval(e.Args[0]))
	}
	if s, ok := e.Fn.(*syntax.Select); ok && s.Field.Name == "len" && !m.yara4() {
		if v, ok := length(m.eval(s.X)); ok {
			return v
		}
	}
	fn, ok := m.eval(e.Fn).Ref.(module.Function)
	if !ok {
		return undefined()
	}
	args := make([]module.Value, len(e.Args))
	for i, a := range e.Args {
		if args[i] = m.eval(a); !args[i].Defined() {
			return undefined()
		}
	}
	return fn(args)
}

// length is the value of x.len().
func length(x module.Value) (module.Value, bool) {
	if x.Kind == module.String {
		return module.IntValue(int64(len(x.Text))), true
	}
	switch ref := x.Ref.(type) {
	case module.Items:
		return module.IntValue(int64(ref.Len())), true
	case module.Pairs:
		return module.IntValue(int64(ref.Len())), true
	}
	return undefined(), false
}

func (m *machine) logic(e *syntax.Logic) module.Value {
	for i, k := range e.Kids {
		if m.eval(k).Truth() == (e.Op == "or") {
			m.rest(e.Kids[i+1:])
			return module.BoolValue(e.Op == "or")
		}
	}
	return module.BoolValue(e.Op != "or")
}

// restLimit is the number of steps for what is evaluated only to be told.
const restLimit = 10_000

// rest evaluates what the value does not depend on, for the trace.
func (m *machine) rest(kids []syntax.Expr) {
	if m.o.Trace == nil || m.stopped || m.idle {
		return
	}
	steps, limit := m.steps, m.o.Limit
	m.steps, m.o.Limit, m.idle = 0, restLimit, true
	for _, k := range kids {
		m.eval(k)
	}
	m.steps, m.o.Limit, m.idle, m.stopped = steps, limit, false, false
}

func (m *machine) unary(e *syntax.Unary) module.Value {
	x := m.eval(e.X)
	if e.Op == "defined" {
		return module.BoolValue(x.Defined())
	}
	switch {
	case !x.Defined():
		return undefined()
	case e.Op == "not":
		return module.BoolValue(!x.Truth())
	case e.Op == "~":
		return module.IntValue(^x.Int)
	case x.Kind == module.Float:
		return module.FloatValue(-x.Float)
	}
	return module.IntValue(-x.Int)
}

func (m *machine) binary(e *syntax.Binary) module.Value {
	x, y := m.eval(e.X), m.eval(e.Y)
	switch {
	case !x.Defined() || !y.Defined():
		return undefined()
	case e.Op == "matches":
		return m.matches(x, y)
	}
	return operate(string(e.Op), x, y, m.yara4())
}

func (m *machine) with(e *syntax.With) module.Value {
	depth := len(m.vars)
	for i, v := range e.Vars {
		x := m.eval(e.Values[i])
		m.vars = append(m.vars, variable{v.Name, x})
	}
	out := m.eval(e.Body)
	m.vars = m.vars[:depth]
	return out
}
