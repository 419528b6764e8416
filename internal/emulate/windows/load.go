package windows

import (
	"strings"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/binary/pe"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/internal/emulate"
	"github.com/showcause/showcause/internal/emulate/memory"
)

const all = memory.Read | memory.Write | memory.Exec

// load maps the file as Windows does. All of the image may be written: what unpacks
// makes it so, and what does not is not looked for here.
func (p *process) load(src showcause.Source) bool {
	f, ok := pe.Parse(src, pe.Options{})
	if !ok || src.Size() > fileBytes || f.Machine != 0x14c && f.Machine != 0x8664 || f.Magic != 0x10b && f.Magic != 0x20b || f.Is64() != (f.Machine == 0x8664) {
		return false
	}
	p.f, p.src, p.base, p.word = f, src, f.ImageBase, 4
	if f.Is64() {
		p.word = 8
	}
	p.head, _ = bound.ReadAt(src, 0, 64, 64)
	p.size = memory.Pages(uint64(f.SizeOfImage))
	for _, s := range f.Sections {
		p.size = max(p.size, memory.Pages(uint64(s.VirtualAddress)+uint64(virtual(s))))
	}
	limit := uint64(1 << 31)
	if f.Is64() {
		limit = 1 << 47
	}
	if p.size == 0 || p.size > maxImage || p.base < 1<<16 || p.base%memory.PageSize != 0 || p.base > limit-p.size {
		return false
	}
	p.m = memory.New(p.o.Memory)
	p.c = emulate.New(p.m, f.Is64())
	if !p.m.Map(p.base, p.size, all) {
		return false
	}
	p.copyIn(src, 0, 0, int64(max(f.SizeOfHeaders, 0x400)))
	end := p.base + p.size
	p.sections = append(p.sections, span{start: p.base, end: end})
	for _, s := range f.Sections {
		at, n := rawOf(s, f.FileAlignment)
		p.copyIn(src, uint64(s.VirtualAddress), at, n)
		start := p.base + uint64(s.VirtualAddress)
		if start >= end {
			continue
		}
		last := &p.sections[len(p.sections)-1]
		if start <= last.start {
			continue
		}
		last.end = start
		p.sections = append(p.sections, span{start, end, s.Characteristics})
	}
	p.modulesAtStart()
	return p.bind()
}

// virtual is how many bytes a section has in memory.
func virtual(s pe.Section) uint32 {
	if s.VirtualSize == 0 {
		return s.RawSize
	}
	return s.VirtualSize
}

// rawOf is where the bytes of a section are in the file: the loader rounds.
func rawOf(s pe.Section, align uint32) (at, n int64) {
	if s.RawSize == 0 || s.RawOffset == 0 && align >= 0x200 {
		return 0, 0
	}
	at, n = int64(s.RawOffset), int64(s.RawSize)
	if align >= 0x200 {
		at &^= 0x1ff
		n = (n + 0x1ff) &^ 0x1ff
	}
	return at, min(n, int64(memory.Pages(uint64(virtual(s)))))
}

// copyIn copies bytes of the file into the image.
func (p *process) copyIn(src showcause.Source, rva uint64, at, n int64) {
	const piece = 1 << 20
	for n = min(n, src.Size()-at, int64(p.size)-int64(rva)); n > 0; {
		b, _ := bound.ReadAt(src, at, min(n, piece), piece)
		if len(b) == 0 {
			return
		}
		p.m.Write(p.base+rva, b)
		rva, at, n = rva+uint64(len(b)), at+int64(len(b)), n-int64(len(b))
	}
}

const (
	maxLibraries = 256
	maxBound     = 1 << 14
)

// bind writes the addresses of imported functions into the image, as it stands in memory.
func (p *process) bind() bool {
	d, ok := p.f.Directory(pe.DirImport)
	if !ok || d.Address == 0 {
		return true
	}
	for i := range uint64(maxLibraries) {
		at := p.base + uint64(d.Address) + 20*i
		names, lib, slots := uint64(p.word32(at)), uint64(p.word32(at+12)), uint64(p.word32(at+16))
		if lib == 0 || slots == 0 || lib >= p.size || slots >= p.size {
			break
		}
		if names == 0 || names >= p.size {
			names = slots
		}
		m := p.library(p.text(p.base + lib))
		for k := range uint64(maxBound) {
			v := p.pointer(p.base + names + k*uint64(p.word))
			if v == 0 || m == nil {
				break
			}
			p.put(p.base+slots+k*uint64(p.word), p.imported(m, v))
		}
	}
	return true
}

// imported is the address of a function by the entry of a table of imports.
func (p *process) imported(m *module, v uint64) uint64 {
	if v>>(8*p.word-1) != 0 {
		return p.function(m, ordinal(uint16(v)))
	}
	return p.function(m, p.text(p.base+v+2))
}

// start makes the process: its stack, what its thread and it know of themselves, and what
// is to run first.
func (p *process) start() {
	p.m.Map(stackBase, stackSize, memory.Read|memory.Write)
	p.heapAt = p.m.Free(smallHeap, 1<<31, 1<<24)
	p.m.Map(p.heapAt, 1<<24, memory.Read|memory.Write)
	p.heapEnd = p.heapAt + 1<<24
	p.environment()
	c := p.c
	for i := range c.Seg {
		c.Seg[i] = 0x2b
	}
	c.Seg[emulate.CS], c.Seg[emulate.FS] = 0x23, 0x53
	c.Base[emulate.FS] = p.teb
	if c.Long() {
		c.Seg[emulate.CS], c.Base[emulate.FS], c.Base[emulate.GS] = 0x33, 0, p.teb
	}
	p.m.Settle()
	c.Fresh = p.fresh
	c.R[emulate.RSP] = stackBase + stackSize - 0x400
	p.pending = append(p.pending, p.enter)
	for _, f := range p.callbacks() {
		p.pending = append(p.pending, func() { p.invoke(f, p.base, 1, 0) })
	}
	p.next()
}

// callbacks are the functions of the TLS directory, the last one first.
func (p *process) callbacks() (out []uint64) {
	t := p.f.TLS()
	if t == nil {
		return nil
	}
	d, _ := p.f.Directory(pe.DirTLS)
	at := p.pointer(p.base + uint64(d.Address) + 3*uint64(p.word))
	for i := range uint64(maxCallback) {
		f := p.pointer(at + i*uint64(p.word))
		if at == 0 || f == 0 {
			break
		}
		out = append([]uint64{f}, out...)
	}
	return out
}

// next does what is to be done after a callback, the last of pending.
func (p *process) next() {
	if n := len(p.pending); n > 0 {
		f := p.pending[n-1]
		p.pending = p.pending[:n-1]
		f()
		return
	}
	p.end(Exited, "the end")
}

// enter goes to the entry point. It returns into kernel32.
func (p *process) enter() {
	c, entry := p.c, p.base+uint64(p.f.EntryPoint)
	k := p.library("kernel32.dll")
	back := p.function(k, "ExitThread")
	c.R[emulate.RAX], c.R[emulate.RBX], c.R[emulate.RCX], c.R[emulate.RDX] = entry, p.peb, 0, entry
	c.R[emulate.RBP] = c.R[emulate.RSP] + 0x10
	if p.f.Characteristics&0x2000 != 0 { // a DLL: it is told that it was loaded
		p.pending = append(p.pending, func() { p.end(Exited, "the entry point returned") })
		p.invoke(entry, p.base, 1, 0)
		return
	}
	if c.Long() {
		c.R[emulate.RCX] = p.peb
		p.push(0)
	}
	p.push(back)
	c.IP = entry
}

func (p *process) push(v uint64) {
	p.c.R[emulate.RSP] -= uint64(p.word)
	p.put(p.c.R[emulate.RSP], v)
}

// invoke calls a function of the program, which returns to the gate that goes on
// with what is pending.
func (p *process) invoke(f uint64, args ...uint64) {
	c := p.c
	if c.Long() {
		c.R[emulate.RSP] = c.R[emulate.RSP]&^15 - 0x40
		for i, r := range []int{emulate.RCX, emulate.RDX, 8, 9} {
			if i < len(args) {
				c.R[r] = args[i]
			}
		}
	} else {
		for i := len(args) - 1; i >= 0; i-- {
			p.push(args[i])
		}
	}
	p.push(p.function(p.modules[0], returned))
	c.IP = f
}

// environment writes the blocks of the thread and the process, and the lists of modules.
func (p *process) environment() {
	at := uint64(0x7ffd0000)
	p.m.Map(at, 0x10000, memory.Read|memory.Write)
	p.peb, p.teb = at+0x1000, at+0x2000
	ldr, params, tls := at+0x3000, at+0x4000, at+0x5000
	p.m.Map(0x7ffe0000, 0x1000, memory.Read) // what the kernel shares: the version is in it
	p.m.Write(0x7ffe0000+0x26c, []byte{6, 0, 0, 0, 1})
	w := uint64(p.word)
	end := uint64(stackBase + stackSize)
	l := layouts(w == 8)
	if w == 4 { // a thread has a frame of its own at the top of its stack
		p.put32(p.teb, uint32(end-0x40))
		p.put32(end-0x40, 0xffffffff)
		p.put(end-0x3c, p.function(p.modules[0], unhandled))
	}
	p.put(p.teb+w, end)
	p.put(p.teb+2*w, stackBase)
	p.put(p.teb+l.self, p.teb)
	p.put(p.teb+l.process, processID)
	p.put(p.teb+l.process+w, threadID)
	p.put(p.teb+l.tls, tls)
	p.put(tls, tls+0x100)
	p.put(p.teb+l.peb, p.peb)
	p.put(p.peb+l.image, p.base)
	p.put(p.peb+l.image+w, ldr)
	p.put(p.peb+l.image+2*w, params)
	p.put(p.peb+l.heap, p.heapAt)
	p.put32(p.peb+l.cpus, 1)
	p.put32(p.peb+l.version, 6)
	p.put32(p.peb+l.version+4, 1)
	p.put32(p.peb+l.version+8, 7601)
	p.m.Write(params+0x800, utf16(programPath))
	p.unicode(params+l.path, params+0x800, programPath)
	p.unicode(params+l.path+2*w, params+0x800, programPath)
	p.lists(ldr, at+0x6000)
}

// layout is where fields are that differ between 32 and 64 bits.
type layout struct{ self, process, tls, peb, image, heap, cpus, version, path uint64 }

func layouts(long bool) layout {
	if long {
		return layout{0x30, 0x40, 0x58, 0x60, 0x10, 0x30, 0xb8, 0x118, 0x60}
	}
	return layout{0x18, 0x20, 0x2c, 0x30, 0x08, 0x18, 0x64, 0xa4, 0x38}
}

const (
	programPath = `C:\Users\user\Desktop\program.exe`
	processID   = 0x6a4
	threadID    = 0x6a8
)

// unicode writes a UNICODE_STRING.
func (p *process) unicode(at, text uint64, s string) {
	p.put16(at, uint16(2*len(s)))
	p.put16(at+2, uint16(2*len(s)+2))
	p.put(at+uint64(p.word), text)
}

// lists writes the loader's three lists of modules (LDR_DATA_TABLE_ENTRY): in the order of
// loading, in memory and of initialisation, which does not have the program.
func (p *process) lists(ldr, at uint64) {
	w := uint64(p.word)
	p.put32(ldr, 0x30)
	p.put32(ldr+4, 1)
	heads := [3]uint64{ldr + 0xc, ldr + 0x14, ldr + 0x1c}
	if w == 8 {
		heads = [3]uint64{ldr + 0x10, ldr + 0x20, ldr + 0x30}
	}
	mods := append([]*module{{name: "program.exe", base: p.base, size: p.size}}, p.modules...)
	var entries []uint64
	for i, m := range mods {
		e := at + uint64(i)*0x400
		entries = append(entries, e)
		path := `C:\Windows\System32\` + m.name
		if i == 0 {
			path = programPath
			p.put(e+7*w, p.base+uint64(p.f.EntryPoint))
		}
		p.put(e+6*w, m.base)
		p.put(e+8*w, m.size)
		p.m.Write(e+0x100, utf16(path))
		p.unicode(e+9*w, e+0x100, path)
		p.unicode(e+11*w, e+0x100+2*uint64(strings.LastIndexByte(path, '\\')+1), m.name)
	}
	for k, head := range heads {
		list := entries
		if k == 2 {
			list = entries[1:]
		}
		last := head
		for _, e := range list {
			link := e + uint64(k)*2*w
			p.put(last, link)
			p.put(link+w, last)
			last = link
		}
		p.put(last, head)
		p.put(head+w, last)
	}
}
