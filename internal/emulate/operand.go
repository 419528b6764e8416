package emulate

// The functions of this package that take a *op are what micro-operations do. One
// that cannot read or write memory calls fault and changes nothing.

// get returns a register's value of a size.
func (c *CPU) get(r, size uint8) uint64 {
	switch size {
	case 8:
		return c.R[r]
	case 4:
		return uint64(uint32(c.R[r]))
	case 2:
		return uint64(uint16(c.R[r]))
	}
	if r >= high {
		return uint64(byte(c.R[r-high] >> 8))
	}
	return uint64(byte(c.R[r]))
}

// set changes a register: 4 bytes clear what is above them.
func (c *CPU) set(r, size uint8, v uint64) {
	switch size {
	case 8:
		c.R[r] = v
	case 4:
		c.R[r] = uint64(uint32(v))
	case 2:
		c.R[r] = c.R[r]&^0xffff | v&0xffff
	default:
		if r >= high {
			c.R[r-high] = c.R[r-high]&^0xff00 | v&0xff<<8
		} else {
			c.R[r] = c.R[r]&^0xff | v&0xff
		}
	}
}

// ea is the address of a memory operand, without its segment.
func (c *CPU) ea(o *op) uint64 {
	return (c.R[o.base&31] + c.R[o.index&31]<<(o.scale&63) + o.disp) & o.amask
}

// linear is the address of a memory operand.
func (c *CPU) linear(o *op) uint64 {
	a := c.ea(o)
	if o.seg < noSegment {
		a += c.Base[o.seg]
	}
	return a & c.mask
}

// load reads memory, or faults.
func (c *CPU) load(addr uint64, size uint8) (uint64, bool) {
	addr &= c.mask
	v, ok := c.Mem.Load(addr, size)
	if !ok {
		c.missing(addr, uint64(size), false)
	}
	return v, ok
}

// store writes memory, or faults.
func (c *CPU) store(addr uint64, size uint8, v uint64) bool {
	addr &= c.mask
	if !c.Mem.Store(addr, size, v) {
		c.missing(addr, uint64(size), true)
		return false
	}
	return true
}

// missing faults at the first byte that cannot be used.
func (c *CPU) missing(addr, size uint64, write bool) {
	for i := range size {
		if _, ok := c.Mem.Load(addr+i, 1); !ok || write && !c.Mem.Writable(addr+i, 1) {
			addr += i
			break
		}
	}
	c.fault(Trap{PageFault, addr, write})
}

// loadE reads the operand E.
func (c *CPU) loadE(o *op) (uint64, bool) {
	if !o.mem {
		return c.get(o.rm, o.size), true
	}
	return c.load(c.linear(o), o.size)
}

// storeE writes the operand E.
func (c *CPU) storeE(o *op, v uint64) bool {
	if !o.mem {
		c.set(o.rm, o.size, v)
		return true
	}
	return c.store(c.linear(o), o.size, v)
}

// push and pop move the stack pointer when memory was there.
func (c *CPU) push(v uint64, size uint8) bool {
	sp := (c.R[RSP] - uint64(size)) & c.mask
	if !c.store(sp, size, v) {
		return false
	}
	c.R[RSP] = sp
	return true
}

func (c *CPU) pop(size uint8) (uint64, bool) {
	v, ok := c.load(c.R[RSP], size)
	if ok {
		c.R[RSP] = (c.R[RSP] + uint64(size)) & c.mask
	}
	return v, ok
}

func undefined(c *CPU, _ *op) { c.fault(Trap{Vector: Undefined}) }

func protected(c *CPU, _ *op) { c.fault(Trap{Vector: Protection}) }

func nop(*CPU, *op) {}
