package unpack

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
)

// Depth returns how many steps of derivation the layer is away from the input.
func (o *Out) Depth() int { return len(o.trail) }

// Within returns how many of the steps to the layer are of the given op, and whether the last one is.
func (o *Out) Within(op string) (steps int, last bool) {
	for _, s := range o.trail {
		if last = s.Op == op; last {
			steps++
		}
	}
	return steps, last
}

// Span is the stretch [From, To) of a layer.
type Span struct{ From, To int64 }

// Covered returns the stretches of the layer that formats before this one gave
// as children by Section, in order, without those that lie inside others. What
// stands in them whole is read where it is the child's, and must not be read
// a second time as the layer's.
func (o *Out) Covered() []Span {
	slices.SortFunc(o.covered, func(a, b Span) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(b.To, a.To)) })
	out := o.covered[:0]
	for _, s := range o.covered {
		if n := len(out); n == 0 || s.To > out[n-1].To {
			out = append(out, s)
		}
	}
	o.covered = out
	return slices.Clone(out)
}

// Section gives the stretch [off, off+n) of the layer src as a child, and a gap for
// what is not there. An empty member is no child.
func (o *Out) Section(src showcause.Source, op, name string, off, n int64) bool {
	have := max(min(n, src.Size()-off), 0)
	if have > 0 {
		c := Child{Op: op, Name: name, Source: bound.Section(src, off, have), Size: n}
		if m, ok := o.marks[Span{off, off + n}]; ok {
			c.Op, c.in = m.op, m.in
		}
		if !o.Child(c) {
			return false
		}
		o.covered = append(o.covered, Span{off, off + have})
	}
	if have < n {
		o.Gap(showcause.Corrupt, min(off+have, src.Size()), n-have)
	}
	return true
}

// Lost says that the stretch from off to next could not be read, or to the end
// of the layer src where nothing was found behind it. It returns found.
func (o *Out) Lost(src showcause.Source, off, next int64, found bool) bool {
	if !found {
		next = src.Size()
	}
	o.Gap(showcause.Corrupt, off, next-off)
	return found
}

// headRoom is how many bytes behind a magic a head function may want to see.
const headRoom = 512

// findIn is Find in bytes that are in memory.
func (o *Out) findIn(b showcause.Bytes, off int64, magic []byte, head func([]byte) bool) (int64, bool) {
	var places *Places
	if slices.Contains(sought[:], string(magic)) {
		places = o.Places(b)
	}
	for off < int64(len(b)) {
		part := b[off:min(off+findStep, int64(len(b)))]
		if !o.Work(int64(len(part)) / 8) {
			return 0, false
		}
		for at := 0; ; at++ {
			i := places.Next(string(magic), part[at:], int(off)+at)
			if i < 0 {
				break
			}
			at += i
			if here := off + int64(at); head == nil || head(b[here:min(here+headRoom, int64(len(b)))]) {
				return here, true
			}
			if !o.Work(64) {
				return 0, false
			}
		}
		if off += int64(len(part)); off < int64(len(b)) {
			off -= int64(len(magic) - 1)
		}
	}
	return 0, false
}

// findStep is how much of what is in memory is charged for and searched at a time.
const findStep = 256 << 10

// Find returns the offset of the first place from off on where magic stands
// and head, if not nil, agrees with the bytes there. The work is one step for
// eight bytes that are read, and 64 for each place where magic stands.
func (o *Out) Find(src showcause.Source, off int64, magic []byte, head func([]byte) bool) (int64, bool) {
	if b, ok := src.(showcause.Bytes); ok && off >= 0 {
		return o.findIn(b, off, magic, head)
	}
	if off >= 0 && off < src.Size() && slices.Contains(sought[:], string(magic)) {
		at, ok, next := o.findKnown(src, off, magic, head)
		if ok || next < 0 {
			return at, ok
		}
		off = next
	}
	var buf []byte
	for off < src.Size() {
		// What is looked for is near as a rule, and a flood of it always.
		if len(buf) < 64<<10 {
			buf = make([]byte, max(4*len(buf), 2*headRoom))
		}
		if !o.Work(int64(len(buf)) / 8) {
			break
		}
		n, _ := src.ReadAt(buf[:min(int64(len(buf)), src.Size()-off)], off)
		if n < len(magic) {
			return 0, false
		}
		last := off+int64(n) >= src.Size()
		b := buf[:n]
		at := 0
		for {
			i := bytes.Index(b[at:], magic)
			if i < 0 {
				at = max(at, n-len(magic)+1)
				break
			}
			at += i
			if n-at < headRoom && !last && at > 0 {
				break // look at it again with what follows
			}
			if head == nil || head(b[at:]) {
				return off + int64(at), true
			}
			if !o.Work(64) {
				return 0, false
			}
			at++
		}
		if n < len(buf) && !last {
			return 0, false // the layer is shorter than it says
		}
		if last {
			return 0, false
		}
		off += int64(at)
	}
	return 0, false
}

// findKnown is Find in the places of a layer that is not in memory. next is from
// where on it is not known, -1 where the layer or the budget is done.
func (o *Out) findKnown(src showcause.Source, off int64, magic []byte, head func([]byte) bool) (at int64, ok bool, next int64) {
	places := o.Places(src)
	if places == nil {
		return 0, false, off
	}
	var buf [headRoom]byte
	for off < src.Size() {
		i, ok := places.next(string(magic), int(off))
		to := int64(i)
		if !ok {
			to = max(int64(places.known), off)
		}
		for ; off < to; off += min(findStep, to-off) {
			if !o.Work(min(findStep, to-off) / 8) {
				return 0, false, -1
			}
		}
		if !ok {
			break
		}
		n, _ := src.ReadAt(buf[:min(headRoom, src.Size()-off)], off)
		if n < len(magic) {
			return 0, false, -1 // the layer is shorter than it was
		}
		if bytes.HasPrefix(buf[:n], magic) && (head == nil || head(buf[:n])) {
			return off, true, 0
		}
		if !o.Work(64) {
			return 0, false, -1
		}
		off++
	}
	if off >= src.Size() {
		off = -1
	}
	return 0, false, off
}
