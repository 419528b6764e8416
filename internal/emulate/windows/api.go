package windows

import (
	"bytes"
	"strings"

	"github.com/showcause/showcause/internal/emulate"
	"github.com/showcause/showcause/internal/emulate/memory"
)

// api is a function that unpackers call: how many arguments it takes from the stack,
// and what it does. Where do is nil it returns value. A negative count is that of a
// function that leaves its arguments (cdecl).
type api struct {
	args  int
	do    func(p *process, a []uint64) uint64
	value uint64
	in    string // modules that export it; kernel32 if empty
}

func (a api) modules() string {
	if a.in == "" {
		return "kernel32 kernelbase"
	}
	return a.in
}

const (
	one       = 1
	minusOne  = ^uint64(0)
	pseudo    = minusOne // the handle of this process
	badHandle = minusOne
	ticks     = 10_000_000 // at the start
)

// call does what a function does, and returns from it.
func (p *process) call(number uint32) {
	p.c.Steps += callCost
	if int(number) >= len(p.gates) {
		p.raise(emulate.Trap{Vector: emulate.Protection})
		return
	}
	g := p.gates[number]
	switch g.name {
	case returned:
		p.next()
		return
	case handled, handledAll:
		p.resume(g.name == handledAll)
		return
	}
	if !g.known {
		if from := p.section(p.pointer(p.c.R[emulate.RSP])); from >= 0 && from != p.section(p.base+uint64(p.f.EntryPoint)) && p.out.Wrote {
			p.out.Reached = true // it is the program that calls, and no stub
		}
		p.end(Exited, g.module+"!"+g.name)
		return
	}
	n := max(g.api.args, -g.api.args)
	args := p.arguments(n)
	v := g.api.value
	sp := p.c.R[emulate.RSP]
	if g.api.do != nil {
		v = g.api.do(p, args)
	}
	if p.done || p.c.R[emulate.RSP] != sp {
		return // it goes on elsewhere
	}
	if p.word == 4 {
		v &= 1<<32 - 1
	}
	p.c.R[emulate.RAX] = v
	p.c.R[emulate.RCX], p.c.R[emulate.RDX] = 0, 0
	p.c.IP = p.pointer(sp)
	p.c.R[emulate.RSP] += uint64(p.word)
	if p.word == 4 && g.api.args > 0 {
		p.c.R[emulate.RSP] += uint64(4 * n)
	}
}

// arguments are those of the function that is called.
func (p *process) arguments(n int) []uint64 {
	a := make([]uint64, n)
	for i := range a {
		if p.word == 8 && i < 4 {
			a[i] = p.c.R[[...]int{emulate.RCX, emulate.RDX, 8, 9}[i]]
		} else {
			a[i] = p.pointer(p.c.R[emulate.RSP] + uint64(i+1)*uint64(p.word))
		}
	}
	return a
}

// str reads a string of either kind.
func str(p *process, a uint64, wide bool) string {
	if wide {
		return p.wide(a)
	}
	return p.text(a)
}

func loadLibrary(wide bool) func(*process, []uint64) uint64 {
	return func(p *process, a []uint64) uint64 {
		if m := p.library(str(p, a[0], wide)); m != nil {
			return m.base
		}
		return 0
	}
}

func moduleHandle(wide bool) func(*process, []uint64) uint64 {
	return func(p *process, a []uint64) uint64 {
		if a[0] == 0 {
			return p.base
		}
		name := strings.ToLower(str(p, a[0], wide))
		if !strings.Contains(name, ".") {
			name += ".dll"
		}
		for _, m := range p.modules {
			if m.name == name {
				return m.base
			}
		}
		return 0
	}
}

// moduleFile writes the path of the program.
func moduleFile(wide bool) func(*process, []uint64) uint64 {
	return func(p *process, a []uint64) uint64 {
		b := append([]byte(programPath), 0)
		if wide {
			b = utf16(programPath)
		}
		if n := uint64(len(b)); a[2] < n {
			b = b[:a[2]]
		}
		p.m.Write(a[1], b)
		return uint64(len(programPath))
	}
}

// noAccess tells whether a protection constant of Windows allows nothing (PAGE_NOACCESS). Others
// allow all here.
func noAccess(protect uint64) bool { return protect&0xff == 1 }

func virtualAlloc(p *process, a []uint64) uint64 {
	at, size, kind, protect := a[0], a[1], a[2], a[3]
	if at != 0 {
		if s, ok := p.m.Find(at); ok { // what was reserved is committed
			if at+size <= s.End() {
				return at &^ (memory.PageSize - 1)
			}
			return 0
		}
	}
	if size == 0 || size > maxImage || kind&0x3000 == 0 {
		return 0
	}
	if at &^= 0xffff; at == 0 {
		at = p.m.Free(0x00400000, 1<<31-1<<24, size)
	}
	if at == 0 || !p.m.Map(at, size, all) {
		return 0
	}
	if noAccess(protect) {
		p.m.Protect(at, size, 0)
	}
	p.asked[at] = true
	return at
}

func virtualFree(p *process, a []uint64) uint64 {
	if s, ok := p.m.Find(a[0]); ok && p.asked[s.Start] && a[2]&0x8000 != 0 && s.Start == a[0] {
		p.keepMemory(s)
		delete(p.asked, s.Start)
		p.m.Unmap(s.Start)
	}
	return one
}

func virtualProtect(p *process, a []uint64) uint64 {
	u := all
	if noAccess(a[2]) {
		u = 0
	}
	old, ok := p.m.Protect(a[0], a[1], u)
	if !ok {
		return 0
	}
	v := uint32(0x40)
	if old == 0 {
		v = 1
	}
	p.put32(a[3], v)
	return one
}

// virtualQuery writes a MEMORY_BASIC_INFORMATION.
func virtualQuery(p *process, a []uint64) uint64 {
	at, w := a[1], uint64(p.word)
	s, ok := p.m.Find(a[0])
	if !ok {
		return 0
	}
	page := a[0] &^ (memory.PageSize - 1)
	p.put(at, page)
	p.put(at+w, s.Start)
	p.put32(at+2*w, 0x40)
	p.put(at+3*w, s.End()-page)
	p.put32(at+4*w, 0x1000)
	p.put32(at+4*w+4, 0x40)
	kind := uint32(0x20000)
	if p.section(s.Start) >= 0 || p.moduleAt(s.Start) != nil {
		kind = 0x1000000
	}
	p.put32(at+4*w+8, kind)
	return 4*w + 12
}

// alloc gives memory of the heap; what is large is mapped by itself.
func (p *process) alloc(n uint64) uint64 {
	n = (n + 31) &^ 15
	if n > 1<<20 {
		return virtualAlloc(p, []uint64{0, n, 0x1000, 4})
	}
	if p.heapAt+0x1000+n > p.heapEnd {
		return 0
	}
	at := p.heapEnd - n
	p.heapEnd = at
	p.blocks[at] = n
	return at
}

func realloc(p *process, at, n uint64) uint64 {
	to := p.alloc(n)
	if to != 0 && at != 0 {
		p.move(to, at, min(p.blocks[at], n))
	}
	return to
}

// copyPiece is how much is copied or filled at once.
const copyPiece = 64 << 10

// pieces does something to n bytes at an address, piece by piece, as long as all of a piece
// could be done and there are steps left.
func (p *process) pieces(to, n uint64, do func(at, off, k uint64) int) uint64 {
	for off := uint64(0); off < n && p.c.Steps < p.deadline; {
		k := min(n-off, copyPiece)
		p.c.Steps += int64(k/8) + 1
		if do(to+off, off, k) < int(k) {
			break
		}
		off += k
	}
	return to
}

// move copies, also where both overlap.
func (p *process) move(to, from, n uint64) uint64 {
	if to > from && to-from < n { // from the end
		for end := n; end > 0 && p.c.Steps < p.deadline; {
			k := min(end, copyPiece)
			end -= k
			p.pieces(to+end, k, func(at, _, k uint64) int { return p.moveOne(at, from+end, k) })
		}
		return to
	}
	return p.pieces(to, n, func(at, off, k uint64) int { return p.moveOne(at, from+off, k) })
}

func (p *process) moveOne(to, from, n uint64) int {
	b := make([]byte, n)
	return p.m.Write(to, b[:p.m.Read(from, b)])
}

func (p *process) fill(to, n uint64, v byte) uint64 {
	b := bytes.Repeat([]byte{v}, int(min(n, copyPiece)))
	return p.pieces(to, n, func(at, _, k uint64) int { return p.m.Write(at, b[:k]) })
}

// milliseconds is what the clock says: it runs with the steps.
func (p *process) milliseconds() uint64 { return ticks + uint64(p.c.Steps)/200_000 }

func counter(p *process, a []uint64) uint64 {
	var b [8]byte
	le.PutUint64(b[:], uint64(p.c.Steps)/50+1<<32)
	p.m.Write(a[0], b[:])
	return one
}

// fileTime writes the time as it is on the day of Windows 7's service pack.
func fileTime(p *process, a []uint64) uint64 {
	var b [8]byte
	le.PutUint64(b[:], 129_428_928_000_000_000+uint64(p.c.Steps)/20)
	p.m.Write(a[0], b[:])
	return 0
}

func systemTime(p *process, a []uint64) uint64 {
	for i, v := range []uint16{2011, 2, 2, 22, 12, 0, 0, uint16(p.milliseconds() % 1000)} {
		p.put16(a[0]+2*uint64(i), v)
	}
	return 0
}

func version(p *process, a []uint64) uint64 {
	for i, v := range []uint32{6, 1, 7601, 2} {
		p.put32(a[0]+4+4*uint64(i), v)
	}
	return one
}

func systemInfo(p *process, a []uint64) uint64 {
	w := uint64(p.word)
	p.put32(a[0], 0)
	p.put32(a[0]+4, memory.PageSize)
	p.put(a[0]+8, 0x10000)
	p.put(a[0]+8+w, 0x7ffeffff)
	p.put(a[0]+8+2*w, 1)
	p.put32(a[0]+8+3*w, 1)
	p.put32(a[0]+16+3*w, 0x10000)
	return 0
}

// queryProcess answers what debuggers are asked for: nobody is there.
func queryProcess(p *process, a []uint64) uint64 {
	p.put(a[2], 0)
	if a[4] != 0 {
		p.put32(a[4], uint32(p.word))
	}
	if a[1] == 0x1e { // ProcessDebugObjectHandle
		return 0xc0000353
	}
	return 0
}

func ntAllocate(p *process, a []uint64) uint64 {
	at := virtualAlloc(p, []uint64{p.pointer(a[1]), p.pointer(a[3]), a[4], a[5]})
	if at == 0 {
		return 0xc0000017
	}
	p.put(a[1], at)
	p.put(a[3], memory.Pages(p.pointer(a[3])))
	return 0
}

func ntProtect(p *process, a []uint64) uint64 {
	if virtualProtect(p, []uint64{p.pointer(a[1]), p.pointer(a[2]), a[3], a[4]}) == 0 {
		return 0xc0000045
	}
	return 0
}

func exits(p *process, _ []uint64) uint64 {
	p.end(Exited, "exit")
	return 0
}

func interlocked(f func(old, v uint64) (stored, said uint64)) func(*process, []uint64) uint64 {
	return func(p *process, a []uint64) uint64 {
		v := uint64(0)
		if len(a) > 1 {
			v = a[1]
		}
		s, r := f(uint64(p.word32(a[0])), v)
		p.put32(a[0], uint32(s))
		return r
	}
}

func tlsSlot(p *process, i uint64) *uint64 {
	if p.tls == nil {
		p.tls = make([]uint64, 64)
	}
	return &p.tls[i%64]
}

func compareText(fold bool) func(*process, []uint64) uint64 {
	return func(p *process, a []uint64) uint64 {
		x, y := p.text(a[0]), p.text(a[1])
		if fold {
			x, y = strings.ToLower(x), strings.ToLower(y)
		}
		return uint64(int64(strings.Compare(x, y)))
	}
}

func copyText(p *process, a []uint64) uint64 {
	p.m.Write(a[0], append([]byte(p.text(a[1])), 0))
	return a[0]
}
