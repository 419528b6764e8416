package regex

import "github.com/showcause/showcause/regex/syntax"

// backtracker runs programs that are not linear: the choices are tried in
// order, with a stack of what is to be tried or undone.
type backtracker struct {
	m     *Matcher
	k     *machine
	in    cursor
	wide  bool
	step  int64
	stack []frame
	slots []int64 // captures, -1: none; then the marks of loops
	left  int64   // steps
	cut   bool    // they, or the room, came to an end
}

// frame is a choice (pc, pos), or, with slot >= 0, a slot's former value.
type frame struct {
	pc   uint32
	slot int32
	pos  int64
}

const (
	defaultBack = 1_000_000
	maxStack    = 1 << 18 // frames
	maxInner    = 1000    // look-arounds and atomic groups within each other
)

// scanBack tries every place from from to to-1; with apart, none within a match.
func (m *Matcher) scanBack(k *machine, in Input, wide bool, from, to int64, apart bool, emit func(off, n int64) bool) bool {
	b := &m.bt
	b.m, b.k, b.wide, b.step = m, k, wide, stepOf(wide)
	b.in = cursor{in: in, size: in.Size()}
	n := k.prog.slots() + k.prog.loops()
	if len(b.slots) < n {
		b.slots = make([]int64, n)
	}
	limit := m.BackLimit
	if limit <= 0 {
		limit = defaultBack
	}
	first := k.firstBytes()
	for off := from; off < to; off++ {
		m.Steps++
		if m.Exhausted() {
			return false
		}
		if c, ok := b.in.at(off); first != nil && (!ok || !first.Has(c)) {
			continue
		}
		b.left, b.cut = limit, false
		if m.Limit > 0 {
			b.left = min(limit, m.Limit-m.Steps+1)
		}
		had := b.left
		start, end, ok := b.match(off)
		m.Steps += had - b.left
		if b.cut && !m.Exhausted() {
			m.Abandoned++
		}
		if !ok || end == start && k.flags&flagEmpty == 0 {
			continue
		}
		if k.flags&flagFull != 0 && (touches(in, start, wide, true) || touches(in, end, wide, false)) {
			continue
		}
		if !emit(start, end-start) {
			return false
		}
		if apart {
			off = max(off, end-1)
		}
	}
	return !m.Exhausted()
}

// firstBytes returns the set of bytes that a match can begin with, nil where
// it can begin with any or be empty.
func (k *machine) firstBytes() *syntax.Set {
	var s syntax.Set
	seen := make([]bool, len(k.code))
	stack := []uint32{k.entry}
	for len(stack) > 0 {
		q := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen[q] {
			continue
		}
		seen[q] = true
		switch in := k.code[q]; in.op {
		case opClass:
			s.Or(k.prog.set(int(in.y)))
		case opSplit:
			stack = append(stack, in.x, in.y)
		case opAtomic:
			stack = append(stack, in.y)
		case opAssert, opSave, opLook, opMark:
			stack = append(stack, in.x)
		default: // the match, what may be empty, or what is not followed here
			return nil
		}
	}
	return &s
}

// match tries one place.
func (b *backtracker) match(off int64) (start, end int64, ok bool) {
	for i := range b.slots {
		b.slots[i] = -1
	}
	b.stack = b.stack[:0]
	b.slots[0] = off
	end, ok = b.run(b.k.entry, off, 0, -1)
	if !ok || b.slots[0] > end {
		return 0, 0, false
	}
	return b.slots[0], end, true
}

// set changes a slot so that it can be undone.
func (b *backtracker) set(slot int, v int64) {
	b.stack = append(b.stack, frame{slot: int32(slot), pos: b.slots[slot]})
	b.slots[slot] = v
}

// undo takes back down to base; with keep, only the choices.
func (b *backtracker) undo(base int, keep bool) {
	out := base
	for i := len(b.stack) - 1; i >= base && !keep; i-- {
		if f := b.stack[i]; f.slot >= 0 {
			b.slots[f.slot] = f.pos
		}
	}
	if keep {
		for _, f := range b.stack[base:] {
			if f.slot >= 0 {
				b.stack[out] = f
				out++
			}
		}
	}
	b.stack = b.stack[:out]
}

// run runs from pc at pos to the match or, within look and atomic, to ok, at
// the place must if that is not negative.
func (b *backtracker) run(pc uint32, pos int64, depth int, must int64) (int64, bool) {
	base := len(b.stack)
	if depth > maxInner {
		b.cut = true
		return 0, false
	}
	for {
		if b.left--; b.left < 0 || len(b.stack) > maxStack {
			b.left = max(b.left, 0)
			b.cut = true
		}
		if b.cut {
			b.undo(base, false)
			return 0, false
		}
		in := &b.k.code[pc]
		ok := true
		switch in.op {
		case opMatch:
			return pos, true
		case opOK:
			if must < 0 || pos == must {
				return pos, true
			}
			ok = false
		case opSplit:
			b.stack = append(b.stack, frame{pc: in.y, slot: -1, pos: pos})
		case opCond:
			if b.slots[2*in.arg+1] < 0 {
				pc = in.y
				continue
			}
		case opMoved:
			if b.slots[b.k.prog.slots()+int(in.arg)] == pos {
				pc = in.y
				continue
			}
		case opAtomic:
			floor := len(b.stack)
			var end int64
			if end, ok = b.run(in.y, pos, depth+1, -1); ok {
				b.undo(floor, true)
				pos = end
			}
		case opLook:
			ok = b.look(in, pos, depth)
		default:
			pos, ok = b.simple(in, pos)
		}
		if ok {
			pc = in.x
			continue
		}
		if pc, pos, ok = b.fail(base); !ok {
			return 0, false
		}
	}
}

// fail goes back to the last choice above base.
func (b *backtracker) fail(base int) (pc uint32, pos int64, ok bool) {
	for len(b.stack) > base {
		f := b.stack[len(b.stack)-1]
		b.stack = b.stack[:len(b.stack)-1]
		if f.slot < 0 {
			return f.pc, f.pos, true
		}
		b.slots[f.slot] = f.pos
	}
	return 0, 0, false
}

// simple runs an instruction that makes no choice.
func (b *backtracker) simple(in *instr, pos int64) (int64, bool) {
	switch in.op {
	case opClass:
		c, ok := b.char(pos)
		if !ok || !b.k.has(in.y, b.k.class[c]) {
			return pos, false
		}
		return pos + b.step, true
	case opAssert:
		return pos, b.test(syntax.Test(in.arg), pos)
	case opSave:
		b.set(int(in.arg), pos)
	case opKeep:
		b.set(0, pos)
	case opMark:
		b.set(b.k.prog.slots()+int(in.arg), pos)
	case opRef:
		return b.ref(in, pos)
	}
	return pos, true
}

// char returns the byte at pos; of wide text, if a zero byte follows it.
func (b *backtracker) char(pos int64) (byte, bool) {
	c, ok := b.in.at(pos)
	if ok && b.wide {
		z, more := b.in.at(pos + 1)
		ok = more && z == 0
	}
	return c, ok
}

func (b *backtracker) test(t syntax.Test, pos int64) bool {
	l, r := ctxEdge, ctxEdge
	if c, ok := b.char(pos - b.step); ok {
		l = ctxOf(c)
	}
	if c, ok := b.char(pos); ok {
		if r = ctxOf(c); r == ctxLF && pos+b.step == b.in.size {
			r = ctxLastLF
		}
	}
	return holds(t, l, r, b.k.flags&flagCR != 0)
}

// ref matches what a group captured. One that captured nothing does not match.
func (b *backtracker) ref(in *instr, pos int64) (int64, bool) {
	from, to := b.slots[2*in.arg], b.slots[2*in.arg+1]
	if from < 0 || to < from {
		return pos, false
	}
	for ; from < to; from, pos = from+b.step, pos+b.step {
		b.left--
		x, _ := b.char(from)
		y, ok := b.char(pos)
		if !ok || x != y && (in.y == 0 || lower(x) != lower(y)) {
			return pos, false
		}
	}
	return pos, true
}

// look tells whether a look-around holds.
func (b *backtracker) look(in *instr, pos int64, depth int) bool {
	floor := len(b.stack)
	ok := false
	if in.arg&lookBehind == 0 {
		_, ok = b.run(in.y, pos, depth+1, -1)
	} else {
		lo, hi := int64(in.arg>>8&0xff), int64(in.arg>>16&0xff)
		for n := lo; n <= hi && !ok && !b.cut && pos-n*b.step >= 0; n++ {
			_, ok = b.run(in.y, pos-n*b.step, depth+1, pos)
		}
	}
	if b.cut {
		b.undo(floor, false)
		return false
	}
	negated := in.arg&lookNegated != 0
	b.undo(floor, ok && !negated)
	return ok != negated
}
