package syntax

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/showcause/showcause/yara/source"
)

// pattern reads one line of the strings section.
func (p *parser) pattern() *Pattern {
	pat := &Pattern{Name: Ident{p.here(), p.tok.text}}
	if p.tok.kind != tName || p.tok.text[0] != '$' {
		p.unexpected("the name of a pattern, `$` first")
		return pat
	}
	p.next()
	p.want("=")
	kind := "text"
	switch {
	case p.tok.kind == tText:
		pat.Text = p.text()
	case p.tok.kind == tRegexp:
		pat.Regexp = p.regexp()
		kind = "regular expression"
	case p.is("{"):
		h := hexParser{parser: p, pos: p.tok.end}
		pat.Hex = h.read(p.tok.start)
		kind = "hex pattern"
	default:
		p.unexpected("a text, a hex pattern or a regular expression")
	}
	for !p.stop && p.tok.kind == tWord {
		if !p.modifier(pat, kind) {
			break
		}
	}
	pat.Span = p.since(pat.Name.Start)
	return pat
}

// modifier reads a modifier, if one is there.
func (p *parser) modifier(pat *Pattern, kind string) bool {
	m := Modifier{Span: p.here(), Name: p.tok.text, Max: 255}
	switch m.Name {
	case "private":
	case "nocase", "wide", "ascii", "fullword":
		if pat.Hex != nil {
			p.tell(source.SyntaxError, m.Span, "syntax error: `"+m.Name+"` does not go with a "+kind, "only `private` does")
			return false
		}
	case "xor", "base64", "base64wide":
		if pat.Text == nil {
			p.tell(source.SyntaxError, m.Span, "syntax error: `"+m.Name+"` does not go with a "+kind, "only with text")
			return false
		}
	default:
		return false
	}
	p.next()
	if m.Name == "xor" && p.accept("(") {
		m.Args = true
		m.Min = p.byteKey()
		m.Max = m.Min
		if p.accept("-") {
			m.Max = p.byteKey()
		}
		p.want(")")
	}
	if strings.HasPrefix(m.Name, "base64") && p.accept("(") {
		m.Args = true
		if p.tok.kind != tText {
			p.unexpected("an alphabet of 64 characters in double quotes")
			return false
		}
		m.Alphabet = p.text()
		p.want(")")
	}
	m.Span = p.since(m.Start)
	pat.Modifiers = append(pat.Modifiers, m)
	return true
}

// byteKey reads a key of xor.
func (p *parser) byteKey() int64 {
	if p.tok.kind != tInt {
		p.unexpected("a number from 0 to 255")
		return 0
	}
	if l := p.integer(); l != nil {
		return l.Int
	}
	return 0
}

// hexParser reads a hex pattern byte for byte; tokens of conditions mean nothing
// within.
type hexParser struct {
	*parser
	pos   int
	depth int
	open  []*Hex // parts of the sequences that are being read, the innermost last
}

// node returns a new part: they are many, and made many at a time.
func (p *parser) node(h Hex) *Hex {
	if len(p.nodes) == cap(p.nodes) {
		p.nodes = make([]Hex, 0, min(max(16, 2*cap(p.nodes)), 1024))
	}
	p.nodes = append(p.nodes, h)
	return &p.nodes[len(p.nodes)-1]
}

const (
	maxHexDepth = 100     // alternatives in each other
	maxHexParts = 1 << 20 // of one pattern
)

// read reads the pattern after its { at offset open, and the } with it.
func (h *hexParser) read(open int) *Hex {
	root := h.sequence(new(int))
	if h.stop {
		return root
	}
	if c := h.peekByte(); c != '}' {
		h.fail(h.pos, h.pos+1, "invalid hex pattern", "`}` expected")
		return root
	}
	h.pos++
	root.Span = source.Span{Start: h.src.At(open), End: h.src.At(h.pos)}
	if len(root.Parts) == 0 {
		h.parser.report(source.SyntaxError, open, h.pos, "syntax error: empty hex pattern", "it has no bytes")
		return root
	}
	h.lex.pos = h.pos
	h.tok.end = h.pos
	h.next()
	return root
}

// fail tells of an error in the pattern.
func (h *hexParser) fail(start, end int, title, label string) {
	h.parser.report(source.InvalidHex, start, min(end, len(h.src.Text)), title, label)
}

// peekByte is the next byte that is no space or comment, 0 at the end of the text.
func (h *hexParser) peekByte() byte {
	for h.pos < len(h.src.Text) && h.src.Text[h.pos] == ' ' {
		h.pos++
	}
	if !h.stop && h.pos < len(h.src.Text) && isHex(h.src.Text[h.pos]) {
		return h.src.Text[h.pos]
	}
	h.lex.pos = h.pos
	h.lex.space()
	h.pos = h.lex.pos
	if h.stop || h.pos >= len(h.src.Text) {
		return 0
	}
	return h.src.Text[h.pos]
}

// sequence reads parts up to a sign that ends them.
func (h *hexParser) sequence(parts *int) *Hex {
	seq := h.node(Hex{Kind: HexSequence})
	first := len(h.open)
	defer func() {
		seq.Parts = slices.Clone(h.open[first:])
		h.open = h.open[:first]
	}()
	c := h.peekByte()
	seq.Start = h.src.At(h.pos)
	end := h.pos
	for ; !h.stop; c = h.peekByte() {
		if *parts++; *parts > maxHexParts {
			h.parser.report(source.TooLarge, h.pos, h.pos+1, "hex pattern too large", "more than a million parts")
			break
		}
		var part *Hex
		switch {
		case c == '(':
			part = h.alternatives(parts)
		case c == '[':
			part = h.jump()
		case isHex(c) || c == '?' || c == '~':
			part = h.byte()
		default:
			seq.End = h.src.At(end)
			h.edges(h.open[first:])
			return seq
		}
		if h.stop {
			break
		}
		h.open = append(h.open, part)
		end = h.pos
	}
	return seq
}

// edges refuses a sequence that begins or ends with a jump.
func (h *hexParser) edges(parts []*Hex) {
	if len(parts) == 0 {
		return
	}
	for _, part := range []*Hex{parts[0], parts[len(parts)-1]} {
		if part.Kind == HexJump {
			h.parser.tell(source.InvalidHex, part.Span, "jump at the edge of a hex pattern or alternative",
				"a jump stands between bytes")
			return
		}
	}
}

// alternatives reads ( a | b | c ).
func (h *hexParser) alternatives(parts *int) *Hex {
	alt := h.node(Hex{Kind: HexAlternatives})
	start := h.pos
	h.depth++
	if h.depth > maxHexDepth {
		h.parser.report(source.NestingTooDeep, start, start+1, "nesting too deep", "alternatives in alternatives")
		return alt
	}
	h.pos++
	for !h.stop {
		seq := h.sequence(parts)
		if h.stop {
			break
		}
		c := h.peekByte()
		if len(seq.Parts) == 0 {
			h.fail(h.pos, h.pos+1, "empty alternative in a hex pattern", "bytes expected")
			break
		}
		alt.Parts = append(alt.Parts, seq)
		if c == ')' {
			h.pos++
			break
		}
		if c != '|' {
			h.fail(h.pos, h.pos+1, "invalid hex pattern", "`|` or `)` expected")
			break
		}
		h.pos++
	}
	h.depth--
	alt.Span = source.Span{Start: h.src.At(start), End: h.src.At(h.pos)}
	return alt
}

// byte reads two digits, either of which can be "?", after an optional "~".
func (h *hexParser) byte() *Hex {
	b := h.node(Hex{Kind: HexByte, Span: source.Span{Start: h.src.At(h.pos)}})
	start := h.pos
	text := h.src.Text
	if text[h.pos] == '~' {
		b.Not = true
		h.pos++
	}
	for range 2 {
		b.Value, b.Mask = b.Value<<4, b.Mask<<4
		switch {
		case h.pos < len(text) && isHex(text[h.pos]):
			b.Value |= hexDigit(text[h.pos])
			b.Mask |= 0xF
		case h.pos < len(text) && text[h.pos] == '?':
		default:
			h.fail(start, h.pos, "incomplete byte in a hex pattern", "two hexadecimal digits or `?` expected")
			return b
		}
		h.pos++
	}
	if b.Not && b.Mask == 0 {
		h.fail(start, h.pos, "`~??` in a hex pattern", "it fits no byte")
	}
	b.End = h.src.At(h.pos)
	return b
}

// jump reads [n], [n-m], [n-] or [-].
func (h *hexParser) jump() *Hex {
	j := h.node(Hex{Kind: HexJump, Max: Unbounded})
	start := h.pos
	h.pos++
	lo, hasLo := h.bound()
	if h.stop {
		return j
	}
	j.Min = lo
	if h.peekByte() == '-' {
		h.pos++
		hi, hasHi := h.bound()
		if hasHi {
			j.Max = hi
		}
	} else if hasLo {
		j.Max = lo
	}
	if h.stop {
		return j
	}
	if h.peekByte() != ']' || !hasLo && h.src.Text[start:h.pos+1] == "[]" {
		h.fail(h.pos, h.pos+1, "invalid jump in a hex pattern", "`]` expected")
		return j
	}
	h.pos++
	j.Span = source.Span{Start: h.src.At(start), End: h.src.At(h.pos)}
	switch {
	case !hasLo && j.Max != Unbounded && h.dialect == source.YARA:
		h.fail(start, h.pos, "invalid jump in a hex pattern", "YARA wants a lower bound where there is an upper one")
	case j.Min > j.Max:
		h.fail(start, h.pos, "invalid jump in a hex pattern", "the lower bound is above the upper one")
	case h.depth > 0 && j.Max == Unbounded && h.dialect == source.YARA:
		h.fail(start, h.pos, "unbounded jump in an alternative", "YARA takes none here")
	case h.depth > 0 && j.Max > farJump && h.dialect == source.YARA:
		h.fail(start, h.pos, "long jump in an alternative", "at most "+strconv.Itoa(farJump)+" bytes here")
	}
	return j
}

// farJump is the longest jump that YARA takes within an alternative, bytes
// (STRING_CHAINING_THRESHOLD of libyara/include/yara/limits.h).
const farJump = 200

// bound reads a bound of a jump, if one is there. YARA takes decimals up to
// 2^31-1, YARA-X hexadecimal and octal numbers and more.
func (h *hexParser) bound() (n uint32, ok bool) {
	h.peekByte()
	start := h.pos
	text := h.src.Text
	for h.pos < len(text) && (isHex(text[h.pos]) || text[h.pos] == 'x' || text[h.pos] == 'o') {
		h.pos++
	}
	if h.pos == start {
		return 0, false
	}
	raw := text[start:h.pos]
	v, good := parseInteger(raw)
	plain := strings.Trim(raw, "0123456789") == ""
	limit := int64(math.MaxInt32)
	if h.dialect != source.YARA {
		limit = Unbounded - 1
	}
	switch {
	case !good || v > limit:
		h.fail(start, h.pos, "invalid bound of a jump", "it is out of range")
	case !plain && h.dialect == source.YARA:
		h.fail(start, h.pos, "invalid bound of a jump", "YARA takes decimal numbers only")
	}
	return uint32(v), true
}
