package lower

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/showcause/showcause/literal"
	"github.com/showcause/showcause/pattern"
	"github.com/showcause/showcause/regex"
	resyntax "github.com/showcause/showcause/regex/syntax"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/yara/check"
	"github.com/showcause/showcause/yara/source"
	"github.com/showcause/showcause/yara/syntax"
)

// lowerPattern makes a pattern of a rule's string. Where several matches begin
// at one place, which one counts is said by ruledb.Pattern.Longest.
func lowerPattern(res *check.Result, r *check.Rule, p *syntax.Pattern) (pattern.Pattern, *rule.Regexp, error) {
	switch {
	case p.Text != nil:
		return pattern.Pattern{Forms: textForms(p, r.Dialect)}, nil, nil
	case p.Hex != nil:
		return hexPattern(p.Hex, r.Dialect)
	}
	t := res.Regexps[p.Regexp]
	if t == nil {
		return pattern.Pattern{}, nil, errors.New("regular expression: not read")
	}
	wide := p.Has("wide") != nil
	re, err := compileRegexp(t, regex.Options{
		Ascii: !wide || p.Has("ascii") != nil, Wide: wide, FullWord: p.Has("fullword") != nil,
	})
	return pattern.Pattern{}, re, err
}

func compileRegexp(t *resyntax.Tree, o regex.Options) (*rule.Regexp, error) {
	o.Score = literal.Score
	prog, atoms, err := regex.Compile(t, o)
	if err != nil {
		return nil, err
	}
	return &rule.Regexp{Program: prog, Atoms: atoms}, nil
}

// textForms are the spellings of a text.
func textForms(p *syntax.Pattern, d source.Dialect) []pattern.Form {
	wide := p.Has("wide") != nil
	forms := make([]pattern.Form, 0, 2)
	if !wide || p.Has("ascii") != nil {
		forms = append(forms, pattern.Form{Value: []byte(p.Text.Text)})
	}
	if wide {
		forms = append(forms, pattern.Form{Value: widen([]byte(p.Text.Text)), Wide: true})
	}
	if p.Has("base64") != nil || p.Has("base64wide") != nil {
		return base64Forms(p, forms, d)
	}
	for i := range forms {
		f := &forms[i]
		f.Fold = p.Has("nocase") != nil
		f.Full = p.Has("fullword") != nil
		f.Raw = f.Full && d == source.YARA
		if x := p.Has("xor"); x != nil {
			f.XorLo, f.XorHi = byte(x.Min), byte(x.Max)
		}
	}
	return forms
}

// widen puts a zero byte behind every byte.
func widen(b []byte) []byte {
	out := make([]byte, 0, 2*len(b))
	for _, c := range b {
		out = append(out, c, 0)
	}
	return out
}

const base64Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// base64Forms are the three spellings that each form has within base64: those
// characters of which all bits are the text's. YARA-X looks at those around
// them, too, which have some of their bits from the text.
func base64Forms(p *syntax.Pattern, texts []pattern.Form, d source.Dialect) []pattern.Form {
	var out []pattern.Form
	for _, name := range []string{"base64", "base64wide"} {
		m := p.Has(name)
		if m == nil {
			continue
		}
		alphabet := base64Alphabet
		if m.Alphabet != nil {
			alphabet = m.Alphabet.Text
		}
		for _, text := range texts {
			for shift := range 3 {
				f, ok := base64Form(text.Value, shift, alphabet, d != source.YARA)
				if !ok {
					continue
				}
				if name == "base64wide" {
					f.Value, f.Spread = widen(f.Value), true
				}
				out = append(out, f)
			}
		}
	}
	return out
}

// base64Form is the spelling of a text that begins at byte shift of a group of
// three. It is not ok if there is no character that is the text's alone.
func base64Form(text []byte, shift int, alphabet string, around bool) (f pattern.Form, ok bool) {
	// Six bits each: which are the text's, and their values.
	bits := make([]byte, shift, shift+len(text))
	bits = append(bits, text...)
	chars := (8*len(bits) + 5) / 6
	for i := range chars {
		var value, known byte
		for k := range 6 {
			at := 6*i + k
			value, known = value<<1, known<<1
			if at >= 8*shift && at < 8*len(bits) {
				known |= 1
				value |= bits[at/8] >> (7 - at%8) & 1
			}
		}
		if known == 0x3f {
			f.Value = append(f.Value, alphabet[value])
			continue
		}
		if !around {
			continue
		}
		var set pattern.Set
		for v := range byte(64) {
			if v&known == value {
				set.Add(alphabet[v])
			}
		}
		if len(f.Value) == 0 && 6*i < 8*shift {
			f.Before = append(f.Before, set)
		} else {
			f.After = append(f.After, set)
		}
	}
	return f, len(f.Value) > 0
}

// hexPattern makes a pattern of a hex string; a regular expression where it has no
// byte that is fixed, a jump without bound within alternatives, or, for YARA 4, an order
// of alternatives that says how long a match is.
func hexPattern(h *syntax.Hex, d source.Dialect) (pattern.Pattern, *rule.Regexp, error) {
	inOrder := d == source.YARA && ordered(h.Parts)
	if seq, ok := hexElems(h.Parts, 0); ok && !inOrder {
		p := pattern.Pattern{Variants: [][]pattern.Elem{seq}}
		if fixedByte(h.Parts) {
			return p, nil, nil
		}
		if _, _, err := pattern.Compile(p, nil); !errors.Is(err, pattern.ErrNoLiteral) {
			return p, nil, err
		}
	}
	root, err := hexNode(h.Parts, !inOrder)
	if err != nil {
		return pattern.Pattern{}, nil, err
	}
	t := &resyntax.Tree{Root: root, Flags: resyntax.Flags{Dialect: resyntax.YARA4, DotAll: true}, Lazy: true}
	re, err := compileRegexp(t, regex.Options{Reach: -1})
	return pattern.Pattern{}, re, err
}

// chained is the greatest jump, bytes, that YARA 4 does not take a string apart at
// (YR_STRING_CHAINING_THRESHOLD, libyara/include/yara/limits.h).
const chained = 200

// ordered tells whether the length of a match depends on the order of alternatives for
// YARA 4, which takes the first that matches: they are not of one length each, and the
// string is searched for in one piece.
func ordered(parts []*syntax.Hex) bool {
	varies := false
	for _, h := range parts {
		switch h.Kind {
		case syntax.HexJump:
			if h.Max > chained {
				return false
			}
		case syntax.HexAlternatives:
			least, most := math.MaxInt, 0
			for _, alt := range h.Parts {
				lo, hi := extent(alt.Parts)
				least, most = min(least, lo), max(most, hi)
			}
			varies = varies || least != most
		}
	}
	return varies
}

// extent is how many bytes a sequence takes, at least and at most.
func extent(parts []*syntax.Hex) (least, most int) {
	for _, h := range parts {
		lo, hi := 1, 1
		switch h.Kind {
		case syntax.HexJump:
			lo, hi = int(h.Min), int(h.Max)
		case syntax.HexAlternatives:
			lo, hi = math.MaxInt32, 0
			for _, alt := range h.Parts {
				l, m := extent(alt.Parts)
				lo, hi = min(lo, l), max(hi, m)
			}
		}
		least, most = min(least+lo, math.MaxInt32), min(most+hi, math.MaxInt32)
	}
	return least, most
}

// fixedByte tells whether one byte of a sequence, outside of alternatives, is fixed.
func fixedByte(parts []*syntax.Hex) bool {
	for _, h := range parts {
		if h.Kind == syntax.HexByte && h.Mask == 0xff && !h.Not {
			return true
		}
	}
	return false
}

// maxNested is how deep alternatives can be in each other in a pattern.
const maxNested = 15

// fixedRun is the number of bytes at the beginning of a sequence that are fixed.
func fixedRun(parts []*syntax.Hex) int {
	for n, h := range parts {
		if h.Kind != syntax.HexByte || h.Mask != 0xff || h.Not {
			return n
		}
	}
	return len(parts)
}

// runs is how many elements a sequence has, at most: bytes that are fixed and follow
// each other are one.
func runs(parts []*syntax.Hex) (n int) {
	for i := 0; i < len(parts); i++ {
		i += max(0, fixedRun(parts[i:])-1)
		n++
	}
	return n
}

// hexElems are the elements of a sequence; not ok where a pattern does not have them.
func hexElems(parts []*syntax.Hex, depth int) (out []pattern.Elem, ok bool) {
	if depth > maxNested {
		return nil, false
	}
	out = make([]pattern.Elem, 0, runs(parts))
	for i := 0; i < len(parts); i++ {
		h := parts[i]
		switch h.Kind {
		case syntax.HexByte:
			if n := fixedRun(parts[i:]); n > 1 {
				e := pattern.Elem{Kind: pattern.Bytes, Value: make([]byte, n)}
				for k, b := range parts[i : i+n] {
					e.Value[k] = b.Value
				}
				out = append(out, e)
				i += n - 1
				continue
			}
			e := pattern.Elem{Kind: pattern.Bytes, Value: []byte{h.Value & h.Mask}}
			if h.Mask != 0xff {
				e.Mask = []byte{h.Mask}
			}
			if h.Not {
				out = append(out, pattern.Elem{Kind: pattern.Alt, Negate: true, Alts: [][]pattern.Elem{{e}}})
				continue
			}
			if k := len(out) - 1; k >= 0 && out[k].Kind == pattern.Bytes && (out[k].Mask == nil) == (e.Mask == nil) {
				out[k].Value = append(out[k].Value, e.Value...)
				out[k].Mask = append(out[k].Mask, e.Mask...)
				continue
			}
			out = append(out, e)
		case syntax.HexJump:
			e := pattern.Elem{Kind: pattern.Gap, Min: int64(h.Min), Max: int64(h.Max)}
			if h.Max == syntax.Unbounded {
				if e.Max = -1; depth > 0 {
					return nil, false
				}
			}
			out = append(out, e)
		case syntax.HexAlternatives:
			e := pattern.Elem{Kind: pattern.Alt}
			for _, alt := range h.Parts {
				seq, ok := hexElems(alt.Parts, depth+1)
				if !ok {
					return nil, false
				}
				e.Alts = append(e.Alts, seq)
			}
			out = append(out, e)
		}
	}
	return out, true
}

// maxRepeat is the longest jump of a hex string that is searched for as a regular
// expression: check.Check has refused what is longer.
const maxRepeat = 1 << 17

// hexNode is a sequence as a regular expression. With short, of the matches that begin
// at one place the shortest counts, else that of the first alternative.
func hexNode(parts []*syntax.Hex, short bool) (*resyntax.Node, error) {
	seq := &resyntax.Node{Op: resyntax.Concat}
	for _, h := range parts {
		n := &resyntax.Node{}
		switch h.Kind {
		case syntax.HexByte:
			n.Op = resyntax.Class
			for c := range 256 {
				if (byte(c)&h.Mask == h.Value) != h.Not {
					n.Set[c>>6] |= 1 << (c & 63)
				}
			}
		case syntax.HexJump:
			all := &resyntax.Node{Op: resyntax.Class, Set: resyntax.Set{1<<64 - 1, 1<<64 - 1, 1<<64 - 1, 1<<64 - 1}}
			n = &resyntax.Node{Op: resyntax.Repeat, Min: int(h.Min), Max: int(h.Max), Lazy: true, Subs: []*resyntax.Node{all}}
			if h.Max == syntax.Unbounded {
				n.Max = -1
			}
			if h.Min > maxRepeat || n.Max > maxRepeat {
				return nil, fmt.Errorf("hex string without a fixed byte and with a jump of more than %d bytes", maxRepeat)
			}
		case syntax.HexAlternatives:
			n.Op = resyntax.Alt
			for _, alt := range h.Parts {
				sub, err := hexNode(alt.Parts, short)
				if err != nil {
					return nil, err
				}
				n.Subs = append(n.Subs, sub)
			}
			if short {
				sortShort(n.Subs)
			}
		}
		seq.Subs = append(seq.Subs, n)
	}
	return seq, nil
}

// sortShort puts what can be shorter first: of the matches of a hex string that
// begin at one place, the shortest counts.
func sortShort(nodes []*resyntax.Node) {
	slices.SortStableFunc(nodes, func(a, b *resyntax.Node) int { return cmp.Compare(a.MinLen(), b.MinLen()) })
}
