package emulate

// fpu is the x87 unit and what it shares with MMX.
type fpu struct {
	st      [8]extended80 // the registers; st(0) is st[top]
	top     uint8
	empty   uint8 // a bit for each register
	control uint16
	status  uint16 // without the top
	last    uint64 // address of the last instruction
	mxcsr   uint32
}

// extended80 is a number of 80 bits: sign and exponent, mantissa.
type extended80 struct {
	se uint16
	m  uint64
}

func (f *fpu) init() {
	f.top, f.empty, f.control, f.status, f.last = 0, 0xff, 0x37f, 0, 0
	if f.mxcsr == 0 {
		f.mxcsr = 0x1f80
	}
}

func (d *decoder) float(byte) { d.modrm() }

func (d *decoder) vector(byte) {}

func ldmxcsr(c *CPU, o *op) {
	if v, ok := c.load(c.linear(o), 4); ok {
		c.fpu.mxcsr = uint32(v)
	}
}

func stmxcsr(c *CPU, o *op) { c.store(c.linear(o), 4, uint64(c.fpu.mxcsr)) }
