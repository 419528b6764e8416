package rule

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Program is the guard and the condition of a rule. It is stored in a mapped
// database and run in place:
//
//	program        asks u8 (a bit each for size, entry, sections, container,
//	               intermediates, magic), the guard's parts that are asked for, gates, node
//	gates          nothing, or 15 u8, count u8, then {sub u8, node}: the triggers of patterns
//	               that are decided later, ascending
//	range          min u64, max u64
//	container      name
//	intermediates  count u8, names
//	magic          count u8, then {width u8 | 16: big-endian | 32: pointer, offset i64,
//	               count u8, values u64}
//	name           length u8, bytes
//	node           op u8 | cmp u8 << 4, then
//	               count: sub u16, n u32
//	               and, or: count u16, nodes
//	               group: n u32, distinct u32, node
//	               true: nothing
//
// All numbers are little-endian.
type Program []byte

// The bits of asks.
const (
	asksSize = 1 << iota
	asksEntry
	asksSections
	asksContainer
	asksIntermediates
	asksMagic
	asksAll = 1<<iota - 1
)

// The bits of a magic's first byte.
const (
	magicWidth   = 15
	magicBig     = 16
	magicPointer = 32
)

const (
	maxDepth    = 64  // of nodes
	maxDistinct = 256 // patterns, where a Group asks for distinct ones
	maxKids     = 1<<16 - 1
)

// ErrProgram is wrapped by the errors of Check.
var ErrProgram = errors.New("rule program corrupt")

var le = binary.LittleEndian

// Encode returns the program of a rule.
func Encode(r *Rule) (Program, error) {
	p, err := appendGuard(Program{0}, &r.Guard)
	if err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	if p, err = appendGates(p, r); err != nil {
		return nil, fmt.Errorf("trigger: %w", err)
	}
	if p, err = appendNode(p, &r.Cond, len(r.Patterns), 0, false); err != nil {
		return nil, fmt.Errorf("condition: %w", err)
	}
	return p, nil
}

func appendGuard(p Program, g *Guard) (Program, error) {
	for i, r := range []*Range{g.Size, g.Entry, g.Sections} {
		if r == nil {
			continue
		}
		p[0] |= asksSize << i
		p = le.AppendUint64(p, r.Min)
		p = le.AppendUint64(p, r.Max)
	}
	name := func(s string) error {
		if s == "" || len(s) > 255 {
			return fmt.Errorf("type name of %d bytes", len(s))
		}
		p = append(append(p, byte(len(s))), s...)
		return nil
	}
	if g.Container != "" {
		p[0] |= asksContainer
		if err := name(g.Container); err != nil {
			return nil, err
		}
	}
	if n := len(g.Intermediates); n > 255 {
		return nil, fmt.Errorf("%d intermediates", n)
	} else if n > 0 {
		p[0] |= asksIntermediates
		p = append(p, byte(n))
	}
	for _, s := range g.Intermediates {
		if err := name(s); err != nil {
			return nil, err
		}
	}
	return appendMagic(p, g.Magic)
}

func appendMagic(p Program, all []Magic) (Program, error) {
	if len(all) == 0 {
		return p, nil
	}
	if len(all) > 255 {
		return nil, fmt.Errorf("%d numbers in the layer", len(all))
	}
	p[0] |= asksMagic
	p = append(p, byte(len(all)))
	for _, m := range all {
		if m.Width != 1 && m.Width != 2 && m.Width != 4 || len(m.Values) > 255 {
			return nil, fmt.Errorf("number of %d bytes, %d values", m.Width, len(m.Values))
		}
		head := m.Width
		if m.Big {
			head |= magicBig
		}
		if m.Pointer {
			head |= magicPointer
		}
		p = le.AppendUint64(append(p, head), uint64(m.Offset))
		p = append(p, byte(len(m.Values)))
		for _, v := range m.Values {
			p = le.AppendUint64(p, v)
		}
	}
	return p, nil
}

// opGates stands where a node begins, and is none.
const opGates = 15

func appendGates(p Program, r *Rule) (Program, error) {
	gates := 0
	at := len(p) + 1
	for sub, l := range r.Later {
		if l == nil {
			continue
		}
		if sub >= maxDistinct || sub >= len(r.Patterns) {
			return nil, fmt.Errorf("pattern %d that is decided later, at most %d", sub, maxDistinct)
		}
		if gates++; gates == 1 {
			p = append(p, opGates, 0)
		}
		if gates > 255 {
			return nil, fmt.Errorf("%d patterns that are decided later", gates)
		}
		p[at] = byte(gates)
		var err error
		if p, err = appendNode(append(p, byte(sub)), &l.Trigger, len(r.Patterns), 0, false); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// appendNode appends a node. distinct tells that a Group above it counts patterns.
func appendNode(p Program, n *Node, patterns, depth int, distinct bool) (Program, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("more than %d deep", maxDepth)
	}
	if n.Cmp > Less {
		return nil, fmt.Errorf("unknown comparison %d", n.Cmp)
	}
	p = append(p, byte(n.Op)|byte(n.Cmp)<<4)
	switch n.Op {
	case Count:
		if n.Sub < 0 || n.Sub >= patterns || n.Sub > maxKids {
			return nil, fmt.Errorf("pattern %d of %d", n.Sub, patterns)
		}
		if distinct && n.Sub >= maxDistinct {
			return nil, fmt.Errorf("pattern %d where distinct ones are counted, at most %d", n.Sub, maxDistinct)
		}
		p = le.AppendUint16(p, uint16(n.Sub))
		return le.AppendUint32(p, n.N), nil
	case True:
		return p, nil
	case And, Or:
		if len(n.Kids) == 0 || len(n.Kids) > maxKids {
			return nil, fmt.Errorf("%d operands", len(n.Kids))
		}
		p = le.AppendUint16(p, uint16(len(n.Kids)))
	case Group:
		if len(n.Kids) != 1 {
			return nil, fmt.Errorf("group of %d conditions, want 1", len(n.Kids))
		}
		p = le.AppendUint32(p, n.N)
		p = le.AppendUint32(p, n.Distinct)
		distinct = distinct || n.Distinct > 0
	default:
		return nil, fmt.Errorf("unknown op %d", n.Op)
	}
	var err error
	for i := range n.Kids {
		if p, err = appendNode(p, &n.Kids[i], patterns, depth+1, distinct); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Check proves that the program is well-formed and names only the rule's
// patterns, so that running it cannot index out of range or recurse without bound.
func (p Program) Check(patterns int) error {
	if len(p) == 0 || p[0]&^asksAll != 0 {
		return fmt.Errorf("flags: %w", ErrProgram)
	}
	rest, ok := checkGuard(p)
	if !ok {
		return fmt.Errorf("guard: %w", ErrProgram)
	}
	if rest, ok = checkGates(rest, patterns); !ok {
		return fmt.Errorf("trigger: %w", ErrProgram)
	}
	if rest, ok = checkNode(rest, patterns, 0, false); !ok || len(rest) > 0 {
		return fmt.Errorf("condition: %w", ErrProgram)
	}
	return nil
}

func checkGuard(p []byte) (rest []byte, ok bool) {
	asks, rest := p[0], p[1:]
	for _, bit := range []byte{asksSize, asksEntry, asksSections} {
		if asks&bit == 0 {
			continue
		}
		if len(rest) < 16 {
			return nil, false
		}
		rest = rest[16:]
	}
	names := 0
	if asks&asksContainer != 0 {
		names = 1
	}
	for pass := range 2 {
		if pass == 1 {
			if names = 0; asks&asksIntermediates != 0 {
				if len(rest) == 0 || rest[0] == 0 {
					return nil, false
				}
				names, rest = int(rest[0]), rest[1:]
			}
		}
		for ; names > 0; names-- {
			if len(rest) == 0 || rest[0] == 0 || len(rest) < 1+int(rest[0]) {
				return nil, false
			}
			rest = rest[1+int(rest[0]):]
		}
	}
	if asks&asksMagic != 0 {
		return checkMagic(rest)
	}
	return rest, true
}

func checkMagic(b []byte) (rest []byte, ok bool) {
	if len(b) == 0 || b[0] == 0 {
		return nil, false
	}
	n := int(b[0])
	for b = b[1:]; n > 0; n-- {
		if len(b) < 10 || b[0]&^(magicWidth|magicBig|magicPointer) != 0 || len(b) < 10+8*int(b[9]) {
			return nil, false
		}
		if w := b[0] & magicWidth; w != 1 && w != 2 && w != 4 {
			return nil, false
		}
		b = b[10+8*int(b[9]):]
	}
	return b, true
}

// checkGates proves that each trigger names the rule's patterns only.
func checkGates(b []byte, patterns int) (rest []byte, ok bool) {
	if len(b) < 1 || b[0] != opGates {
		return b, true
	}
	if len(b) < 2 || b[1] == 0 {
		return nil, false
	}
	n, last := int(b[1]), -1
	for b = b[2:]; n > 0; n-- {
		if len(b) < 1 || int(b[0]) <= last || int(b[0]) >= patterns {
			return nil, false
		}
		last = int(b[0])
		if b, ok = checkNode(b[1:], patterns, 0, false); !ok {
			return nil, false
		}
	}
	return b, true
}

func checkNode(b []byte, patterns, depth int, distinct bool) (rest []byte, ok bool) {
	if len(b) < 1 || depth > maxDepth || b[0]>>4 > byte(Less) {
		return nil, false
	}
	kids := 0
	switch op := Op(b[0] & 15); op {
	case Count:
		if len(b) < 7 {
			return nil, false
		}
		sub := int(le.Uint16(b[1:]))
		return b[7:], sub < patterns && (!distinct || sub < maxDistinct)
	case True:
		return b[1:], true
	case And, Or:
		if len(b) < 3 {
			return nil, false
		}
		kids, b = int(le.Uint16(b[1:])), b[3:]
	case Group:
		if len(b) < 9 {
			return nil, false
		}
		distinct = distinct || le.Uint32(b[5:]) > 0
		kids, b = 1, b[9:]
	}
	ok = kids > 0
	for ; ok && kids > 0; kids-- {
		b, ok = checkNode(b, patterns, depth+1, distinct)
	}
	return b, ok
}
