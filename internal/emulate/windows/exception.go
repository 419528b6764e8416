package windows

import (
	"github.com/showcause/showcause/internal/emulate"
)

// handling is an exception that handlers of the program are asked about.
type handling struct {
	record, context, pointers uint64
	vectored                  int    // how many of the vectored handlers were asked
	frame                     uint64 // the frame whose handler is asked next
	nested                    uint64 // the frame that is there while a handler runs
	filtered                  bool
}

// The codes of exceptions (ntstatus.h).
const (
	accessViolation = 0xc0000005
	illegal         = 0xc000001d
	divideByZero    = 0xc0000094
	privileged      = 0xc0000096
	overflow        = 0xc0000095
	bounds          = 0xc000008c
	breakpoint      = 0x80000003
	singleStep      = 0x80000004
)

// raise makes an exception of Windows of one of the processor.
func (p *process) raise(t emulate.Trap) {
	code, at := uint32(0), p.c.IP
	var info []uint64
	switch t.Vector {
	case emulate.PageFault:
		w := uint64(0)
		if t.Write {
			w = 1
		}
		code, info = accessViolation, []uint64{w, t.Addr}
	case emulate.Undefined:
		code = illegal
	case emulate.DivideError:
		code = divideByZero
	case emulate.Protection:
		code = privileged
	case emulate.Overflow:
		code = overflow
	case emulate.BoundRange:
		code = bounds
	case emulate.Breakpoint:
		code, at = breakpoint, at-1
	case emulate.SingleStep:
		code = singleStep
	case emulate.Interrupt:
		code, info = accessViolation, []uint64{0, 0xffffffff}
		if t.Addr == 3 || t.Addr == 0x2d {
			code, info = breakpoint, []uint64{0}
		} else {
			at -= 2
		}
	default:
		p.end(Stuck, "interrupt")
		return
	}
	p.c.IP = at
	p.c.SetFlags(p.c.Flags() &^ emulate.TF)
	p.except(code, at, 0, info)
}

// raiseException is the function of that name: the context is that of its return.
func raiseException(p *process, a []uint64) uint64 {
	info := make([]uint64, min(a[2], 15))
	for i := range info {
		info[i] = p.pointer(a[3] + uint64(i)*uint64(p.word))
	}
	p.c.IP = p.pointer(p.c.R[emulate.RSP])
	p.c.R[emulate.RSP] += uint64(p.word)
	if p.word == 4 {
		p.c.R[emulate.RSP] += 16
	}
	p.except(uint32(a[0]), p.c.IP, uint32(a[1]), info)
	return 0
}

func addVectored(p *process, a []uint64) uint64 {
	if len(p.vectored) >= maxUnwound {
		return 0
	}
	if a[0] != 0 {
		p.vectored = append([]uint64{a[1]}, p.vectored...)
	} else {
		p.vectored = append(p.vectored, a[1])
	}
	return a[1]
}

func removeVectored(p *process, a []uint64) uint64 {
	for i, h := range p.vectored {
		if h == a[0] {
			p.vectored = append(p.vectored[:i:i], p.vectored[i+1:]...)
			return one
		}
	}
	return 0
}

const (
	recordSize  = 0x98
	contextSize = 0x4d0
)

// except puts the record and the context of an exception on the stack and asks the
// first handler.
func (p *process) except(code uint32, at uint64, flags uint32, info []uint64) {
	p.c.Steps += raiseCost
	sp := p.c.R[emulate.RSP]
	for n := len(p.handlers); n > 0 && p.handlers[n-1].record < sp; n-- { // their frames are gone
		p.handlers = p.handlers[:n-1]
	}
	context := (sp - 0x80 - contextSize) &^ 15
	record := context - 0xa0
	if len(p.handlers) >= maxUnwound || p.m.UseOf(record-0x100) == 0 || p.m.UseOf(context) == 0 {
		p.end(Stuck, "exceptions in each other, or no stack")
		return
	}
	w := uint64(p.word)
	p.put32(record, code)
	p.put32(record+4, flags)
	p.put(record+8, 0)
	p.put(record+8+w, at)
	p.put32(record+8+2*w, uint32(len(info)))
	for i, v := range info {
		p.put(record+16+2*w+uint64(i)*w-4*(8-w)/4, v)
	}
	p.saveContext(context)
	h := handling{record: record, context: context, pointers: record - 0x20}
	p.put(h.pointers, record)
	p.put(h.pointers+w, context)
	if p.word == 4 {
		h.frame = uint64(p.word32(p.teb))
	}
	p.handlers = append(p.handlers, h)
	p.ask()
}

// ask calls the next handler: the vectored ones, those of the frames on the stack, the last filter.
func (p *process) ask() {
	h := &p.handlers[len(p.handlers)-1]
	p.c.R[emulate.RSP] = h.pointers - 0x40
	switch {
	case h.vectored < len(p.vectored):
		h.vectored++
		p.invoke(p.vectored[h.vectored-1], h.pointers)
		p.returnTo(handledAll)
	case p.word == 4 && h.frame != 0xffffffff && p.m.UseOf(h.frame) != 0:
		frame := h.frame
		h.frame = uint64(p.word32(frame))
		if h.frame <= frame { // frames lie one above the other
			h.frame = 0xffffffff
		}
		h.nested = h.pointers - 0x10
		p.put32(h.nested, p.word32(p.teb))
		p.put(h.nested+4, p.function(p.modules[0], unhandled))
		p.put(p.teb, h.nested)
		p.invoke(uint64(p.word32(frame+4)), h.record, frame, h.context, 0)
		p.returnTo(handled)
	case !h.filtered && p.filter != 0:
		h.filtered = true
		p.invoke(p.filter, h.pointers)
		p.returnTo(handledAll)
	default:
		p.restoreContext(h.context)
		p.end(Stuck, "exception")
	}
}

func (p *process) returnTo(gate string) {
	p.put(p.c.R[emulate.RSP], p.function(p.modules[0], gate))
}

// resume goes on where a handler said.
func (p *process) resume(vectored bool) {
	n := len(p.handlers)
	if n == 0 {
		p.end(Stuck, "no exception")
		return
	}
	if h := p.handlers[n-1]; h.nested != 0 && uint64(p.word32(p.teb)) == h.nested {
		p.put32(p.teb, p.word32(h.nested))
	}
	goOn := uint32(p.c.R[emulate.RDX]) == 0
	if vectored {
		goOn = uint32(p.c.R[emulate.RDX]) == 0xffffffff
	}
	if !goOn {
		p.ask()
		return
	}
	h := p.handlers[n-1]
	p.handlers = p.handlers[:n-1]
	p.restoreContext(h.context)
}

// context32 says where registers are in a CONTEXT of 32 bits, by their numbers.
func context32() [8]uint64 { return [8]uint64{0xb0, 0xac, 0xa8, 0xa4, 0xc4, 0xb4, 0xa0, 0x9c} }

func (p *process) saveContext(at uint64) {
	c := p.c
	p.fill(at, contextSize, 0)
	if c.Long() {
		p.put32(at+0x30, 0x10001f)
		p.put16(at+0x38, c.Seg[emulate.CS])
		p.put16(at+0x42, c.Seg[emulate.SS])
		p.put32(at+0x44, c.Flags())
		for i, v := range p.debug {
			p.put(at+0x48+8*uint64(i), v)
		}
		for i := range uint64(16) {
			p.put(at+0x78+8*i, c.R[i])
		}
		p.put(at+0xf8, c.IP)
		return
	}
	p.put32(at, 0x1003f)
	for i, v := range p.debug {
		p.put32(at+4+4*uint64(i), uint32(v))
	}
	for i, s := range []int{emulate.GS, emulate.FS, emulate.ES, emulate.DS} {
		p.put32(at+0x8c+4*uint64(i), uint32(c.Seg[s]))
	}
	for i, off := range context32() {
		p.put32(at+off, uint32(c.R[i]))
	}
	p.put32(at+0xb8, uint32(c.IP))
	p.put32(at+0xbc, uint32(c.Seg[emulate.CS]))
	p.put32(at+0xc0, c.Flags())
	p.put32(at+0xc8, uint32(c.Seg[emulate.SS]))
}

func (p *process) restoreContext(at uint64) {
	c := p.c
	if c.Long() {
		c.SetFlags(p.word32(at + 0x44))
		for i := range p.debug {
			p.debug[i] = p.pointer(at + 0x48 + 8*uint64(i))
		}
		for i := range uint64(16) {
			c.R[i] = p.pointer(at + 0x78 + 8*i)
		}
		c.IP = p.pointer(at + 0xf8)
		return
	}
	for i := range p.debug {
		p.debug[i] = uint64(p.word32(at + 4 + 4*uint64(i)))
	}
	for i, off := range context32() {
		c.R[i] = uint64(p.word32(at + off))
	}
	c.IP = uint64(p.word32(at + 0xb8))
	c.SetFlags(p.word32(at + 0xc0))
}
