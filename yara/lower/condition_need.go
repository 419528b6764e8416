package lower

import (
	"math"
	"slices"

	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/syntax"
)

const (
	maxNecessary = 4096  // nodes looked at for what must hold of the patterns
	maxNodeDepth = 24    // of nodes, below what package rule takes
	maxNodeKids  = 60000 // and so of operands
	maxDistinct  = 256   // pattern numbers that package rule can count as different
)

// necessity finds what must hold of the patterns where a condition does.
type necessity struct {
	res     *check.Result
	rule    *check.Rule
	index   map[string]int
	current [][]int // patterns that "$" stands for, of each loop around here
	each    []bool  // all of them hold, rather than one
	left    int
}

// always is the node that asks nothing.
func always() rule.Node { return rule.Node{Op: rule.True} }

// node is what must hold of the patterns where e does.
func (n *necessity) node(e syntax.Expr) rule.Node {
	n.left = maxNecessary
	return n.holds(e, 0)
}

// atLeast is a pattern with so many matches.
func atLeast(pattern int, many int64) rule.Node {
	return rule.Node{Op: rule.Count, Sub: pattern, Cmp: rule.Greater, N: uint32(min(max(many, 1)-1, math.MaxUint32-1))}
}

// allOf and anyOf join nodes. What asks nothing drops out of the one and makes the
// other ask nothing.
func allOf(nodes ...rule.Node) rule.Node { return joined(rule.And, nodes) }

func anyOf(nodes ...rule.Node) rule.Node { return joined(rule.Or, nodes) }

func joined(op rule.Op, nodes []rule.Node) rule.Node {
	kids := make([]rule.Node, 0, len(nodes))
	for _, k := range nodes {
		switch {
		case k.Op == rule.True && op == rule.Or:
			return always()
		case k.Op == rule.True:
		case k.Op == op:
			kids = append(kids, k.Kids...)
		case !slices.ContainsFunc(kids[max(0, len(kids)-8):], func(o rule.Node) bool {
			return o.Op == rule.Count && k.Op == rule.Count && o.Sub == k.Sub && o.N == k.N && o.Cmp == k.Cmp
		}):
			kids = append(kids, k)
		}
	}
	switch {
	case len(kids) == 0:
		return always()
	case len(kids) == 1:
		return kids[0]
	case len(kids) > maxNodeKids && op == rule.And:
		kids = kids[:maxNodeKids]
	case len(kids) > maxNodeKids:
		return always()
	}
	return rule.Node{Op: op, Kids: kids}
}

// constant is the value of an expression, if that is known.
func (n *necessity) constant(e syntax.Expr) (module.Value, bool) {
	v, ok := n.res.Consts[bare(e)]
	return v, ok && v.Defined()
}

// integer is the value of an integer expression, if that is known.
func (n *necessity) integer(e syntax.Expr) (int64, bool) {
	v, ok := n.constant(e)
	return v.Int, ok && (v.Kind == module.Int || v.Kind == module.Bool)
}

// spend says whether another expression may be looked at.
func (n *necessity) spend(depth int) bool {
	n.left--
	return n.left >= 0 && depth <= maxNodeDepth
}

// holds is what must hold of the patterns where e is true.
func (n *necessity) holds(e syntax.Expr, depth int) rule.Node {
	e = bare(e)
	if _, known := n.constant(e); known || !n.spend(depth) {
		return always()
	}
	switch e := e.(type) {
	case *syntax.Logic:
		kids := make([]rule.Node, len(e.Kids))
		for i, k := range e.Kids {
			kids[i] = n.holds(k, depth+1)
		}
		if e.Op == "and" {
			return allOf(kids...)
		}
		return anyOf(kids...)
	case *syntax.Unary:
		switch e.Op {
		case "not":
			return n.fails(e.X, depth+1)
		case "defined":
			return n.defined(e.X, depth+1)
		}
	case *syntax.Match:
		found := n.found(e.Name, 1)
		if e.At != nil {
			found = allOf(found, n.defined(e.At, depth+1))
		}
		return found
	case *syntax.Measure:
		if e.Kind == '#' {
			return n.found(e.Name, 1)
		}
	case *syntax.Binary:
		return n.compared(e, depth)
	case *syntax.Of:
		return n.of(e, depth)
	case *syntax.ForOf:
		return n.forOf(e, depth)
	case *syntax.ForIn:
		return n.forIn(e, depth)
	case *syntax.With:
		return n.holds(e.Body, depth+1)
	}
	return n.defined(e, depth)
}

// fails is what must hold of the patterns where e is false or undefined.
func (n *necessity) fails(e syntax.Expr, depth int) rule.Node {
	e = bare(e)
	if _, known := n.constant(e); known || !n.spend(depth) {
		return always()
	}
	switch e := e.(type) {
	case *syntax.Logic:
		kids := make([]rule.Node, len(e.Kids))
		for i, k := range e.Kids {
			kids[i] = n.fails(k, depth+1)
		}
		if e.Op == "and" {
			return anyOf(kids...)
		}
		return allOf(kids...)
	case *syntax.Unary:
		if x := bare(e.X); e.Op == "not" {
			switch x := x.(type) {
			case *syntax.Logic:
				return n.holds(x, depth+1)
			case *syntax.Match:
				if x.At == nil && x.In == nil {
					return n.holds(x, depth+1)
				}
			}
		}
	case *syntax.Of:
		members := n.res.Sets[e.Set]
		if e.Quant.Word == "none" && e.At == nil && e.In == nil && len(members.Patterns) > 0 {
			return n.some(members.Patterns, 1)
		}
	case *syntax.Binary:
		if m, op, many, ok := n.counted(e); ok && m.In == nil {
			switch op {
			case "<":
				return n.more(m.Name, many)
			case "<=":
				return n.more(m.Name, many+1)
			case "==":
				if many == 0 {
					return n.more(m.Name, 1)
				}
			}
		}
	}
	return always()
}

// more is a pattern with so many matches, if that asks for any.
func (n *necessity) more(name syntax.Ident, many int64) rule.Node {
	if many < 1 {
		return always()
	}
	return n.found(name, many)
}

// found is the pattern of a name with so many matches.
func (n *necessity) found(name syntax.Ident, many int64) rule.Node {
	if name.Name != "$" {
		i, ok := n.index[name.Name]
		if !ok {
			return always()
		}
		return atLeast(i, many)
	}
	if len(n.current) == 0 {
		return always()
	}
	members := n.current[len(n.current)-1]
	n.left -= len(members)
	nodes := make([]rule.Node, len(members))
	for i, p := range members {
		nodes[i] = atLeast(p, many)
	}
	if n.each[len(n.each)-1] {
		return allOf(nodes...)
	}
	return anyOf(nodes...)
}

// some is so many of a number of patterns.
func (n *necessity) some(members []int, many int64) rule.Node {
	n.left -= len(members)
	nodes := make([]rule.Node, len(members))
	small := true
	for i, p := range members {
		nodes[i] = atLeast(p, 1)
		small = small && p < maxDistinct
	}
	switch {
	case many < 1:
		return always()
	case many >= int64(len(members)): // if there are fewer, it never holds
		return allOf(nodes...)
	case many == 1 || !small:
		return anyOf(nodes...)
	}
	return rule.Node{Op: rule.Group, Cmp: rule.Greater, Distinct: uint32(many), Kids: []rule.Node{anyOf(nodes...)}}
}

// asked is how many of size a quantifier asks for at least; 0 if that is not known.
func (n *necessity) asked(q *syntax.Quantifier, size int) int64 {
	switch q.Word {
	case "all":
		return int64(size)
	case "any":
		return 1
	case "none":
		return 0
	}
	many, ok := n.integer(q.N)
	switch {
	case !ok || many < 1:
		return 0
	case q.Percent:
		return (many*int64(size) + 99) / 100
	}
	return many
}

func (n *necessity) of(e *syntax.Of, depth int) rule.Node {
	members, known := n.res.Sets[e.Set]
	switch {
	case known && members.Rules == nil:
		return n.some(members.Patterns, n.asked(e.Quant, len(members.Patterns)))
	case known:
		return always()
	}
	many := n.asked(e.Quant, len(e.Set.Items))
	kids := make([]rule.Node, len(e.Set.Items))
	for i, item := range e.Set.Items {
		kids[i] = n.holds(item, depth+1)
	}
	switch {
	case many < 1:
		return always()
	case many >= int64(len(kids)):
		return allOf(kids...)
	}
	return anyOf(kids...)
}

func (n *necessity) forOf(e *syntax.ForOf, depth int) rule.Node {
	members := n.res.Sets[e.Set].Patterns
	many := n.asked(e.Quant, len(members))
	if many < 1 || len(members) == 0 {
		return always()
	}
	// What "all" asks of each may only be split up where the body asks it of one
	// pattern: an "or" of two would not hold for each on its own.
	n.current = append(n.current, members)
	n.each = append(n.each, many >= int64(len(members)) && conjunctive(e.Body))
	out := n.holds(e.Body, depth+1)
	n.current, n.each = n.current[:len(n.current)-1], n.each[:len(n.each)-1]
	return out
}

// conjunctive says whether an expression has no "or", "not" or loop.
func conjunctive(e syntax.Expr) bool {
	is := true
	syntax.Walk(e, func(e syntax.Expr) bool {
		switch e := e.(type) {
		case *syntax.Logic:
			is = is && e.Op == "and"
		case *syntax.Unary:
			is = is && e.Op != "not"
		case *syntax.Of, *syntax.ForOf, *syntax.ForIn, *syntax.With:
			is = false
		}
		return is
	})
	return is
}

func (n *necessity) forIn(e *syntax.ForIn, depth int) rule.Node {
	out := always()
	if r, ok := e.Iter.(*syntax.Range); ok { // it goes round at least once
		out = allOf(n.defined(r.Lo, depth+1), n.defined(r.Hi, depth+1))
		m, isMeasure := bare(r.Hi).(*syntax.Measure)
		if lo, known := n.integer(r.Lo); known && lo > 0 && isMeasure && m.Kind == '#' {
			out = allOf(out, n.found(m.Name, lo))
		}
	}
	if n.asked(e.Quant, 1) < 1 {
		return out
	}
	return allOf(out, n.holds(e.Body, depth+1))
}

// counted reads a comparison of #a with a number, with #a to the left.
func (n *necessity) counted(e *syntax.Binary) (m *syntax.Measure, op syntax.Op, many int64, ok bool) {
	if _, is := comparisons[e.Op]; !is {
		return nil, "", 0, false
	}
	x, y, op := e.X, e.Y, e.Op
	if _, known := n.integer(x); known {
		x, y, op = y, x, mirrored(op)
	}
	m, ok = bare(x).(*syntax.Measure)
	many, known := n.integer(y)
	return m, op, many, ok && known && m.Kind == '#'
}

// compared is what must hold where a comparison or an operator is true.
func (n *necessity) compared(e *syntax.Binary, depth int) rule.Node {
	out := n.defined(e, depth)
	m, op, many, ok := n.counted(e)
	if !ok {
		return out
	}
	switch op {
	case ">":
		many++
	case "==", ">=":
	case "!=":
		if many != 0 {
			return out
		}
		many = 1
	default:
		return out
	}
	return allOf(out, n.more(m.Name, many))
}

// defined is what must hold of the patterns where e has a value.
func (n *necessity) defined(e syntax.Expr, depth int) rule.Node {
	e = bare(e)
	if _, known := n.constant(e); known || !n.spend(depth) {
		return always()
	}
	switch e := e.(type) {
	case *syntax.Measure:
		if e.Kind == '#' {
			if e.In != nil {
				return allOf(n.defined(e.In.Lo, depth+1), n.defined(e.In.Hi, depth+1))
			}
			return always()
		}
		if e.Index == nil {
			return n.found(e.Name, 1)
		}
		if i, known := n.integer(e.Index); known {
			return n.found(e.Name, i)
		}
		return allOf(n.found(e.Name, 1), n.defined(e.Index, depth+1))
	case *syntax.Binary:
		return allOf(n.defined(e.X, depth+1), n.defined(e.Y, depth+1))
	case *syntax.Unary:
		if e.Op != "defined" {
			return n.defined(e.X, depth+1)
		}
	case *syntax.Index:
		return allOf(n.defined(e.X, depth+1), n.defined(e.I, depth+1))
	case *syntax.Select:
		return n.defined(e.X, depth+1)
	case *syntax.Call:
		kids := make([]rule.Node, len(e.Args))
		for i, a := range e.Args {
			kids[i] = n.defined(a, depth+1)
		}
		return allOf(kids...)
	}
	return always()
}
