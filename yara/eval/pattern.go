package eval

import (
	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/syntax"
)

// pattern is the index of the pattern that a name means.
func (m *machine) pattern(name syntax.Ident) int {
	if name.Name == "$" {
		if n := len(m.current); n > 0 {
			return m.current[n-1]
		}
		return -1
	}
	for i, p := range m.rule.Patterns {
		if p.Name.Name == name.Name {
			return i
		}
	}
	return -1
}

func (m *machine) matchesOf(pattern int) []Match {
	if pattern < 0 {
		return nil
	}
	return m.in.Matches(m.rule, pattern)
}

// found says whether a pattern was found, at a place or in a range if there is
// one.
func (m *machine) found(pattern int, at syntax.Expr, in *syntax.Range) module.Value {
	all := m.matchesOf(pattern)
	switch {
	case at != nil:
		x := m.eval(at)
		if !x.Defined() && m.yara4() {
			return module.BoolValue(false)
		}
		if !x.Defined() {
			return undefined()
		}
		for _, f := range all {
			if f.Offset == x.Int {
				return module.BoolValue(true)
			}
		}
		return module.BoolValue(false)
	case in != nil:
		n, ok := m.countIn(all, in)
		if !ok {
			return undefined()
		}
		return module.BoolValue(n > 0)
	}
	return module.BoolValue(len(all) > 0)
}

// countIn counts the matches whose offset is in a range; false if a bound is
// undefined.
func (m *machine) countIn(all []Match, in *syntax.Range) (int64, bool) {
	lo, hi := m.eval(in.Lo), m.eval(in.Hi)
	if !lo.Defined() || !hi.Defined() {
		return 0, false
	}
	n := int64(0)
	for _, f := range all {
		if f.Offset >= lo.Int && f.Offset <= hi.Int {
			n++
		}
	}
	return n, true
}

func (m *machine) measure(e *syntax.Measure) module.Value {
	all := m.matchesOf(m.pattern(e.Name))
	if e.Kind == '#' {
		if e.In == nil {
			return module.IntValue(int64(len(all)))
		}
		n, ok := m.countIn(all, e.In)
		if !ok {
			return undefined()
		}
		return module.IntValue(n)
	}
	i := int64(1)
	if e.Index != nil {
		x := m.eval(e.Index)
		if !x.Defined() {
			return undefined()
		}
		i = x.Int
	}
	if i < 1 || i > int64(len(all)) {
		return undefined()
	}
	if e.Kind == '@' {
		return module.IntValue(all[i-1].Offset)
	}
	return module.IntValue(all[i-1].Length)
}

// A quota is how many of a number of things must hold.
type quota struct {
	all, none, percent bool
	n                  int64
	ok                 bool // false: it is undefined
}

// quantify evaluates a quantifier. YARA 4 takes an undefined one for "all"; the
// number 0 means "none" in both dialects.
func (m *machine) quantify(q *syntax.Quantifier) quota {
	switch q.Word {
	case "all":
		return quota{all: true, ok: true}
	case "none":
		return quota{none: true, ok: true}
	case "any":
		return quota{n: 1, ok: true}
	}
	v := m.eval(q.N)
	switch {
	case !v.Defined() && m.yara4() && !q.Percent:
		return quota{all: true, ok: true}
	case !v.Defined():
		return quota{}
	case v.Int == 0 && !q.Percent:
		return quota{none: true, ok: true}
	}
	return quota{n: v.Int, percent: q.Percent, ok: true}
}

// done says whether more things cannot change what holds says, after one that did
// or did not.
func (q quota) done(some int64, last bool) bool {
	switch {
	case q.all:
		return !last
	case q.none:
		return last
	case q.percent:
		return false
	}
	return some >= q.n
}

// holds says whether some of a number of things are enough. Of no things never are.
func (q quota) holds(some, of int64) bool {
	need := q.n
	switch {
	case q.all:
		need = of
	case q.none:
		return some == 0
	case q.percent:
		need = (q.n*of + 99) / 100
	}
	return some >= need
}

func (m *machine) of(e *syntax.Of) module.Value {
	q := m.quantify(e.Quant)
	members, known := m.res.Sets[e.Set]
	some, size := int64(0), int64(0)
	count := func(v module.Value) {
		size++
		if v.Truth() {
			some++
		}
	}
	member := func(p int, r *check.Rule, v module.Value) {
		count(v)
		if m.o.Trace != nil {
			m.o.Trace.Member(p, r, v.Truth())
		}
	}
	switch {
	case !q.ok:
		return undefined()
	case known && members.Rules == nil:
		if e.At != nil && !m.eval(e.At).Defined() {
			return undefined()
		}
		if e.In != nil {
			if _, ok := m.countIn(nil, e.In); !ok {
				return undefined()
			}
		}
		for _, p := range members.Patterns {
			if !m.step() {
				return undefined()
			}
			member(p, nil, m.found(p, e.At, e.In))
		}
	case known:
		for _, r := range members.Rules {
			member(-1, r, m.holds(r))
		}
	default:
		for _, item := range e.Set.Items {
			count(m.eval(item))
		}
	}
	return module.BoolValue(q.holds(some, size))
}

func (m *machine) forOf(e *syntax.ForOf) module.Value {
	q := m.quantify(e.Quant)
	if !q.ok {
		return undefined()
	}
	some := int64(0)
	members := m.res.Sets[e.Set].Patterns
	for _, p := range members {
		m.current = append(m.current, p)
		if m.o.Trace != nil {
			m.o.Trace.Round(nil, p)
		}
		holds := m.eval(e.Body).Truth()
		if holds {
			some++
		}
		m.current = m.current[:len(m.current)-1]
		if m.stopped {
			return undefined()
		}
		if q.done(some, holds) {
			break
		}
	}
	return module.BoolValue(q.holds(some, int64(len(members))))
}

// forIn evaluates a loop over values. One that goes round never is false,
// whatever its quantifier.
func (m *machine) forIn(e *syntax.ForIn) module.Value {
	q := m.quantify(e.Quant)
	if !q.ok {
		return undefined()
	}
	some, size := int64(0), int64(0)
	depth := len(m.vars)
	m.iterate(e.Iter, func(values ...module.Value) bool {
		for i, v := range e.Vars {
			if i < len(values) {
				m.vars = append(m.vars, variable{v.Name, values[i]})
			}
		}
		if m.o.Trace != nil {
			m.o.Trace.Round(values, -1)
		}
		size++
		holds := m.eval(e.Body).Truth()
		if holds {
			some++
		}
		m.vars = m.vars[:depth]
		return !q.done(some, holds) && m.step()
	})
	if m.stopped {
		return undefined()
	}
	return module.BoolValue(size > 0 && q.holds(some, size))
}

// iterate gives the values of what a loop goes over, until visit says no.
func (m *machine) iterate(it syntax.Expr, visit func(...module.Value) bool) {
	switch it := it.(type) {
	case *syntax.Range:
		lo, hi := m.eval(it.Lo), m.eval(it.Hi)
		if !lo.Defined() || !hi.Defined() {
			return
		}
		for i := lo.Int; i <= hi.Int; i++ {
			if !visit(module.IntValue(i)) || i == hi.Int {
				return
			}
		}
		return
	case *syntax.Set:
		for _, item := range it.Items {
			if !visit(m.eval(item)) {
				return
			}
		}
		return
	}
	switch ref := m.eval(it).Ref.(type) {
	case module.Items:
		for i := range ref.Len() {
			if !visit(ref.At(int64(i))) {
				return
			}
		}
	case module.Pairs:
		for i := range ref.Len() {
			if k, v := ref.Pair(i); !visit(k, v) {
				return
			}
		}
	}
}
