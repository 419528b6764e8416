package syntax

import (
	"strings"
	"unicode/utf8"
)

// perlEscape reads an escape outside of a class.
func (p *parser) perlEscape() (*Node, error) {
	pos := p.pos
	p.pos++
	if !p.more() {
		return nil, p.fail(BadEnd, pos, pos+1, "backslash at the end")
	}
	c := p.src[p.pos]
	switch c {
	case 'b', 'B', 'A', 'z':
		p.pos++
		return p.edge(c, pos)
	case 'd', 'D', 's', 'S', 'w', 'W':
		p.pos++
		if p.unicode {
			return p.runeClass(perlRunes(c), pos), nil
		}
		s, _ := perl(c)
		return p.raw(s, pos), nil
	case 'p', 'P':
		if p.f.Dialect == YARAX {
			r, err := p.property(pos)
			if err != nil {
				return nil, err
			}
			return p.runeClass(r, pos), nil
		}
	}
	if p.f.Dialect == PCRE {
		if n, err := p.escapePCRE(pos); n != nil || err != nil {
			return n, err
		}
	}
	r, isByte, err := p.escaped(pos)
	if err != nil {
		return nil, err
	}
	if isByte {
		return p.char(byte(r), pos), nil
	}
	return p.rune(r, pos), nil
}

// edge reads the assertions that both dialects write with a letter.
func (p *parser) edge(c byte, pos int) (*Node, error) {
	test := map[byte]Test{'b': WordEdge, 'B': NoWordEdge, 'A': Begin, 'z': End}[c]
	if c == 'b' && p.f.Dialect == YARAX && p.at("{") {
		for name, t := range map[string]Test{"{start}": WordStart, "{end}": WordEnd, "{start-half}": WordStartHalf, "{end-half}": WordEndHalf} {
			if p.eat(name) {
				return p.assert(t, pos), nil
			}
		}
	}
	return p.assert(test, pos), nil
}

// escapePCRE reads the escapes that only PCRE has; nil where it is none.
func (p *parser) escapePCRE(pos int) (*Node, error) {
	c := p.src[p.pos]
	p.pos++
	switch c {
	case 'Z':
		return p.assert(EndLine, pos), nil
	case 'G':
		return p.assert(First, pos), nil
	case 'K':
		return p.node(Keep, pos), nil
	case 'h', 'H', 'v', 'V', 'N':
		if c == 'N' && p.at("{") {
			here := p.pos
			if _, _, ok, err := p.bounds(); !ok && err == nil {
				return nil, p.fail(Unsupported, pos, here, "named character")
			}
			p.pos = here
		}
		s, _ := perl(c)
		return p.raw(s, pos), nil
	case 'R':
		crlf := p.node(Concat, pos, p.raw(setOf("\r"), pos), p.raw(setOf("\n"), pos))
		one, _ := perl('v')
		return p.node(Atomic, pos, p.node(Alt, pos, crlf, p.raw(one, pos))), nil
	case 'C':
		return p.raw(setRange(0, 255), pos), nil
	case 'k', 'g':
		return p.refPCRE(c, pos)
	case 'X', 'p', 'P':
		return nil, p.fail(Unsupported, pos, p.pos, "Unicode class")
	}
	if '1' <= c && c <= '9' {
		k, i := 0, p.pos-1
		for i < len(p.src) && '0' <= p.src[i] && p.src[i] <= '9' && k < 1<<16 {
			k = k*10 + int(p.src[i]-'0')
			i++
		}
		// Up to 9, or as many groups as there are before: a reference; else octal.
		if k < 10 || k <= p.t.Groups || c >= '8' {
			p.pos = i
			return p.ref(k, pos), nil
		}
	}
	p.pos--
	return nil, nil
}

func (p *parser) ref(k, pos int) *Node {
	n := p.node(Ref, pos)
	n.Index, n.Fold = k, p.mode.CaseInsensitive
	p.refs = append(p.refs, n)
	return n
}

// refPCRE reads what follows \k or \g.
func (p *parser) refPCRE(c byte, pos int) (*Node, error) {
	ends := map[string]string{"{": "}", "<": ">", "'": "'"}
	for open, end := range ends {
		if c == 'g' && open != "{" {
			if p.at(open) {
				return nil, p.fail(Unsupported, pos, p.pos, "recursion")
			}
			continue
		}
		if !p.eat(open) {
			continue
		}
		if c == 'k' || p.more() && !isNumber(p.src[p.pos]) {
			name, err := p.name(end)
			n := p.node(Ref, pos)
			n.Fold = p.mode.CaseInsensitive
			p.named = append(p.named, namedRef{n, name})
			return n, err
		}
		k, ok := p.number()
		if !ok || !p.eat(end) {
			return nil, p.fail(BadReference, pos, p.pos, "malformed back-reference")
		}
		return p.relative(k, pos)
	}
	if k, ok := p.number(); c == 'g' && ok {
		return p.relative(k, pos)
	}
	return nil, p.fail(BadReference, pos, p.pos, "malformed back-reference")
}

func isNumber(c byte) bool { return '0' <= c && c <= '9' || c == '-' || c == '+' }

func (p *parser) relative(k, pos int) (*Node, error) {
	if k < 0 {
		k += p.t.Groups + 1
	}
	if k <= 0 {
		return nil, p.fail(BadReference, pos, p.pos, "back-reference to no group")
	}
	return p.ref(k, pos), nil
}

func (p *parser) number() (int, bool) {
	neg := p.eat("-")
	k, from := 0, p.pos
	for p.more() && '0' <= p.src[p.pos] && p.src[p.pos] <= '9' {
		k = min(k*10+int(p.src[p.pos]-'0'), 1<<20)
		p.pos++
	}
	if neg {
		k = -k
	}
	return k, p.pos > from
}

// escaped reads the escape of one character, the backslash read: a byte, or in
// YARAX a code point that is to be encoded.
func (p *parser) escaped(pos int) (r rune, isByte bool, err error) {
	if !p.more() {
		return 0, false, p.fail(BadEnd, pos, pos+1, "backslash at the end")
	}
	c := p.src[p.pos]
	p.pos++
	if i := strings.IndexByte("atnrf", c); i >= 0 {
		return rune("\a\t\n\r\f"[i]), true, nil
	}
	switch {
	case c == 'v' && p.f.Dialect == YARAX:
		return '\v', true, nil
	case c == 'e' && p.f.Dialect == PCRE:
		return 0x1b, true, nil
	case c == 'c' && p.f.Dialect == PCRE && p.more() && ' ' <= p.src[p.pos] && p.src[p.pos] < 0x7f:
		k := p.src[p.pos]
		p.pos++
		if 'a' <= k && k <= 'z' {
			k -= 0x20
		}
		return rune(k ^ 0x40), true, nil
	case c == 'x' || (c == 'u' || c == 'U') && p.f.Dialect == YARAX:
		return p.hex(c, pos)
	case p.f.Dialect == PCRE && ('0' <= c && c <= '7' || c == 'o' && p.at("{")):
		return p.octal(c, pos)
	case c >= utf8.RuneSelf && p.f.Dialect == YARAX:
		return 0, false, p.fail(BadEscape, pos, p.pos, "unknown escape")
	case wordByte(c):
		if p.f.Dialect == YARAX && p.f.Relaxed && c != '_' && (c < '0' || c > '9') {
			p.t.Loose = append(p.t.Loose, pos)
			return rune(c), true, nil
		}
		if c == '_' && p.f.Dialect == PCRE {
			break
		}
		if '0' <= c && c <= '9' {
			return 0, false, p.fail(BadReference, pos, p.pos, "back-reference")
		}
		return 0, false, p.fail(BadEscape, pos, p.pos, "unknown escape")
	}
	return rune(c), true, nil
}

// hex reads \xHH, \x{H...}, \uHHHH, \UHHHHHHHH and their forms with braces.
func (p *parser) hex(c byte, pos int) (rune, bool, error) {
	want := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
	v, n := 0, 0
	brace := p.eat("{")
	for p.more() && n <= 8 && (brace || n < want) {
		d := hexDigit(p.src[p.pos])
		if d < 0 {
			break
		}
		v, n = v<<4|d, n+1
		p.pos++
	}
	good := n == want
	if brace {
		good = n > 0 && n <= 8 && p.eat("}")
	} else if p.f.Dialect == PCRE {
		good = true // \x and \xH are defined
	}
	if p.f.Dialect == PCRE && good {
		if v > 0xff {
			return 0, false, p.fail(BadUnicode, pos, p.pos, "character above \\xff")
		}
		return rune(v), true, nil
	}
	if !good || v > utf8.MaxRune || v >= 0xd800 && v < 0xe000 {
		return 0, false, p.fail(BadEscape, pos, p.pos, "malformed hexadecimal escape")
	}
	return rune(v), v < utf8.RuneSelf || c == 'x' && !brace && !p.unicode, nil
}

// octal reads PCRE's \0dd, \ddd and \o{d...}.
func (p *parser) octal(c byte, pos int) (rune, bool, error) {
	v, most := 0, 2
	if c == 'o' {
		p.pos++
		most = 8
	} else {
		v = int(c - '0')
	}
	n := 0
	for n < most && p.more() && '0' <= p.src[p.pos] && p.src[p.pos] <= '7' {
		v = v<<3 | int(p.src[p.pos]-'0')
		p.pos++
		n++
	}
	if c == 'o' && (n == 0 || !p.eat("}")) || v > 0xff {
		return 0, false, p.fail(BadEscape, pos, p.pos, "malformed octal escape")
	}
	return rune(v), true, nil
}

// posix are the classes that are written [:name:] within a class.
func posix(name string) (s Set, ok bool) {
	negate := strings.HasPrefix(name, "^")
	name = strings.TrimPrefix(name, "^")
	switch name {
	case "alpha", "alnum", "upper", "lower":
		if name != "upper" {
			s.addRange('a', 'z')
		}
		if name != "lower" {
			s.addRange('A', 'Z')
		}
		if name == "alnum" {
			s.addRange('0', '9')
		}
	case "digit":
		s.addRange('0', '9')
	case "xdigit":
		s = setOf("0123456789abcdefABCDEF")
	case "word":
		s, _ = perl('w')
	case "space":
		s, _ = perl('s')
	case "blank":
		s = setOf(" \t")
	case "cntrl":
		s.addRange(0, 31)
		s.add(127)
	case "ascii":
		s.addRange(0, 127)
	case "graph":
		s.addRange(33, 126)
	case "print":
		s.addRange(32, 126)
	case "punct":
		s = setOf("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
	default:
		return s, false
	}
	if negate {
		s.negate()
	}
	return s, true
}

// posixName reads "[:name:]" if one stands at the place.
func (p *parser) posixName() (name string, ok bool) {
	if !p.at("[:") {
		return "", false
	}
	rest := p.src[p.pos+2 : min(p.pos+14, len(p.src))]
	i := strings.Index(rest, ":]")
	if i < 0 {
		return "", false
	}
	if _, ok := posix(rest[:i]); !ok {
		return "", false
	}
	p.pos += i + 4
	return rest[:i], true
}

// classPCRE reads a class. A "]" that comes first is itself.
func (p *parser) classPCRE() (*Node, error) {
	pos := p.pos
	p.pos++
	negate := p.eat("^")
	var s Set
	for first := true; ; first = false {
		if !p.more() {
			return nil, p.fail(BadClass, pos, p.pos, "class without its end")
		}
		if !first && p.eat("]") {
			break
		}
		if p.eat(`\E`) || p.eat(`\Q`) {
			continue
		}
		from := p.pos
		lo, one, err := p.memberPCRE(&s)
		if err != nil {
			return nil, err
		}
		if !one {
			continue
		}
		hi := lo
		if p.at("-") && p.pos+1 < len(p.src) && p.src[p.pos+1] != ']' {
			back := p.pos
			p.pos++
			var t Set
			if hi, one, err = p.memberPCRE(&t); err != nil {
				return nil, err
			}
			if !one {
				hi, p.pos = lo, back
				s.add('-')
				p.pos++
				if _, _, err = p.memberPCRE(&s); err != nil {
					return nil, err
				}
			}
		}
		if hi < lo {
			return nil, p.fail(BadClass, from, p.pos, "range reversed")
		}
		s.addRange(int(lo), int(hi))
	}
	if p.mode.CaseInsensitive {
		s.fold()
	}
	if negate {
		s.negate()
	}
	return p.raw(s, pos), nil
}

// memberPCRE reads one member of a class: a byte, or a class added to s.
func (p *parser) memberPCRE(s *Set) (c byte, one bool, err error) {
	pos := p.pos
	if name, ok := p.posixName(); ok {
		t, _ := posix(name)
		s.Or(t)
		return 0, false, nil
	}
	c = p.src[p.pos]
	p.pos++
	if c != '\\' {
		return c, true, nil
	}
	if p.more() {
		if t, ok := perl(p.src[p.pos]); ok && p.src[p.pos]|0x20 != 'n' {
			p.pos++
			s.Or(t)
			return 0, false, nil
		}
		if p.eat("b") {
			return '\b', true, nil
		}
		if k := p.src[p.pos]; k == 'p' || k == 'P' || k == 'X' || k == 'R' || k == 'B' || k == 'N' {
			return 0, false, p.fail(Unsupported, pos, p.pos+1, "class within a class")
		}
	}
	r, _, err := p.escaped(pos)
	return byte(r), true, err
}
