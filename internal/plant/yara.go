package plant

import (
	"encoding/base64"
	"encoding/binary"
	"hash/fnv"
	"math/rand/v2"
	"strings"

	resyntax "github.com/showcause/showcause/regex/syntax"
	"github.com/showcause/showcause/yara/syntax"
)

// most is how many bytes one instance of a YARA pattern may have: a jump
// without an end is drawn short.
const most = 1 << 16

// yaraPlanter makes instances of the patterns of one rule.
type yaraPlanter struct {
	*rand.Rand
	out []byte
}

// YARA writes a file that holds each pattern of a rule at least once, in every
// form that its modifiers name, and that has the header which the rule's condition
// asks for in so many words ("uint16(0) == 0x5A4D"). Whether the rule holds is
// for two engines to agree on. The file is a function of the rule and the seed.
func YARA(r *syntax.Rule, seed uint64) []byte {
	h := fnv.New64a()
	h.Write([]byte(r.Name.Name))
	p := &yaraPlanter{Rand: rand.New(rand.NewPCG(seed, h.Sum64()))}
	p.out = make([]byte, 0x200)
	p.pad(16)
	for _, pat := range r.Patterns {
		for _, one := range p.instances(pat) {
			p.pad(1 + p.IntN(24))
			p.out = append(p.out, one...)
			if p.IntN(4) == 0 { // twice, and once more where it begins
				p.out = append(p.out, one...)
			}
		}
	}
	p.pad(16)
	if r.Cond != nil {
		p.header(r.Cond)
	}
	return p.out
}

// pad appends bytes that are letters, zeros or noise: fullword is to fail at times.
func (p *yaraPlanter) pad(n int) {
	kind := p.IntN(3)
	for range n {
		p.out = append(p.out, [...]byte{'\n', 0, byte(p.Uint32())}[kind])
	}
}

// header writes what a condition compares with integers at constant offsets.
func (p *yaraPlanter) header(cond syntax.Expr) {
	syntax.Walk(cond, func(e syntax.Expr) bool {
		b, ok := e.(*syntax.Binary)
		if !ok || b.Op != "==" {
			return true
		}
		call, ok := b.X.(*syntax.Call)
		value, isInt := b.Y.(*syntax.Literal)
		if !ok || !isInt || value.Kind != syntax.IntegerLit || len(call.Args) != 1 {
			return true
		}
		fn, ok := call.Fn.(*syntax.Name)
		at, constant := call.Args[0].(*syntax.Literal)
		if !ok || !constant || at.Kind != syntax.IntegerLit || at.Int < 0 || at.Int > 0x1f0 {
			return true
		}
		var bytes [8]byte
		name, big := strings.CutSuffix(fn.Name, "be")
		n := map[string]int{"uint8": 1, "int8": 1, "uint16": 2, "int16": 2, "uint32": 4, "int32": 4}[name]
		if big {
			binary.BigEndian.PutUint64(bytes[:], uint64(value.Int)<<(64-8*n))
		} else {
			binary.LittleEndian.PutUint64(bytes[:], uint64(value.Int))
		}
		copy(p.out[at.Int:], bytes[:n])
		return true
	})
}

// instances are bytes that match a pattern, one for each form of it.
func (p *yaraPlanter) instances(pat *syntax.Pattern) [][]byte {
	var plain []byte
	switch {
	case pat.Hex != nil:
		var b []byte
		p.hex(pat.Hex, &b)
		return [][]byte{b}
	case pat.Regexp != nil:
		flags := resyntax.Flags{Dialect: resyntax.YARA4, DotAll: strings.Contains(pat.Regexp.Flags, "s"), CaseInsensitive: strings.Contains(pat.Regexp.Flags, "i")}
		tree, err := resyntax.Parse(pat.Regexp.Text, flags)
		if err != nil {
			return nil
		}
		p.regexp(tree.Root, &plain)
	default:
		plain = []byte(pat.Text.Text)
	}
	if pat.Has("nocase") != nil {
		for i, c := range plain {
			if c|0x20 >= 'a' && c|0x20 <= 'z' && p.IntN(2) == 0 {
				plain[i] ^= 0x20
			}
		}
	}
	var out [][]byte
	wide := pat.Has("wide") != nil
	if pat.Has("base64") != nil || pat.Has("base64wide") != nil {
		before := make([]byte, p.IntN(3))
		enc := base64.StdEncoding.EncodeToString(append(append(before, plain...), "tail"...))
		return append(out, []byte(enc), widen([]byte(enc)))
	}
	if !wide || pat.Has("ascii") != nil {
		out = append(out, plain)
	}
	if wide {
		out = append(out, widen(plain))
	}
	if x := pat.Has("xor"); x != nil {
		key := byte(x.Min + p.Int64N(x.Max-x.Min+1))
		for i, form := range out {
			masked := make([]byte, len(form))
			for j, c := range form {
				masked[j] = c ^ key
			}
			out[i] = masked
		}
	}
	return out
}

func widen(b []byte) []byte {
	out := make([]byte, 0, 2*len(b))
	for _, c := range b {
		out = append(out, c, 0)
	}
	return out
}

func (p *yaraPlanter) hex(h *syntax.Hex, to *[]byte) {
	if len(*to) > most {
		return
	}
	switch h.Kind {
	case syntax.HexSequence:
		for _, k := range h.Parts {
			p.hex(k, to)
		}
	case syntax.HexAlternatives:
		p.hex(h.Parts[p.IntN(len(h.Parts))], to)
	case syntax.HexByte:
		c := h.Value | byte(p.Uint32())&^h.Mask
		for h.Not && c&h.Mask == h.Value {
			c++
		}
		*to = append(*to, c)
	case syntax.HexJump:
		n := int(h.Min)
		if h.Max > h.Min {
			n += p.IntN(int(min(h.Max-h.Min, 300)) + 1)
		}
		for range min(n, most) {
			*to = append(*to, byte(p.Uint32()))
		}
	}
}

func (p *yaraPlanter) regexp(n *resyntax.Node, to *[]byte) {
	if len(*to) > most {
		return
	}
	switch n.Op {
	case resyntax.Class:
		members := n.Set.Bytes(nil)
		if len(members) == 0 {
			return
		}
		c := members[p.IntN(len(members))]
		for range 8 { // printable where that is easy
			if c >= ' ' && c < 0x7f {
				break
			}
			c = members[p.IntN(len(members))]
		}
		*to = append(*to, c)
	case resyntax.Concat:
		for _, k := range n.Subs {
			p.regexp(k, to)
		}
	case resyntax.Alt:
		p.regexp(n.Subs[p.IntN(len(n.Subs))], to)
	case resyntax.Group:
		p.regexp(n.Subs[0], to)
	case resyntax.Repeat:
		more := 3
		if n.Max >= 0 {
			more = min(more, n.Max-n.Min)
		}
		for range min(n.Min, most) + p.IntN(more+1) {
			p.regexp(n.Subs[0], to)
		}
	}
}
