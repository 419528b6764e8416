package check

import (
	"github.com/showcause/showcause/regex"
	resyntax "github.com/showcause/showcause/regex/syntax"
	"github.com/showcause/showcause/yara/source"
	"github.com/showcause/showcause/yara/syntax"
)

// A pattern is looked for by one part of at most 4 bytes. How good such a part is
// follows YARA's points (libyara/atoms.c, heuristic quality): 20 a byte, 18 a
// letter, 12 a byte that is common everywhere, 4 half a byte, -10 none; 2 for
// each byte that is not there twice, or -10 a byte if all are one common byte.
const (
	partLen  = 4
	goodPart = 38
)

// maskedByte is a byte of which mask says what is known.
type maskedByte struct{ value, mask byte }

func common(b byte) bool { return b == 0 || b == ' ' || b == 0xCC || b == 0xFF }

// points is how good a part is.
func points(part []maskedByte) int {
	sum, unique := 0, 0
	var seen [256]bool
	for _, b := range part {
		switch {
		case b.mask == 0:
			sum -= 10
			continue
		case b.mask != 0xFF:
			sum += 4
			continue
		case common(b.value):
			sum += 12
		case b.value|0x20 >= 'a' && b.value|0x20 <= 'z':
			sum += 18
		default:
			sum += 20
		}
		if !seen[b.value] {
			seen[b.value] = true
			unique++
		}
	}
	if unique == 1 && (seen[0] || seen[' '] || seen[0x90] || seen[0xCC] || seen[0xFF]) {
		return sum - 10*len(part)
	}
	return sum + 2*unique
}

// best is the best part of a run of bytes, or the first that is good enough.
func best(run []maskedByte, enough int) (part []maskedByte, score int) {
	score = -1 << 20
	for i := range run {
		for n := min(partLen, len(run)-i); n > 0; n-- {
			if s := points(run[i : i+n]); s > score {
				part, score = run[i:i+n], s
				if score >= enough {
					return part, score
				}
			}
		}
	}
	return part, score
}

// slowText says whether a text has no good part.
func slowText(p *syntax.Pattern) bool {
	var run []maskedByte
	wide := p.Has("wide") != nil && p.Has("ascii") == nil
	for i := range len(p.Text.Text) {
		run = append(run, maskedByte{p.Text.Text[i], 0xFF})
		if wide {
			run = append(run, maskedByte{0, 0xFF})
		}
	}
	enough := goodPart
	if p.Has("xor") != nil {
		enough = partLen * 22 // the best there is
	}
	part, score := best(run, enough)
	if x := p.Has("xor"); x != nil {
		for key := x.Min; key <= x.Max; key++ {
			coded := make([]maskedByte, len(part))
			for i, b := range part {
				coded[i] = maskedByte{b.value ^ byte(key), b.mask}
			}
			score = min(score, points(coded))
		}
	}
	return score < goodPart
}

// farJump is the jump from which YARA looks for both sides on their own, bytes.
const farJump = 200

// slowHex says whether a hex pattern has no good part. YARA-X asks for less: a
// byte that is not common.
func slowHex(root *syntax.Hex, d source.Dialect) bool {
	if d == source.YARAX {
		return hexPoints(root.Parts) < 20
	}
	start := 0
	for i, h := range root.Parts {
		if h.Kind == syntax.HexJump && h.Max > farJump {
			if i > start && hexPoints(root.Parts[start:i]) < goodPart {
				return true
			}
			start = i + 1
		}
	}
	return hexPoints(root.Parts[start:]) < goodPart
}

// hexPoints is how good the best part of a sequence is. Of alternatives, the
// worst counts.
func hexPoints(parts []*syntax.Hex) int {
	score := -1 << 20
	var run []maskedByte
	flush := func() {
		_, s := best(run, goodPart)
		score = max(score, s)
		run = nil
	}
	for _, h := range parts {
		switch h.Kind {
		case syntax.HexByte:
			b := maskedByte{h.Value, h.Mask}
			if h.Not {
				b.mask = 0
			}
			run = append(run, b)
		case syntax.HexJump:
			flush()
		case syntax.HexAlternatives:
			flush()
			worst := 1 << 20
			for _, k := range h.Parts {
				worst = min(worst, hexPoints(k.Parts))
			}
			score = max(score, worst)
		}
	}
	flush()
	return score
}

// slowRegexp says whether a regular expression has no good part: by the parts
// that it is going to be looked for by.
func slowRegexp(t *resyntax.Tree, p *syntax.Pattern) bool {
	_, atoms, err := regex.Compile(t, regex.Options{Ascii: true, Score: func(b []byte, _ bool) int {
		_, s := best(masked(b), partLen*22)
		return s
	}})
	if err != nil || len(atoms) == 0 {
		return true
	}
	least := goodPart
	if p.Has("wide") != nil && p.Has("ascii") == nil {
		least -= 12 // the zeros in between
	}
	for _, a := range atoms {
		if _, s := best(masked(a.Literal), goodPart); s < least {
			return true
		}
	}
	return false
}

func masked(b []byte) []maskedByte {
	out := make([]maskedByte, len(b))
	for i, c := range b {
		out[i] = maskedByte{c, 0xFF}
	}
	return out
}

// dots finds a repetition without end of any bytes. YARA warns of all of them,
// YARA-X of the greedy .* alone.
func dots(n *resyntax.Node, d source.Dialect) (*resyntax.Node, bool) {
	if n.Op == resyntax.Repeat && n.Max < 0 && n.Subs[0].Op == resyntax.Class {
		set := n.Subs[0].Set
		any := true
		for b := range 256 {
			any = any && (b == '\n' || set.Has(byte(b)))
		}
		if any && (d != source.YARAX || n.Min == 0 && !n.Lazy) {
			return n, true
		}
	}
	for _, s := range n.Subs {
		if found, ok := dots(s, d); ok {
			return found, true
		}
	}
	return nil, false
}
