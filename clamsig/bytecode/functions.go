package bytecode

// What a function may have.
const (
	maxFrame  = 65000 // bytes; ClamAV refuses to call one with more
	maxBlocks = 1 << 16
)

// functions reads debug data, functions, and passes over the source text.
func (l *loader) functions(declared int) *Error {
	p := l.p
	debug := true // may still come
	var blocks int
	var f *fn
	for l.rest != "" {
		c := l.next()
		switch {
		case c.err != nil:
		case f != nil: // a block of it
			l.block(c, f, len(f.blocks)+1 == blocks)
			if len(f.blocks) == blocks && c.err == nil {
				f = nil
			}
		case debug && c.peek() == 'D':
			l.debugData(c)
		case c.peek() == 'S':
			l.done, l.rest = true, ""
		case len(p.fns) == declared:
			c.fail("more functions than the %d that the header says", declared)
		default:
			debug = false
			p.fns = append(p.fns, fn{line: c.line})
			f = &p.fns[len(p.fns)-1]
			blocks = l.functionHead(c, f)
		}
		if c.err != nil {
			return c.err
		}
	}
	if f != nil || len(p.fns) != declared || declared == 0 {
		return &Error{Line: l.line, Cause: "fewer functions or blocks than the header says"}
	}
	for i := range p.fns {
		v := verifier{p: p, f: &p.fns[i]}
		if err := v.verify(); err != nil {
			return err
		}
	}
	return nil
}

// debugData reads nodes that tell places in the source. Nothing runs on them.
func (l *loader) debugData(c *cursor) {
	c.off = 1
	n := c.count("debug nodes", len(c.s))
	for i := 0; i < n && c.err == nil; i++ {
		for range c.count("elements of a debug node", len(c.s)) {
			if c.peek() == '|' {
				c.data()
				continue
			}
			c.number()
			c.number()
		}
		l.p.nodes++
	}
}

// functionHead reads what is said of a function in front of its blocks, and
// returns how many there are.
func (l *loader) functionHead(c *cursor, f *fn) (blocks int) {
	p := l.p
	c.letter('A', "function")
	f.args = int(c.nibbles(1))
	f.ret = p.typeID(c)
	c.letter('L', "list of locals")
	values := f.args + c.count("locals", len(c.s))
	for i := 0; i < values && c.err == nil; i++ {
		t := p.typeID(c)
		alloca := c.nibbles(1) != 0
		if c.err == nil && p.size(t) == 0 && t != 0 {
			c.fail("value %d has type %d, which has no size", i, t)
			return 0
		}
		f.types = append(f.types, t)
		f.alloca = append(f.alloca, alloca)
		a := p.align(t)
		f.frame = (f.frame + a - 1) / a * a
		f.at = append(f.at, operand(f.frame))
		if f.frame += p.size(t); f.frame > maxFrame {
			c.fail("more than %d bytes of values", maxFrame)
			return 0
		}
	}
	c.letter('F', "size of the function")
	insts := c.count("instructions", l.left)
	blocks = c.count("blocks", min(l.left, maxBlocks))
	if c.err == nil && blocks == 0 {
		c.fail("a function without blocks")
	}
	c.end()
	if c.err == nil {
		f.code = make([]inst, 0, insts)
	}
	f.frame = (f.frame + 7) &^ 7
	return blocks
}

// block reads one line of instructions. Operands are left as numbers of values,
// blocks and functions; the verifier makes places of them.
func (l *loader) block(c *cursor, f *fn, last bool) {
	c.letter('B', "block")
	f.blocks = append(f.blocks, len(f.code))
	for ended := false; !ended && c.err == nil; {
		if len(f.code) == cap(f.code) {
			c.fail("more instructions than the function's head says")
			return
		}
		f.code = append(f.code, inst{dest: noOperand})
		in := &f.code[len(f.code)-1]
		t := 0
		if ended = c.peek() == 'T'; ended {
			c.off++
		} else {
			t = l.p.typeID(c)
			in.dest = operand(min(c.number(), uint64(noOperand)))
		}
		op := c.nibbles(2)
		if c.err != nil {
			return
		}
		if op == 0 || op >= uint64(opEnd) {
			c.fail("column %d: there is no opcode %d", c.off-1, op)
			return
		}
		if in.op = opcode(op); in.op.terminates() != ended && in.op != opAbort {
			c.fail("column %d: a block ends where its last instruction is not, or goes on behind it", c.off-1)
			return
		}
		l.operands(c, f, in, t)
	}
	if last && c.err == nil {
		c.letter('E', "end of the function")
		if len(f.code) != cap(f.code) && c.err == nil {
			c.fail("%d instructions, the function's head says %d", len(f.code), cap(f.code))
		}
	}
	if c.err == nil && c.peek() == 'D' {
		c.off += 3
		n := c.count("debug places", len(c.s))
		if c.err == nil && n != cap(f.code) {
			c.fail("%d debug places for %d instructions", n, cap(f.code))
		}
		for i := 0; i < n && c.err == nil; i++ {
			c.number()
		}
	}
	c.end()
}

// operands reads what stands behind the opcode. t is the type that the
// instruction was said to have.
func (l *loader) operands(c *cursor, f *fn, in *inst, t int) {
	in.w = classOf(t)
	switch in.op {
	case opJump:
		in.to = int(c.number())
	case opRet:
		in.w = classOf(l.p.typeID(c))
		in.a = l.operand(c, f)
	case opBranch:
		in.a = l.operand(c, f)
		in.to, in.els = int(c.number()), int(c.number())
	case opCall, opCallAPI:
		n := c.nibbles(1)
		in.to = int(min(c.number(), 1<<20)) - 1
		for range n {
			in.ops = append(in.ops, l.operand(c, f))
		}
	case opGEP1, opGEPZ:
		in.to = l.p.typeID(c)
		in.a, in.b = l.operand(c, f), l.operand(c, f)
	case opGEPN:
		c.fail("column %d: the opcode GEPN, which no engine runs", c.off+1)
	case opTrunc, opSext, opZext:
		in.bits = uint8(min(t, 64))
		in.a = l.operand(c, f)
	default:
		in.bits = uint8(min(t, 64))
		if in.op >= opEQ && in.op <= opSLT {
			in.w = classOf(l.p.typeID(c))
		}
		to := []*operand{&in.a, &in.b, &in.c}
		for i := range int(operands[in.op] - '0') {
			*to[i] = l.operand(c, f)
		}
	}
}

// operand reads one: the number of a value; a constant, which becomes a value
// behind the others; or a global. What these are is told by flags.
func (l *loader) operand(c *cursor, f *fn) operand {
	values := len(f.types)
	head := c.peek()
	if head&0xf0 == 0x40 || head == 0x50 {
		v := c.digits(head | 0x20)
		width := c.nibbles(1)
		if c.err != nil {
			return noOperand
		}
		if width == 0 {
			if v >= uint64(len(l.p.globals)) {
				c.fail("column %d: there is no global %d", c.off, v)
			}
			return inGlobals | operand(min(v, uint64(noOperand)))
		}
		if n := 8 * width; n < 64 {
			v &= 1<<(8*intSize(int(n))) - 1
		}
		f.constants = append(f.constants, v)
		if f.frame += 8; f.frame > maxFrame {
			c.fail("more than %d bytes of values and constants", maxFrame)
		}
		f.at = append(f.at, 0)
		return operand(values + len(f.constants) - 1)
	}
	v := c.number()
	if c.err == nil && v >= uint64(values) {
		c.fail("column %d: there is no value %d, the function has %d", c.off, v, values)
		return noOperand
	}
	return operand(v)
}
