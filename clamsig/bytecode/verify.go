package bytecode

import "fmt"

// verifier makes places of the numbers in a function's instructions, and proves
// that all of them are within its frame or the globals.
type verifier struct {
	p   *Program
	f   *fn
	i   int // instruction
	err *Error
}

func (v *verifier) fail(format string, args ...any) {
	if v.err != nil {
		return
	}
	block := 0
	for block+1 < len(v.f.blocks) && v.f.blocks[block+1] <= v.i {
		block++
	}
	v.err = &Error{
		Line: v.f.line + 1 + block,
		Cause: fmt.Sprintf("instruction %d: ", v.i-v.f.blocks[block]) +
			fmt.Sprintf(format, args...),
	}
}

func (v *verifier) verify() *Error {
	values := len(v.f.types)
	for i := range v.f.constants {
		v.f.at[values+i] = operand(v.f.constantsAt() + 8*i)
	}
	for v.i = range v.f.code {
		if v.inst(&v.f.code[v.i]); v.err != nil {
			return v.err
		}
	}
	return nil
}

func (v *verifier) inst(in *inst) {
	switch op := in.op; {
	case op >= opAdd && op <= opXor:
		v.values(in.w, &in.a, &in.b)
		v.result(&in.dest, in.w)
	case op >= opTrunc && op <= opZext:
		v.cast(in)
	case op >= opEQ && op <= opSLT:
		v.values(in.w, &in.a, &in.b)
		v.result(&in.dest, byte1)
	case op == opBranch || op == opJump || op == opRet:
		v.flow(in)
	case op == opSelect:
		v.values(bit, &in.a)
		v.values(in.w, &in.b, &in.c)
		v.result(&in.dest, in.w)
	case op == opCopy:
		// The width is that of where it goes.
		if in.b >= operand(len(v.f.types)) {
			v.fail("a copy to what is no value")
			return
		}
		in.w = classOf(v.f.types[in.b])
		in.dest = in.b
		v.values(in.w, &in.a)
		v.result(&in.dest, in.w)
	case op == opCall:
		v.call(in)
	case op == opCallAPI:
		v.callAPI(in)
	case op == opGEP1 || op == opGEPZ:
		v.gep(in)
	case op == opStore:
		if in.a < operand(len(v.f.types)) {
			in.w = classOf(v.f.types[in.a])
		}
		v.values(in.w, &in.a)
		v.pointers(&in.b)
	case op == opLoad:
		v.pointers(&in.a)
		v.result(&in.dest, in.w)
	case op >= opMemset && op <= opBswap64:
		v.memory(in)
	case op == opPtrDiff32:
		v.pointers(&in.a, &in.b)
		v.result(&in.dest, byte4)
	case op == opPtrToInt64:
		v.pointers(&in.a)
		v.result(&in.dest, byte8)
	}
}

func (v *verifier) cast(in *inst) {
	from := 64
	switch {
	case in.a&inGlobals != 0:
		from = min(v.p.globals[in.a&^inGlobals].id, 64)
	case in.a < operand(len(v.f.types)):
		from = min(v.f.types[in.a], 64)
	default:
		v.fail("a constant is cast")
	}
	in.src, in.bits = classOf(from), uint8(from)
	v.values(in.src, &in.a)
	v.result(&in.dest, in.w)
}

func (v *verifier) flow(in *inst) {
	switch in.op {
	case opRet:
		if want := v.f.ret; want == 0 || classOf(want).bytes() != in.w.bytes() {
			v.fail("it returns another type than the function's")
		}
		v.values(in.w, &in.a)
		return
	case opBranch:
		if in.a&inGlobals != 0 {
			v.fail("a branch on a global")
			return
		}
		v.values(bit, &in.a)
		v.block(&in.els)
	}
	v.block(&in.to)
}

// block makes the place of a block's first instruction of its number. There is no
// way back to the first block.
func (v *verifier) block(to *int) {
	if *to <= 0 || *to >= len(v.f.blocks) {
		v.fail("a jump to block %d, of %d", *to, len(v.f.blocks))
		return
	}
	*to = v.f.blocks[*to]
}

func (v *verifier) call(in *inst) {
	if in.to < 0 || in.to >= len(v.p.fns) {
		v.fail("a call of function %d, of %d", in.to+1, len(v.p.fns))
		return
	}
	f := &v.p.fns[in.to]
	if len(in.ops) != f.args {
		v.fail("a call with %d arguments, function %d takes %d", len(in.ops), in.to, f.args)
		return
	}
	for i := range in.ops {
		if w := classOf(f.types[i]); w == byte8 {
			v.pointers(&in.ops[i])
		} else {
			v.values(w, &in.ops[i])
		}
	}
	if f.ret == 0 {
		in.dest = 0
		return
	}
	in.w = classOf(f.ret)
	v.result(&in.dest, in.w)
}

func (v *verifier) callAPI(in *inst) {
	if in.to < 0 || in.to >= Functions || !v.p.apis[in.to+1] {
		v.fail("a call of API function %d, which is not declared", in.to+1)
		return
	}
	a := &apis[in.to]
	if len(in.ops) != len(a.proto)-1 {
		v.fail("%s is called with %d arguments", a.name, len(in.ops))
		return
	}
	for i := range in.ops {
		if a.proto[i+1] == 'i' {
			v.values(byte4, &in.ops[i])
		} else {
			v.pointers(&in.ops[i])
		}
	}
	in.w = byte4
	if a.proto[0] == 'p' {
		in.w = byte8
	}
	v.result(&in.dest, in.w)
}

// gep checks address arithmetic. Zero offsets into structures are numbers of
// fields, which become bytes.
func (v *verifier) gep(in *inst) {
	t := v.p.at(in.to)
	if t == nil || t.kind != pointer {
		v.fail("an address is worked out of what is no pointer")
		return
	}
	to := t.of[0]
	if in.op == opGEP1 {
		in.step = int64(v.p.size(to))
		if v.isAlloca(in.a) || in.a&inGlobals != 0 {
			v.fail("GEP1 of what is no pointer value")
			return
		}
	} else {
		s := v.p.at(to)
		if s == nil {
			v.fail("GEPZ into an integer")
			return
		}
		if s.kind == structure || s.kind == packed {
			v.field(in, s)
		}
	}
	v.pointers(&in.a)
	v.values(byte4, &in.b)
	v.result(&in.dest, byte8)
}

// field makes the offset of a structure's field of its number. The constant
// belongs to this instruction alone.
func (v *verifier) field(in *inst, s *typ) {
	k := int(in.b) - len(v.f.types)
	if in.b&inGlobals != 0 || k < 0 {
		v.fail("the number of a field that is not constant")
		return
	}
	n := v.f.constants[k]
	if n >= uint64(len(s.of)) {
		v.fail("field %d of a structure of %d", n, len(s.of))
		return
	}
	off := 0
	for _, f := range s.of[:n] {
		off += v.p.size(f)
	}
	v.f.constants[k] = uint64(off)
}

func (v *verifier) memory(in *inst) {
	switch in.op {
	case opMemset:
		v.pointers(&in.a)
		v.values(v.width(in.b, byte4), &in.b)
		in.src = v.width(in.b, byte4)
		in.w = v.width(in.c, byte8)
		v.values(in.w, &in.c)
	case opMemcpy, opMemcmp:
		in.w = byte4
		v.pointers(&in.a, &in.b)
		v.values(in.w, &in.c)
		if in.op == opMemcmp {
			v.result(&in.dest, byte4)
		}
	case opMemmove:
		in.w = v.width(in.c, byte8)
		v.pointers(&in.a, &in.b)
		v.values(in.w, &in.c)
	case opIsBigEndian:
		v.result(&in.dest, byte1)
	case opBswap16, opBswap32, opBswap64:
		in.w = byte2 + class(in.op-opBswap16)
		v.values(in.w, &in.a)
		v.result(&in.dest, in.w)
	}
}

// width is the width to read an operand with: its own where that is less.
func (v *verifier) width(o operand, w class) class {
	if o < operand(len(v.f.types)) {
		return min(w, classOf(v.f.types[o]))
	}
	return w
}

func (v *verifier) isAlloca(o operand) bool {
	return o < operand(len(v.f.alloca)) && v.f.alloca[o]
}

// values makes places of operands that are read with a width.
func (v *verifier) values(w class, ops ...*operand) {
	for _, o := range ops {
		v.place(o, w)
	}
}

// pointers does so for those that are addresses: of a value that was made by
// alloca it is the value's own.
func (v *verifier) pointers(ops ...*operand) {
	for _, o := range ops {
		if v.isAlloca(*o) {
			*o = v.f.at[*o] | addressOf
			continue
		}
		v.place(o, byte8)
	}
}

func (v *verifier) place(o *operand, w class) {
	n, limit := w.bytes(), v.f.frame
	switch {
	case v.err != nil:
		return
	case *o&inGlobals != 0:
		g := int(*o &^ inGlobals)
		if g >= len(v.p.globals) {
			v.fail("there is no global %d", g)
			return
		}
		*o, limit = operand(v.p.globals[g].at)|inGlobals, len(v.p.bytes)
		if *o == inGlobals {
			return // reads as 0
		}
	case int(*o) >= len(v.f.at):
		v.fail("there is no value %d", *o)
		return
	default:
		*o = v.f.at[*o]
	}
	if at := int(*o &^ inGlobals); at%n != 0 || at+n > limit {
		v.fail("%d bytes are read at %d, of %d", n, at, limit)
	}
}

// result makes the place of where a result goes: a value, not a constant.
func (v *verifier) result(o *operand, w class) {
	if v.err != nil {
		return
	}
	if int(*o) >= len(v.f.types) {
		v.fail("there is no value %d for the result", *o)
		return
	}
	at := int(v.f.at[*o])
	if n := w.bytes(); at%n != 0 || at+n > v.f.constantsAt() {
		v.fail("%d bytes are written at %d, of %d", n, at, v.f.constantsAt())
	}
	*o = operand(at)
}
