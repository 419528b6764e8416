package syntax

import "fmt"

const (
	maxSource = 1 << 20 // bytes
	maxNest   = 250     // groups within groups
	maxNodes  = 1 << 18

	maxRepeatYARA = 1<<15 - 1
	maxRepeatPCRE = 1<<16 - 1
	maxRepeatX    = 1 << 20 // more cannot be compiled
)

// Parse reads an expression as it stands between the slashes of a rule. The
// error is an *Error. What a dialect has is said in its documentation: YARA,
// "Writing YARA rules", Regular expressions; YARA-X, "Regular expressions", and
// the syntax of Rust's regex crate; pcre2pattern(3).
func Parse(src string, f Flags) (*Tree, error) {
	p := &parser{src: src, f: f, t: &Tree{Flags: f}}
	p.mode = f
	err := p.parse()
	if err != nil {
		return nil, err
	}
	return p.t, nil
}

type parser struct {
	src   string
	pos   int
	f     Flags // as given
	mode  Flags // as inline flags have it now
	t     *Tree
	depth int
	nodes int

	unicode bool           // YARAX: (?u)
	first   *Node          // the first quantifier
	clash   *Node          // the first of the other kind, for MixedGreed
	refs    []*Node        // PCRE: back-references, looked up at the end
	named   []namedRef     // PCRE: those by name
	names   map[string]int // groups by name
}

type namedRef struct {
	node *Node
	name string
}

func (p *parser) parse() error {
	if len(p.src) > maxSource {
		return p.fail(TooLarge, 0, len(p.src), fmt.Sprintf("%d bytes, at most %d", len(p.src), maxSource))
	}
	var root *Node
	var err error
	if p.f.Dialect == YARA4 {
		root, err = p.alternatives()
	} else {
		root, err = p.perlAlternatives()
	}
	if err != nil {
		return err
	}
	if p.pos < len(p.src) {
		return p.fail(BadGroup, p.pos, p.pos+1, "closing parenthesis without an opening one")
	}
	p.t.Root, p.t.Names = root, p.names
	if p.f.Dialect == PCRE {
		return p.resolve()
	}
	if p.f.Dialect == YARA4 && p.clash != nil {
		return p.fail(MixedGreed, p.clash.Pos, p.clash.End, "greedy and lazy quantifiers in one expression")
	}
	return nil
}

func (p *parser) fail(c Code, from, to int, detail string) error {
	n := len(p.src)
	return &Error{Code: c, Pos: min(from, n), End: min(max(to, from), n), Detail: detail}
}

func (p *parser) more() bool { return p.pos < len(p.src) }

// at tells whether text stands at the place.
func (p *parser) at(text string) bool {
	return len(p.src)-p.pos >= len(text) && p.src[p.pos:p.pos+len(text)] == text
}

func (p *parser) eat(text string) bool {
	if !p.at(text) {
		return false
	}
	p.pos += len(text)
	return true
}

// enter and leave count nested groups.
func (p *parser) enter(pos int) error {
	if p.depth++; p.depth > maxNest {
		return p.fail(TooDeep, pos, pos+1, fmt.Sprintf("groups more than %d deep", maxNest))
	}
	return nil
}

func (p *parser) leave() { p.depth-- }

func (p *parser) node(op Op, pos int, subs ...*Node) *Node {
	p.nodes++
	return &Node{Op: op, Pos: pos, End: p.pos, Subs: subs}
}

func (p *parser) room() error {
	if p.nodes > maxNodes {
		return p.fail(TooLarge, 0, p.pos, fmt.Sprintf("more than %d parts", maxNodes))
	}
	return nil
}

// class makes a node of one byte, folded where case is ignored.
func (p *parser) class(s Set, pos int) *Node {
	n := p.node(Class, pos)
	n.Set = s
	if p.mode.CaseInsensitive {
		n.Set.fold()
	}
	return n
}

// raw is class without the folding: of what was folded before it was negated.
func (p *parser) raw(s Set, pos int) *Node {
	n := p.node(Class, pos)
	n.Set = s
	return n
}

func (p *parser) char(c byte, pos int) *Node {
	var s Set
	s.add(c)
	return p.class(s, pos)
}

func (p *parser) dot(pos int) *Node {
	s := setRange(0, 255)
	if !p.mode.DotAll {
		s[0] &^= 1 << '\n'
	}
	return p.raw(s, pos)
}

func (p *parser) assert(t Test, pos int) *Node {
	n := p.node(Assert, pos)
	n.Test = t
	return n
}

// repeat wraps a node, and notes whether the quantifier is greedy.
func (p *parser) repeat(sub *Node, lo, hi int, lazy bool) *Node {
	n := p.node(Repeat, sub.Pos, sub)
	n.Min, n.Max, n.Lazy = lo, hi, lazy
	if lazy {
		p.t.Lazy = true
	} else {
		p.t.Greedy = true
	}
	if p.first == nil {
		p.first = n
	} else if p.clash == nil && p.first.Lazy != lazy {
		p.clash = n
	}
	return n
}

// bounds reads "{n}", "{n,}", "{,m}" or "{n,m}", spaces around the numbers
// allowed, and tells whether one stands at the place; where none does, the
// place stays. A number too large for a dialect is an error.
func (p *parser) bounds() (lo, hi int, ok bool, err error) {
	i, start := p.pos+1, p.pos
	num := func() (int, bool) {
		i = skipSpace(p.src, i)
		n, from := 0, i
		for i < len(p.src) && '0' <= p.src[i] && p.src[i] <= '9' {
			n = min(n*10+int(p.src[i]-'0'), 1<<40)
			i++
		}
		some := i > from
		i = skipSpace(p.src, i)
		return n, some
	}
	lo, some := num()
	hi = lo
	if i < len(p.src) && p.src[i] == ',' {
		i++
		var top bool
		hi, top = num()
		if !top {
			hi = -1
		}
		// PCRE2 10.43 has {,m}; ClamAV's 10.42 has not. "{,}" is YARA 4's and X's.
		if !some && p.f.Dialect == PCRE {
			return 0, 0, false, nil
		}
	} else if !some {
		return 0, 0, false, nil
	}
	if i >= len(p.src) || p.src[i] != '}' {
		return 0, 0, false, nil
	}
	p.pos = i + 1
	limit := map[Dialect]int{YARA4: maxRepeatYARA, YARAX: maxRepeatX, PCRE: maxRepeatPCRE}[p.f.Dialect]
	if lo > limit || hi > limit {
		return 0, 0, false, p.fail(RepeatTooLarge, start, p.pos, fmt.Sprintf("repetition above %d", limit))
	}
	if hi >= 0 && hi < lo {
		return 0, 0, false, p.fail(BadRepeat, start, p.pos, "repetition with its bounds reversed")
	}
	return lo, hi, true, nil
}

func skipSpace(s string, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\t') {
		i++
	}
	return i
}

func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// hex2 reads two hexadecimal digits.
func (p *parser) hex2() (byte, bool) {
	if len(p.src)-p.pos < 2 {
		return 0, false
	}
	a, b := hexDigit(p.src[p.pos]), hexDigit(p.src[p.pos+1])
	if a < 0 || b < 0 {
		return 0, false
	}
	p.pos += 2
	return byte(a<<4 | b), true
}

// join makes one node of a sequence.
func (p *parser) join(seq []*Node, pos int) *Node {
	switch len(seq) {
	case 0:
		return p.node(Empty, pos)
	case 1:
		return seq[0]
	}
	return p.node(Concat, pos, seq...)
}
