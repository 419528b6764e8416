package emulate

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/showcause/showcause/internal/emulate/memory"
)

func newMemory() *memory.Memory { return memory.New(16 << 20) }

// A form is an instruction that cases are made of.
type form struct {
	op     string // its bytes, before the operands
	sub    int    // of /0 to /7; reg: two operands; bare: no operands; low: the register is in the opcode
	imm    int    // bytes of the immediate; iz: 2 or 4; io: 2, 4 or 8; jump: 1 or 4
	undef  uint32 // flags that are undefined
	modes  int    // m32, m64, both
	vector string // the prefix of an instruction on vectors
	opt    int
}

const (
	reg  = -1
	bare = -2
	low  = -3

	iz  = 100
	io8 = 101

	m32  = 1
	m64  = 2
	both = 3

	fixed      = 1  // no operand size prefix, no REX.W
	inMemory   = 2  // E is in memory
	regs       = 4  // E is a register
	rep        = 8  // may have a repeat prefix, and its registers are pointers
	stack      = 16 // uses the stack
	divide     = 32 // the dividend is to be small at times
	xmm        = 64 // vectors: prefixes are given
	shifts     = 128
	jumps      = 256
	vectors    = 2048 // behind 0F and a prefix, with the first eight vectors
	inRegister = 4096
	far        = 512  // the address may be far away
	bytes1     = 1024 // of bytes: no prefix counts
)

func forms() (out []form) {
	add := func(f ...form) { out = append(out, f...) }
	for i, logic := range []bool{false, true, false, false, true, false, true, false} {
		var u uint32
		if logic {
			u = AF
		}
		for j := range 4 {
			add(form{op: string([]byte{byte(8*i + j)}), sub: reg, undef: u, modes: both})
		}
		add(form{op: string([]byte{byte(8*i + 4)}), sub: bare, imm: 1, undef: u, modes: both}, form{op: string([]byte{byte(8*i + 5)}), sub: bare, imm: iz, undef: u, modes: both})
		add(form{op: "\x80", sub: i, imm: 1, undef: u, modes: both}, form{op: "\x81", sub: i, imm: iz, undef: u, modes: both}, form{op: "\x83", sub: i, imm: 1, undef: u, modes: both})
	}
	for i := range 8 {
		if i != 6 {
			for _, op := range []string{"\xd0", "\xd1", "\xd2", "\xd3"} {
				add(form{op: op, sub: i, undef: shiftUndef(i), modes: both, opt: shifts})
			}
			add(form{op: "\xc0", sub: i, imm: 1, undef: shiftUndef(i), modes: both, opt: shifts}, form{op: "\xc1", sub: i, imm: 1, undef: shiftUndef(i), modes: both, opt: shifts})
		}
	}
	for i := range 16 {
		cc := byte(i)
		add(form{op: "\x0f" + string([]byte{0x40 + cc}), sub: reg, modes: both}, form{op: "\x0f" + string([]byte{0x90 + cc}), sub: 0, modes: both},
			form{op: string([]byte{0x70 + cc}), sub: bare, imm: 1, modes: both, opt: jumps | fixed}, form{op: "\x0f" + string([]byte{0x80 + cc}), sub: bare, imm: 4, modes: both, opt: jumps | fixed})
	}
	for _, op := range []string{"\x84", "\x85"} {
		add(form{op: op, sub: reg, undef: AF, modes: both})
	}
	for _, op := range []string{"\x86", "\x87", "\x88", "\x89", "\x8a", "\x8b", "\x0f\xc0", "\x0f\xc1", "\x0f\xb0", "\x0f\xb1", "\x0f\xb6", "\x0f\xb7", "\x0f\xbe", "\x0f\xbf"} {
		add(form{op: op, sub: reg, modes: both})
	}
	const muls = SF | ZF | AF | PF
	add(
		form{op: "\x8d", sub: reg, modes: both, opt: inMemory | far},
		form{op: "\x63", sub: reg, modes: m64}, form{op: "\x63", sub: reg, modes: m32, opt: fixed},
		form{op: "\x69", sub: reg, imm: iz, undef: muls, modes: both}, form{op: "\x6b", sub: reg, imm: 1, undef: muls, modes: both}, form{op: "\x0f\xaf", sub: reg, undef: muls, modes: both},
		form{op: "\xc6", sub: 0, imm: 1, modes: both}, form{op: "\xc7", sub: 0, imm: iz, modes: both},
		form{op: "\xf6", sub: 0, imm: 1, undef: AF, modes: both}, form{op: "\xf7", sub: 0, imm: iz, undef: AF, modes: both},
		form{op: "\xf6", sub: 2, modes: both}, form{op: "\xf7", sub: 2, modes: both}, form{op: "\xf6", sub: 3, modes: both}, form{op: "\xf7", sub: 3, modes: both},
		form{op: "\xf6", sub: 4, undef: muls, modes: both}, form{op: "\xf7", sub: 4, undef: muls, modes: both}, form{op: "\xf6", sub: 5, undef: muls, modes: both}, form{op: "\xf7", sub: 5, undef: muls, modes: both},
		form{op: "\xf6", sub: 6, undef: arith, modes: both, opt: divide}, form{op: "\xf7", sub: 6, undef: arith, modes: both, opt: divide},
		form{op: "\xf6", sub: 7, undef: arith, modes: both, opt: divide}, form{op: "\xf7", sub: 7, undef: arith, modes: both, opt: divide},
		form{op: "\xfe", sub: 0, modes: both}, form{op: "\xfe", sub: 1, modes: both}, form{op: "\xff", sub: 0, modes: both}, form{op: "\xff", sub: 1, modes: both},
		form{op: "\xff", sub: 6, modes: both, opt: stack}, form{op: "\x8f", sub: 0, modes: both, opt: stack},
		form{op: "\x40", sub: low, modes: m32}, form{op: "\x48", sub: low, modes: m32},
		form{op: "\x50", sub: low, modes: both, opt: stack}, form{op: "\x58", sub: low, modes: both, opt: stack},
		form{op: "\x68", sub: bare, imm: iz, modes: both, opt: stack}, form{op: "\x6a", sub: bare, imm: 1, modes: both, opt: stack},
		form{op: "\x60", sub: bare, modes: m32, opt: stack}, form{op: "\x61", sub: bare, modes: m32, opt: stack},
		form{op: "\x9c", sub: bare, modes: both, opt: stack}, form{op: "\xc9", sub: bare, modes: both, opt: stack},
		form{op: "\xc8", sub: bare, imm: 3, modes: both, opt: stack | fixed},
		form{op: "\x90", sub: low, modes: both}, form{op: "\x98", sub: bare, modes: both}, form{op: "\x99", sub: bare, modes: both},
		form{op: "\x9e", sub: bare, modes: both}, form{op: "\x9f", sub: bare, modes: both},
		form{op: "\xa8", sub: bare, imm: 1, undef: AF, modes: both}, form{op: "\xa9", sub: bare, imm: iz, undef: AF, modes: both},
		form{op: "\xb0", sub: low, imm: 1, modes: both}, form{op: "\xb8", sub: low, imm: io8, modes: both},
		form{op: "\xf5", sub: bare, modes: both}, form{op: "\xf8", sub: bare, modes: both}, form{op: "\xf9", sub: bare, modes: both}, form{op: "\xfc", sub: bare, modes: both}, form{op: "\xfd", sub: bare, modes: both},
		form{op: "\x27", sub: bare, undef: OF, modes: m32}, form{op: "\x2f", sub: bare, undef: OF, modes: m32},
		form{op: "\x37", sub: bare, undef: OF | SF | ZF | PF, modes: m32}, form{op: "\x3f", sub: bare, undef: OF | SF | ZF | PF, modes: m32},
		form{op: "\xd4", sub: bare, imm: 1, undef: OF | AF | CF, modes: m32}, form{op: "\xd5", sub: bare, imm: 1, undef: OF | AF | CF, modes: m32},
		form{op: "\xd6", sub: bare, modes: m32}, form{op: "\xd7", sub: bare, modes: both, opt: rep | fixed},
		form{op: "\xe0", sub: bare, imm: 1, modes: both, opt: jumps | fixed}, form{op: "\xe1", sub: bare, imm: 1, modes: both, opt: jumps | fixed}, form{op: "\xe2", sub: bare, imm: 1, modes: both, opt: jumps | fixed}, form{op: "\xe3", sub: bare, imm: 1, modes: both, opt: jumps | fixed},
		form{op: "\xe8", sub: bare, imm: 4, modes: both, opt: jumps | fixed | stack}, form{op: "\xe9", sub: bare, imm: 4, modes: both, opt: jumps | fixed}, form{op: "\xeb", sub: bare, imm: 1, modes: both, opt: jumps | fixed},
		form{op: "\x0f\xa3", sub: reg, undef: OF | SF | AF | PF, modes: both, opt: far}, form{op: "\x0f\xab", sub: reg, undef: OF | SF | AF | PF, modes: both, opt: far}, form{op: "\x0f\xb3", sub: reg, undef: OF | SF | AF | PF, modes: both, opt: far}, form{op: "\x0f\xbb", sub: reg, undef: OF | SF | AF | PF, modes: both, opt: far},
		form{op: "\x0f\xa4", sub: reg, imm: 1, undef: OF | AF, modes: both, opt: shifts}, form{op: "\x0f\xac", sub: reg, imm: 1, undef: OF | AF, modes: both, opt: shifts}, form{op: "\x0f\xa5", sub: reg, undef: OF | AF, modes: both, opt: shifts}, form{op: "\x0f\xad", sub: reg, undef: OF | AF, modes: both, opt: shifts},
		form{op: "\x0f\xbc", sub: reg, undef: OF | SF | AF | PF | CF, modes: both}, form{op: "\x0f\xbd", sub: reg, undef: OF | SF | AF | PF | CF, modes: both},
		form{op: "\x0f\xc8", sub: low, modes: both}, form{op: "\x0f\xc7", sub: 1, modes: both, opt: inMemory},
		form{op: "\x0f\x1f", sub: 0, modes: both}, form{op: "\x0f\x0b", sub: bare, modes: both}, form{op: "\xcc", sub: bare, modes: both},
		form{op: "\x0f\x38\xf0", sub: reg, modes: both, opt: inMemory}, form{op: "\x0f\x38\xf1", sub: reg, modes: both, opt: inMemory},
	)
	for i := 4; i < 8; i++ {
		add(form{op: "\x0f\xba", sub: i, imm: 1, undef: OF | SF | AF | PF, modes: both})
	}
	for _, op := range "\x06\x0e\x16\x1e" {
		add(form{op: string(op), sub: bare, modes: m32, opt: stack})
	}
	for p, prefix := range []string{"", "\x66", "\xf3", "\xf2"} {
		vector := func(ops string, imm int) {
			for _, op := range []byte(ops) {
				add(form{op: string([]byte{op}), vector: prefix, sub: reg, imm: imm, modes: both, opt: vectors})
			}
		}
		vector("\x10\x11", 0)
		switch p {
		case 0:
			vector("\x12\x16\x28\x29\x54\x55\x56\x57", 0)
		case 1:
			vector("\x28\x29\x54\x55\x56\x57\x60\x61\x62\x64\x65\x66\x68\x69\x6a\x6c\x6d\x6e\x6f\x74\x75\x76\x7e\x7f\xd4\xd5\xd6\xda\xdb\xde\xdf\xeb\xef\xf4\xf8\xf9\xfa\xfb\xfc\xfd\xfe", 0)
			vector("\x70", 1)
			for _, s := range []struct{ op, sub int }{{0x71, 2}, {0x71, 4}, {0x71, 6}, {0x72, 2}, {0x72, 4}, {0x72, 6}, {0x73, 2}, {0x73, 3}, {0x73, 6}, {0x73, 7}} {
				add(form{op: string([]byte{byte(s.op)}), vector: prefix, sub: s.sub, imm: 1, modes: both, opt: vectors | inRegister})
			}
			add(form{op: "\x50", vector: prefix, sub: reg, modes: both, opt: vectors | inRegister}, form{op: "\xd7", vector: prefix, sub: reg, modes: both, opt: vectors | inRegister})
		case 2:
			vector("\x6f\x7e\x7f", 0)
			vector("\x70", 1)
		case 3:
			vector("\x70", 1)
		}
	}
	for _, op := range []byte{0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf} {
		add(form{op: string([]byte{op}), sub: bare, modes: both, opt: rep}, form{op: string([]byte{op}), sub: bare, modes: both, opt: rep})
	}
	return out
}

// shiftUndef are the flags that a shift or rotation leaves undefined.
func shiftUndef(sub int) uint32 {
	if sub < 4 {
		return OF
	}
	return OF | AF
}

// generator makes cases.
type generator struct {
	*rand.Rand
	p       *processor
	long    bool
	regs    [16]uint64
	aligned bool // most are multiples of 16
	inside  bool // all addresses are in the window
}

// value is a number as programs have them: of all sizes, and at the edges.
func (g *generator) value() uint64 {
	v := g.Uint64()
	switch g.IntN(8) {
	case 0:
		v >>= g.IntN(64)
	case 1:
		v = uint64(int64(v) >> g.IntN(64))
	case 2:
		v = 1 << g.IntN(64)
	case 3:
		v = 1<<g.IntN(64) - 1
	case 4:
		v = [...]uint64{0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 1 << 63, 1<<63 - 1, 1<<64 - 1}[g.IntN(14)]
	}
	if !g.long {
		v &= 1<<32 - 1
	}
	return v
}

// target is an address in the window, with room for an operand around it, or at its edge.
func (g *generator) target() uint64 {
	if g.aligned && g.IntN(8) != 0 {
		return pageAt + windowAt + 256 + 16*uint64(g.IntN(32))
	}
	if g.IntN(40) == 0 && !g.inside {
		return pageAt + windowEn - uint64(g.IntN(17))
	}
	return pageAt + windowAt + 256 + uint64(g.IntN(512))
}

// operand encodes a memory operand that is in the window, behind b; tail bytes follow it.
// It is nil where the dice fell badly.
func (g *generator) operand(b []byte, rexAt int, field byte, tail int) []byte {
	to := g.target()
	mod, rm := byte(g.IntN(3)), byte(g.IntN(8))
	var rex byte
	if rexAt >= 0 {
		rex = b[rexAt]
	}
	base := int(rm | rex&1<<3)
	index, scale := -1, 0
	b = append(b, mod<<6|field&7<<3|rm)
	if rm == 4 {
		sib := byte(g.Uint32())
		b = append(b, sib)
		base, scale = int(sib&7|rex&1<<3), int(sib>>6)
		if index = int(sib>>3&7 | rex&2<<2); index == 4 {
			index = -1
		}
	}
	none := base&7 == 5 && mod == 0
	size := []int{0, 1, 4}[mod]
	if none {
		size = 4
	}
	disp := int64(int32(g.Uint32())) >> 8
	switch size {
	case 0:
		disp = 0
	case 1:
		disp = int64(int8(disp))
	}
	if index >= 0 {
		if index == base && !none {
			return nil
		}
		g.regs[index] = uint64(g.IntN(20))
		to -= g.regs[index] << scale
	}
	switch {
	case none && rm == 5 && g.long: // relative to what is behind the instruction
		disp = int64(to) - int64(pageAt+codeAt+len(b)+4+tail)
	case none:
		disp = int64(to)
	default:
		g.regs[base] = to - uint64(disp)
		if !g.long {
			g.regs[base] &= 1<<32 - 1
		}
	}
	for i := range size {
		b = append(b, byte(disp>>(8*i)))
	}
	return b
}

// instruction makes one instruction of a form.
func (g *generator) instruction(f form) []byte {
	var b []byte
	word, rexAt := false, -1
	if f.opt&vectors != 0 {
		return g.vectorCode(f)
	}
	if f.opt&fixed == 0 && g.IntN(4) == 0 {
		b, word = append(b, 0x66), true
	}
	if f.opt&rep != 0 && g.IntN(2) == 0 && f.op != "\xd7" {
		b = append(b, 0xf2+byte(g.IntN(2)))
	}
	wide := false
	if g.long && f.opt&fixed == 0 && g.IntN(2) == 0 {
		rexAt = len(b)
		b = append(b, 0x40|byte(g.IntN(16)))
		wide = b[rexAt]&8 != 0
	}
	at := len(b)
	b = append(b, f.op...)
	if f.sub == low {
		b[len(b)-1] |= byte(g.IntN(8))
	}
	n := f.imm
	switch {
	case f.imm == iz || f.imm == io8:
		if n = 4; wide && f.imm == io8 {
			n = 8
		} else if word && !wide {
			n = 2
		}
	}
	if f.sub >= reg {
		field := byte(f.sub)
		if f.sub == reg {
			field = byte(g.IntN(8))
		}
		if f.opt&inMemory != 0 || g.IntN(2) == 0 {
			if b = g.operand(b, rexAt, field, n); b == nil {
				return nil
			}
		} else {
			b = append(b, 0xc0|field<<3|byte(g.IntN(8)))
		}
	}
	if f.opt&jumps != 0 {
		to := elseAt - (codeAt + len(b) + n)
		for i := range n {
			b = append(b, byte(to>>(8*i)))
		}
		return b
	}
	for range n {
		b = append(b, byte(g.Uint32()))
	}
	if f.op == "\xc8" { // ENTER: a frame that fits
		b[at+2] = 0
		b[at+3] &= 3
	}
	return b
}

// vectorCode makes an instruction on vectors.
func (g *generator) vectorCode(f form) []byte {
	b := []byte(f.vector)
	rexAt := -1
	if g.long && g.IntN(3) == 0 {
		rexAt = len(b)
		b = append(b, 0x40|byte(g.IntN(2)<<3))
	}
	b = append(append(b, 0x0f), f.op...)
	field := byte(f.sub)
	if f.sub == reg {
		field = byte(g.IntN(8))
	}
	if f.opt&inRegister == 0 && g.IntN(2) == 0 {
		if b = g.operand(b, rexAt, field, f.imm); b == nil {
			return nil
		}
	} else {
		b = append(b, 0xc0|field<<3|byte(g.IntN(8)))
	}
	for range f.imm {
		b = append(b, byte(g.IntN(24)*g.IntN(12)))
	}
	return b
}

// page makes a case, nil where the dice fell badly.
func (g *generator) page(f form) (page []byte, n int) {
	for i := range g.regs {
		g.regs[i] = g.value()
		if !g.long && i >= 8 {
			g.regs[i] = 0
		}
	}
	g.aligned = f.opt&vectors != 0
	g.inside = f.op == "\x61" // where POPA ends in an exception, processors differ
	if f.opt&stack != 0 {
		g.regs[RSP], g.regs[RBP] = g.target(), g.target()
	}
	code := g.instruction(f)
	if code == nil {
		return nil, 0
	}
	if f.opt&rep != 0 {
		g.regs[RSI], g.regs[RDI], g.regs[RBX] = g.target(), g.target(), pageAt+windowAt+256
		if g.regs[RCX] = uint64(g.IntN(40)); f.op[0]&1 != 0 {
			g.regs[RCX] /= 2
		}
	}
	if f.opt&shifts != 0 {
		g.regs[RCX] = g.regs[RCX]&^0xff | uint64(g.IntN(256))
	}
	if f.opt&divide != 0 && g.IntN(3) != 0 {
		g.regs[RDX] >>= g.IntN(64)
		g.regs[RAX] >>= g.IntN(48)
		if g.IntN(4) == 0 {
			g.regs[RDX] = uint64(int64(g.regs[RAX]) >> 63)
		}
	}
	page = g.p.page(code, g.long)
	for i, v := range g.regs {
		le.PutUint64(page[8*i:], v)
	}
	for i := windowAt; i < windowEn; i += 8 {
		le.PutUint64(page[i:], g.value())
	}
	for i := xmmAt; i < xmmAt+128; i += 8 {
		le.PutUint64(page[i:], g.value())
	}
	le.PutUint64(page[flagsAt:], 0x202|uint64(g.Uint32())&(arith|DF))
	return page, len(code)
}

// undefined are the flags that count for nothing in a case; skip says that the result does not either.
func (f form) undefined(page []byte, n int) (flags uint32, skip bool) {
	if f.opt&shifts == 0 {
		return f.undef, false
	}
	code := page[codeAt : codeAt+n]
	word, wide := code[0] == 0x66, false
	if word {
		code = code[1:]
	}
	if code[0]>>4 == 4 {
		wide, word = code[0]&8 != 0, word && code[0]&8 == 0
	}
	count := page[8*RCX]
	switch {
	case f.imm != 0:
		count = page[codeAt+n-1]
	case f.op == "\xd0" || f.op == "\xd1":
		count = 1
	}
	if wide {
		count &= 63
	} else {
		count &= 31
	}
	double := f.op[0] == 0x0f
	narrow := word || !double && f.op[0]&1 == 0
	switch {
	case double && word && count > 16:
		return arith, true
	case count == 0:
		return 0, false
	case count == 1:
		return f.undef &^ OF, false
	case narrow && count >= 8:
		return f.undef | CF, false
	}
	return f.undef, false
}

// differ says what is not the same.
func differ(a, b state, undef uint32, long bool) string {
	if a.vector != b.vector && (a.vector != 13 && a.vector != 14 && a.vector != 12 || b.vector != 13 && b.vector != 14) {
		return fmt.Sprintf("exception %d, emulated %d", a.vector, b.vector)
	}
	if a.vector >= 0 && a.ip != b.ip {
		return fmt.Sprintf("exception at %x, emulated %x", a.ip, b.ip)
	}
	for i := range a.regs {
		if !long && i >= 8 {
			break
		}
		if a.regs[i] != b.regs[i] {
			return fmt.Sprintf("register %d is %x, emulated %x", i, a.regs[i], b.regs[i])
		}
	}
	which := uint32(arith | DF)
	if d := (a.flags ^ b.flags) & which &^ undef; d != 0 {
		return fmt.Sprintf("flags %x, emulated %x: %x differ", a.flags&which, b.flags&which, d)
	}
	if !bytes.Equal(a.page[windowAt:windowEn], b.page[windowAt:windowEn]) || a.page[markAt] != b.page[markAt] {
		for i := windowAt; i < windowEn; i++ {
			if a.page[i] != b.page[i] {
				return fmt.Sprintf("memory at +%x is %x, emulated %x", i, a.page[i], b.page[i])
			}
		}
		return "another way was taken"
	}
	if a.xmm != nil && !bytes.Equal(a.xmm, b.xmm) {
		return fmt.Sprintf("vectors\n%x, emulated\n%x", a.xmm, b.xmm)
	}
	return ""
}

// TestProcessor holds the emulator against the processor that it runs on: single
// instructions with operands of all kinds. SHOWCAUSE_CASES is how many, 20,000 if unset.
func TestProcessor(t *testing.T) {
	p := startProcessor(t)
	cases := 20_000
	if n, err := strconv.Atoi(os.Getenv("SHOWCAUSE_CASES")); err == nil {
		cases = n
	}
	seed := uint64(1)
	if n, err := strconv.Atoi(os.Getenv("SHOWCAUSE_SEED")); err == nil {
		seed = uint64(n)
	}
	all := forms()
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 11)), p: p}
	failed := map[string]int{}
	ran, trapped := 0, 0
	for i := 0; ran < cases; i++ {
		f := all[i%len(all)]
		if g.long = g.IntN(2) == 0; f.modes&m32 == 0 {
			g.long = true
		} else if f.modes&m64 == 0 {
			g.long = false
		}
		page, n := g.page(f)
		if page == nil {
			continue
		}
		ran++
		emu := emulated(page, n, g.long)
		if emu.own { // a string of bits may be anywhere, and the processor's side would be written over
			continue
		}
		code, start := bytes.Clone(page[codeAt:codeAt+n]), bytes.Clone(page)
		if err := p.do(page); err != nil {
			t.Fatalf("%x: the processor's side ended: %v", code, err)
		}
		cpu := p.state(page)
		if cpu.vector >= 0 {
			trapped++
		}
		undef, skip := f.undefined(start, n)
		if d := differ(cpu, emu, undef, g.long); d != "" && !skip {
			key := fmt.Sprintf("%x %x/%d", f.vector, f.op, f.sub)
			if failed[key]++; failed[key] <= 2 {
				t.Errorf("%s long %v % x: %s\nregisters %x flags %x", key, g.long, code, d, g.regs, le.Uint32(start[flagsAt:]))
			}
		}
	}
	t.Logf("%d cases of %d instructions, %d ended in an exception; differ: %v", ran, len(all), trapped, failed)
	if trapped < ran/200 || trapped > ran/4 {
		t.Errorf("%d of %d cases ended in an exception", trapped, ran)
	}
}
