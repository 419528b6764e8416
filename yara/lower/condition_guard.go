package lower

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"

	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/module"
	"github.com/showcause/showcause/yara/syntax"
)

const (
	maxMagic       = 8   // numbers that a guard asks for
	maxMagicValues = 255 // values of one
	maxGuardSteps  = 4096
	maxGuardRules  = 4 // rules that name each other
)

// layer is what must hold of a layer, whatever its patterns: its size is from lo
// to hi, and all of magic holds, whose values are big-endian and ascending.
type layer struct {
	never  bool
	lo, hi uint64
	magic  []rule.Magic
}

// anyLayer asks nothing.
func anyLayer() layer { return layer{hi: math.MaxUint64} }

// guards finds what must hold of a layer where a condition does.
type guards struct {
	res  *check.Result
	rule *check.Rule
	left int
	deep int // rules
}

// guardOf is what must hold of a layer for a rule to have a chance.
func guardOf(res *check.Result, r *check.Rule) (out rule.Guard) {
	g := &guards{res: res, rule: r, left: maxGuardSteps}
	l := g.holds(r.Cond)
	if l.never || l.lo > l.hi {
		out.Magic = []rule.Magic{{Width: 1, Big: true}}
		return out
	}
	if l.lo > 0 || l.hi < math.MaxUint64 {
		out.Size = &rule.Range{Min: l.lo, Max: l.hi}
	}
	out.Magic = l.magic[:min(len(l.magic), maxMagic)]
	return out
}

// holds is what must hold of a layer where e does.
func (g *guards) holds(e syntax.Expr) layer {
	e = bare(e)
	g.left--
	if v, ok := g.res.Consts[e]; ok && v.Defined() {
		l := anyLayer()
		l.never = !v.Truth()
		return l
	}
	if g.left < 0 {
		return anyLayer()
	}
	switch e := e.(type) {
	case *syntax.Logic:
		out := g.holds(e.Kids[0])
		for _, k := range e.Kids[1:] {
			if e.Op == "and" {
				out = both(out, g.holds(k))
			} else {
				out = either(out, g.holds(k))
			}
		}
		return out
	case *syntax.Binary:
		return g.compared(e)
	case *syntax.Match:
		if e.At != nil && e.Name.Name != "$" {
			for _, p := range g.rule.Patterns {
				if p.Name.Name == e.Name.Name {
					return g.starts(p, e.At)
				}
			}
		}
	case *syntax.Of:
		return g.of(e)
	case *syntax.ForIn:
		if g.some(e.Quant) {
			return g.holds(e.Body)
		}
	case *syntax.ForOf:
		if g.some(e.Quant) {
			return g.holds(e.Body)
		}
	case *syntax.With:
		return g.holds(e.Body)
	case *syntax.Name:
		if r := g.res.Refs[e]; r != nil && r.Cond != nil && g.deep < maxGuardRules {
			was := g.rule
			g.rule = r
			g.deep++
			out := g.holds(r.Cond)
			g.deep--
			g.rule = was
			return out
		}
	}
	return anyLayer()
}

// some says whether a quantifier asks for at least one.
func (g *guards) some(q *syntax.Quantifier) bool {
	if q.N == nil {
		return q.Word != "none"
	}
	v := g.res.Consts[bare(q.N)]
	return v.Kind == module.Int && v.Int > 0
}

// of serves "any of ($a, $b) at 0".
func (g *guards) of(e *syntax.Of) layer {
	members := g.res.Sets[e.Set].Patterns
	if e.At == nil || len(members) == 0 || !g.some(e.Quant) {
		return anyLayer()
	}
	out := g.starts(g.rule.Patterns[members[0]], e.At)
	for _, p := range members[1:] {
		out = either(out, g.starts(g.rule.Patterns[p], e.At))
	}
	return out
}

// both is what must hold where both must.
func both(a, b layer) layer {
	if !b.never && b.lo == 0 && b.hi == math.MaxUint64 && len(b.magic) == 0 {
		return a
	}
	out := layer{never: a.never || b.never, lo: max(a.lo, b.lo), hi: min(a.hi, b.hi), magic: slices.Clone(a.magic)}
	for _, m := range b.magic {
		i := slices.IndexFunc(out.magic, func(o rule.Magic) bool { return alike(o, m) && o.Width == m.Width })
		if i < 0 {
			if len(out.magic) < 4*maxMagic {
				out.magic = append(out.magic, m)
			}
			continue
		}
		var values []uint64
		for _, v := range out.magic[i].Values {
			if _, ok := slices.BinarySearch(m.Values, v); ok {
				values = append(values, v)
			}
		}
		out.magic[i].Values = values
		out.never = out.never || len(values) == 0
	}
	return out
}

// either is what must hold where one of the two must.
func either(a, b layer) layer {
	switch {
	case a.never || a.lo > a.hi:
		return b
	case b.never || b.lo > b.hi:
		return a
	}
	out := layer{lo: min(a.lo, b.lo), hi: max(a.hi, b.hi)}
	for _, m := range a.magic {
		for _, o := range b.magic {
			if !alike(m, o) {
				continue
			}
			width := min(m.Width, o.Width)
			values := append(cut(m, width), cut(o, width)...)
			slices.Sort(values)
			values = slices.Compact(values)
			if len(values) <= maxMagicValues {
				m.Width, m.Values = width, values
				out.magic = append(out.magic, m)
			}
			break
		}
	}
	return out
}

// alike says whether two numbers begin at the same place.
func alike(a, b rule.Magic) bool { return a.Offset == b.Offset && a.Pointer == b.Pointer }

// cut are the values of the first width bytes of a number.
func cut(m rule.Magic, width uint8) []uint64 {
	out := make([]uint64, len(m.Values))
	for i, v := range m.Values {
		out[i] = v >> (8 * (m.Width - width))
	}
	return out
}

// compared serves comparisons of filesize, and of numbers that are read.
func (g *guards) compared(e *syntax.Binary) layer {
	if _, ok := comparisons[e.Op]; !ok {
		return anyLayer()
	}
	x, y, op := e.X, e.Y, e.Op
	v, known := g.res.Consts[bare(y)]
	if !known {
		x, op = y, mirrored(op)
		v, known = g.res.Consts[bare(e.X)]
	}
	if !known || v.Kind != module.Int {
		return anyLayer()
	}
	switch x := bare(x).(type) {
	case *syntax.Keyword:
		if x.Name == "filesize" {
			return sized(op, v.Int)
		}
	case *syntax.Call:
		if op == "==" {
			return g.read(x, v.Int)
		}
	}
	return anyLayer()
}

// sized is what a comparison of filesize says.
func sized(op syntax.Op, n int64) layer {
	out := anyLayer()
	out.hi = math.MaxInt64
	switch op {
	case "==":
		out.never = n < 0
		out.lo, out.hi = uint64(n), uint64(n)
	case "<":
		out.never = n <= 0
		out.hi = uint64(n - 1)
	case "<=":
		out.never = n < 0
		out.hi = uint64(n)
	case ">":
		out.never = n == math.MaxInt64
		if n >= 0 {
			out.lo = uint64(n) + 1
		}
	case ">=":
		out.lo = uint64(max(n, 0))
	}
	if out.hi == math.MaxInt64 {
		out.hi = math.MaxUint64
	}
	return out
}

// whole is the name of a function that reads an integer, taken apart.
type whole struct {
	width  uint8
	signed bool
	big    bool
}

func wholeOf(e *syntax.Call) (w whole, ok bool) {
	n, isName := e.Fn.(*syntax.Name)
	if !isName || len(e.Args) != 1 {
		return w, false
	}
	name := n.Name
	if k := len(name); k > 2 && name[k-2:] == "be" {
		w.big, name = true, name[:k-2]
	}
	switch name {
	case "uint8", "int8":
		w.width = 1
	case "uint16", "int16":
		w.width = 2
	case "uint32", "int32":
		w.width = 4
	default:
		return w, false
	}
	w.signed = name[0] == 'i'
	return w, true
}

// read is what it says of a layer that a function reads a number.
func (g *guards) read(e *syntax.Call, n int64) layer {
	w, ok := wholeOf(e)
	if !ok {
		return anyLayer()
	}
	out := anyLayer()
	limit := int64(1) << (8 * w.width)
	switch {
	case !w.signed && (n < 0 || n >= limit), w.signed && (n < -limit/2 || n >= limit/2):
		out.never = true
		return out
	}
	v := uint64(n) & uint64(limit-1)
	if !w.big {
		v = bits.ReverseBytes64(v) >> (64 - 8*w.width)
	}
	m := rule.Magic{Width: w.width, Big: true, Values: []uint64{v}}
	arg := bare(e.Args[0])
	if off, known := g.res.Consts[arg]; known && off.Kind == module.Int {
		if off.Int < 0 {
			out.never = true
			return out
		}
		m.Offset = off.Int
		out.magic = []rule.Magic{m}
		return out
	}
	inner, isCall := arg.(*syntax.Call)
	if !isCall {
		return out
	}
	pointer, ok := wholeOf(inner)
	if !ok || pointer != (whole{width: 4}) || w.width == 1 {
		return out
	}
	if off, known := g.res.Consts[bare(inner.Args[0])]; known && off.Kind == module.Int && off.Int >= 0 {
		m.Offset, m.Pointer = off.Int, true
		out.magic = []rule.Magic{m}
	}
	return out
}

// starts is what it says of a layer that a pattern is found at a place.
func (g *guards) starts(p *syntax.Pattern, at syntax.Expr) layer {
	out := anyLayer()
	off, known := g.res.Consts[bare(at)]
	if !known || off.Kind != module.Int {
		return out
	}
	if off.Int < 0 {
		out.never = true
		return out
	}
	first := opening(p)
	width := uint8(0)
	switch {
	case len(first) >= 4:
		width = 4
	case len(first) >= 2:
		width = 2
	case len(first) == 1:
		width = 1
	default:
		return out
	}
	var b [8]byte
	copy(b[8-width:], first[:width])
	out.magic = []rule.Magic{{Offset: off.Int, Width: width, Big: true, Values: []uint64{binary.BigEndian.Uint64(b[:])}}}
	return out
}

// opening are bytes that every match of a pattern begins with.
func opening(p *syntax.Pattern) []byte {
	var out []byte
	switch {
	case p.Text != nil:
		for _, m := range p.Modifiers {
			if m.Name != "ascii" && m.Name != "private" && m.Name != "fullword" {
				return nil
			}
		}
		return []byte(p.Text.Text)
	case p.Hex != nil:
		for _, h := range p.Hex.Parts {
			if h.Kind != syntax.HexByte || h.Mask != 0xFF || h.Not {
				break
			}
			out = append(out, h.Value)
		}
	}
	return out
}
