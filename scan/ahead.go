package scan

import (
	"runtime"

	"github.com/showcause/showcause/literal"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/unpack"
)

// A large layer is searched by all processors: the literals of its next windows are looked for
// while the patterns of the first are verified. Windows are read, and patterns verified, by one
// goroutine and in order, and steps counted there, so that what is found does not depend on how many there are.

// aheadFrom is from which size of a layer on other processors help, bytes.
const aheadFrom = 4 << 20

// glance is a window in which the literals are looked for.
type glance struct {
	room     []byte // of windows that are read
	buf      []byte
	base     int64 // of buf in the layer
	from, to int   // literals that begin here
	last     bool  // the layer ends, or cannot be read further
	err      error // of reading
	zeros    int64 // known to follow from base on

	hits     []literal.Hit
	next     int // where to go on after hits
	begun    bool
	done     chan struct{} // nil: nobody looks ahead
	panicked any
}

// look finds the first literals.
func (g *glance) look(lits *ruledb.Literals) {
	g.hits, g.next = lits.Set.ScanN(g.buf, g.from, g.to, g.hits[:0], batch)
	g.begun = true
}

// ahead has another processor look.
func (g *glance) ahead(lits *ruledb.Literals) {
	g.begun, g.panicked, g.done = false, nil, make(chan struct{})
	go func() {
		defer close(g.done)
		defer func() { g.panicked = recover() }()
		g.look(lits)
	}()
}

// wait returns when nobody looks any more.
func (g *glance) wait() {
	if g.done != nil {
		<-g.done
		g.done = nil
	}
}

// glances has as many windows as are looked at together in n bytes, each with room for what is read where that is asked for.
func (s *search) glances(n int64, read bool) []*glance {
	count := 1
	if procs := runtime.GOMAXPROCS(0); procs > 1 && n >= aheadFrom {
		count = procs + 1
	}
	for len(s.ring) < count {
		s.ring = append(s.ring, &glance{})
	}
	for _, g := range s.ring[:count] {
		if g.last, g.err, g.zeros = false, nil, 0; read && g.room == nil {
			g.room = make([]byte, window)
		}
	}
	return s.ring[:count]
}

// begin looks into a window, ahead if there are several.
func (g *glance) begin(lits *ruledb.Literals, several bool) {
	g.begun = false
	if several {
		g.ahead(lits)
	}
}

// memory searches a layer that is in memory.
func (s *search) memory(lits *ruledb.Literals, b []byte, all bool) {
	ring := s.glances(int64(len(b)), false)
	var under []*glance
	defer func() { drain(under) }()
	for at, i := 0, 0; (at < len(b) || len(under) > 0) && !s.matcher.Exhausted(); {
		for ; at < len(b) && len(under) < len(ring); i++ {
			g := ring[i%len(ring)]
			g.buf, g.base, g.from, g.to = b, 0, at, min(at+window, len(b))
			g.begin(lits, len(ring) > 1)
			under, at = append(under, g), g.to
		}
		g := under[0]
		s.window(lits, g, all)
		under = under[1:]
	}
}

// stretch searches a part of the layer that is not in memory.
func (s *search) stretch(lits *ruledb.Literals, at, n int64, all bool) {
	ring := s.glances(n-at, true)
	keep := max(lits.Set.MaxLen()-1, 0)
	var under []*glance
	defer func() { drain(under) }()
	var tail []byte // of the last window that was read: what stands at at
	for i, hold := 0, false; (len(under) > 0 || at < n) && !s.matcher.Exhausted(); {
		for ; at < n && len(under) < len(ring) && !hold; i++ {
			g := ring[i%len(ring)]
			s.read(g, tail, at, n, keep)
			g.begin(lits, len(ring) > 1)
			under, tail, at = append(under, g), g.buf[g.to:], at+int64(g.to)
			hold = g.last || g.zeros > int64(len(g.buf))
		}
		g := under[0]
		hits := s.window(lits, g, all)
		under = under[1:]
		if g.last {
			if have := g.base + int64(len(g.buf)); g.err != nil {
				s.in.cannotRead(s.l, have, n-have, g.err)
			}
			return
		}
		if g.zeros > int64(len(g.buf)) {
			hold = false
			if hits == 0 && len(g.buf) > keep {
				// No literal is of zeros alone, so that none begins where only zeros follow as far
				// as any reaches.
				tail, at = nil, g.base+g.zeros-int64(keep)
			}
		}
	}
}

// read reads a window that begins with tail, which stands at at.
func (s *search) read(g *glance, tail []byte, at, n int64, keep int) {
	have := copy(g.room, tail)
	m, err := s.fill(g.room[have:], at+int64(have), n)
	have += m
	g.buf, g.base, g.from, g.to, g.err = g.room[:have], at, 0, have, err
	g.last = err != nil || at+int64(have) >= n
	if !g.last {
		g.to = have - keep
	}
	g.zeros = unpack.Zeros(s.l.Source, at)
}

// drain waits for windows that nobody asks for any more: they are used again.
func drain(under []*glance) {
	for _, g := range under {
		g.wait()
	}
}

// window verifies what literals a window has, and returns how many there are.
func (s *search) window(lits *ruledb.Literals, g *glance, all bool) (hits int) {
	g.wait()
	if g.panicked != nil {
		panic(g.panicked)
	}
	s.input.SetWindow(g.buf, g.base)
	for from := g.from; from < g.to && !s.matcher.Exhausted(); {
		if !g.begun {
			g.from = from
			g.look(lits)
		}
		g.begun, from = false, g.next
		s.matcher.Steps += int64(len(g.hits))
		hits += len(g.hits)
		for _, h := range g.hits {
			for _, ref := range lits.Refs(h.ID) {
				s.verify(ref, g.base+int64(h.At), all)
			}
		}
	}
	return hits
}
