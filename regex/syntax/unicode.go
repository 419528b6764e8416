package syntax

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// runes is a set of code points: pairs of first and last, sorted and apart.
type runes []rune

func (r runes) normal() runes {
	type pair struct{ lo, hi rune }
	ps := make([]pair, 0, len(r)/2)
	for i := 0; i < len(r); i += 2 {
		ps = append(ps, pair{r[i], r[i+1]})
	}
	slices.SortFunc(ps, func(a, b pair) int { return int(a.lo) - int(b.lo) })
	out := r[:0:0]
	for _, p := range ps {
		if n := len(out); n > 0 && p.lo <= out[n-1]+1 {
			out[n-1] = max(out[n-1], p.hi)
			continue
		}
		out = append(out, p.lo, p.hi)
	}
	return out
}

// not returns the complement up to top.
func (r runes) not(top rune) runes {
	out := runes{}
	next := rune(0)
	for i := 0; i < len(r); i += 2 {
		if r[i] > next {
			out = append(out, next, r[i]-1)
		}
		next = r[i+1] + 1
	}
	if next <= top {
		out = append(out, next, top)
	}
	return out
}

func (r runes) and(o runes) runes {
	out := runes{}
	for i, j := 0, 0; i < len(r) && j < len(o); {
		if lo, hi := max(r[i], o[j]), min(r[i+1], o[j+1]); lo <= hi {
			out = append(out, lo, hi)
		}
		if r[i+1] < o[j+1] {
			i += 2
		} else {
			j += 2
		}
	}
	return out
}

func tableRunes(dst runes, t *unicode.RangeTable) runes {
	add := func(lo, hi, stride rune) {
		if stride == 1 {
			dst = append(dst, lo, hi)
			return
		}
		for c := lo; c <= hi; c += stride {
			dst = append(dst, c, c)
		}
	}
	for _, x := range t.R16 {
		add(rune(x.Lo), rune(x.Hi), rune(x.Stride))
	}
	for _, x := range t.R32 {
		add(rune(x.Lo), rune(x.Hi), rune(x.Stride))
	}
	return dst
}

func setRunes(s Set) runes {
	out := runes{}
	for _, c := range s.Bytes(nil) {
		out = append(out, rune(c), rune(c))
	}
	return out.normal()
}

// perlRunes is \d \s \w over Unicode (UTS 18, Annex C).
func perlRunes(c byte) runes {
	var r runes
	switch c | 0x20 {
	case 'd':
		r = tableRunes(r, unicode.Nd)
	case 's':
		r = tableRunes(r, unicode.White_Space)
	case 'w':
		for _, t := range []*unicode.RangeTable{unicode.L, unicode.M, unicode.Nd, unicode.Pc, unicode.Join_Control, unicode.Other_Alphabetic, unicode.Nl} {
			r = tableRunes(r, t)
		}
	}
	r = r.normal()
	if c&0x20 == 0 {
		return r.not(unicode.MaxRune)
	}
	return r
}

// property reads \pL, \p{Greek} or \P{...}, the backslash read.
func (p *parser) property(pos int) (runes, error) {
	negate := p.src[p.pos] == 'P'
	p.pos++
	if !p.unicode {
		return nil, p.fail(BadUnicode, pos, p.pos, "Unicode class without (?u)")
	}
	p.nodes += 100 // what looking it up costs
	name := ""
	if p.eat("{") {
		text, _, ok := strings.Cut(p.src[p.pos:], "}")
		if !ok {
			return nil, p.fail(BadEnd, pos, len(p.src), "Unicode class without its end")
		}
		p.pos += len(text) + 1
		name = text
	} else if p.more() {
		name = p.src[p.pos : p.pos+1]
		p.pos++
	}
	if rest, ok := strings.CutPrefix(name, "^"); ok {
		name, negate = rest, !negate
	}
	if _, value, ok := strings.Cut(name, "="); ok {
		name = value
	}
	t := unicodeTable(name)
	if t == nil {
		return nil, p.fail(BadUnicode, pos, p.pos, "unknown Unicode class")
	}
	r := tableRunes(nil, t).normal()
	if negate {
		r = r.not(unicode.MaxRune)
	}
	return r, nil
}

func unicodeTable(name string) *unicode.RangeTable {
	same := func(a string) bool {
		strip := strings.NewReplacer("_", "", " ", "", "-", "")
		return strings.EqualFold(strip.Replace(a), strip.Replace(name))
	}
	for _, m := range []map[string]*unicode.RangeTable{unicode.Categories, unicode.Scripts, unicode.Properties} {
		for k, t := range m {
			if same(k) {
				return t
			}
		}
	}
	for k, short := range unicode.CategoryAliases {
		if same(k) {
			return unicode.Categories[short]
		}
	}
	return nil
}

// rune makes a node of one code point in UTF-8.
func (p *parser) rune(r rune, pos int) *Node {
	if p.mode.CaseInsensitive && p.unicode {
		return p.runeClass(runes{r, r}, pos)
	}
	var seq []*Node
	for _, c := range []byte(string(r)) {
		seq = append(seq, p.char(c, pos))
	}
	return p.node(Group, pos, p.join(seq, pos))
}

func (p *parser) unicodeDot(pos int) *Node {
	r := runes{0, unicode.MaxRune}
	if !p.mode.DotAll {
		r = runes{'\n', '\n'}.not(unicode.MaxRune)
	}
	return p.encode(r, pos)
}

// runeClass makes a node of a set of code points, folded where case is ignored.
func (p *parser) runeClass(r runes, pos int) *Node {
	if p.mode.CaseInsensitive {
		r = p.foldRunes(r)
	}
	return p.encode(r, pos)
}

// foldRunes adds what each code point folds to. What it costs counts as parts.
func (p *parser) foldRunes(r runes) runes {
	out := slices.Clone(r)
	for i := 0; i < len(r); i += 2 {
		p.nodes += int(r[i+1]-r[i]) >> 6
		for c := r[i]; c <= r[i+1] && c < 0x20000 && p.nodes <= maxNodes; c++ {
			for f := unicode.SimpleFold(c); f != c; f = unicode.SimpleFold(f) {
				out = append(out, f, f)
			}
		}
	}
	return out.normal()
}

// encode makes a node of a set of code points as UTF-8: alternatives of
// sequences of byte ranges.
func (p *parser) encode(r runes, pos int) *Node {
	var alts []*Node
	for i := 0; i < len(r); i += 2 {
		for _, part := range [][2]rune{{0, 0x7f}, {0x80, 0x7ff}, {0x800, 0xd7ff}, {0xe000, 0xffff}, {0x10000, unicode.MaxRune}} {
			if lo, hi := max(r[i], part[0]), min(r[i+1], part[1]); lo <= hi {
				alts = p.encodeRange(alts, lo, hi, pos)
			}
		}
	}
	if len(alts) == 0 {
		return p.raw(Set{}, pos)
	}
	if len(alts) == 1 {
		return p.node(Group, pos, alts[0])
	}
	return p.node(Group, pos, p.node(Alt, pos, alts...))
}

// encodeRange splits a range whose encodings are of one length until the
// ranges of its bytes are independent of each other.
func (p *parser) encodeRange(alts []*Node, lo, hi rune, pos int) []*Node {
	n := utf8.RuneLen(lo)
	for i := 1; i < n; i++ {
		m := rune(1)<<(6*i) - 1
		if lo&^m == hi&^m {
			continue
		}
		if lo&m != 0 {
			return p.encodeRange(p.encodeRange(alts, lo, lo|m, pos), lo|m+1, hi, pos)
		}
		if hi&m != m {
			return p.encodeRange(p.encodeRange(alts, lo, hi&^m-1, pos), hi&^m, hi, pos)
		}
	}
	a, b := []byte(string(lo)), []byte(string(hi))
	var seq []*Node
	for i := range a {
		seq = append(seq, p.raw(setRange(int(a[i]), int(b[i])), pos))
	}
	return append(alts, p.join(seq, pos))
}

// classX reads a class of Rust's regex crate: nested classes, POSIX names, and
// the operations && -- ~~.
func (p *parser) classX() (*Node, error) {
	pos := p.pos
	r, err := p.runesX(0)
	if err != nil {
		return nil, err
	}
	if p.unicode {
		return p.encode(r, pos), nil
	}
	var s Set
	for i := 0; i < len(r); i += 2 {
		s.addRange(int(r[i]), int(min(r[i+1], 255)))
	}
	return p.raw(s, pos), nil
}

func (p *parser) top() rune {
	if p.unicode {
		return unicode.MaxRune
	}
	return 255
}

// runesX reads a class from its "[" to its "]".
func (p *parser) runesX(depth int) (runes, error) {
	pos := p.pos
	if depth > maxNest {
		return nil, p.fail(TooDeep, pos, pos+1, "nested classes")
	}
	p.pos++
	negate := p.eat("^")
	var left, cur runes
	op := ""
	apply := func() {
		cur = cur.normal()
		if p.mode.CaseInsensitive {
			cur = p.foldX(cur)
		}
		switch op {
		case "":
			left = cur
		case "&&":
			left = left.and(cur)
		case "--":
			left = left.and(cur.not(p.top()))
		case "~~":
			both := left.and(cur)
			left = append(slices.Clone(left), cur...).normal().and(both.not(p.top()))
		}
		cur = nil
	}
	// "-" and "]" that come first are themselves, and begin no range.
	for p.eat("-") {
		cur = append(cur, '-', '-')
	}
	if len(cur) == 0 && p.eat("]") {
		cur = append(cur, ']', ']')
	}
	for {
		p.nodes++
		if p.skipExtended(); !p.more() {
			return nil, p.fail(BadClass, pos, pos+1, "class without its end")
		}
		if p.eat("]") {
			break
		}
		if o := p.classOp(); o != "" {
			apply()
			op = o
			continue
		}
		if p.at("[") {
			if name, ok := p.posixName(); ok {
				s, _ := posix(name)
				cur = append(cur, setRunes(s)...)
				continue
			}
			in, err := p.runesX(depth + 1)
			if err != nil {
				return nil, err
			}
			p.nodes += len(in)
			cur = append(cur, in...)
			continue
		}
		var err error
		if cur, err = p.memberX(cur); err != nil {
			return nil, err
		}
	}
	apply()
	if negate {
		left = left.not(p.top())
	}
	return left, p.room()
}

func (p *parser) classOp() string {
	for _, o := range []string{"&&", "--", "~~"} {
		if p.eat(o) {
			return o
		}
	}
	return ""
}

func (p *parser) foldX(r runes) runes {
	if p.unicode {
		return p.foldRunes(r)
	}
	var s Set
	for i := 0; i < len(r); i += 2 {
		s.addRange(int(r[i]), int(min(r[i+1], 255)))
	}
	s.fold()
	return setRunes(s)
}

// memberX reads one member of a class, or a range.
func (p *parser) memberX(dst runes) (runes, error) {
	pos := p.pos
	if p.at(`\`) && p.pos+1 < len(p.src) {
		switch c := p.src[p.pos+1]; c {
		case 'd', 'D', 's', 'S', 'w', 'W':
			p.pos += 2
			s, _ := perl(c)
			r := setRunes(s)
			if p.unicode {
				r = perlRunes(c)
			}
			p.nodes += len(r) // so that what a class takes is bounded
			return append(dst, r...), p.room()
		case 'p', 'P':
			p.pos++
			r, err := p.property(pos)
			if err == nil {
				p.nodes += len(r)
				err = p.room()
			}
			return append(dst, r...), err
		case 'b', 'B', 'A', 'z':
			return nil, p.fail(BadClass, pos, pos+2, "assertion in a class")
		}
	}
	lo, err := p.runeX()
	if err != nil {
		return nil, err
	}
	hi := lo
	if p.at("-") && !p.at("-]") && !p.at("--") && p.pos+1 < len(p.src) {
		p.pos++
		p.skipExtended()
		if p.at("[") || p.at(`\d`) || p.at(`\w`) || p.at(`\s`) || p.at(`\D`) || p.at(`\W`) || p.at(`\S`) {
			return nil, p.fail(BadClass, pos, p.pos, "range that does not end in a character")
		}
		if hi, err = p.runeX(); err != nil {
			return nil, err
		}
	}
	if hi < lo {
		return nil, p.fail(BadClass, pos, p.pos, "range reversed")
	}
	return append(dst, lo, hi), nil
}

// runeX reads one character of a class.
func (p *parser) runeX() (rune, error) {
	pos := p.pos
	if !p.more() {
		return 0, p.fail(BadClass, pos, pos, "class without its end")
	}
	r, n := utf8.DecodeRuneInString(p.src[pos:])
	p.pos += n
	isByte := r < utf8.RuneSelf
	if r == '\\' {
		var err error
		if r, isByte, err = p.escaped(pos); err != nil {
			return 0, err
		}
	}
	if !isByte && !p.unicode {
		return 0, p.fail(BadUnicode, pos, p.pos, "character beyond ASCII in a class of bytes")
	}
	return r, nil
}
