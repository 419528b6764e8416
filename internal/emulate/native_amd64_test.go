package emulate

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// What the child shares with the test: one page, read from its input and written
// to its output for each case.
//
//	0     RAX to R15          128  flags
//	136   where to go: offset, selector
//	144   signal, 0 if none   152  its address
//	160   registers at the signal (struct sigcontext)
//	352   XMM0 to XMM7
//	504   where the code goes back to
//	512   code
//	3072  the window for memory operands; behind it nothing is mapped
const (
	pageAt   = 0x20000000
	pageLen  = 4096
	flagsAt  = 128
	farAt    = 136
	signalAt = 144
	gregsAt  = 160
	xmmAt    = 352
	markAt   = 496
	backAt   = 504
	codeAt   = 512
	codeLen  = 64
	elseAt   = codeAt + 40
	windowAt = 3072
	windowEn = 4096

	childAt = 0x60000000
	altAt   = childAt + 0x2000
	altLen  = 0x20000
	stackAt = altAt + altLen + 0x1000
)

var le = binary.LittleEndian

// child is a program for Linux that has no libraries: it reads a case, loads the
// registers, runs the code, and writes what came of it. After its start it may read and
// write its two pipes and no more (seccomp's strict mode).
func child() []byte {
	var b []byte
	put := func(x ...byte) { b = append(b, x...) }
	abs := func(v uint32) { b = le.AppendUint32(b, v) }
	mov := func(reg byte, v uint32) { // mov r32, imm32
		if reg >= 8 {
			put(0x41)
		}
		put(0xb8 + reg&7)
		abs(v)
	}
	move := func(op, reg byte, at uint32) { // mov r64, [at] (8b) or back (89)
		put(0x48|reg>>3<<2, op, 4|reg&7<<3, 0x25)
		abs(at)
	}
	syscall := func(n uint32, args ...uint32) {
		for i, a := range args {
			mov([...]byte{7, 6, 2, 10}[i], a)
		}
		mov(0, n)
		put(0x0f, 0x05)
	}
	const data = childAt + 0x1000 // sigaction, sigaltstack
	handler := uint32(childAt + 0x800)
	syscall(131, data+64, 0)
	for _, sig := range []uint32{4, 5, 7, 8, 11} {
		syscall(13, sig, data, 0, 8)
	}
	mov(0, 0x2b)
	put(0x8e, 0xd8, 0x8e, 0xc0) // mov ds, ax; mov es, ax
	syscall(157, 22, 1)         // prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT)
	loop := len(b)
	mov(4, stackAt)
	syscall(0, 0, pageAt, pageLen)
	put(0x3d) // cmp eax, pageLen
	abs(pageLen)
	put(0x74, 0x0e) // je over the exit
	syscall(60, 0)
	put(0x90, 0x90)
	for i := range byte(8) {
		put(0xf3, 0x0f, 0x6f, 4|i<<3, 0x25) // movdqu xmm, [at]
		abs(pageAt + xmmAt + 16*uint32(i))
	}
	put(0xdb, 0xe3) // fninit
	mov(4, pageAt+flagsAt)
	put(0x9d) // popfq
	for i := range byte(16) {
		move(0x8b, i, pageAt+8*uint32(i))
	}
	put(0xff, 0x2c, 0x25) // jmp far [at]
	abs(pageAt + farAt)

	back := uint32(childAt + len(b))
	move(0x89, 4, pageAt+8*4)
	mov(4, pageAt+flagsAt+8)
	put(0x9c) // pushfq
	for i := range byte(16) {
		if i != 4 {
			move(0x89, i, pageAt+8*uint32(i))
		}
	}
	for i := range byte(8) {
		put(0xf3, 0x0f, 0x7f, 4|i<<3, 0x25)
		abs(pageAt + xmmAt + 16*uint32(i))
	}
	out := len(b)
	mov(4, stackAt)
	put(0x6a, 0x02, 0x9d) // push 2; popfq
	syscall(1, 1, pageAt, pageLen)
	put(0xe9)
	abs(uint32(loop - len(b) - 4))

	b = append(b, make([]byte, 0x800-len(b))...)
	move(0x89, 7, pageAt+signalAt)
	put(0x48, 0x8b, 0x46, 16) // mov rax, [rsi+16]
	move(0x89, 0, pageAt+signalAt+8)
	put(0x48, 0x8d, 0x72, 40) // lea rsi, [rdx+40]
	mov(7, pageAt+gregsAt)
	mov(1, 184)
	put(0xf3, 0xa4) // rep movsb
	put(0xe9)
	abs(uint32(out - len(b) - 4))

	b = append(b, make([]byte, 0x1000-len(b))...)
	for _, v := range []uint64{uint64(handler), 4 | 0x08000000 | 0x40000000 | 0x04000000, uint64(handler), 0} {
		b = le.AppendUint64(b, v)
	}
	b = append(b, make([]byte, 32)...)
	for _, v := range []uint64{altAt, 0, altLen} {
		b = le.AppendUint64(b, v)
	}
	le.PutUint32(b[0xff8:], back)

	h := make([]byte, 0x1000)
	copy(h, "\x7fELF\x02\x01\x01")
	le.PutUint16(h[16:], 2)
	le.PutUint16(h[18:], 62)
	le.PutUint32(h[20:], 1)
	le.PutUint64(h[24:], childAt)
	le.PutUint64(h[32:], 64)
	le.PutUint16(h[52:], 64)
	le.PutUint16(h[54:], 56)
	le.PutUint16(h[56:], 2)
	segment := func(at int, off, addr, file, mem uint64) {
		le.PutUint32(h[at:], 1)
		le.PutUint32(h[at+4:], 7)
		for i, v := range []uint64{off, addr, addr, file, mem, 0x1000} {
			le.PutUint64(h[at+8+8*i:], v)
		}
	}
	segment(64, 0x1000, childAt, uint64(len(b)), stackAt+0x1000-childAt)
	segment(120, 0, pageAt, 0, pageLen)
	return append(h, b...)
}

// processor is the processor that the tests run on.
type processor struct {
	in   io.WriteCloser
	out  io.Reader
	cmd  *exec.Cmd
	back uint32
}

func startProcessor(t testing.TB) *processor {
	b := child()
	name := filepath.Join(t.TempDir(), "child")
	if err := os.WriteFile(name, b, 0o700); err != nil {
		t.Fatal(err)
	}
	p := &processor{cmd: exec.Command(name), back: le.Uint32(b[0x1000+0xff8:])}
	p.in, _ = p.cmd.StdinPipe()
	p.out, _ = p.cmd.StdoutPipe()
	if err := p.cmd.Start(); err != nil {
		t.Skipf("no program can be run: %v", err)
	}
	t.Cleanup(func() { p.in.Close(); p.cmd.Wait() })
	return p
}

// do runs one case, in place.
func (p *processor) do(page []byte) error {
	if _, err := p.in.Write(page); err != nil {
		return err
	}
	_, err := io.ReadFull(p.out, page)
	return err
}

// state is what a processor came to.
type state struct {
	regs   [16]uint64
	flags  uint32
	ip     uint64 // where an exception was
	vector int    // -1: none
	page   []byte
	xmm    []byte
	own    bool // emulated, it came to where the child itself stands
}

// gregs is where struct sigcontext has the registers.
var gregs = [16]int{13, 14, 12, 11, 15, 10, 9, 8, 0, 1, 2, 3, 4, 5, 6, 7}

func (p *processor) state(page []byte) state {
	s := state{flags: le.Uint32(page[flagsAt:]), vector: -1, page: page}
	for i := range s.regs {
		s.regs[i] = le.Uint64(page[8*i:])
	}
	s.xmm = page[xmmAt : xmmAt+128]
	if le.Uint64(page[signalAt:]) != 0 {
		g := func(i int) uint64 { return le.Uint64(page[gregsAt+8*i:]) }
		for i := range s.regs {
			s.regs[i] = g(gregs[i])
		}
		s.ip, s.flags, s.vector, s.xmm = g(16), uint32(g(17)), int(g(20)), nil
	}
	return s
}

// page returns a case: code that is followed by the way back, at codeAt and, with a mark that
// it was reached, at elseAt.
func (p *processor) page(code []byte, long bool) []byte {
	b := make([]byte, pageLen)
	tail := func(at int) {
		if long {
			at += copy(b[at:], "\xff\x24\x25")
			le.PutUint32(b[at:], pageAt+backAt)
		} else {
			b[at] = 0xea
			le.PutUint32(b[at+1:], p.back)
			le.PutUint16(b[at+5:], 0x33)
		}
	}
	n := copy(b[codeAt:], code)
	tail(codeAt + n)
	mark := []byte{0xc6, 0x05, 0, 0, 0, 0, 1}
	if le.PutUint32(mark[2:], pageAt+markAt); long {
		mark = []byte{0xc6, 0x04, 0x25, 0, 0, 0, 0, 1}
		le.PutUint32(mark[3:], pageAt+markAt)
	}
	copy(b[elseAt:], mark)
	tail(elseAt + len(mark))
	le.PutUint32(b[farAt:], pageAt+codeAt)
	le.PutUint16(b[farAt+4:], 0x23)
	if long {
		le.PutUint16(b[farAt+4:], 0x33)
	}
	le.PutUint64(b[backAt:], uint64(p.back))
	le.PutUint64(b[flagsAt:], 0x202)
	return b
}

// emulated runs the same in the emulator.
func emulated(page []byte, n int, long bool) state {
	m := newMemory()
	m.Map(pageAt, pageLen, 7)
	page = bytes.Clone(page)
	clean := bytes.Clone(page)
	for _, at := range []int{codeAt + n, elseAt + 7} {
		if long && at == elseAt+7 {
			at++
		}
		copy(page[at:], "\x0f\x0b")
	}
	m.Write(pageAt, page)
	c := New(m, long)
	copy(c.R[:16], make([]uint64, 16))
	for i := range 16 {
		c.R[i] = le.Uint64(page[8*i:])
	}
	for i := range 8 {
		c.X[i] = [2]uint64{le.Uint64(page[xmmAt+16*i:]), le.Uint64(page[xmmAt+16*i+8:])}
	}
	c.SetFlags(le.Uint32(page[flagsAt:]))
	c.Seg = [6]uint16{0x2b, 0x23, 0x2b, 0x2b, 0, 0}
	if long {
		c.Seg[CS] = 0x33
	}
	c.IP = pageAt + codeAt
	t := c.Run(1 << 22)
	s := state{flags: c.Flags(), ip: c.IP, vector: int(t.Vector), page: make([]byte, pageLen)}
	s.own = t.Vector == PageFault && t.Addr >= childAt-64 && t.Addr < stackAt+0x1000
	copy(s.regs[:], c.R[:16])
	m.Read(pageAt, s.page)
	if t.Vector == Undefined && (c.IP == pageAt+codeAt+uint64(n) || c.IP >= pageAt+elseAt+7 && c.IP <= pageAt+elseAt+8) {
		s.vector = -1
	}
	for _, x := range c.X[:8] {
		s.xmm = le.AppendUint64(le.AppendUint64(s.xmm, x[0]), x[1])
	}
	copy(s.page[codeAt:codeAt+codeLen], clean[codeAt:])
	return s
}
