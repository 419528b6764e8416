package check

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	resyntax "github.com/showcause/showcause/regex/syntax"
	"github.com/showcause/showcause/yara/source"
	"github.com/showcause/showcause/yara/syntax"
)

// patterns checks the strings section of a rule.
func (c *checker) patterns(r *Rule) {
	most := maxPatterns
	if c.o.Dialect == source.YARA {
		most = fewPatterns
	}
	if len(r.Patterns) > most {
		c.err(source.TooManyPatterns, r.Name.Span, "too many patterns in a rule", fmt.Sprintf("%d, at most %d", len(r.Patterns), most))
	}
	values := map[string]*syntax.Pattern{}
	for i, p := range r.Patterns {
		if name := p.Name.Name; name != "$" {
			if first, ok := c.cur.index[name]; ok {
				c.err(source.DuplicatePattern, p.Name.Span, "pattern `"+name+"` stands twice", "again").
					also(r.Patterns[first].Name.Span, "first here")
			} else {
				c.cur.index[name] = i
			}
		}
		if !c.modifiers(p) {
			continue
		}
		switch {
		case p.Text != nil:
			c.textPattern(p)
		case p.Regexp != nil:
			c.regexpPattern(p)
		case p.Hex != nil:
			c.hexPattern(p)
		}
		c.duplicateValue(p, values)
	}
}

// duplicateValue warns of a pattern that says what another says.
func (c *checker) duplicateValue(p *syntax.Pattern, values map[string]*syntax.Pattern) {
	if c.o.Dialect == source.YARA {
		return
	}
	start := p.Name.End
	key := spaced(c.text(source.Span{Start: start, End: p.End}))
	first := values[key]
	if first == nil {
		values[key] = p
		return
	}
	c.warn(source.DuplicatePatternValue, p.Span, "pattern that another says already", "the same as `"+first.Name.Name+"`").
		also(first.Span, "`"+first.Name.Name+"` is here")
}

// spaced is a text with one space for each run of white space, and none at its ends.
func spaced(s string) string {
	s = strings.TrimSpace(s)
	for i := 0; i < len(s); i++ {
		if c := s[i]; c == ' ' && s[i+1] == ' ' || c < ' ' || c >= 0x7F { // s ends with no space
			return strings.Join(strings.Fields(s), " ")
		}
	}
	return s
}

// clashes are modifiers that do not go with each other.
func clashes(a, b string) bool {
	base64 := strings.HasPrefix(a, "base64")
	switch b {
	case "nocase":
		return base64 || a == "xor"
	case "fullword", "xor":
		return base64
	}
	return false
}

// modifiers checks what stands after a pattern and says whether it is in order.
func (c *checker) modifiers(p *syntax.Pattern) bool {
	before := len(c.Diags)
	seen := map[string]*syntax.Modifier{}
	for i := range p.Modifiers {
		m := &p.Modifiers[i]
		if first := seen[m.Name]; first != nil {
			c.err(source.DuplicateModifier, m.Span, "modifier `"+m.Name+"` stands twice", "again").also(first.Span, "first here")
			continue
		}
		for name, other := range seen {
			if clashes(m.Name, name) || clashes(name, m.Name) {
				c.err(source.InvalidModifier, m.Span, "`"+name+"` and `"+m.Name+"` do not go together", "this one").
					also(other.Span, "and this one")
			}
		}
		seen[m.Name] = m
		if m.Name == "xor" {
			c.keys(m)
		}
		if m.Alphabet != nil {
			c.alphabet(m)
		}
	}
	if a, b := seen["base64"], seen["base64wide"]; a != nil && b != nil && c.o.Dialect == source.YARA && alphabetOf(a) != alphabetOf(b) {
		c.err(source.InvalidModifier, b.Span, "two alphabets of base64 on one pattern", "YARA takes one").also(a.Span, "the other")
	}
	for _, d := range c.Diags[before:] {
		if d.Severity == source.Error {
			return false
		}
	}
	return true
}

func alphabetOf(m *syntax.Modifier) string {
	if m.Alphabet == nil {
		return ""
	}
	return m.Alphabet.Text
}

// keys checks the keys of xor.
func (c *checker) keys(m *syntax.Modifier) {
	switch {
	case m.Min < 0 || m.Max > 255:
		c.err(source.InvalidModifier, m.Span, "invalid keys of xor", "a key is from 0 to 255")
	case m.Min > m.Max:
		c.err(source.InvalidModifier, m.Span, "invalid keys of xor", "the first is above the last")
	}
}

// alphabet checks the alphabet of base64.
func (c *checker) alphabet(m *syntax.Modifier) {
	text := m.Alphabet.Text
	if len(text) != 64 {
		c.err(source.InvalidAlphabet, m.Alphabet.Span, "invalid alphabet of base64", fmt.Sprintf("%d characters, 64 expected", len(text)))
		return
	}
	if c.o.Dialect != source.YARAX {
		return
	}
	for i := range len(text) {
		if strings.IndexByte(text[:i], text[i]) >= 0 {
			c.err(source.InvalidAlphabet, m.Alphabet.Span, "invalid alphabet of base64", "character "+strconv.QuoteRune(rune(text[i]))+" stands twice")
			return
		}
	}
}

func (c *checker) textPattern(p *syntax.Pattern) {
	text := p.Text.Text
	if text == "" {
		c.err(source.EmptyPattern, p.Text.Span, "empty pattern", "it would be found everywhere")
		return
	}
	base64 := p.Has("base64")
	if base64 == nil {
		base64 = p.Has("base64wide")
	}
	if base64 != nil && len(text) < 3 && c.o.Dialect == source.YARAX {
		c.err(source.PatternTooShort, p.Text.Span, "text too short for base64", "at least 3 bytes are needed").also(base64.Span, "for this")
		return
	}
	if p.Has("xor") != nil && p.Has("fullword") != nil && c.o.Dialect == source.Either {
		c.warn(source.DialectsDisagree, p.Has("fullword").Span, "`fullword` with `xor` means two things",
			"as in YARA-X, the neighbours are tested after the key is taken off; YARA tests them as they stand")
	}
	if base64 == nil && slowText(p) {
		c.slow(p)
	}
}

// slow warns of a pattern without a rare part.
func (c *checker) slow(p *syntax.Pattern) {
	c.warn(source.SlowPattern, p.Span, "pattern that may slow down the scan", "no part of it is rare enough to be looked for quickly")
}

func (c *checker) hexPattern(p *syntax.Pattern) {
	parts := 0
	plain := c.hexParts(p, p.Hex, &parts)
	if parts > patternParts {
		c.err(source.TooLarge, p.Hex.Span, "hex pattern too large", fmt.Sprintf("more than %d alternatives", patternParts))
		return
	}
	if !seeded(p.Hex.Parts) {
		if cost, at := jumpCost(p.Hex.Parts); cost > maxJumpCost {
			c.err(source.TooLarge, at, "long jumps in a hex pattern that every place has to be tried for",
				fmt.Sprintf("such a pattern can jump over %d bytes in all, or half as many where a jump is of any length up to its bound", maxJumpCost)).
				note("no byte of it is there in every match: one fixed byte, with both digits, is enough to take longer jumps")
		}
	}
	if plain && c.o.Dialect != source.YARA {
		text := make([]byte, 0, len(p.Hex.Parts))
		for _, h := range p.Hex.Parts {
			text = append(text, h.Value)
		}
		c.warn(source.TextAsHex, p.Span, "hex pattern that is text", "it reads better as text").
			fix(p.Hex.Span, strconv.Quote(string(text)), "write it as text")
	}
	if slowHex(p.Hex, c.o.Dialect) {
		c.slow(p)
	}
}

// maxJumpCost bounds the jumps of a hex pattern that is searched for as a regular
// expression: each byte is an instruction, and one more where the jump may end there.
const maxJumpCost = 100_000

// jumpCost is what the jumps of a sequence cost, and where the dearest is.
func jumpCost(parts []*syntax.Hex) (sum int64, at source.Span) {
	dearest := int64(-1)
	for _, h := range parts {
		cost, place := int64(0), h.Span
		switch h.Kind {
		case syntax.HexJump:
			if cost = int64(h.Min); h.Max != syntax.Unbounded {
				cost += 2 * (int64(h.Max) - int64(h.Min))
			}
		case syntax.HexAlternatives:
			for _, alt := range h.Parts {
				c, _ := jumpCost(alt.Parts)
				cost += c
			}
		}
		if cost > dearest {
			dearest, at = cost, place
		}
		sum += cost
	}
	return sum, at
}

// maxSeedDepth is how deep alternatives can be for a pattern to be searched for by
// its bytes.
const maxSeedDepth = 15

// seeded tells whether a hex pattern is searched for by bytes of which each match
// has some: a fixed one, or one in each of some alternatives, and no jump without
// bound in alternatives.
func seeded(parts []*syntax.Hex) bool { return bounded(parts, 0) && fixed(parts) }

func bounded(parts []*syntax.Hex, depth int) bool {
	for _, h := range parts {
		if h.Kind == syntax.HexJump && h.Max == syntax.Unbounded && depth > 0 {
			return false
		}
		for _, alt := range h.Parts {
			if depth >= maxSeedDepth || !bounded(alt.Parts, depth+1) {
				return false
			}
		}
	}
	return true
}

func fixed(parts []*syntax.Hex) bool {
	for _, h := range parts {
		switch h.Kind {
		case syntax.HexByte:
			if h.Mask == 0xff && !h.Not {
				return true
			}
		case syntax.HexAlternatives:
			if !slices.ContainsFunc(h.Parts, func(alt *syntax.Hex) bool { return !fixed(alt.Parts) }) {
				return true
			}
		}
	}
	return false
}

// hexParts warns of consecutive jumps, counts alternatives, and says whether all
// bytes are printable text, at least two of them.
func (c *checker) hexParts(p *syntax.Pattern, seq *syntax.Hex, alternatives *int) bool {
	plain := len(seq.Parts) > 1
	for i := 0; i < len(seq.Parts); i++ {
		h := seq.Parts[i]
		switch h.Kind {
		case syntax.HexAlternatives:
			plain = false
			for _, k := range h.Parts {
				*alternatives++
				c.hexParts(p, k, alternatives)
			}
		case syntax.HexJump:
			plain = false
			last := i
			for last+1 < len(seq.Parts) && seq.Parts[last+1].Kind == syntax.HexJump {
				last++
			}
			if last > i && c.o.Dialect != source.YARA {
				c.warn(source.ConsecutiveJumps, h.Span.To(seq.Parts[last].Span), "jumps one after the other", "they are taken as one jump")
			}
			i = last
		case syntax.HexByte:
			plain = plain && h.Mask == 0xFF && !h.Not && (h.Value >= ' ' && h.Value < 0x7F || h.Value == '\t' || h.Value == '\n' || h.Value == '\r')
		}
	}
	return plain
}

func (c *checker) regexpPattern(p *syntax.Pattern) {
	t := c.regexp(p.Regexp, true, p.Has("nocase") != nil)
	if t == nil {
		return
	}
	if m := p.Has("nocase"); m != nil && strings.Contains(p.Regexp.Flags, "i") && c.o.Dialect != source.YARA {
		letter := source.Span{Start: p.Regexp.End - source.Pos(len(p.Regexp.Flags)), End: p.Regexp.End}
		c.warn(source.RedundantModifier, letter, "case is ignored twice", "the letter i says it").also(m.Span, "and so does this")
	}
	if p.Has("wide") != nil && c.o.Dialect == source.Either {
		c.wideEdges(p, t)
	}
	if at, ok := dots(t.Root, c.o.Dialect); ok {
		c.warn(source.GreedyDotStar, c.within(p.Regexp, at.Pos, at.End), "any number of any bytes in a regular expression",
			"say how many at most: .{,N}, .{1,N}, .{x,N}")
	}
	if slowRegexp(t, c.o.Dialect) {
		c.slow(p)
	}
}

// wideEdges warns of tests of words in wide text: the dialects disagree on them, but not
// on where the bytes begin and end.
func (c *checker) wideEdges(p *syntax.Pattern, t *resyntax.Tree) {
	var visit func(n *resyntax.Node) *resyntax.Node
	visit = func(n *resyntax.Node) *resyntax.Node {
		if n.Op == resyntax.Assert && n.Test != resyntax.Begin && n.Test != resyntax.End {
			return n
		}
		for _, s := range n.Subs {
			if found := visit(s); found != nil {
				return found
			}
		}
		return nil
	}
	if n := visit(t.Root); n != nil {
		c.warn(source.DialectsDisagree, c.within(p.Regexp, n.Pos, n.End), "test of a word in wide text means two things",
			"done as in YARA-X")
	}
}

// within is the place of bytes from to end of a regular expression.
func (c *checker) within(l *syntax.Literal, from, end int) source.Span {
	// Text has / where the source has \/.
	at := func(off int) source.Pos {
		pos := 1
		for i := 0; i < off && pos < len(l.Raw); i++ {
			if l.Raw[pos] == '\\' && pos+1 < len(l.Raw) {
				if l.Raw[pos+1] == '/' {
					pos++
				} else if i+1 < off {
					i++
					pos++
				}
			}
			pos++
		}
		return l.Start + source.Pos(min(pos, len(l.Raw)))
	}
	return source.Span{Start: at(from), End: max(at(end), at(from)+1)}
}

// regexp reads a regular expression. Where both dialects are taken, YARA-X's
// reading goes first.
func (c *checker) regexp(l *syntax.Literal, pattern, nocase bool) *resyntax.Tree {
	flags := resyntax.Flags{
		CaseInsensitive: nocase || strings.Contains(l.Flags, "i"),
		DotAll:          strings.Contains(l.Flags, "s"),
		Relaxed:         c.o.RelaxedRegexps,
	}
	dialects := map[source.Dialect][]resyntax.Dialect{
		source.YARA:   {resyntax.YARA4},
		source.YARAX:  {resyntax.YARAX},
		source.Either: {resyntax.YARAX, resyntax.YARA4},
	}
	var wrong *resyntax.Error
	for _, d := range dialects[c.o.Dialect] {
		flags.Dialect = d
		t, err := resyntax.Parse(l.Text, flags)
		if err == nil && pattern && d == resyntax.YARAX && t.Root.MinLen() == 0 {
			err = &resyntax.Error{End: len(l.Text), Detail: "it can match nothing at all"}
		}
		if err == nil {
			c.Regexps[l] = t
			if c.o.StrictEscapes {
				for _, at := range t.Loose {
					c.warn(source.UnknownEscape, c.within(l, at, at+2), "escape that means nothing", "it stands for the character itself")
				}
			}
			return t
		}
		if wrong == nil && !errors.As(err, &wrong) {
			wrong = &resyntax.Error{End: len(l.Text), Detail: err.Error()}
		}
	}
	c.err(source.InvalidRegexp, c.within(l, wrong.Pos, wrong.End), "invalid regular expression", wrong.Detail)
	return nil
}
