package emulate

// fpu is what there is of the units for floating point: the x87's instructions are
// undefined ones so far.
type fpu struct{ mxcsr uint32 }

func (f *fpu) init() { f.mxcsr = 0x1f80 }

func (d *decoder) float(byte) { d.modrm() }

func (d *decoder) vector(byte) {}

func ldmxcsr(c *CPU, o *op) {
	if v, ok := c.load(c.linear(o), 4); ok {
		c.fpu.mxcsr = uint32(v)
	}
}

func stmxcsr(c *CPU, o *op) { c.store(c.linear(o), 4, uint64(c.fpu.mxcsr)) }
