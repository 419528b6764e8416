package pattern

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
)

// MaxAtom is the greatest length of an atom's literal in bytes.
const MaxAtom = 32

// goodAtom is the length in bytes from which a literal is worth more than its score says.
const goodAtom = 4

// Atom is a literal that every match of a pattern, or of one of its variants
// or alternatives, contains. Literal is in lower case where Fold is true: then
// ASCII letters compare without case.
type Atom struct {
	Literal []byte
	Fold    bool
	Place   uint32 // where in the program the literal stands
	// The literal is to be looked for under each of these keys: see Form.
	XorLo, XorHi byte
}

// ErrNoLiteral is wrapped by the error for a pattern none of whose bytes is fixed.
var ErrNoLiteral = errors.New("no fixed byte to search for")

// Compile turns a pattern into its program and the atoms by which its matches
// are found: one for each variant, or one for each alternative where that is
// better. score says how good a literal is, higher is better; nil means by its
// length. A literal of less than 4 bytes is preferred only if it is much better.
// The anchor is left to the caller: see Matcher.Within.
func Compile(p Pattern, score func(b []byte, fold bool) int) (Program, []Atom, error) {
	if score == nil {
		score = func(b []byte, _ bool) int { return len(b) }
	}
	if len(p.Forms) > 0 {
		return compileForms(p.Forms, score)
	}
	if len(p.Variants) == 0 || len(p.Variants) > maxVariants {
		return nil, nil, fmt.Errorf("pattern: %d variants, want 1 to %d", len(p.Variants), maxVariants)
	}
	vars, err := normalise(p.Variants)
	if err != nil {
		return nil, nil, err
	}
	byEnd := p.ByEnd && p.Count > 1 && anyVaries(vars)
	if byEnd {
		prog, atoms, err := compileBy(vars, true, score)
		if !errors.Is(err, ErrNoLiteral) {
			return prog, atoms, err
		}
	}
	return compileBy(vars, false, score)
}

// normalise checks variants and brings them into the form that is encoded.
func normalise(variants [][]Elem) ([][]Elem, error) {
	vars := make([][]Elem, len(variants))
	for i, v := range variants {
		n := normaliser{}
		if err := n.sequence(v, 0); err != nil {
			return nil, fmt.Errorf("pattern: %w", err)
		}
		if isOpen(n.out[0]) || isOpen(n.out[len(n.out)-1]) {
			return nil, errors.New("pattern: unbounded gap at an end")
		}
		vars[i] = n.out
	}
	return vars, nil
}

// compileVariants compiles variants whose matches begin anywhere, a place each.
func compileVariants(variants [][]Elem, score func([]byte, bool) int) (Program, []Atom, error) {
	vars, err := normalise(variants)
	if err != nil {
		return nil, nil, err
	}
	return compileBy(vars, false, score)
}

// compileBy chooses the seeds and encodes.
func compileBy(vars [][]Elem, byEnd bool, score func([]byte, bool) int) (Program, []Atom, error) {
	var seeds []seed
	for i, v := range vars {
		c := choose(v, byEnd, score)
		if c == nil {
			return nil, nil, fmt.Errorf("pattern: %w", ErrNoLiteral)
		}
		for _, s := range c.seeds {
			s.path = append([]uint16{uint16(i)}, s.path...)
			seeds = append(seeds, s)
		}
	}
	prog, atoms := encode(vars, byEnd, seeds)
	if len(prog) > maxProgram {
		return nil, nil, fmt.Errorf("pattern: program of %d bytes, at most %d", len(prog), maxProgram)
	}
	return prog, atoms, nil
}

// encode writes the program.
func encode(vars [][]Elem, byEnd bool, seeds []seed) (Program, []Atom) {
	atoms := make([]Atom, 0, len(seeds))
	if len(vars) == 1 && len(vars[0]) == 1 && vars[0][0].Kind == Bytes && vars[0][0].Mask == nil {
		el := vars[0][0]
		flags := byte(flagPlain)
		if el.Fold {
			flags |= flagFold
		}
		for _, s := range seeds {
			atoms = append(atoms, Atom{Literal: s.lit, Fold: s.fold, Place: uint32(s.off)})
		}
		return append(Program{flags}, el.Value...), atoms
	}
	var flags byte
	if byEnd {
		flags = flagByEnd
	}
	p := encodeAlts(append(make(Program, 0, 128), flags, 0, 0, 0, 0), vars)
	le.PutUint32(p[1:], uint32(len(p)-programHead))
	for _, s := range seeds {
		atoms = append(atoms, Atom{Literal: s.lit, Fold: s.fold, Place: uint32(len(p))})
		p = append(p, byte(len(s.path)))
		for _, i := range s.path {
			p = le.AppendUint16(p, i)
		}
		p = le.AppendUint32(p, uint32(s.off))
	}
	return p, atoms
}

func encodeAlts(dst []byte, alts [][]Elem) []byte {
	return appendItems(dst, len(alts), func(dst []byte, i int) []byte {
		return appendItems(dst, len(alts[i]), func(dst []byte, j int) []byte { return encodeElem(dst, &alts[i][j]) })
	})
}

func encodeElem(dst []byte, e *Elem) []byte {
	mod := func(head byte, on bool) byte {
		if on {
			head |= headMod
		}
		return head
	}
	switch e.Kind {
	case Bytes:
		if e.Mask == nil {
			return append(append(dst, mod(headBytes, e.Fold)), e.Value...)
		}
		dst = append(append(dst, mod(headMasked, e.Fold)), e.Value...)
		return append(dst, e.Mask...)
	case Gap:
		dst = le.AppendUint64(append(dst, headGap), uint64(e.Min))
		return le.AppendUint64(dst, uint64(e.Max))
	case Assert:
		return append(dst, mod(headAssert, e.Negate), byte(e.Test))
	case Near:
		return append(dst, mod(headNear, e.Fold), e.Value[0], fullMask(e.Mask, 1)[0], byte(e.Min), byte(e.Max))
	}
	if !e.Negate {
		return encodeAlts(append(dst, headAlt), e.Alts)
	}
	return appendItems(append(dst, headNot), len(e.Alts), func(dst []byte, i int) []byte { return encodeElem(dst, &e.Alts[i][0]) })
}

// normaliser checks a sequence and brings it into the form that is encoded:
// neighbouring bytes and gaps joined, single alternatives in line, folded
// bytes in lower case, masks of all ones dropped.
type normaliser struct{ out []Elem }

func (n *normaliser) sequence(seq []Elem, depth int) error {
	if len(seq) == 0 {
		return errors.New("empty sequence")
	}
	if n.out == nil {
		n.out = make([]Elem, 0, len(seq))
	}
	for i := range seq {
		var err error
		switch e := seq[i]; e.Kind {
		case Bytes:
			err = n.bytes(e)
		case Gap:
			err = n.gap(e, depth)
		case Alt:
			err = n.alt(e, depth)
		case Assert:
			if e.Test >= tests {
				err = fmt.Errorf("unknown test %d", e.Test)
			}
			n.out = append(n.out, Elem{Kind: Assert, Test: e.Test, Negate: e.Negate})
		case Near:
			err = n.near(e)
		default:
			err = fmt.Errorf("unknown kind of element %d", e.Kind)
		}
		if err != nil {
			return err
		}
	}
	if len(n.out) == 0 {
		return errors.New("empty sequence")
	}
	if len(n.out) > maxItems {
		return fmt.Errorf("%d elements, at most %d", len(n.out), maxItems)
	}
	return nil
}

func (n *normaliser) bytes(e Elem) error {
	if len(e.Value) == 0 {
		return errors.New("bytes without a byte")
	}
	if e.Mask != nil && len(e.Mask) != len(e.Value) {
		return fmt.Errorf("mask of %d bytes on %d bytes", len(e.Mask), len(e.Value))
	}
	mask := e.Mask
	if trimMask(mask) == nil {
		mask = nil
	}
	letters, capitals := false, false
	for i, c := range e.Value {
		m := byte(0xff)
		if mask != nil {
			m = mask[i]
		}
		if c&^m != 0 {
			return fmt.Errorf("byte %#02x has bits outside its mask %#02x", c, m)
		}
		if m == 0xff && isLetter(c) {
			letters, capitals = true, capitals || c != lower(c)
		}
	}
	// A copy: seeds are parts of it, and the caller may write into its own.
	val, fold := bytes.Clone(e.Value), e.Fold && letters
	if fold && capitals {
		for i, c := range val {
			if mask == nil || mask[i] == 0xff {
				val[i] = lower(c)
			}
		}
	}
	if k := len(n.out) - 1; k >= 0 && n.out[k].Kind == Bytes {
		if last := &n.out[k]; last.Fold == fold || !letters || !hasLetters(last) {
			if last.Mask != nil || mask != nil {
				last.Mask = append(fullMask(last.Mask, len(last.Value)), fullMask(mask, len(val))...)
			}
			last.Value = append(last.Value, val...)
			last.Fold = last.Fold || fold
			return nil
		}
	}
	n.out = append(n.out, Elem{Kind: Bytes, Value: val, Mask: slices.Clip(mask), Fold: fold}) // the mask is the caller's
	return nil
}

func (n *normaliser) near(e Elem) error {
	if len(e.Value) != 1 || e.Min < math.MinInt8 || e.Max < e.Min || e.Max > math.MaxInt8 {
		return fmt.Errorf("%d bytes from %d to %d around a place", len(e.Value), e.Min, e.Max)
	}
	one := normaliser{}
	if err := one.bytes(Elem{Value: e.Value, Mask: e.Mask, Fold: e.Fold}); err != nil {
		return err
	}
	e.Value, e.Mask, e.Fold = one.out[0].Value, one.out[0].Mask, one.out[0].Fold
	n.out = append(n.out, e)
	return nil
}

func (n *normaliser) gap(e Elem, depth int) error {
	if e.Min < 0 || e.Min > maxGap || e.Max > maxGap || e.Max >= 0 && e.Max < e.Min {
		return fmt.Errorf("gap of %d to %d bytes", e.Min, e.Max)
	}
	if e.Max < 0 {
		if e.Max = -1; depth > 0 {
			return errors.New("unbounded gap within an alternative")
		}
	}
	if e.Max == 0 {
		return nil
	}
	if k := len(n.out) - 1; k >= 0 && n.out[k].Kind == Gap {
		last := &n.out[k]
		last.Min += e.Min
		if last.Max < 0 || e.Max < 0 {
			last.Max = -1
		} else {
			last.Max += e.Max
		}
		if last.Min > maxGap || last.Max > maxGap {
			return fmt.Errorf("gap of %d to %d bytes", last.Min, last.Max)
		}
		return nil
	}
	n.out = append(n.out, Elem{Kind: Gap, Min: e.Min, Max: e.Max})
	return nil
}

func (n *normaliser) alt(e Elem, depth int) error {
	if len(e.Alts) == 0 || len(e.Alts) > maxItems {
		return fmt.Errorf("%d alternatives", len(e.Alts))
	}
	if depth >= maxDepth {
		return fmt.Errorf("alternatives more than %d deep", maxDepth)
	}
	if len(e.Alts) == 1 && !e.Negate {
		// Still as deep as it was written: an unbounded gap stays an error.
		in := normaliser{}
		if err := in.sequence(e.Alts[0], depth+1); err != nil {
			return err
		}
		return n.sequence(in.out, depth)
	}
	out := Elem{Kind: Alt, Negate: e.Negate, Alts: make([][]Elem, len(e.Alts))}
	for i, a := range e.Alts {
		in := normaliser{}
		if err := in.sequence(a, depth+1); err != nil {
			return err
		}
		out.Alts[i] = in.out
		if !e.Negate {
			continue
		}
		if len(in.out) != 1 || in.out[0].Kind != Bytes {
			return errors.New("negated alternative that is not only bytes")
		}
		if len(in.out[0].Value) != len(out.Alts[0][0].Value) {
			return errors.New("negated alternatives of different lengths")
		}
	}
	n.out = append(n.out, out)
	return nil
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}

func isAlnum(c byte) bool { return isLetter(c) || '0' <= c && c <= '9' }

func hasLetters(e *Elem) bool {
	for i, c := range e.Value {
		if isLetter(c) && (e.Mask == nil || e.Mask[i] == 0xff) {
			return true
		}
	}
	return false
}

// fullMask returns the mask of n bytes, all ones where there is none.
func fullMask(m []byte, n int) []byte {
	if m != nil {
		return m
	}
	return bytes.Repeat([]byte{0xff}, n)
}

// trimMask returns nil for a mask of all ones.
func trimMask(m []byte) []byte {
	for _, b := range m {
		if b != 0xff {
			return m
		}
	}
	return nil
}

func isOpen(e Elem) bool { return e.Kind == Gap && e.Max < 0 }
func varies(e Elem) bool { return e.Kind == Gap && e.Max != e.Min }

func anyVaries(vars [][]Elem) bool {
	for _, v := range vars {
		for _, e := range v {
			if varies(e) {
				return true
			}
		}
	}
	return false
}
