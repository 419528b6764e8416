package regex

import "github.com/showcause/showcause/regex/syntax"

// ctx is what a test asks about the byte on one side of a place.
type ctx uint8

const (
	ctxEdge   ctx = iota // there is none
	ctxOther             // any but these
	ctxWord              // a word byte
	ctxLF                // a line feed
	ctxLastLF            // a line feed that is the input's last byte
	ctxCR                // a carriage return
	ctxs
)

func ctxOf(c byte) ctx {
	switch {
	case wordByte(c):
		return ctxWord
	case c == '\n':
		return ctxLF
	case c == '\r':
		return ctxCR
	}
	return ctxOther
}

// holds tells whether a test holds between what is on its left and right.
func holds(t syntax.Test, l, r ctx, cr bool) bool {
	wl, wr := l == ctxWord, r == ctxWord
	switch t {
	case syntax.Begin, syntax.First:
		return l == ctxEdge
	case syntax.End:
		return r == ctxEdge
	case syntax.EndLine:
		return r == ctxEdge || r == ctxLastLF
	case syntax.LineBegin:
		// PCRE: not behind a line feed that ends the input.
		return l == ctxEdge || (l == ctxLF || l == ctxLastLF) && (cr || r != ctxEdge) || cr && l == ctxCR
	case syntax.LineEnd:
		return r == ctxEdge || r == ctxLF || r == ctxLastLF || cr && r == ctxCR
	case syntax.WordEdge:
		return wl != wr
	case syntax.NoWordEdge:
		return wl == wr
	case syntax.WordStart:
		return !wl && wr
	case syntax.WordEnd:
		return wl && !wr
	case syntax.WordStartHalf:
		return !wl
	case syntax.WordEndHalf:
		return !wr
	}
	return false
}

// A symbol is what the automata read: the class of a byte, or of what is no
// byte. Bytes that no set and no test tells apart are one class.
type symbol = uint16

// machine is a program made ready to run: decoded, its edges reversed, its
// bytes put into classes. It is as large as the program, a few times.
type machine struct {
	prog  Program
	code  []instr
	flags uint32
	reach int64
	entry uint32
	limit int // bytes of one automaton

	class  [256]symbol // of a byte
	lastLF symbol      // of a line feed that ends the input, where EndLine asks
	broken symbol      // wide: of what is no byte and a zero byte
	none   symbol      // of the input's edge
	count  int         // of symbols
	ctx    []ctx       // of a symbol
	member []uint64    // bit set*count+symbol: the set has the symbol

	// Predecessors of state i: edges[start[i]:start[i+1]].
	start []uint32
	edges []uint32

	final []uint32 // the match instructions
	// Where nothing has begun, what is in none of these can be passed over; nil
	// where a match can be empty or asks for tests. By bytes: what a match can
	// begin with, and end with.
	first, last *[256]bool
	only        int // the byte that every match begins with; -1: there are several

	dfa [kinds]*dfa
}

// The automata of a machine.
const (
	ahead    = iota // forward from a place
	back            // backward from a place
	anywhere        // forward, beginning at every place: is there a match?
	starts          // backward, beginning at every place: where do matches start?
	kinds
)

func newMachine(p Program) *machine {
	m := &machine{prog: p, flags: p.flags(), reach: p.reach(), entry: p.entry(), limit: maxDFA}
	m.code = make([]instr, p.len())
	for i := range m.code {
		m.code[i] = p.instr(i)
	}
	m.classes()
	m.reverse()
	for i, in := range m.code {
		if in.op == opMatch {
			m.final = append(m.final, uint32(i))
		}
	}
	m.edgesOf()
	return m
}

// classes puts the bytes into classes.
func (m *machine) classes() {
	sets := make([]syntax.Set, m.prog.sets())
	for i := range sets {
		sets[i] = m.prog.set(i)
	}
	tests := m.flags&flagTests != 0
	var group [256]int // refined set by set
	if tests {
		for c := range 256 {
			group[c] = int(ctxOf(byte(c)))
		}
	}
	for i := range sets {
		ids := [512]int16{} // by group and membership, plus 1
		n := int16(0)
		for c := range 256 {
			k := 2 * group[c]
			if sets[i].Has(byte(c)) {
				k++
			}
			if ids[k] == 0 {
				n++
				ids[k] = n
			}
			group[c] = int(ids[k]) - 1
		}
	}
	var ids [256]symbol // by group, plus 1
	var rep []int       // a byte of each symbol; -1: none
	for c := range 256 {
		id := ids[group[c]]
		if id == 0 {
			id = symbol(len(rep)) + 1
			ids[group[c]] = id
			rep = append(rep, c)
			if tests {
				m.ctx = append(m.ctx, ctxOf(byte(c)))
			} else {
				m.ctx = append(m.ctx, ctxOther)
			}
		}
		m.class[c] = id - 1
	}
	add := func(c int, x ctx) symbol {
		rep, m.ctx = append(rep, c), append(m.ctx, x)
		return symbol(len(rep) - 1)
	}
	m.lastLF = m.class['\n']
	if m.flags&flagEndLine != 0 {
		m.lastLF = add('\n', ctxLastLF)
	}
	m.none = add(-1, ctxEdge)
	m.broken = m.none
	if m.flags&flagTextEdge == 0 && m.flags&flagWide != 0 {
		m.broken = add(-1, ctxOther)
	}
	m.count = len(rep)
	m.member = make([]uint64, (len(sets)*m.count+63)/64)
	for i := range sets {
		for s, c := range rep {
			if k := i*m.count + s; c >= 0 && sets[i].Has(byte(c)) {
				m.member[k>>6] |= 1 << (k & 63)
			}
		}
	}
	if !tests {
		clear(m.ctx)
	}
}

// has tells whether the set of a class instruction has a symbol.
func (m *machine) has(set uint32, s symbol) bool {
	k := int(set)*m.count + int(s)
	return m.member[k>>6]>>(k&63)&1 != 0
}

// reverse lists the predecessors of each state.
func (m *machine) reverse() {
	m.start = make([]uint32, len(m.code)+1)
	each := func(f func(from, to uint32)) {
		for i, in := range m.code {
			switch in.op {
			case opClass, opAssert:
				f(uint32(i), in.x)
			case opSplit:
				f(uint32(i), in.x)
				if in.y != in.x {
					f(uint32(i), in.y)
				}
			}
		}
	}
	each(func(_, to uint32) { m.start[to+1]++ })
	for i := range m.code {
		m.start[i+1] += m.start[i]
	}
	fill := append([]uint32(nil), m.start...)
	m.edges = make([]uint32, m.start[len(m.code)])
	each(func(from, to uint32) {
		m.edges[fill[to]] = from
		fill[to]++
	})
}

// edgesOf works out first and last.
func (m *machine) edgesOf() {
	if m.flags&(flagTests|flagBack) != 0 {
		return
	}
	d := m.automaton(ahead)
	d.fresh()
	d.list = d.list[:0]
	if d.closure(m.entry, ctxEdge, ctxEdge, false) {
		return
	}
	m.first = m.bytesOf(d.list)
	m.only = -1
	n := 0
	for c, ok := range m.first {
		if ok {
			m.only = c
			n++
		}
	}
	if n > 1 {
		m.only = -1
	}
	d.fresh()
	d.list = d.list[:0]
	for _, q := range m.final {
		d.closureBack(q, ctxEdge, ctxEdge)
	}
	m.last = m.bytesOf(d.list)
}

// bytesOf returns the bytes that some class instructions take.
func (m *machine) bytesOf(list []uint32) *[256]bool {
	var out [256]bool
	for _, q := range list {
		for c := range out {
			out[c] = out[c] || m.has(m.code[q].y, m.class[c])
		}
	}
	return &out
}

// size returns about how many bytes the machine and its automata take.
func (m *machine) size() int {
	n := len(m.code)*24 + len(m.edges)*4 + len(m.member)*8 + 4096
	for _, d := range m.dfa {
		if d != nil {
			n += d.mem
		}
	}
	return n
}

func wordByte(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '_'
}
