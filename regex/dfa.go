package regex

import "github.com/showcause/showcause/regex/syntax"

// dfa is a deterministic automaton made while it runs: a state is the list of
// the program's states that matching may be in, in order of preference, and
// what is on the near side of the place. Whether it has matched at a place is
// known when the symbol on the far side is read, so that it is a mark on
// the transition out of the place.
//
// Its memory is bounded: when it is full it forgets all states and goes on.
type dfa struct {
	m    *machine
	kind int

	next   []uint32 // row of the state + symbol: see unknown, special, matched
	stride int      // of rows; a state is known by the place of its row
	off    []uint32 // number of the state: where its list begins; its end is where the next one does
	near   []ctx
	lists  []uint32
	index  map[string]uint32
	mem    int
	resets int
	cost   int64 // of the states made, in steps

	// Scratch.
	mark  []uint32 // by program state: the generation in which it was seen
	gen   uint32
	stack []uint32
	list  []uint32
	out   []uint32
	key   []byte
}

const (
	maxDFA = 2 << 20 // bytes of one automaton, but for one state

	// A transition is the row of the next state, which is a multiple of 4, and
	// two bits. Special says that something has to be done: the next state is
	// none, or that from which everything begins.
	special = 1
	matched = 2
	unknown = 1<<32 - 1

	none = 0 // the state without a program state: dead, or where everything begins
)

func (m *machine) automaton(kind int) *dfa {
	if m.dfa[kind] == nil {
		d := &dfa{m: m, kind: kind, mark: make([]uint32, len(m.code)), stride: (m.count + 3) &^ 3}
		d.reset()
		m.dfa[kind] = d
	}
	return m.dfa[kind]
}

// anchored tells whether matching begins at one place.
func (d *dfa) anchored() bool { return d.kind == ahead || d.kind == back }

func (d *dfa) reset() {
	d.next, d.near, d.lists = d.next[:0], d.near[:0], d.lists[:0]
	d.off = append(d.off[:0], 0)
	d.index = map[string]uint32{}
	d.mem = 4*len(d.mark) + 1024
	d.intern(nil, ctxEdge)
	if d.anchored() {
		for s := range d.next {
			d.next[s] = none | special
		}
	}
}

// intern returns the state of a list.
func (d *dfa) intern(list []uint32, near ctx) uint32 {
	if len(list) == 0 && d.anchored() {
		near = ctxEdge
	}
	d.key = append(d.key[:0], byte(near))
	for _, s := range list {
		d.key = le.AppendUint32(d.key, s)
	}
	if id, ok := d.index[string(d.key)]; ok {
		return id
	}
	if d.mem > d.m.limit && len(d.near) > 1 {
		d.resets++
		keep := append([]uint32(nil), list...)
		d.reset()
		list = keep
		d.key = append(d.key[:0], byte(near))
		for _, s := range list {
			d.key = le.AppendUint32(d.key, s)
		}
	}
	id := uint32(len(d.next))
	d.index[string(d.key)] = id
	d.near = append(d.near, near)
	d.lists = append(d.lists, list...)
	d.off = append(d.off, uint32(len(d.lists)))
	for range d.stride {
		d.next = append(d.next, unknown)
	}
	d.mem += 9*len(list) + 4*d.stride + 64
	return id
}

// begin returns the state at a place with one program state, and what is on
// the near side: the left one for an automaton that goes forward.
func (d *dfa) begin(q uint32, near ctx) uint32 {
	d.out = append(d.out[:0], q)
	return d.intern(d.out, near)
}

// list returns the program states of a state.
func (d *dfa) listOf(state uint32) []uint32 {
	n := int(state) / d.stride
	return d.lists[d.off[n]:d.off[n+1]]
}

// step returns the transition of a state on a symbol: the next state, and
// whether there is a match at the place before the symbol. It may forget all
// other states.
func (d *dfa) step(state uint32, s symbol) (uint32, bool) {
	v := d.next[state+uint32(s)]
	if v == unknown {
		v = d.make(state, s)
	}
	return v &^ (special | matched), v&matched != 0
}

// make works a transition out.
func (d *dfa) make(state uint32, s symbol) uint32 {
	m := d.m
	l, r := d.near[int(state)/d.stride], m.ctx[s]
	forward := d.kind == ahead || d.kind == anywhere
	if !forward {
		l, r = r, l
	}
	d.fresh()
	d.list = d.list[:0]
	hit := false
	cut := d.kind == ahead && m.flags&flagLongest == 0
	for _, q := range d.listOf(state) {
		if forward {
			hit = d.closure(q, l, r, cut) || hit
		} else {
			hit = d.closureBack(q, l, r) || hit
		}
		if hit && cut {
			break
		}
	}
	switch d.kind {
	case anywhere:
		hit = d.closure(m.entry, l, r, false) || hit
	case starts:
		for _, q := range m.final {
			hit = d.closureBack(q, l, r) || hit
		}
	}
	d.out = d.out[:0]
	if s != m.none && s != m.broken {
		d.fresh()
		for _, q := range d.list {
			if in := &m.code[q]; m.has(in.y, s) {
				to := q
				if forward {
					to = in.x
				}
				if d.mark[to] != d.gen {
					d.mark[to] = d.gen
					d.out = append(d.out, to)
				}
			}
		}
	}
	resets := d.resets
	v := d.intern(d.out, m.ctx[s])
	if hit {
		v |= matched | special
	}
	if v&^matched == none {
		v |= special
	}
	// Where nothing had begun nor does now, the byte may have been passed over.
	if state != none || v != none|special {
		d.cost += 16 + 2*int64(len(d.list)+len(d.out))
	}
	if d.resets == resets {
		d.next[state+uint32(s)] = v
	}
	return v
}

// fresh begins a new generation of marks.
func (d *dfa) fresh() {
	if d.gen++; d.gen == 0 {
		clear(d.mark)
		d.gen = 1
	}
}

// closure appends the class instructions that are reached from q without a
// byte, and tells whether the match is. With cut it ends there, since what is
// less preferred does not count any more.
func (d *dfa) closure(q uint32, l, r ctx, cut bool) bool {
	m := d.m
	hit := false
	d.stack = append(d.stack[:0], q)
	for len(d.stack) > 0 {
		q := d.stack[len(d.stack)-1]
		d.stack = d.stack[:len(d.stack)-1]
		if d.mark[q] == d.gen {
			continue
		}
		d.mark[q] = d.gen
		switch in := &m.code[q]; in.op {
		case opClass:
			d.list = append(d.list, q)
		case opSplit:
			d.stack = append(d.stack, in.y, in.x)
		case opAssert:
			if holds(syntax.Test(in.arg), l, r, m.flags&flagCR != 0) {
				d.stack = append(d.stack, in.x)
			}
		case opMatch:
			if hit = true; cut {
				return true
			}
		}
	}
	return hit
}

// closureBack appends the class instructions that lead to q without a byte in
// between, and tells whether the entry does.
func (d *dfa) closureBack(q uint32, l, r ctx) bool {
	m := d.m
	hit := false
	d.stack = append(d.stack[:0], q)
	for len(d.stack) > 0 {
		q := d.stack[len(d.stack)-1]
		d.stack = d.stack[:len(d.stack)-1]
		if d.mark[q] == d.gen {
			continue
		}
		d.mark[q] = d.gen
		hit = hit || q == m.entry
		for _, from := range m.edges[m.start[q]:m.start[q+1]] {
			switch in := &m.code[from]; in.op {
			case opClass:
				d.list = append(d.list, from)
			case opSplit:
				d.stack = append(d.stack, from)
			case opAssert:
				if holds(syntax.Test(in.arg), l, r, m.flags&flagCR != 0) {
					d.stack = append(d.stack, from)
				}
			}
		}
	}
	return hit
}
