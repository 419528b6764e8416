package regex

import (
	"fmt"

	"github.com/showcause/showcause/regex/syntax"
)

// Options say how an expression is searched for.
type Options struct {
	Ascii, Wide bool // the forms that are wanted; neither is Ascii
	FullWord    bool // a match must not touch an ASCII letter or digit
	// Reach is how many bytes before and behind an atom a match can extend:
	// 0 is the dialect's own (4,096 for YARA, unbounded for PCRE), below 0 unbounded.
	Reach int64
	// Score says how good a literal is, higher is better; nil means by its length.
	Score func(b []byte, fold bool) int
}

// Reach is how far YARA 4 and YARA-X look from an atom, in bytes
// (libyara/include/yara/limits.h; yara-x lib/src/re/mod.rs).
const Reach = 4096

// Compile turns an expression into its program, and the atoms by which its
// matches are found. Without an atom (an expression such as [a-z]+ has no
// literal) the whole input has to be searched, with Matcher.Scan. The error is
// an *Error.
func Compile(t *syntax.Tree, o Options) (Program, []Atom, error) {
	c := &compiler{t: t, sets: map[syntax.Set]uint32{}, first: map[*syntax.Node]uint32{}}
	if o.Ascii || !o.Wide {
		c.flags |= flagAscii
	}
	if o.Wide {
		c.flags |= flagWide
	}
	c.setFlags(o)
	c.back = needsBack(t.Root)
	if c.back {
		c.flags |= flagBack
	}
	root := t.Root
	if !c.back {
		root = simplify(root)
	}
	end := c.emit(instr{op: opMatch})
	entry, err := c.node(root, end)
	if err == nil && t.Flags.Anchored {
		entry, err = c.node(&syntax.Node{Op: syntax.Assert, Test: syntax.Begin}, entry)
	}
	if err != nil {
		return nil, nil, err
	}
	prog := c.encode(entry, o.reach(t.Flags.Dialect))
	return prog, c.atoms(root, o.Score), nil
}

func (o *Options) reach(d syntax.Dialect) uint32 {
	switch {
	case o.Reach > 0:
		return uint32(min(o.Reach, 1<<31))
	case o.Reach == 0 && d == syntax.YARA4:
		return Reach
	case o.Reach == 0 && d == syntax.YARAX:
		return Reach - 1 // characters, of one or two bytes
	}
	return 0
}

func (c *compiler) setFlags(o Options) {
	t := c.t
	if o.FullWord {
		c.flags |= flagFull
	}
	// What both engines do: YARA 4 takes the end that is preferred, of an
	// alternation the first that matches, and replaces a match of the same start
	// if the expression is greedy. YARA-X takes the longest if it is greedy.
	if t.Greedy && !t.Lazy {
		c.flags |= flagGreedy
		if t.Flags.Dialect == syntax.YARAX {
			c.flags |= flagLongest
		}
	}
	switch t.Flags.Dialect {
	case syntax.YARAX:
		c.flags |= flagTextEdge | flagCR | flagEmpty
	case syntax.YARA4:
		if t.Root.HasEmpty() {
			c.flags |= flagEmpty
		}
	case syntax.PCRE:
		c.flags |= flagEmpty
	}
	if t.Flags.Anchored || begins(t.Root) && (!o.Wide || t.Flags.Dialect != syntax.YARAX) {
		c.flags |= flagAnchored
	}
}

// begins tells whether every match asks for the start of the input first.
// (YARA-X has more than one start in wide text.)
func begins(n *syntax.Node) bool {
	switch n.Op {
	case syntax.Assert:
		return n.Test == syntax.Begin
	case syntax.Concat, syntax.Group:
		return begins(n.Subs[0])
	case syntax.Alt:
		for _, s := range n.Subs {
			if !begins(s) {
				return false
			}
		}
		return true
	}
	return false
}

// simplify returns the node without groups, which mean nothing to a program
// that captures nothing, and with one class for alternatives that all are
// classes: so that literals are seen across them.
func simplify(n *syntax.Node) *syntax.Node {
	switch n.Op {
	case syntax.Group:
		return simplify(n.Subs[0])
	case syntax.Concat, syntax.Alt, syntax.Repeat:
	default:
		return n
	}
	out := *n
	out.Subs = make([]*syntax.Node, len(n.Subs))
	classes := n.Op == syntax.Alt
	for i, s := range n.Subs {
		out.Subs[i] = simplify(s)
		classes = classes && out.Subs[i].Op == syntax.Class
	}
	if classes {
		out.Op = syntax.Class
		for _, s := range out.Subs {
			out.Set.Or(s.Set)
		}
		out.Subs = nil
	}
	return &out
}

// needsBack tells whether an expression has what no finite automaton does.
func needsBack(n *syntax.Node) bool {
	switch n.Op {
	case syntax.Atomic, syntax.Look, syntax.Ref, syntax.Keep, syntax.Cond:
		return true
	}
	for _, s := range n.Subs {
		if needsBack(s) {
			return true
		}
	}
	return false
}

type compiler struct {
	t     *syntax.Tree
	flags uint32
	back  bool
	code  []instr
	sets  map[syntax.Set]uint32
	list  []syntax.Set
	work  int
	loops int
	first map[*syntax.Node]uint32 // Class: the instruction of its first copy
}

func (c *compiler) emit(in instr) uint32 {
	c.code = append(c.code, in)
	return uint32(len(c.code) - 1)
}

func (c *compiler) set(s syntax.Set) uint32 {
	k, ok := c.sets[s]
	if !ok {
		k = uint32(len(c.list))
		c.sets[s] = k
		c.list = append(c.list, s)
	}
	return k
}

// node emits the code of a node that goes on at next, and returns its start.
// Code is emitted from the end to the start, so that the first copy of what is
// repeated is emitted last.
func (c *compiler) node(n *syntax.Node, next uint32) (uint32, error) {
	if c.work++; c.work > 8*maxInstr || len(c.code) > maxInstr-8 || len(c.list) > maxSets-8 {
		return 0, &syntax.Error{Code: syntax.TooLarge, Pos: n.Pos, End: n.End, Detail: fmt.Sprintf("more than %d instructions", maxInstr)}
	}
	switch n.Op {
	case syntax.Class:
		at := c.emit(instr{op: opClass, x: next, y: c.set(n.Set)})
		c.first[n] = at
		return at, nil
	case syntax.Concat:
		var err error
		for i := len(n.Subs) - 1; i >= 0 && err == nil; i-- {
			next, err = c.node(n.Subs[i], next)
		}
		return next, err
	case syntax.Alt:
		return c.alt(n, next)
	case syntax.Repeat:
		return c.repeat(n, next)
	case syntax.Group:
		return c.group(n, next)
	case syntax.Assert:
		return c.assert(n.Test, next), nil
	case syntax.Empty:
		return next, nil
	}
	return c.special(n, next)
}

func (c *compiler) assert(t syntax.Test, next uint32) uint32 {
	c.flags |= flagTests
	if t == syntax.EndLine {
		c.flags |= flagEndLine
	}
	return c.emit(instr{op: opAssert, arg: uint32(t), x: next})
}

func (c *compiler) alt(n *syntax.Node, next uint32) (uint32, error) {
	at := uint32(0)
	for i := len(n.Subs) - 1; i >= 0; i-- {
		s, err := c.node(n.Subs[i], next)
		if err != nil {
			return 0, err
		}
		if i < len(n.Subs)-1 {
			s = c.emit(instr{op: opSplit, x: s, y: at})
		}
		at = s
	}
	return at, nil
}

// split emits the choice between going into a repeated body and going on.
func (c *compiler) split(body, next uint32, lazy bool) uint32 {
	if lazy {
		body, next = next, body
	}
	return c.emit(instr{op: opSplit, x: body, y: next})
}

func (c *compiler) repeat(n *syntax.Node, next uint32) (uint32, error) {
	sub, lo, hi := n.Subs[0], n.Min, n.Max
	at := next
	var err error
	if hi < 0 {
		if at, err = c.star(sub, next, n.Lazy); err != nil {
			return 0, err
		}
	}
	for range hi - lo {
		body, err := c.node(sub, at)
		if err != nil {
			return 0, err
		}
		at = c.split(body, next, n.Lazy)
	}
	for range lo {
		if at, err = c.node(sub, at); err != nil {
			return 0, err
		}
	}
	return at, nil
}

// star emits any number of copies. A body that can be empty is x* as (x+)?, so
// that a round that takes nothing goes on behind the loop, as in Perl.
func (c *compiler) star(sub *syntax.Node, next uint32, lazy bool) (uint32, error) {
	loop := c.emit(instr{op: opSplit})
	end := loop
	empty := sub.MinLen() == 0
	counter := uint32(c.loops)
	if empty && c.back {
		if c.loops++; c.loops > 1<<15 {
			return 0, &syntax.Error{Code: syntax.TooLarge, Pos: sub.Pos, End: sub.End, Detail: "too many loops"}
		}
		end = c.emit(instr{op: opMoved, arg: counter, x: loop, y: next})
	}
	body, err := c.node(sub, end)
	if err != nil {
		return 0, err
	}
	if empty && c.back {
		body = c.emit(instr{op: opMark, arg: counter, x: body})
	}
	first, second := body, next
	if lazy {
		first, second = next, body
	}
	c.code[loop].x, c.code[loop].y = first, second
	if empty && !c.back {
		return c.split(body, next, lazy), nil
	}
	return loop, nil
}

func (c *compiler) group(n *syntax.Node, next uint32) (uint32, error) {
	if !c.back || n.Index == 0 {
		return c.node(n.Subs[0], next)
	}
	end := c.emit(instr{op: opSave, arg: uint32(2*n.Index + 1), x: next})
	at, err := c.node(n.Subs[0], end)
	if err != nil {
		return 0, err
	}
	return c.emit(instr{op: opSave, arg: uint32(2 * n.Index), x: at}), nil
}

// special emits what only backtracking can do.
func (c *compiler) special(n *syntax.Node, next uint32) (uint32, error) {
	switch n.Op {
	case syntax.Keep:
		return c.emit(instr{op: opKeep, x: next}), nil
	case syntax.Ref:
		fold := uint32(0)
		if n.Fold {
			fold = 1
		}
		return c.emit(instr{op: opRef, arg: uint32(n.Index), x: next, y: fold}), nil
	case syntax.Look, syntax.Atomic:
		return c.inner(n, next)
	}
	no, err := c.node(n.Subs[2], next)
	if err != nil {
		return 0, err
	}
	yes, err := c.node(n.Subs[1], next)
	if err != nil {
		return 0, err
	}
	if n.Index > 0 {
		return c.emit(instr{op: opCond, arg: uint32(n.Index), x: yes, y: no}), nil
	}
	look := n.Subs[0]
	if look.Op != syntax.Look {
		return 0, &syntax.Error{Code: syntax.Unsupported, Pos: n.Pos, End: n.End, Detail: "condition that is no look-around"}
	}
	// If the look-around holds the choice is made for good: so both choices
	// begin with it, one of them reversed.
	other := *look
	other.Negate = !look.Negate
	if yes, err = c.inner(look, yes); err != nil {
		return 0, err
	}
	if no, err = c.inner(&other, no); err != nil {
		return 0, err
	}
	return c.emit(instr{op: opSplit, x: yes, y: no}), nil
}

func (c *compiler) inner(n *syntax.Node, next uint32) (uint32, error) {
	end := c.emit(instr{op: opOK})
	body, err := c.node(n.Subs[0], end)
	if err != nil {
		return 0, err
	}
	if n.Op == syntax.Atomic {
		return c.emit(instr{op: opAtomic, x: next, y: body}), nil
	}
	arg := uint32(0)
	if n.Behind {
		arg = lookBehind | uint32(n.Subs[0].MinLen())<<8 | uint32(n.Subs[0].MaxLen())<<16
	}
	if n.Negate {
		arg |= lookNegated
	}
	return c.emit(instr{op: opLook, arg: arg, x: next, y: body}), nil
}

// The bits of a look's arg; the fewest and the most bytes of a look-behind are
// in its second and third byte.
const (
	lookBehind  = 1
	lookNegated = 2
)

// encode writes the program.
func (c *compiler) encode(entry, reach uint32) Program {
	slots := 0
	if c.back {
		slots = 2 * (c.t.Groups + 1)
	}
	p := make(Program, 0, headSize+instrSize*len(c.code)+setSize*len(c.list))
	p = le.AppendUint32(p, version|c.flags<<8)
	p = le.AppendUint32(p, reach)
	p = le.AppendUint32(p, entry)
	p = le.AppendUint16(p, uint16(slots))
	p = le.AppendUint16(p, uint16(c.loops))
	p = le.AppendUint32(p, uint32(len(c.code)))
	p = le.AppendUint32(p, uint32(len(c.list)))
	for _, in := range c.code {
		p = le.AppendUint32(p, uint32(in.op)|in.arg<<8)
		p = le.AppendUint32(p, in.x)
		p = le.AppendUint32(p, in.y)
	}
	for _, s := range c.list {
		for _, w := range s {
			p = le.AppendUint64(p, w)
		}
	}
	return p
}
