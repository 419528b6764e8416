package pattern

// seed is where an atom stands: path leads from a sequence to bytes (element,
// then alternative and element for each level deeper), off is within these.
type seed struct {
	path []uint16
	off  int
	lit  []byte
	fold bool
}

// cover is a set of seeds of which every match contains one.
type cover struct {
	seeds []seed
	short int // the shortest literal
	score int // the worst score
}

// better tells whether c is to be preferred to o, which may be nil.
func (c *cover) better(o *cover) bool {
	if c == nil || o == nil {
		return c != nil
	}
	if g, h := c.worth(), o.worth(); g != h {
		return g > h
	}
	if c.short != o.short {
		return c.short > o.short
	}
	return len(c.seeds) < len(o.seeds)
}

// worth is the score less what a short literal costs besides: many of them
// cannot be searched for at once. A short one is still better than one that is
// everywhere, such as zeros.
func (c *cover) worth() int {
	return c.score - shortCost*(goodAtom-min(c.short, goodAtom))
}

// shortCost is taken off for each byte that a literal lacks of goodAtom: two bits
// of package literal's score.
const shortCost = 16

// choose returns the best cover of a variant, nil if it has none. A seed
// before the first unbounded gap is preferred, since each such seed has few
// starts and they are its own; where matches are told apart by their end, it
// has to stand after the last gap that varies, for the same reason.
func choose(v []Elem, byEnd bool, score func([]byte, bool) int) *cover {
	from, to := 0, len(v)
	for i, e := range v {
		if byEnd && varies(e) {
			from = i + 1
		}
		if !byEnd && isOpen(e) {
			to = min(to, i)
		}
	}
	head := best(v, from, to, score)
	if byEnd || to == len(v) {
		return head
	}
	tail := best(v, to, len(v), score)
	if tail != nil && (head == nil || tail.worth() > head.worth()+farCost || head.short < goodAtom && tail.better(head)) {
		return tail
	}
	return head
}

// farCost is what a seed behind an unbounded gap has to be better by.
const farCost = 64

// best returns the best cover among elements from to to-1 of a sequence.
func best(seq []Elem, from, to int, score func([]byte, bool) int) *cover {
	var top *cover
	for i := from; i < to; i++ {
		var c *cover
		switch e := &seq[i]; {
		case e.Kind == Bytes:
			c = bestWindow(e, score)
		case e.Kind == Alt && !e.Negate:
			c = bestAlts(e, score)
		}
		if c == nil {
			continue
		}
		for j := range c.seeds {
			c.seeds[j].path = append([]uint16{uint16(i)}, c.seeds[j].path...)
		}
		if c.better(top) {
			top = c
		}
	}
	return top
}

// bestAlts takes the best cover of every alternative.
func bestAlts(e *Elem, score func([]byte, bool) int) *cover {
	var all *cover
	for i, a := range e.Alts {
		c := best(a, 0, len(a), score)
		if c == nil {
			return nil
		}
		for j := range c.seeds {
			c.seeds[j].path = append([]uint16{uint16(i)}, c.seeds[j].path...)
		}
		if all == nil {
			all = c
			continue
		}
		all.seeds = append(all.seeds, c.seeds...)
		all.short = min(all.short, c.short)
		all.score = min(all.score, c.score)
	}
	return all
}

// maxWindows bounds how many windows of one run of bytes are scored.
const maxWindows = 1024

// bestWindow returns the best run of fixed bytes, at most MaxAtom long, nil if there
// is none.
func bestWindow(e *Elem, score func([]byte, bool) int) *cover {
	top, s, found := bestRun(e, score)
	if !found {
		return nil
	}
	return &cover{seeds: []seed{s}, short: top.short, score: top.score}
}

// bestRun is bestWindow, with the seed beside its cover.
func bestRun(e *Elem, score func([]byte, bool) int) (top cover, best seed, found bool) {
	var one [1]seed // better asks how many there are
	for i := 0; i < len(e.Value); {
		if e.Mask != nil && e.Mask[i] != 0xff {
			i++
			continue
		}
		end := i
		for end < len(e.Value) && (e.Mask == nil || e.Mask[end] == 0xff) {
			end++
		}
		size := min(end-i, MaxAtom)
		// Every half window: each run of bytes that can be a seed lies in one of them.
		step := max(MaxAtom/2, (end-i-size)/maxWindows+1)
		for at := i; ; at = min(at+step, end-size) {
			lit := e.Value[at : at+size : at+size]
			fold := e.Fold && letters(lit)
			if c := (cover{seeds: one[:], short: size, score: score(lit, fold)}); !found || c.better(&top) {
				top, best, found = c, seed{off: at, lit: lit, fold: fold}, true
			}
			if at == end-size {
				break
			}
		}
		i = end
	}
	return top, best, found
}

func letters(b []byte) bool {
	for _, c := range b {
		if isLetter(c) {
			return true
		}
	}
	return false
}
