package upx

import "encoding/binary"

// behindMachO reads a Mach-O header (Apple, "OS X ABI Mach-O File Format Reference"), and
// returns where the load commands end.
func (p *packed) behindMachO(h []byte) int64 {
	p.macho, p.order = true, binary.LittleEndian
	end := int64(28)
	switch binary.BigEndian.Uint32(h) {
	case 0xfeedface:
		p.order = binary.BigEndian
	case 0xfeedfacf:
		p.order, p.wide, end = binary.BigEndian, true, 32
	case 0xcefaedfe:
	case 0xcffaedfe:
		p.wide, end = true, 32
	default:
		return -1
	}
	return end + int64(p.order.Uint32(h[20:]))
}

// machoSegments are what a Mach-O file's commands have loaded from the file.
func (p *packed) machoSegments() (loads []part) {
	at, n := 28, int(min(p.order.Uint32(p.head[16:]), mostHead/8))
	if p.wide {
		at = 32
	}
	for range n {
		if at+8 > len(p.head) {
			break
		}
		b := p.head[at:]
		size := int(min(p.order.Uint32(b[4:]), mostHead))
		var s part
		switch cmd := p.order.Uint32(b); {
		case cmd == 0x19 && len(b) >= 72:
			s = part{int64(p.order.Uint64(b[40:])), int64(p.order.Uint64(b[48:]))}
		case cmd == 0x01 && len(b) >= 56:
			s = part{int64(p.order.Uint32(b[32:])), int64(p.order.Uint32(b[36:]))}
		}
		if s.off < 0 || s.size < 0 || s.off > mostOffset || s.size > mostOffset {
			s = part{mostOffset + 1, 1} // no block is there
		}
		if s.size > 0 {
			loads = append(loads, s)
		}
		at += max(size, 8)
	}
	return loads
}
