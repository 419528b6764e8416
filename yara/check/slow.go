package check

import (
	"math/bits"
	"slices"

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
	var only byte
	for i, b := range part {
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
		if !slices.Contains(part[:i], b) {
			only = b.value
			unique++
		}
	}
	if unique == 1 && (common(only) || only == 0x90) {
		return sum - 10*len(part)
	}
	return sum + 2*unique
}

// best is the best part of a run of bytes, or the first that is good enough. A
// part has all the bytes that there are, less what is not known at its ends.
func best(run []maskedByte, enough int) (part []maskedByte, score int) {
	score = -1 << 20
	for i := 0; i == 0 || i+partLen <= len(run); i++ {
		window := run[i:min(len(run), i+partLen)]
		for len(window) > 0 && window[0].mask == 0 {
			window = window[1:]
		}
		for len(window) > 0 && window[len(window)-1].mask == 0 {
			window = window[:len(window)-1]
		}
		if s := points(window); len(window) > 0 && s > score {
			part, score = window, s
			if score >= enough {
				break
			}
		}
	}
	return part, score
}

// slowText says whether a text has no good part. The part is chosen in the text
// itself; of wide text, its first bytes with zeros after them count, too.
func slowText(p *syntax.Pattern) bool {
	run := make([]maskedByte, 0, len(p.Text.Text))
	for i := range len(p.Text.Text) {
		run = append(run, maskedByte{p.Text.Text[i], 0xFF})
	}
	wide, xor := p.Has("wide") != nil, p.Has("xor")
	enough := goodPart
	if wide || xor != nil {
		enough = partLen * 22 // the best there is
	}
	part, score := best(run, enough)
	if wide {
		var wider []maskedByte
		for _, b := range part[:min(len(part), partLen/2)] {
			wider = append(wider, b, maskedByte{0, 0xFF})
		}
		score = min(score, points(wider))
	}
	if xor != nil {
		for key := xor.Min; key <= xor.Max; key++ {
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
		run = run[:0]
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

// slowRegexp says whether a regular expression has no good part.
func slowRegexp(t *resyntax.Tree, d source.Dialect) bool {
	w := runs{score: -1 << 20}
	w.walk(t.Root)
	w.flush()
	if d == source.YARAX {
		return w.score < 20
	}
	return w.score < goodPart
}

// runs finds the best part of a regular expression.
type runs struct {
	run   []maskedByte
	score int
}

func (w *runs) flush() {
	_, s := best(w.run, goodPart)
	w.score = max(w.score, s)
	w.run = nil
}

// longRun is where a run is cut, bytes: a repetition can make it very long.
const longRun = 256

// walk goes through a node. Single bytes and dots make runs; other classes and
// what may be left out end them. Of alternatives, the worst counts.
func (w *runs) walk(n *resyntax.Node) {
	if len(w.run) > longRun {
		w.flush()
	}
	switch n.Op {
	case resyntax.Class:
		switch b, kind := single(&n.Set); kind {
		case oneByte:
			w.run = append(w.run, maskedByte{b, 0xFF})
		case anyByte:
			w.run = append(w.run, maskedByte{0, 0})
		default:
			w.flush()
		}
	case resyntax.Concat, resyntax.Group, resyntax.Atomic:
		for _, s := range n.Subs {
			w.walk(s)
		}
	case resyntax.Alt:
		w.flush()
		worst := 1 << 20
		for _, s := range n.Subs {
			sub := runs{score: -1 << 20}
			sub.walk(s)
			sub.flush()
			worst = min(worst, sub.score)
		}
		w.score = max(w.score, worst)
	case resyntax.Repeat:
		for range min(n.Min, partLen) {
			w.walk(n.Subs[0])
		}
		if n.Max != n.Min {
			w.flush()
		}
	}
}

// What a class is.
const (
	manyBytes = iota
	oneByte   // or a letter in both cases
	anyByte   // with or without the line feed
)

func single(set *resyntax.Set) (b byte, kind int) {
	first, last, n := -1, 0, 0
	for i, word := range set {
		if word == 0 {
			continue
		}
		n += bits.OnesCount64(word)
		last = 64*i + bits.Len64(word) - 1
		if first < 0 {
			first = 64*i + bits.TrailingZeros64(word)
		}
	}
	switch {
	case n == 1 || n == 2 && first|0x20 == last && last >= 'a' && last <= 'z':
		return byte(first), oneByte
	case n == 256 || n == 255 && !set.Has('\n'):
		return 0, anyByte
	}
	return 0, manyBytes
}

// dots finds a repetition without end of any bytes. YARA warns of all of them,
// YARA-X of the greedy .* alone.
func dots(n *resyntax.Node, d source.Dialect) (*resyntax.Node, bool) {
	if n.Op == resyntax.Repeat && n.Max < 0 && n.Subs[0].Op == resyntax.Class {
		_, kind := single(&n.Subs[0].Set)
		if kind == anyByte && (d != source.YARAX || n.Min == 0 && !n.Lazy) {
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
