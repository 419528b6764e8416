package bytecode

import (
	"bytes"
	"math"
	"math/bits"
)

// loop runs instructions until the program ends.
func (m *Machine) loop() {
	for !m.ended {
		if m.work--; m.work < 0 {
			m.Fail(WorkLimit, "it takes more steps than it may")
			return
		}
		in := &m.f.code[m.pc]
		m.pc++
		switch op := in.op; {
		case op <= opXor:
			m.binary(in)
		case op <= opZext:
			m.cast(in)
		case op == opBranch:
			if m.pc = in.els; m.get(in.a, bit) != 0 {
				m.pc = in.to
			}
		case op == opJump:
			m.pc = in.to
		case op == opRet:
			m.leave(m.get(in.a, in.w), in.w, false)
		case op == opRetVoid:
			m.leave(0, 0, true)
		case op <= opSLT:
			v := uint64(0)
			if m.compare(in) {
				v = 1
			}
			m.put(in.dest, byte1, v)
		case op == opSelect:
			o := in.c
			if m.get(in.a, bit) != 0 {
				o = in.b
			}
			m.put(in.dest, in.w, m.get(o, in.w))
		case op == opCopy:
			m.put(in.dest, in.w, m.get(in.a, in.w))
		case op == opCall:
			m.callFunction(in)
		case op == opCallAPI:
			m.callAPI(in)
		default:
			m.memoryOp(in)
		}
	}
}

// signed makes a signed number of one that was read with the width.
func signed(v uint64, w class) int64 {
	if w == bit {
		return int64(v)
	}
	s := 64 - 8*w.bytes()
	return int64(v<<s) >> s
}

func (m *Machine) binary(in *inst) {
	w := in.w
	x, y := m.get(in.a, w), m.get(in.b, w)
	sx, sy := signed(x, w), signed(y, w)
	switch in.op {
	case opUdiv, opUrem, opSdiv, opSrem:
		if y == 0 || (in.op == opSdiv || in.op == opSrem) && sy == -1 && (sx == math.MinInt64 || w == byte4 && sx == math.MinInt32) {
			m.Fail(Broken, "a division that has no result")
			return
		}
	case opShl, opLshr, opAshr:
		if y > uint64(in.bits) {
			m.Fail(Broken, "a shift by %d of %d bits", y, in.bits)
			return
		}
		y = shiftBy(y, w)
	}
	var v uint64
	switch in.op {
	case opAdd:
		v = x + y
	case opSub:
		v = x - y
	case opMul:
		v = x * y
	case opUdiv:
		v = x / y
	case opSdiv:
		v = uint64(sx / sy)
	case opUrem:
		v = x % y
	case opSrem:
		v = uint64(sx % sy)
	case opShl:
		v = x << y
	case opLshr:
		v = x >> y
	case opAshr:
		v = uint64(sx >> y)
	case opAnd:
		v = x & y
	case opOr:
		v = x | y
	case opXor:
		v = x ^ y
	}
	m.put(in.dest, w, v)
}

// shiftBy is how far a shift goes: one by all bits of a wide number does nothing,
// as on the machines that ClamAV runs on.
func shiftBy(n uint64, w class) uint64 {
	if w == byte8 {
		return n & 63
	}
	return n & 31
}

func (m *Machine) cast(in *inst) {
	v := m.get(in.a, in.src)
	if in.op == opSext {
		if in.src == bit {
			v = -v
		} else {
			v = uint64(signed(v, max(in.w, byte1)))
			s := 64 - in.bits
			v = uint64(int64(v<<s) >> s)
		}
	}
	m.put(in.dest, in.w, v)
}

func (m *Machine) compare(in *inst) bool {
	x, y := m.get(in.a, in.w), m.get(in.b, in.w)
	sx, sy := signed(x, in.w), signed(y, in.w)
	switch in.op {
	case opEQ:
		return x == y
	case opNE:
		return x != y
	case opUGT:
		return x > y
	case opUGE:
		return x >= y
	case opULT:
		return x < y
	case opULE:
		return x <= y
	case opSGT:
		return sx > sy
	case opSGE:
		return sx >= sy
	case opSLE:
		return sx <= sy
	}
	return sx < sy
}

func (m *Machine) callFunction(in *inst) {
	f := &m.p.fns[in.to]
	var args [16]uint64
	for i, o := range in.ops {
		args[i] = m.get(o, classOf(f.types[i]))
	}
	m.enter(in.to, args[:len(in.ops)], in.dest)
}

func (m *Machine) callAPI(in *inst) {
	a := &apis[in.to]
	var args [8]uint64
	for i, o := range in.ops {
		w := byte4
		if a.proto[i+1] != 'i' {
			w = byte8
		}
		args[i] = m.get(o, w)
	}
	if !m.Charge(16) {
		return
	}
	m.put(in.dest, in.w, m.call(m, in.to+1, args[:len(in.ops)]))
}

// memoryOp runs instructions on addresses and memory.
func (m *Machine) memoryOp(in *inst) {
	switch in.op {
	case opGEP1, opGEPZ:
		step := in.step
		if in.op == opGEPZ {
			step = 1
		}
		ptr := m.get(in.a, byte8)
		off := int32(int64(int32(m.get(in.b, byte4)))*step) + int32(uint32(ptr))
		m.put(in.dest, byte8, ptr&^0xffffffff+uint64(int64(off)))
	case opLoad:
		if b := m.Resolve(m.get(in.a, byte8), uint64(in.w.bytes()), false); b != nil {
			m.put(in.dest, in.w, load(b))
		}
	case opStore:
		if b := m.Resolve(m.get(in.b, byte8), uint64(in.w.bytes()), true); b != nil {
			put(b, m.get(in.a, in.w))
		}
	case opMemset, opMemcpy, opMemmove, opMemcmp:
		m.block(in)
	case opIsBigEndian:
		m.put(in.dest, byte1, 0)
	case opAbort:
		m.Fail(Broken, "it gave up")
	case opBswap16:
		m.put(in.dest, byte2, uint64(bits.ReverseBytes16(uint16(m.get(in.a, byte2)))))
	case opBswap32:
		m.put(in.dest, byte4, uint64(bits.ReverseBytes32(uint32(m.get(in.a, byte4)))))
	case opBswap64:
		m.put(in.dest, byte8, bits.ReverseBytes64(m.get(in.a, byte8)))
	case opPtrDiff32:
		a, b := m.get(in.a, byte8), m.get(in.b, byte8)
		v := uint64(0x40000000) // of two that are not of one object
		if a>>32 == b>>32 {
			v = a - b
		}
		m.put(in.dest, byte4, v)
	case opPtrToInt64:
		m.put(in.dest, byte8, m.get(in.a, byte8))
	}
}

func load(b []byte) uint64 {
	v := uint64(0)
	for i := range b {
		v |= uint64(b[i]) << (8 * i)
	}
	return v
}

// block runs the instructions that work on many bytes at once.
func (m *Machine) block(in *inst) {
	n := m.get(in.c, in.w) & 0xffffffff
	to := m.Resolve(m.get(in.a, byte8), n, in.op != opMemcmp)
	if to == nil || !m.Charge(int64(n/16)) {
		return
	}
	if in.op == opMemset {
		v := byte(m.get(in.b, in.src))
		for i := range to {
			to[i] = v
		}
		return
	}
	from := m.Resolve(m.get(in.b, byte8), n, false)
	switch {
	case from == nil:
	case in.op != opMemcmp:
		copy(to, from)
	case bytes.Equal(to, from):
		m.put(in.dest, byte4, 0)
	default:
		i := 0
		for to[i] == from[i] {
			i++
		}
		m.put(in.dest, byte4, uint64(int64(to[i])-int64(from[i])))
	}
}
