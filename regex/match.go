package regex

import "bytes"

// Matcher runs programs over one input at a time. The zero value is ready.
// Steps counts what was read and done, the same for the same input, programs
// and order of calls, however the bytes come to hand and whatever the Matcher
// did before. While it is above Limit (0: none), nothing matches and Exhausted
// is true: the caller makes that a gap. Steps is the caller's to set back for
// another input, and to add to. It is not safe for concurrent use.
type Matcher struct {
	Steps int64
	Limit int64

	// BackLimit bounds the steps of one attempt of a program that backtracks; 0
	// is 1,000,000. Attempts that hit it, or the bound on the memory that one
	// takes, are counted in Abandoned: each is a place that was not decided,
	// and the caller makes that a gap.
	BackLimit int64
	Abandoned int64

	machines map[uint32]*machine
	mem      int
	tape     tape
	bt       backtracker

	block  int64 // 0: blockSize
	dfaMem int   // 0: maxDFA
}

const (
	maxMachines = 64 << 20 // bytes of all machines of a Matcher
	blockSize   = 64 << 10 // bytes that Scan looks for starts in at a time
)

// Exhausted tells whether work was left undone for want of steps.
func (m *Matcher) Exhausted() bool { return m.Limit > 0 && m.Steps > m.Limit }

// machine returns a program's machine. It is kept by id.
func (m *Matcher) machine(id uint32, p Program) *machine {
	if k := m.machines[id]; k != nil && len(k.prog) == len(p) && &k.prog[0] == &p[0] {
		return k
	}
	if m.machines == nil || m.mem > maxMachines {
		m.machines, m.mem = map[uint32]*machine{}, 0
	}
	k := newMachine(p)
	if m.dfaMem > 0 {
		k.limit = m.dfaMem
	}
	m.machines[id] = k
	m.mem += k.size()
	return k
}

// weight is what one byte costs: at worst, every state of the program is looked at.
func (k *machine) weight() int64 { return 1 + int64(len(k.code))/16 }

// large is the size of an input, bytes, from which a run over the whole of it
// begins with a fresh automaton, so that what making its states costs is a
// function of the input, and can be counted as it is. In place of that each
// byte of a short run counts for as much as it may cost.
const large = 64 << 10

// job is one run of an automaton.
type job struct {
	m     *Matcher
	d     *dfa
	price int64 // of a byte
	exact bool  // the making of states counts
	mem   int
}

func (m *Matcher) job(k *machine, kind int) job {
	d := k.automaton(kind)
	return job{m: m, d: d, price: k.weight(), mem: d.mem}
}

// over makes it a run over a whole input; fresh, the first one.
func (j *job) over(size int64, fresh bool) {
	if size > large {
		j.price, j.exact, j.d.cost = 1, true, 0
		if fresh {
			j.d.reset()
		}
	}
}

// left returns how many symbols may still be read, at most.
func (j *job) left() int64 {
	if j.m.Limit <= 0 {
		return 1 << 62
	}
	return max(0, (j.m.Limit-j.m.Steps)/j.price+1)
}

// spent tells whether count symbols and the states made for them are too much.
func (j *job) spent(count int64) bool {
	return j.exact && j.m.Limit > 0 && j.m.Steps+count+j.d.cost > j.m.Limit
}

func (j *job) end(count int64) {
	if j.m.Steps += count * j.price; j.exact {
		j.m.Steps += j.d.cost
	}
	j.m.mem += j.d.mem - j.mem
}

// tape is the input as a machine reads it: a symbol for each byte, or, wide,
// for each two.
type tape struct {
	cursor
	k    *machine
	wide bool
	step int64
}

func (m *Matcher) open(k *machine, in Input, wide, back bool) *tape {
	t := &m.tape
	t.k, t.wide, t.step = k, wide, 1
	if wide {
		t.step = 2
	}
	t.in, t.size, t.back, t.chunk = in, in.Size(), back, nil
	return t
}

// after returns the symbol behind the place off.
func (t *tape) after(off int64) symbol {
	c, ok := t.at(off)
	if !ok {
		return t.k.none
	}
	if t.wide {
		if z, ok := t.at(off + 1); !ok || z != 0 {
			return t.k.broken
		}
	}
	if c == '\n' && off+t.step == t.size {
		return t.k.lastLF
	}
	return t.k.class[c]
}

// before returns the symbol in front of the place off.
func (t *tape) before(off int64) symbol {
	c, ok := t.at(off - 1)
	if !ok {
		return t.k.none
	}
	if t.wide {
		z := c
		if c, ok = t.at(off - 2); !ok || z != 0 {
			return t.k.broken
		}
	}
	if c == '\n' && off == t.size {
		return t.k.lastLF
	}
	return t.k.class[c]
}

// right returns bytes from pos on that can be read as they are, n at most: none
// of wide text, nor a line feed that ends the input where that matters.
func (t *tape) right(pos, n int64) []byte {
	if t.k.flags&flagEndLine != 0 {
		n = min(n, t.size-1-pos)
	}
	if t.wide || n <= 0 {
		return nil
	}
	return t.in.View(pos, min(n, chunkSize))
}

// left is right for the bytes in front of pos.
func (t *tape) left(pos, n int64) []byte {
	n = min(n, pos, chunkSize)
	if t.wide || n <= 0 || t.k.flags&flagEndLine != 0 && pos == t.size {
		return nil
	}
	v := t.in.View(pos-n, n)
	if k := int64(len(v)); k < n && k > 0 { // what is at hand ends before pos
		n -= k
		v = t.in.View(pos-n, n)
	}
	if int64(len(v)) < n {
		return t.in.View(pos-1, 1)
	}
	return v
}

// reachIn returns how many symbols a run may take.
func (k *machine) reachIn(step int64) int64 {
	switch {
	case k.reach == 0:
		return 1 << 62
	case k.flags&flagTextEdge != 0:
		return k.reach
	}
	return k.reach / step
}

// ahead runs from program state q at the place off, and returns the end of the
// match that counts.
func (m *Matcher) ahead(k *machine, in Input, wide bool, q uint32, off int64) (end int64, ok bool) {
	j := m.job(k, ahead)
	d := j.d
	t := m.open(k, in, wide, false)
	state := d.begin(q, k.ctx[t.before(off)])
	left := min(k.reachIn(t.step), j.left())
	pos, count := off, int64(0)
	for {
		chunk, next, class := t.right(pos, left), d.next, &k.class
		i := 0
		for i < len(chunk) {
			v := next[state+uint32(class[chunk[i]])]
			if v&special == 0 {
				state = v
				i++
				continue
			}
			if v == unknown {
				v = d.make(state, class[chunk[i]])
				next = d.next
			}
			if v&matched != 0 {
				end, ok = pos+int64(i), true
			}
			i++
			if state = v &^ (special | matched); state == none {
				break
			}
		}
		pos, left, count = pos+int64(i), left-int64(i), count+int64(i)
		if i > 0 && state == none {
			break
		}
		if i > 0 && left > 0 {
			continue
		}
		to, hit := d.step(state, t.after(pos))
		if hit {
			end, ok = pos, true
		}
		if state = to; state == none || left == 0 {
			break
		}
		pos, left, count = pos+t.step, left-1, count+1
	}
	j.end(count + 1)
	return end, ok && !m.Exhausted()
}

// behind runs backward from program state q at the place off and calls emit
// with every start, the last first, until it returns false.
func (m *Matcher) behind(k *machine, in Input, wide bool, q uint32, off int64, emit func(start int64) bool) {
	j := m.job(k, back)
	d := j.d
	t := m.open(k, in, wide, true)
	state := d.begin(q, k.ctx[t.after(off)])
	left := min(k.reachIn(t.step), j.left())
	count, pos := int64(0), off
	for {
		chunk, next, class := t.left(pos, left), d.next, &k.class
		i := len(chunk)
		more := true
		for i > 0 && more {
			i--
			v := next[state+uint32(class[chunk[i]])]
			if v&special == 0 {
				state = v
				continue
			}
			if v == unknown {
				v = d.make(state, class[chunk[i]])
				next = d.next
			}
			if v&matched != 0 {
				more = emit(pos - int64(len(chunk)-i) + 1)
			}
			state = v &^ (special | matched)
			more = more && state != none
		}
		n := int64(len(chunk) - i)
		if pos, left, count = pos-n, left-n, count+n; !more {
			break
		}
		if n > 0 && left > 0 {
			continue
		}
		to, hit := d.step(state, t.before(pos))
		count++
		if hit && !emit(pos) {
			break
		}
		if state = to; state == none || left == 0 {
			break
		}
		pos, left = pos-t.step, left-1
	}
	j.end(count)
}

// Verify is called when the atom with the place was seen at offset at of the
// input. It calls emit with the start and the length of the matches that take
// the atom there, one for each start, the last start first. A start may be
// emitted again for another atom or another place of one: of these matches the
// longest counts if p.Greedy(), else the shortest. emit returns false to stop;
// it must not call the Matcher. Verify returns whether there is any match.
//
// id tells programs apart: what is worked out for one is kept under it.
func (m *Matcher) Verify(id uint32, p Program, place uint32, in Input, at int64, emit func(off, n int64) bool) bool {
	if m.Exhausted() || place == NoPlace || at < 0 || at >= in.Size() {
		return false
	}
	k := m.machine(id, p)
	q, wide := place>>1, place&1 != 0
	if wide && k.asciiFirst() && m.around(k, in, false, q, at, emit) {
		return !m.Exhausted()
	}
	return m.around(k, in, wide, q, at, emit) && !m.Exhausted()
}

// around runs from a program state forward and then backward, and tells
// whether there is a match.
func (m *Matcher) around(k *machine, in Input, wide bool, q uint32, at int64, emit func(off, n int64) bool) bool {
	end, ok := m.ahead(k, in, wide, q, at)
	if !ok {
		return false
	}
	full := k.flags&flagFull != 0
	if full && touches(in, end, wide, false) {
		return false
	}
	hit := false
	m.behind(k, in, wide, q, at, func(start int64) bool {
		if full && touches(in, start, wide, true) {
			return true
		}
		hit = true
		return emit(start, end-start)
	})
	return hit
}

// touches tells whether an ASCII letter or digit stands right before or behind
// a place; of wide text, with its zero byte.
func touches(in Input, off int64, wide, before bool) bool {
	at := func(off int64) int {
		if off < 0 {
			return -1
		}
		if v := in.View(off, 1); len(v) > 0 {
			return int(v[0])
		}
		return -1
	}
	c, z := at(off), 0
	switch {
	case wide && before:
		c, z = at(off-2), at(off-1)
	case wide:
		z = at(off + 1)
	case before:
		c = at(off - 1)
	}
	return c >= 0 && c != '_' && wordByte(byte(c)) && z == 0
}

// asciiFirst tells whether the wide form is only looked at where the ascii form
// does not match: so YARA 4 does it.
func (k *machine) asciiFirst() bool {
	return k.flags&(flagAscii|flagWide|flagTextEdge) == flagAscii|flagWide
}

// forms calls f for the forms that the program has.
func (k *machine) forms(f func(wide bool) bool) {
	if k.flags&flagAscii != 0 && !f(false) || k.flags&flagWide == 0 {
		return
	}
	f(true)
}

// Contains tells whether there is a match anywhere in the input, the empty
// match included.
func (m *Matcher) Contains(id uint32, p Program, in Input) bool {
	if m.Exhausted() {
		return false
	}
	k := m.machine(id, p)
	hit := false
	if k.flags&flagBack != 0 || k.flags&flagFull != 0 {
		m.Scan(id, p, in, 0, in.Size()+1, func(int64, int64) bool {
			hit = true
			return false
		})
		return hit
	}
	k.forms(func(wide bool) bool {
		for phase := range stepOf(wide) {
			hit = hit || m.anywhere(k, in, wide, phase)
		}
		return !hit
	})
	return hit && !m.Exhausted()
}

func stepOf(wide bool) int64 {
	if wide {
		return 2
	}
	return 1
}

// anywhere runs forward from off until there is a match.
func (m *Matcher) anywhere(k *machine, in Input, wide bool, off int64) bool {
	if off > in.Size() {
		return false
	}
	j := m.job(k, anywhere)
	j.over(in.Size(), true)
	d := j.d
	t := m.open(k, in, wide, false)
	state := d.intern(nil, k.ctx[t.before(off)])
	left := j.left()
	hit := false
	count, pos := int64(0), off
	for {
		chunk, next, class := t.right(pos, left), d.next, &k.class
		i := 0
		for i < len(chunk) {
			v := next[state+uint32(class[chunk[i]])]
			if v&special == 0 {
				state = v
				i++
				continue
			}
			if v == unknown {
				v = d.make(state, class[chunk[i]])
				next = d.next
			}
			i++
			if hit = v&matched != 0; hit {
				break
			}
			if state = v &^ special; state == none && k.first != nil {
				i += k.skip(chunk[i:])
			}
		}
		if pos, left, count = pos+int64(i), left-int64(i), count+int64(i); hit {
			break
		}
		if j.spent(count) {
			break
		}
		if i > 0 && left > 0 {
			continue
		}
		s := t.after(pos)
		to, matched := d.step(state, s)
		count++
		if hit = matched; hit || left == 0 || pos >= t.size || s == k.none && !wide {
			break
		}
		state = to
		pos, left = pos+t.step, left-1
	}
	j.end(count)
	return hit
}

// skip returns how many bytes can be passed over where nothing has begun.
func (k *machine) skip(chunk []byte) int {
	if k.only >= 0 {
		if i := bytes.IndexByte(chunk, byte(k.only)); i >= 0 {
			return i
		}
		return len(chunk)
	}
	for i, c := range chunk {
		if k.first[c] {
			return i
		}
	}
	return len(chunk)
}

// Scan calls emit with the start and length of the matches that start from
// from on and before to, rising, one for each start: the one that is
// preferred or, if p is greedy YARA-X, the longest. The ascii form comes
// before the wide one. It is for programs without an atom; to may be above the
// input's size for the empty match at its end.
func (m *Matcher) Scan(id uint32, p Program, in Input, from, to int64, emit func(off, n int64) bool) {
	k := m.machine(id, p)
	from, to = max(from, 0), min(to, in.Size()+1)
	if k.flags&flagAnchored != 0 {
		to = min(to, 1)
	}
	k.forms(func(wide bool) bool {
		if k.flags&flagBack != 0 {
			return m.scanBack(k, in, wide, from, to, false, emit)
		}
		s := scan{m: m, k: k, in: in, wide: wide, emit: emit, fresh: true}
		return s.run(from, to)
	})
}

// Apart is Scan for matches as PCRE finds them one after the other: each begins where the one
// before ended, or behind it; behind an empty one, a byte further. Only the ascii form is
// looked for.
func (m *Matcher) Apart(id uint32, p Program, in Input, from, to int64, emit func(off, n int64) bool) {
	k := m.machine(id, p)
	from, to = max(from, 0), min(to, in.Size()+1)
	if k.flags&flagAnchored != 0 {
		to = min(to, 1)
	}
	if k.flags&flagBack != 0 {
		m.scanBack(k, in, false, from, to, true, emit)
		return
	}
	s := scan{m: m, k: k, in: in, fresh: true}
	s.emit = func(off, n int64) bool {
		s.next = off + max(n, 1)
		return emit(off, n)
	}
	s.run(from, to)
}

// scan is one form of one Scan.
type scan struct {
	m     *Matcher
	k     *machine
	in    Input
	wide  bool
	emit  func(off, n int64) bool
	marks []uint64
	fresh bool  // nothing was run yet
	next  int64 // what starts before it does not count
}

// run goes through the blocks. How far behind a block one has to begin to know
// what starts in it is the program's reach; where that has no bound, one goes
// backward through the whole input first and keeps the state at each block.
func (s *scan) run(from, to int64) bool {
	step, size := stepOf(s.wide), s.blockSize()
	var marks []checkpoint
	if s.k.reach == 0 {
		marks = s.checkpoints(from, to)
	}
	for a := from; a < to; a += size {
		b := min(a+size, to)
		s.marks = append(s.marks[:0], make([]uint64, (b-a+63)/64)...)
		for phase := range step {
			if marks != nil {
				c := marks[(a-from)/size*step+phase]
				if c.hit {
					s.backward(c.off, c.list, a, b)
				}
				continue
			}
			end := min(b+(s.k.reachIn(step)+1)*step, s.in.Size())
			s.backward(end-(end-a-phase)%step, nil, a, b)
		}
		if !s.emitMarked(a, b) {
			return false
		}
	}
	return true
}

func (s *scan) blockSize() int64 {
	if s.m.block > 0 {
		return s.m.block
	}
	return blockSize
}

// checkpoint is the state of the automaton at the end of a block.
type checkpoint struct {
	off  int64
	list []uint32
	hit  bool // something starts in the block
}

func (s *scan) checkpoints(from, to int64) []checkpoint {
	step, size := stepOf(s.wide), s.blockSize()
	n := (to - from + size - 1) / size
	out := make([]checkpoint, n*step)
	for phase := range step {
		off := s.in.Size()
		off -= (off - from - phase) % step
		var list []uint32
		for i := n - 1; i >= 0; i-- {
			a := from + i*size
			s.marks = append(s.marks[:0], make([]uint64, (size+63)/64)...)
			c := checkpoint{off: off, list: list}
			off, list = s.backward(off, list, a, min(a+size, to))
			for _, w := range s.marks {
				c.hit = c.hit || w != 0
			}
			out[i*step+phase] = c
		}
	}
	return out
}

// backward runs the automaton of starts from off, with the list of its state,
// down to a, and marks the starts from a to b-1. It returns where it ended.
func (s *scan) backward(off int64, list []uint32, a, b int64) (int64, []uint32) {
	j := s.m.job(s.k, starts)
	j.over(s.in.Size(), s.fresh)
	s.fresh = false
	d := j.d
	t := s.m.open(s.k, s.in, s.wide, true)
	state := d.intern(list, s.k.ctx[t.after(off)])
	left := j.left()
	count := int64(0)
	for off >= a && left > 0 && !j.spent(count) {
		chunk, next, class := t.left(off, min(left, off-a)), d.next, &s.k.class
		i := len(chunk)
		for i > 0 {
			i--
			v := next[state+uint32(class[chunk[i]])]
			if v&special == 0 {
				state = v
				continue
			}
			if v == unknown {
				v = d.make(state, class[chunk[i]])
				next = d.next
			}
			if at := off - int64(len(chunk)-i) + 1; v&matched != 0 && at < b {
				s.marks[(at-a)>>6] |= 1 << ((at - a) & 63)
			}
			if state = v &^ (special | matched); state == none && s.k.last != nil {
				for i > 0 && !s.k.last[chunk[i-1]] {
					i--
				}
			}
		}
		if n := int64(len(chunk)); n > 0 {
			off, left, count = off-n, left-n, count+n
			continue
		}
		to, hit := d.step(state, t.before(off))
		if hit && off < b {
			s.marks[(off-a)>>6] |= 1 << ((off - a) & 63)
		}
		state = to
		off -= t.step
		left--
		count++
	}
	j.end(count)
	return off, append([]uint32(nil), d.listOf(state)...)
}

// emitMarked finds the ends of what starts in a block.
func (s *scan) emitMarked(a, b int64) bool {
	for off := a; off < b; off++ {
		if s.marks[(off-a)>>6]>>((off-a)&63)&1 == 0 {
			if s.marks[(off-a)>>6] == 0 {
				off = a + ((off - a) | 63) // the last place of this word
			}
			continue
		}
		if s.m.Exhausted() {
			return false
		}
		if off < s.next {
			continue
		}
		end, ok := s.m.ahead(s.k, s.in, s.wide, s.k.entry, off)
		if ok && s.wide && s.k.asciiFirst() {
			_, other := s.m.ahead(s.k, s.in, false, s.k.entry, off)
			ok = !other
		}
		if !ok || end == off && s.k.flags&flagEmpty == 0 {
			continue
		}
		if s.k.flags&flagFull != 0 && (touches(s.in, off, s.wide, true) || touches(s.in, end, s.wide, false)) {
			continue
		}
		if !s.emit(off, end-off) {
			return false
		}
	}
	return !s.m.Exhausted()
}
