package rule

import "math/bits"

// anyType is ClamAV's name for any type, and, as a container, for none.
const anyType = "CL_TYPE_ANY"

// Facts are what a guard asks about.
type Facts struct {
	Size       int64 // of the layer, bytes
	Executable bool  // it parses as PE, ELF or Mach-O
	Entry      int64 // file offset of the entry point, -1 if there is none
	Sections   int
	Ancestors  []string // ClamAV type names, outermost first; the last is the parent
	// Read gives n bytes at off, nil if some of them are not there.
	Read func(off int64, n int) []byte
}

// Admits tells whether the layer is one that the rule's guard lets in.
func (p Program) Admits(f *Facts) bool {
	asks, b := p[0], p[1:]
	within := func(v int64, known bool) bool {
		lo, hi := le.Uint64(b), le.Uint64(b[8:])
		b = b[16:]
		return known && v >= 0 && uint64(v) >= lo && uint64(v) <= hi
	}
	if asks&asksSize != 0 && !within(f.Size, true) {
		return false
	}
	if asks&asksEntry != 0 && !within(f.Entry, f.Executable) {
		return false
	}
	if asks&asksSections != 0 && !within(int64(f.Sections), f.Executable) {
		return false
	}
	depth := len(f.Ancestors)
	if asks&asksContainer != 0 {
		var name []byte
		name, b = cutName(b)
		if depth == 0 && string(name) != anyType || depth > 0 && string(name) != f.Ancestors[depth-1] {
			return false
		}
	}
	if asks&asksIntermediates != 0 {
		n := int(b[0])
		if n > depth {
			return false
		}
		b = b[1:]
		var want [][]byte // without those that stand for any
		for ; n > 0; n-- {
			var name []byte
			if name, b = cutName(b); string(name) != anyType {
				want = append(want, name)
			}
		}
		for i, has := range f.Ancestors[depth-len(want):] {
			if string(want[i]) != has {
				return false
			}
		}
	}
	if asks&asksMagic != 0 {
		n := int(b[0])
		for b = b[1:]; n > 0; n-- {
			var holds bool
			if holds, b = magic(b, f); !holds {
				return false
			}
		}
	}
	return true
}

// magic decides the condition at the front of b and passes over it.
func magic(b []byte, f *Facts) (holds bool, rest []byte) {
	head, off, values := b[0], int64(le.Uint64(b[1:])), int(b[9])
	b = b[10:]
	rest = b[8*values:]
	if f.Read == nil {
		return false, rest
	}
	if head&magicPointer != 0 {
		p := f.Read(off, 4)
		if p == nil {
			return false, rest
		}
		off = int64(le.Uint32(p))
	}
	p := f.Read(off, int(head&magicWidth))
	if p == nil {
		return false, rest
	}
	v := uint64(0)
	for i := range p {
		if head&magicBig != 0 {
			v = v<<8 | uint64(p[i])
		} else {
			v |= uint64(p[i]) << (8 * i)
		}
	}
	for ; values > 0; values-- {
		if le.Uint64(b) == v {
			return true, rest
		}
		b = b[8:]
	}
	return false, rest
}

func cutName(b []byte) (name, rest []byte) {
	n := 1 + int(b[0])
	return b[1:n], b[n:]
}

// Guard returns the part of the program by which Admits decides: where it is the
// same, so is the answer.
func (p Program) Guard() []byte { return p[:len(p)-len(p.condition())] }

// condition returns the program's node.
func (p Program) condition() []byte {
	asks, b := p[0], p[1:]
	b = b[16*bits.OnesCount8(asks&(asksSize|asksEntry|asksSections)):]
	if asks&asksContainer != 0 {
		_, b = cutName(b)
	}
	if asks&asksIntermediates != 0 {
		n := int(b[0])
		for b = b[1:]; n > 0; n-- {
			_, b = cutName(b)
		}
	}
	if asks&asksMagic != 0 {
		n := int(b[0])
		for b = b[1:]; n > 0; n-- {
			b = b[10+8*int(b[9]):]
		}
	}
	return b
}

// Holds tells whether the condition holds, given how many matches each
// pattern has. A count may be cut off at what Rule.Needs says of the pattern.
func (p Program) Holds(count func(sub int) uint32) bool {
	e := evaluation{count: count, rest: p.condition()}
	e.gates()
	holds, _ := e.node()
	return holds
}

// Open tells whether the trigger of a pattern that is decided later holds, given how many
// matches those before it have; so it is for any other pattern.
func (p Program) Open(sub int, count func(sub int) uint32) bool {
	e := evaluation{count: count, rest: p.condition()}
	e.gates()
	return sub >= maxDistinct || e.shut[sub/64]>>(sub%64)&1 == 0
}

// tally is what a node adds to the groups around it.
type tally struct {
	sum  uint64
	subs [maxDistinct / 64]uint64 // patterns, a bit each
}

type evaluation struct {
	count func(sub int) uint32
	rest  []byte
	shut  [maxDistinct / 64]uint64 // patterns whose trigger does not hold, a bit each
}

// gates evaluates the triggers at the front of rest and passes over them.
func (e *evaluation) gates() {
	if e.rest[0] != opGates {
		return
	}
	n := e.rest[1]
	for e.rest = e.rest[2:]; n > 0; n-- {
		sub := e.rest[0]
		e.rest = e.rest[1:]
		if holds, _ := e.node(); !holds {
			e.shut[sub/64] |= 1 << (sub % 64)
		}
	}
}

// node evaluates the node at the front of rest and passes over it. The tally
// is zero where the node does not hold.
func (e *evaluation) node() (holds bool, t tally) {
	b := e.rest
	op, cmp := Op(b[0]&15), Cmp(b[0]>>4)
	switch op {
	case Count:
		e.rest = b[7:]
		sub := int(le.Uint16(b[1:]))
		n := uint64(0)
		if sub >= maxDistinct || e.shut[sub/64]>>(sub%64)&1 == 0 {
			n = uint64(e.count(sub))
		}
		if !compare(n, cmp, le.Uint32(b[3:])) {
			return false, t
		}
		if t.sum = n; sub < maxDistinct {
			t.subs[sub/64] = 1 << (sub % 64)
		}
		return true, t
	case True:
		e.rest = b[1:]
		return true, t
	case Group:
		e.rest = b[9:]
		_, t = e.node()
		if !compare(t.sum, cmp, le.Uint32(b[1:])) || t.distinct() < le.Uint32(b[5:]) {
			return false, tally{}
		}
		return true, tally{sum: t.sum}
	}
	e.rest = b[3:]
	holds = op == And
	for kids := le.Uint16(b[1:]); kids > 0; kids-- {
		ok, some := e.node()
		if op == And {
			holds = holds && ok
		} else {
			holds = holds || ok
		}
		t.sum += some.sum
		for i, w := range some.subs {
			t.subs[i] |= w
		}
	}
	if !holds {
		t = tally{}
	}
	return holds, t
}

func (t *tally) distinct() uint32 {
	n := 0
	for _, w := range t.subs {
		n += bits.OnesCount64(w)
	}
	return uint32(n)
}

func compare(n uint64, c Cmp, with uint32) bool {
	switch c {
	case Greater:
		return n > uint64(with)
	case Equal:
		return n == uint64(with)
	}
	return n < uint64(with)
}

// Gated tells whether there are patterns that are decided later.
func (p Program) Gated() bool { return p.condition()[0] == opGates }
