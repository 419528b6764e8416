package syntax

// alternatives reads YARA 4's grammar: the first alternative must not be
// empty, the others may be.
func (p *parser) alternatives() (*Node, error) {
	pos := p.pos
	var alts []*Node
	for {
		n, err := p.sequence(len(alts) == 0)
		if err != nil {
			return nil, err
		}
		if alts = append(alts, n); !p.eat("|") {
			break
		}
	}
	if len(alts) == 1 {
		return alts[0], nil
	}
	return p.node(Alt, pos, alts...), nil
}

// sequence reads up to "|", ")" or the end.
func (p *parser) sequence(must bool) (*Node, error) {
	pos := p.pos
	var seq []*Node
	for p.more() && p.src[p.pos] != '|' && p.src[p.pos] != ')' {
		n, err := p.item()
		if err != nil {
			return nil, err
		}
		seq = append(seq, n)
	}
	if len(seq) == 0 && must {
		return nil, p.fail(BadOperand, pos, pos+1, "nothing to match before this")
	}
	return p.join(seq, pos), p.room()
}

// item reads one atom and its quantifier.
func (p *parser) item() (*Node, error) {
	pos := p.pos
	n, err := p.atom()
	if err != nil || !p.more() {
		return n, err
	}
	lo, hi, ok, err := p.quantifier()
	if err != nil || !ok {
		return n, err
	}
	if n.Op == Assert {
		return nil, p.fail(BadOperand, pos, p.pos, "repetition of what has no length")
	}
	lazy := p.eat("?")
	if p.more() {
		again := p.pos
		if _, _, twice, err := p.quantifier(); err != nil || twice {
			return nil, p.fail(BadOperand, again, p.pos, "repetition of a repetition")
		}
	}
	return p.repeat(n, lo, hi, lazy), nil
}

func (p *parser) quantifier() (lo, hi int, ok bool, err error) {
	switch p.src[p.pos] {
	case '*':
		p.pos++
		return 0, -1, true, nil
	case '+':
		p.pos++
		return 1, -1, true, nil
	case '?':
		p.pos++
		return 0, 1, true, nil
	case '{':
		return p.bounds()
	}
	return 0, 0, false, nil
}

func (p *parser) atom() (*Node, error) {
	pos := p.pos
	c := p.src[pos]
	switch c {
	case '(':
		return p.group()
	case '*', '+', '?':
		return nil, p.fail(BadOperand, pos, pos+1, "nothing to repeat")
	case '{':
		if _, _, ok, err := p.bounds(); ok || err != nil {
			return nil, p.fail(BadOperand, pos, p.pos, "nothing to repeat")
		}
		p.pos = pos
	}
	p.pos++
	switch c {
	case '^':
		return p.assert(Begin, pos), nil
	case '$':
		return p.assert(End, pos), nil
	case '.':
		return p.dot(pos), nil
	case '[':
		return p.classYARA(pos)
	case '\\':
		return p.escapeYARA(pos)
	}
	return p.char(c, pos), nil
}

func (p *parser) group() (*Node, error) {
	pos := p.pos
	if err := p.enter(pos); err != nil {
		return nil, err
	}
	defer p.leave()
	p.pos++
	n, err := p.alternatives()
	if err != nil {
		return nil, err
	}
	if !p.eat(")") {
		return nil, p.fail(BadGroup, pos, pos+1, "opening parenthesis without a closing one")
	}
	// YARA captures nothing; the group only says what belongs together.
	return p.node(Group, pos, n), nil
}

func (p *parser) escapeYARA(pos int) (*Node, error) {
	if p.more() {
		switch c := p.src[p.pos]; {
		case c == 'b' || c == 'B':
			p.pos++
			if c == 'b' {
				return p.assert(WordEdge, pos), nil
			}
			return p.assert(NoWordEdge, pos), nil
		case c|0x20 == 'w' || c|0x20 == 's' || c|0x20 == 'd':
			p.pos++
			s, _ := perl(c)
			return p.raw(s, pos), nil
		case '0' <= c && c <= '9':
			return nil, p.fail(BadReference, pos, pos+2, "back-reference")
		}
	}
	c, err := p.escapedYARA(pos)
	if err != nil {
		return nil, err
	}
	return p.char(c, pos), nil
}

// escapedYARA reads what follows a backslash at pos as one byte.
func (p *parser) escapedYARA(pos int) (byte, error) {
	if !p.more() {
		return 0, p.fail(BadEnd, pos, pos+1, "backslash at the end")
	}
	c := p.src[p.pos]
	p.pos++
	switch c {
	case 'x':
		b, ok := p.hex2()
		if !ok {
			return 0, p.fail(BadEscape, pos, p.pos+2, `\x without two hexadecimal digits`)
		}
		return b, nil
	case 'n':
		return '\n', nil
	case 't':
		return '\t', nil
	case 'r':
		return '\r', nil
	case 'f':
		return '\f', nil
	case 'a':
		return '\a', nil
	case '\\', '/', '.', '*', '+', '?', '(', ')', '[', ']', '{', '}', '|', '^', '$', '-', '"':
	default:
		p.t.Loose = append(p.t.Loose, pos)
	}
	return c, nil
}

// classYARA reads a class after its "[". A "]" that comes first is itself and
// begins no range; an escaped letter before "-" begins one, even that of a
// class: "[\w-z]" is "w" to "z".
func (p *parser) classYARA(pos int) (*Node, error) {
	negate := p.eat("^")
	var s Set
	if p.eat("]") {
		s.add(']')
	}
	for {
		if !p.more() {
			return nil, p.fail(BadClass, pos, p.pos, "class without its end")
		}
		from := p.pos
		c := p.src[p.pos]
		p.pos++
		if c == ']' {
			break
		}
		if c >= 0x80 || p.at("-") && p.pos+1 < len(p.src) && p.src[p.pos+1] >= 0x80 {
			return nil, p.fail(BadUnicode, from, p.pos, "character beyond ASCII in a class")
		}
		escaped := c == '\\'
		if escaped {
			var err error
			if c, err = p.escapedYARA(from); err != nil {
				return nil, err
			}
		}
		if p.at("-") && p.pos+1 < len(p.src) && p.src[p.pos+1] != ']' {
			if err := p.rangeYARA(&s, c, from); err != nil {
				return nil, err
			}
			continue
		}
		if escaped && p.pos == from+2 {
			if k := p.src[from+1]; k|0x20 == 'w' || k|0x20 == 's' || k|0x20 == 'd' {
				t, _ := perl(k)
				s.Or(t)
				p.loosen(from)
				continue
			}
		}
		s.add(c)
	}
	if p.mode.CaseInsensitive {
		s.fold()
	}
	if negate {
		s.negate()
	}
	return p.raw(s, pos), nil
}

// loosen takes back the note of a loose escape.
func (p *parser) loosen(pos int) {
	if k := len(p.t.Loose) - 1; k >= 0 && p.t.Loose[k] == pos {
		p.t.Loose = p.t.Loose[:k]
	}
}

func (p *parser) rangeYARA(s *Set, lo byte, from int) error {
	p.pos++
	at := p.pos
	hi := p.src[p.pos]
	p.pos++
	if hi == '\\' {
		var err error
		if hi, err = p.escapedYARA(at); err != nil {
			return err
		}
	}
	if hi < lo {
		return p.fail(BadClass, from, p.pos, "range reversed")
	}
	s.addRange(int(lo), int(hi))
	return nil
}
