package pattern

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// A Program is a compiled Pattern. It is stored in a mapped database and run
// in place, so that it has no pointers, and every part of it is found by the
// length of the part before:
//
//	program   flags u8, then
//	          plain: the bytes of a literal, which is the whole pattern
//	          forms: list of forms
//	          else:  length u32 of variants, variants, seeds
//	variants  list of sequences
//	sequence  list of elements
//	list      count u16, count times end u32 (of the item, after the ends), items
//	element   head u8, then
//	          bytes:  value, folded to lower case where the head says so
//	          masked: value, mask of the same length
//	          gap:    min u64, max u64 (all ones: unbounded)
//	          alt:    list of sequences
//	          not:    list of bytes and masked elements of one length
//	          assert: test u8
//	          near:   value u8, mask u8, min i8, max i8
//	form      head u8 (a bit each for fold, full, wide, raw, keyed, spread), least
//	          key, greatest key, number of sets before, and after, sets of 32
//	          bytes, value
//	seed      n u8, n times u16 (variant, element, and an alternative and an
//	          element for each level deeper), offset u32 within the value
//
// All numbers are little-endian. The Place of an Atom is the offset of its
// seed in the program; in a plain one, its offset in the literal; in one of
// forms, the number of the form times 2^24 and its offset in the value.
type Program []byte

// The flags of a program.
const (
	flagPlain = 1 << iota
	flagFold  // plain only
	flagByEnd
	flagForms
)

// The heads of elements. headMod means folded for bytes and near, negated for assert.
const (
	headBytes = iota
	headMasked
	headGap
	headAlt
	headNot
	headAssert
	headNear
	heads

	headMod  = 0x80
	headKind = 0x7f
)

const (
	programHead = 5
	maxProgram  = 1 << 24 // bytes
	maxGap      = 1 << 38 // bytes; the sum of all gaps of a program fits 63 bits
	maxDepth    = 16      // of alternatives within alternatives
	maxItems    = 1<<16 - 1
	maxVariants = 1<<8 - 1
)

// ErrProgram is wrapped by the errors of Check.
var ErrProgram = errors.New("pattern program corrupt")

var le = binary.LittleEndian

// list is an encoded list.
type list []byte

func (l list) count() int { return int(le.Uint16(l)) }

// item returns item i without a check: Check was there.
func (l list) item(i int) []byte {
	n := l.count()
	base := uint32(2 + 4*n)
	start := uint32(0)
	if i > 0 {
		start = le.Uint32(l[2+4*(i-1):])
	}
	return l[base+start : base+le.Uint32(l[2+4*i:])]
}

// appendItems appends a list of n items, which item appends one after the other.
func appendItems(dst []byte, n int, item func(dst []byte, i int) []byte) []byte {
	dst = le.AppendUint16(dst, uint16(n))
	ends := len(dst)
	for range n {
		dst = le.AppendUint32(dst, 0)
	}
	items := len(dst)
	for i := range n {
		dst = item(dst, i)
		le.PutUint32(dst[ends+4*i:], uint32(len(dst)-items))
	}
	return dst
}

// value returns the value, mask (nil: all ones) and folding of a bytes or masked element.
func value(el []byte) (val, mask []byte, fold bool) {
	val, fold = el[1:], el[0]&headMod != 0
	if el[0]&headKind == headMasked {
		n := len(val) / 2
		val, mask = val[:n], val[n:]
	}
	return val, mask, fold
}

// gap returns the bounds of a gap; max < 0 is unbounded.
func gap(el []byte) (lo, hi int64) {
	return int64(le.Uint64(el[1:])), int64(le.Uint64(el[9:]))
}

// unbounded tells whether the element is a gap without an upper bound.
func unbounded(el []byte) bool {
	if el[0] != headGap {
		return false
	}
	_, hi := gap(el)
	return hi < 0
}

// variants returns the list of variants of a program that is not plain.
func (p Program) variants() list {
	return list(p[programHead : programHead+int(le.Uint32(p[1:]))])
}

func (p Program) plain() bool { return p[0]&flagPlain != 0 }

// ByEnd tells that the program's matches are told apart by their end (off+n
// of emit) and not by their start: see Pattern.ByEnd.
func (p Program) ByEnd() bool { return p[0]&flagByEnd != 0 }

// Forms tells that the program is one of forms: each of its atoms leads to one match at
// most, whatever was found before.
func (p Program) Forms() bool { return p[0]&flagForms != 0 }

// seedPath returns the indexes of a seed, two bytes each, and its byte offset.
func (p Program) seedPath(place uint32) (path []byte, off int64) {
	s := p[place:]
	n := 2 * int(s[0])
	return s[1 : 1+n], int64(le.Uint32(s[1+n:]))
}

// extent returns the shortest and the longest length that elements from to
// to-1 of a sequence can take. There is no unbounded gap among them.
func extent(seq list, from, to int) (lo, hi int64) {
	for i := from; i < to; i++ {
		a, b := elemExtent(seq.item(i))
		lo, hi = lo+a, hi+b
	}
	return lo, hi
}

func elemExtent(el []byte) (lo, hi int64) {
	switch el[0] & headKind {
	case headBytes, headMasked:
		val, _, _ := value(el)
		return int64(len(val)), int64(len(val))
	case headGap:
		return gap(el)
	case headNot:
		return elemExtent(list(el[1:]).item(0))
	case headAlt:
		alts := list(el[1:])
		for i := range alts.count() {
			seq := list(alts.item(i))
			a, b := extent(seq, 0, seq.count())
			if i == 0 || a < lo {
				lo = a
			}
			hi = max(hi, b)
		}
	}
	return lo, hi
}

// Check proves that the program is well-formed, so that running it with one
// of the places cannot index out of range, loop or recurse without bound.
func (p Program) Check(places []uint32) error {
	if len(p) < 2 || len(p) > maxProgram {
		return fmt.Errorf("program of %d bytes: %w", len(p), ErrProgram)
	}
	if p.plain() {
		if p[0]&^(flagPlain|flagFold) != 0 {
			return fmt.Errorf("flags %#x: %w", p[0], ErrProgram)
		}
		for _, at := range places {
			if uint64(at) >= uint64(len(p)-1) {
				return fmt.Errorf("place %d: %w", at, ErrProgram)
			}
		}
		return nil
	}
	if p[0]&flagForms != 0 {
		if !p.checkForms(places) {
			return fmt.Errorf("forms: %w", ErrProgram)
		}
		return nil
	}
	if p[0]&^flagByEnd != 0 || len(p) < programHead {
		return fmt.Errorf("flags %#x: %w", p[0], ErrProgram)
	}
	if uint64(le.Uint32(p[1:])) > uint64(len(p)-programHead) {
		return fmt.Errorf("length of variants: %w", ErrProgram)
	}
	vars := p.variants()
	if !checkList(vars, checkVariant) || vars.count() > maxVariants {
		return fmt.Errorf("variants: %w", ErrProgram)
	}
	for _, at := range places {
		if !p.checkPlace(at) {
			return fmt.Errorf("place %d: %w", at, ErrProgram)
		}
	}
	return nil
}

// checkPlace follows the path of a seed.
func (p Program) checkPlace(at uint32) bool {
	tail := uint64(programHead) + uint64(le.Uint32(p[1:]))
	if uint64(at) < tail || uint64(at) >= uint64(len(p)) {
		return false
	}
	s := p[at:]
	n := int(s[0])
	if n < 2 || n%2 != 0 || len(s) < 1+2*n+4 {
		return false
	}
	path, off := p.seedPath(at)
	alts := p.variants()
	for {
		i, j := int(le.Uint16(path)), int(le.Uint16(path[2:]))
		if i >= alts.count() {
			return false
		}
		seq := list(alts.item(i))
		if j >= seq.count() {
			return false
		}
		el := seq.item(j)
		if path = path[4:]; len(path) == 0 {
			if k := el[0] & headKind; k != headBytes && k != headMasked {
				return false
			}
			val, _, _ := value(el)
			return off < int64(len(val))
		}
		if el[0] != headAlt {
			return false
		}
		alts = list(el[1:])
	}
}

// checkList proves the frame of a list that is not empty, and its items.
func checkList(l list, item func([]byte) bool) bool {
	if len(l) < 2 {
		return false
	}
	n := l.count()
	if n == 0 || len(l) < 2+4*n {
		return false
	}
	room := uint32(len(l) - 2 - 4*n)
	prev := uint32(0)
	for i := range n {
		end := le.Uint32(l[2+4*i:])
		if end < prev || end > room {
			return false
		}
		prev = end
	}
	if prev != room {
		return false
	}
	for i := range n {
		if !item(l.item(i)) {
			return false
		}
	}
	return true
}

// checkVariant proves a top sequence, the only place of unbounded gaps.
func checkVariant(b []byte) bool {
	if !checkList(b, func(el []byte) bool { return checkElem(el, 0) }) {
		return false
	}
	seq := list(b)
	last := seq.count() - 1
	for i := 0; i <= last; i++ {
		if unbounded(seq.item(i)) && (i == 0 || i == last || unbounded(seq.item(i-1))) {
			return false
		}
	}
	return true
}

func checkElem(el []byte, depth int) bool {
	if len(el) < 2 || depth > maxDepth {
		return false
	}
	if mod := el[0]&headMod != 0; mod && el[0]&headKind > headMasked && el[0]&headKind < headAssert {
		return false
	}
	switch el[0] & headKind {
	case headBytes:
		return true
	case headMasked:
		return len(el)%2 == 1
	case headGap:
		if len(el) != 17 {
			return false
		}
		lo, hi := gap(el)
		return lo >= 0 && lo <= maxGap && (hi == -1 && depth == 0 || hi >= lo && hi <= maxGap)
	case headAlt:
		return checkList(el[1:], func(seq []byte) bool {
			return checkList(seq, func(el []byte) bool { return checkElem(el, depth+1) })
		})
	case headNot:
		n := -1
		return checkList(el[1:], func(el []byte) bool {
			if len(el) == 0 || el[0]&headKind > headMasked || !checkElem(el, depth+1) {
				return false
			}
			val, _, _ := value(el)
			same := n < 0 || n == len(val)
			n = len(val)
			return same
		})
	case headAssert:
		return len(el) == 2 && Test(el[1]) < tests
	case headNear:
		return len(el) == 5 && int8(el[3]) <= int8(el[4])
	}
	return false
}
