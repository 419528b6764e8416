package engine

import (
	"strconv"
	"strings"
)

// disasm_x86(to, len): the instruction at the place in the file, as ClamAV's own
// disassembler has it, and where the next one begins.
func disassemble(m *run, a []uint64) uint64 {
	const size, longest = 64, 32
	to := m.Resolve(a[0], size, true)
	if to == nil || m.pos >= m.input.Size() || !m.Charge(64) {
		return no
	}
	x := x86{code: m.peekAt(m.pos, longest)}
	if !x.decode() {
		return no
	}
	x.put(to)
	return uint64(m.pos + int64(x.at))
}

// Registers, by ClamAV's enum X86REGS: eight of each width, then segments, control
// and debug registers, and the FPU's.
const (
	regWord    = 8
	regHigh    = 16
	regLow     = 20
	regSegment = 24
	regControl = 30
	regDebug   = 38
	regFloat   = 46
	regNone    = 54
)

// Kinds of operands, and sizes.
const (
	isImmediate = 1 + iota
	isRelative
	isRegister
	isMemory
)

const (
	sizeByte = iota
	sizeWord
	sizeDouble
)

type x86Operand struct {
	kind, size, reg byte
	value           int64 // immediate
	r1, r2, scale   byte  // memory
	disp            int32
}

// x86 is one instruction being decoded.
type x86 struct {
	code   []byte
	at     int
	failed bool

	op             uint16
	opsize, adsize byte
	segment        byte
	args           [3]x86Operand
	opcode         int // with 0f in front, 0x0f00 more
	d, s, name     string
}

func (x *x86) next() byte {
	if x.at >= len(x.code) {
		x.failed = true
		return 0
	}
	x.at++
	return x.code[x.at-1]
}

func (x *x86) decode() bool {
	for prefix := true; prefix && !x.failed; {
		b := x.next()
		switch {
		case x.opcode == 0x0f00:
			x.opcode, prefix = x.opcode+int(b), false
		case b == 0x66:
			x.opsize = 1
		case b == 0x67:
			x.adsize = 1
		case b == 0x26 || b == 0x2e || b == 0x36 || b == 0x3e:
			x.segment = regSegment + b>>3&3
		case b == 0x64 || b == 0x65:
			x.segment = regSegment + 4 + b&1
		case b == 0x0f:
			x.opcode = 0x0f00
		default:
			x.opcode, prefix = int(b), false
		}
	}
	if x.failed {
		return false
	}
	if x.opcode >= 0xd8 && x.opcode <= 0xdf {
		return x.float() && !x.failed
	}
	if !x.lookup() {
		return false
	}
	number, known := x86Numbers[x.name]
	if x.op = number; !known && !strings.HasPrefix(x.name, "group") {
		return false
	}
	if !x.operand() || x.failed {
		return false
	}
	return x.op != 0
}

// lookup finds the opcode in the table.
func (x *x86) lookup() bool {
	if x.opcode < 0x40 && x.opcode&7 < 6 {
		x.name = strings.Fields("add or adc sbb and sub xor cmp")[x.opcode>>3]
		f := strings.Fields("egb - egv - geb - gev - r0b ib r0v iv")
		x.d, x.s = f[x.opcode&7*2], f[x.opcode&7*2+1]
		return true
	}
	for row := range strings.Lines(x86Table) {
		f := strings.Fields(row)
		if len(f) < 5 {
			continue
		}
		lo, _ := strconv.ParseInt(f[0], 16, 32)
		hi, _ := strconv.ParseInt(f[1], 16, 32)
		if x.opcode >= int(lo) && x.opcode <= int(hi) {
			x.d, x.s = f[2], f[3]
			x.name = f[min(4+x.opcode-int(lo), len(f)-1)]
			return true
		}
	}
	return false
}

// width is the size that a letter stands for.
func (x *x86) width(c byte) byte {
	switch c {
	case 'w':
		return sizeWord
	case 'd':
		return sizeDouble
	case 'v':
		return sizeDouble - x.opsize
	}
	return sizeByte
}

// number reads so many bytes, least first.
func (x *x86) number(n int) int64 {
	v := int64(0)
	for i := range n {
		v |= int64(x.next()) << (8 * i)
	}
	return v
}

// register is one of a width by its number.
func register(n, size byte) byte {
	switch {
	case size == sizeDouble:
		return n
	case size == sizeWord:
		return regWord + n
	case n < 4:
		return regLow + n
	}
	return regHigh + n - 4
}

// operand reads the first operand, and what follows.
func (x *x86) operand() bool {
	c := x.d[len(x.d)-1]
	switch x.d[0] {
	case '-':
		if c == 'v' {
			x.op += uint16(x.opsize)
		}
		return true
	case 'r', 's':
		if c := x.d[1]; x.d == "rcd" || x.d == "rdd" || x.d[0] == 's' && c == 'e' {
			return x.modrm()
		}
		x.args[0] = x.named(x.d)
	case 'i', 'j':
		x.args[0] = x.immediate(c)
		if x.d[0] == 'j' {
			x.args[0].kind = isRelative
		}
	case 'o':
		x.args[0] = x.absolute(c)
	default:
		return x.modrm()
	}
	return x.second(1)
}

// named is a register that the opcode says.
func (x *x86) named(s string) x86Operand {
	n, c := byte(x.opcode&7), s[len(s)-1]
	if s[1] >= '0' && s[1] <= '9' {
		n = s[1] - '0'
	}
	o := x86Operand{kind: isRegister}
	switch {
	case s[0] == 's':
		o.reg = regSegment + n
	case c == 'h':
		o.reg = regHigh + n&3
	default:
		o.reg = register(n, x.width(c))
	}
	return o
}

// bytes is how many an immediate of a size has.
func (x *x86) bytes(c byte) int {
	switch c {
	case 'b':
		return 1
	case 'w':
		return 2
	case 'f':
		return 6 - 2*int(x.opsize)
	}
	return 4 - 2*int(x.opsize)
}

func (x *x86) immediate(c byte) x86Operand {
	n := x.bytes(c)
	return x86Operand{kind: isImmediate, size: byte(n >> 1), value: x.number(n) << (64 - 8*n) >> (64 - 8*n)}
}

func (x *x86) absolute(c byte) x86Operand {
	return x86Operand{kind: isMemory, size: x.width(c), r1: regNone, r2: regNone, disp: int32(x.number(4 - 2*int(x.adsize)))}
}

// second reads the operand that stands behind those that a ModRM byte gave, at i.
func (x *x86) second(i int) bool {
	switch c := x.s[len(x.s)-1]; x.s[0] {
	case 'i':
		x.args[i] = x.immediate(c)
	case 'r':
		x.args[i] = x.named(x.s)
	case 'o':
		x.args[1] = x.absolute(c)
	case '1':
		x.args[i] = x86Operand{kind: isImmediate, size: 1, value: 1}
	}
	return !x.failed
}

// modrm reads what a ModRM byte says.
func (x *x86) modrm() bool {
	b := x.next()
	mod, reg, rm := b>>6, b>>3&7, b&7
	method := x.d[:len(x.d)-1]
	size := x.width(x.d[len(x.d)-1])
	at := 0 // of the operand that may be memory
	switch method {
	case "ge", "gm", "se", "cr", "dr":
		at = 1
	}
	x.args[at].size = size
	other := x86Operand{kind: isRegister}
	switch method {
	case "rc", "cr", "rd", "dr":
		base, valid := byte(regControl), reg == 0 || reg >= 2 && reg <= 4
		if method == "rd" || method == "dr" {
			base, valid = regDebug, reg < 4 || reg > 5
		}
		if mod = 3; !valid {
			return false
		}
		other.reg = base + reg
	case "es", "se":
		if reg > 5 {
			return false
		}
		other.reg = regSegment + reg
	default:
		other.reg = register(reg, size)
		if x.name == "movzx" || x.name == "movsx" {
			other.reg = register(reg, x.width('v'))
		}
	}
	x.args[1-at] = other
	if mod == 3 {
		if method == "gm" || method == "m" {
			return false
		}
		x.args[at].kind, x.args[at].reg = isRegister, register(rm, size)
	} else {
		x.memory(&x.args[at], mod, rm, true)
	}
	if method != "x" && method != "m" {
		return x.second(2)
	}
	x.args[1] = x86Operand{}
	if strings.HasPrefix(x.name, "set") {
		return x.second(1)
	}
	if !x.group(reg) {
		return false
	}
	if x.name == "group6" && reg != 0 {
		return true
	}
	return x.second(1)
}

// group finds the instruction by the middle bits of the ModRM byte.
func (x *x86) group(reg byte) bool {
	for row := range strings.Lines(x86Groups) {
		f := strings.Fields(row)
		if len(f) == 0 || f[0] != x.name {
			continue
		}
		if int(reg)+1 >= len(f) {
			return false
		}
		name, more, _ := strings.Cut(f[reg+1], "+")
		n, _ := strconv.Atoi(more)
		x.args[0].size += byte(n)
		x.op = x86Numbers[name]
		return x.op != 0
	}
	return false
}

// memory reads an address.
func (x *x86) memory(o *x86Operand, mod, rm byte, sign bool) {
	o.kind = isMemory
	n := int(mod)
	switch {
	case x.adsize != 0:
		if mod == 0 && rm == 6 {
			o.r1, n = regNone, 2
			break
		}
		const bx, bp, si, di = regWord + 3, regWord + 5, regWord + 6, regWord + 7
		pair := [8][2]byte{{bx, si}, {bx, di}, {bp, si}, {bp, di}, {si, regNone}, {di, regNone}, {bp, regNone}, {bx, regNone}}[rm]
		o.scale, o.r1, o.r2 = 1, pair[0], pair[1]
	case rm == 4:
		sib := x.next()
		o.scale, o.r1, o.r2 = 1<<(sib>>6), sib>>3&7, sib&7
		if o.r2 == 5 && mod == 0 {
			o.r2, n = regNone, 2
		}
		if o.r1 == 4 {
			o.r1, o.scale, o.r2 = o.r2, 1, regNone
			if o.r1 == regNone {
				o.scale = 0
			}
		}
	case mod == 0 && rm == 5:
		o.r1, o.r2, n = regNone, regNone, 2
	default:
		o.scale, o.r1, o.r2 = 1, rm, regNone
	}
	if x.adsize == 0 && n == 2 {
		n = 4
	}
	v := x.number(n)
	if sign && n > 0 {
		v = v << (64 - 8*n) >> (64 - 8*n)
	}
	o.disp = int32(v)
}

// float decodes an instruction of the FPU.
func (x *x86) float() bool {
	b := x.next()
	if b < 0xc0 {
		name := strings.Fields(x87Memory)[(x.opcode-0xd8)*8+int(b>>3&7)]
		if x.op = x86Numbers[name[:len(name)-1]]; x.op == 0 {
			return false
		}
		x.args[0].size = name[len(name)-1] - '0'
		x.memory(&x.args[0], b>>6, b&7, false)
		return true
	}
	set := strings.Split(strings.Fields(x87Stack)[(x.opcode-0xd8)*8+int(b>>3&7)], ",")
	entry := set[0]
	if len(set) == 8 {
		entry = set[b&7]
	}
	name, how, _ := strings.Cut(entry, ":")
	if x.op = x86Numbers[name]; x.op == 0 {
		return false
	}
	top, st := x86Operand{kind: isRegister, reg: regFloat}, x86Operand{kind: isRegister, reg: regFloat + b&7}
	switch how {
	case "0":
		x.args[0], x.args[1] = top, st
	case "1":
		x.args[0] = st
	case "2":
		x.args[0], x.args[1] = st, top
	}
	return true
}

// put writes struct DISASM_RESULT.
func (x *x86) put(to []byte) {
	clear(to)
	le.PutUint16(to, x.op)
	to[2], to[3], to[4] = x.opsize, x.adsize, x.segment
	for i := range x.args {
		a, b := &x.args[i], to[5+10*i:]
		b[0], b[1] = a.kind, a.size
		switch a.kind {
		case isMemory:
			b[2], b[3], b[4] = a.r1, a.r2, a.scale
			le.PutUint32(b[6:], uint32(a.disp))
		case isRegister:
			b[1] = a.reg
		default:
			le.PutUint64(b[2:], uint64(a.value))
		}
	}
}
