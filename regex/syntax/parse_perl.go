package syntax

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// perlAlternatives reads what YARA-X and PCRE have in common: any alternative
// may be empty, and inline flags hold to the end of the group.
func (p *parser) perlAlternatives() (*Node, error) {
	pos := p.pos
	var alts []*Node
	for {
		n, err := p.perlSequence()
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

func (p *parser) perlSequence() (*Node, error) {
	pos := p.pos
	var seq []*Node
	open := false // the last of seq can be repeated
	for {
		if err := p.room(); err != nil {
			return nil, err
		}
		p.skipExtended()
		if !p.more() || p.src[p.pos] == '|' || p.src[p.pos] == ')' {
			return p.join(seq, pos), nil
		}
		from := p.pos
		lo, hi, ok, err := p.quantifier()
		if err != nil {
			return nil, err
		}
		if ok {
			if !open {
				return nil, p.fail(BadOperand, from, p.pos, "nothing to repeat")
			}
			seq[len(seq)-1] = p.perlRepeat(seq[len(seq)-1], lo, hi)
			open = p.f.Dialect != PCRE
			continue
		}
		if p.src[p.pos] == '{' && p.f.Dialect == YARAX && !p.f.Relaxed {
			return nil, p.fail(BadRepeat, p.pos, p.pos+1, `"{" that begins no repetition: write "\{"`)
		}
		if p.f.Dialect == PCRE && p.eat(`\Q`) {
			chars := p.quoted()
			seq = append(seq, chars...)
			open = open && len(chars) == 0 || len(chars) > 0
			continue
		}
		n, err := p.perlAtom()
		if err != nil {
			return nil, err
		}
		if open = n != nil; open {
			seq = append(seq, n)
			open = p.f.Dialect != PCRE || n.Op != Assert && n.Op != Keep
		}
	}
}

// quoted reads up to "\E".
func (p *parser) quoted() []*Node {
	var seq []*Node
	for p.more() && !p.eat(`\E`) {
		p.pos++
		seq = append(seq, p.char(p.src[p.pos-1], p.pos-1))
	}
	return seq
}

func (p *parser) perlRepeat(sub *Node, lo, hi int) *Node {
	p.skipExtended()
	lazy := p.mode.Ungreedy
	if p.eat("?") {
		lazy = !lazy
	} else if p.f.Dialect == PCRE && p.eat("+") {
		return p.node(Atomic, sub.Pos, p.repeat(sub, lo, hi, false))
	}
	return p.repeat(sub, lo, hi, lazy)
}

// skipExtended leaves out spaces and comments under (?x), and PCRE's (?#...)
// and \E always.
func (p *parser) skipExtended() {
	for p.more() {
		switch c := p.src[p.pos]; {
		case p.mode.Extended && strings.IndexByte(" \t\n\v\f\r", c) >= 0:
			p.pos++
		case p.mode.Extended && c == '#':
			for p.more() && p.src[p.pos] != '\n' {
				p.pos++
			}
		case p.f.Dialect == PCRE && p.at(`\E`):
			p.pos += 2
		case p.f.Dialect == PCRE && p.at("(?#"):
			end := strings.IndexByte(p.src[p.pos:], ')')
			if end < 0 {
				return
			}
			p.pos += end + 1
		default:
			return
		}
	}
}

// perlAtom reads one atom; nil for a change of flags.
func (p *parser) perlAtom() (*Node, error) {
	pos := p.pos
	c := p.src[pos]
	switch c {
	case '(':
		return p.perlGroup()
	case '[':
		if p.f.Dialect == PCRE {
			return p.classPCRE()
		}
		return p.classX()
	case '\\':
		return p.perlEscape()
	}
	if c >= utf8.RuneSelf && p.f.Dialect == YARAX {
		r, n := utf8.DecodeRuneInString(p.src[pos:])
		if r != utf8.RuneError || n > 1 {
			p.pos += n
			return p.rune(r, pos), nil
		}
	}
	p.pos++
	switch c {
	case '.':
		if p.unicode {
			return p.unicodeDot(pos), nil
		}
		return p.dot(pos), nil
	case '^':
		return p.assert(p.hat(), pos), nil
	case '$':
		return p.assert(p.dollar(), pos), nil
	}
	return p.char(c, pos), nil
}

func (p *parser) hat() Test {
	if p.mode.Multiline {
		return LineBegin
	}
	return Begin
}

func (p *parser) dollar() Test {
	switch {
	case p.mode.Multiline:
		return LineEnd
	case p.f.Dialect == PCRE && !p.f.DollarEnd:
		return EndLine
	}
	return End
}

// perlGroup reads from "(" to ")"; a change of flags alone gives nil.
func (p *parser) perlGroup() (*Node, error) {
	pos := p.pos
	if err := p.enter(pos); err != nil {
		return nil, err
	}
	defer p.leave()
	p.pos++
	n := p.node(Group, pos)
	saved, unicode := p.mode, p.unicode
	body := true
	if p.at("*") && p.f.Dialect == PCRE {
		return nil, p.fail(Unsupported, pos, p.pos+1, "verb")
	}
	if p.eat("?") {
		var err error
		if body, err = p.groupKind(n, pos); err != nil {
			return nil, err
		}
		if !body && n.Op == Group { // flags, to the end of the group around
			return nil, nil
		}
	} else {
		p.capture(n)
	}
	if body {
		sub, err := p.perlAlternatives()
		if err != nil {
			return nil, err
		}
		if !p.eat(")") {
			return nil, p.fail(BadGroup, pos, pos+1, "opening parenthesis without a closing one")
		}
		if err := p.finish(n, sub, pos); err != nil {
			return nil, err
		}
	}
	n.End = p.pos
	p.mode, p.unicode = saved, unicode
	return n, nil
}

func (p *parser) capture(n *Node) {
	p.t.Groups++
	n.Index = p.t.Groups
}

// finish puts the body into a group.
func (p *parser) finish(n, sub *Node, pos int) error {
	if n.Op != Cond {
		n.Subs = append(n.Subs, sub)
		return nil
	}
	yes, no := sub, p.node(Empty, p.pos)
	if sub.Op == Alt {
		if len(sub.Subs) != 2 {
			return p.fail(BadGroup, pos, p.pos, "condition with more than two alternatives")
		}
		yes, no = sub.Subs[0], sub.Subs[1]
	}
	if len(n.Subs) == 0 {
		n.Subs = append(n.Subs, p.node(Empty, pos))
	}
	n.Subs = append(n.Subs, yes, no)
	return nil
}

// groupKind reads what follows "(?" and tells whether a body follows.
func (p *parser) groupKind(n *Node, pos int) (body bool, err error) {
	pcre := p.f.Dialect == PCRE
	switch {
	case p.eat("P<"), !p.at("<=") && !p.at("<!") && p.eat("<"):
		return true, p.nameGroup(n, ">")
	case pcre && p.eat("'"):
		return true, p.nameGroup(n, "'")
	case !pcre && (p.at("=") || p.at("!") || p.at("<") || p.at(">")):
		return false, p.fail(BadGroup, pos, p.pos+1, "look-around and atomic groups are not of this dialect")
	case pcre && p.eat("P="):
		name, err := p.name(")")
		n.Op, n.Fold = Ref, p.mode.CaseInsensitive
		p.named = append(p.named, namedRef{n, name})
		return false, err
	case p.eat("="):
		n.Op = Look
		return true, nil
	case p.eat("!"):
		n.Op, n.Negate = Look, true
		return true, nil
	case p.eat("<="):
		n.Op, n.Behind = Look, true
		return true, nil
	case p.eat("<!"):
		n.Op, n.Behind, n.Negate = Look, true, true
		return true, nil
	case p.eat(">"):
		n.Op = Atomic
		return true, nil
	case pcre && p.eat("("):
		return true, p.condition(n, pos)
	case pcre && (p.at("|") || p.at("R") || p.at("&") || p.at("P>") || p.at("C") || p.at("+") || p.more() && '0' <= p.src[p.pos] && p.src[p.pos] <= '9'):
		return false, p.fail(Unsupported, pos, p.pos+1, "recursion, branch reset or callout")
	}
	return p.flags(pos)
}

// nameGroup reads a group's name up to the delimiter.
func (p *parser) nameGroup(n *Node, end string) error {
	pos := p.pos
	name, err := p.name(end)
	if err != nil {
		return err
	}
	p.capture(n)
	if p.names == nil {
		p.names = map[string]int{}
	}
	if _, twice := p.names[name]; twice {
		return p.fail(BadName, pos, p.pos-1, fmt.Sprintf("two groups named %q", name))
	}
	p.names[name] = n.Index
	return nil
}

func (p *parser) name(end string) (string, error) {
	pos := p.pos
	i := strings.Index(p.src[pos:], end)
	if i < 0 {
		return "", p.fail(BadEnd, pos, len(p.src), "name without its end")
	}
	name := p.src[pos : pos+i]
	p.pos += i + len(end)
	for k := range len(name) {
		if c := name[k]; !wordByte(c) && (p.f.Dialect != YARAX || k == 0 || c != '.' && c != '[' && c != ']') || k == 0 && '0' <= c && c <= '9' {
			return "", p.fail(BadName, pos, pos+i, "malformed name of a group")
		}
	}
	if name == "" {
		return "", p.fail(BadName, pos, pos+1, "empty name of a group")
	}
	return name, nil
}

func wordByte(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '_'
}

// condition reads what follows "(?(".
func (p *parser) condition(n *Node, pos int) error {
	n.Op = Cond
	if p.at("?=") || p.at("?!") || p.at("?<=") || p.at("?<!") {
		p.pos--
		look, err := p.perlGroup()
		if err != nil {
			return err
		}
		n.Subs = append(n.Subs, look)
		return nil
	}
	text, _, found := strings.Cut(p.src[p.pos:], ")")
	if !found {
		return p.fail(BadEnd, pos, len(p.src), "condition without its end")
	}
	p.pos += len(text) + 1
	k := 0
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' || k > 1<<16 {
			k = -1
			break
		}
		k = k*10 + int(text[i]-'0')
	}
	if k > 0 {
		n.Index = k
		p.refs = append(p.refs, n)
		return nil
	}
	if l := len(text); l > 2 && (text[0] == '<' && text[l-1] == '>' || text[0] == '\'' && text[l-1] == '\'') {
		text = text[1 : l-1]
	}
	if text == "DEFINE" || strings.HasPrefix(text, "R") {
		return p.fail(Unsupported, pos, p.pos, "recursion")
	}
	p.named = append(p.named, namedRef{n, text})
	return nil
}

// flags reads "i-s)" or "i-s:" and tells whether a body follows.
func (p *parser) flags(pos int) (body bool, err error) {
	on := true
	if p.f.Dialect == PCRE && p.eat("^") {
		m := &p.mode
		m.CaseInsensitive, m.Multiline, m.DotAll, m.Extended = false, false, false, false
	}
	some := false
	for p.more() {
		c := p.src[p.pos]
		p.pos++
		switch {
		case c == ')' && (some || p.f.Dialect == PCRE):
			return false, nil
		case c == ':':
			return true, nil
		case c == '-' && on:
			on, some = false, false
			continue
		case c == 'i':
			p.mode.CaseInsensitive = on
		case c == 'm':
			p.mode.Multiline = on
		case c == 's':
			p.mode.DotAll = on
		case c == 'x':
			p.mode.Extended = on
		case c == 'U':
			p.mode.Ungreedy = on
		case c == 'u' && p.f.Dialect == YARAX:
			p.unicode = on
		case c == 'R' && p.f.Dialect == YARAX, c == 'J' && p.f.Dialect == PCRE:
		default:
			return false, p.fail(BadFlag, p.pos-1, p.pos, "unknown flag or kind of group")
		}
		some = true
	}
	return false, p.fail(BadEnd, pos, len(p.src), "flags without their end")
}

// resolve looks up back-references, which may stand before their groups, and
// bounds look-behinds.
func (p *parser) resolve() error {
	for _, r := range p.named {
		k, ok := p.names[r.name]
		if !ok {
			return p.fail(BadName, r.node.Pos, r.node.End, fmt.Sprintf("no group named %q", r.name))
		}
		r.node.Index = k
	}
	for _, n := range p.refs {
		if n.Index > p.t.Groups {
			return p.fail(BadReference, n.Pos, n.End, fmt.Sprintf("no group %d", n.Index))
		}
	}
	return p.behinds(p.t.Root)
}

func (p *parser) behinds(n *Node) error {
	if n.Op == Look && n.Behind {
		if top := n.Subs[0].MaxLen(); top < 0 || top > maxBehind {
			return p.fail(BadLookBehind, n.Pos, n.End, fmt.Sprintf("look-behind that may be longer than %d bytes", maxBehind))
		}
	}
	for _, s := range n.Subs {
		if err := p.behinds(s); err != nil {
			return err
		}
	}
	return nil
}

// maxBehind bounds the length of a look-behind. PCRE2 wants a fixed length for
// each alternative; what it takes is a part of what is taken here.
const maxBehind = 255

// MaxLen returns the most bytes that the node takes, at most 1<<40; -1 where
// there is no bound.
func (n *Node) MaxLen() int {
	sum := 0
	switch n.Op {
	case Class:
		return 1
	case Ref:
		return -1
	case Look, Assert, Empty, Keep:
		return 0
	case Repeat:
		k := n.Subs[0].MaxLen()
		if n.Max == 0 || k == 0 {
			return 0
		}
		if n.Max < 0 || k < 0 {
			return -1
		}
		return min(k*n.Max, maxLen)
	}
	for _, s := range n.Subs {
		k := s.MaxLen()
		if k < 0 {
			return -1
		}
		if n.Op == Concat {
			sum = min(sum+k, maxLen)
		} else {
			sum = max(sum, k)
		}
	}
	return sum
}
