package windows

import (
	"slices"
	"strconv"
	"strings"

	"github.com/showcause/showcause/internal/emulate/memory"
)

// module is a library that is not there: an image with headers, a table of exports
// for those that walk through it, and a gate for each function.
type module struct {
	name       string // in lower case, with its extension
	base, size uint64
	gatesAt    uint64 // where the next gate is put
	gatesEnd   uint64
	functions  map[string]uint64
}

// gate is what a call of a stub is for.
type gate struct {
	module, name string
	api          api
	known        bool
}

const (
	gateVector  = 0x2e // the interrupt that a stub makes in 32 bits
	gateSize    = 16
	moduleSize  = 0x20000
	moduleGates = 0x10000 // bytes of gates that are made when they are asked for
	maxModules  = 64
	returned    = "\x00returned" // where callbacks return to
	handled     = "\x00handled"  // where handlers of exceptions do
	handledAll  = "\x00vectored"
	unhandled   = "\x00unhandled" // the handler of last resort
)

// stub is the code of a function: what a function starts with, then a trap with its number. A
// gate that the program returns to says in RDX what it returns.
func (p *process) stub(number uint32, back bool) []byte {
	n := []byte{byte(number), byte(number >> 8), byte(number >> 16), byte(number >> 24)}
	if back {
		trap := []byte{0xcd, gateVector}
		if p.word == 8 {
			trap = []byte{0x0f, 0x05}
		}
		return slices.Concat([]byte{0x89, 0xc2, 0xb8}, n, trap)
	}
	if p.word == 8 {
		return slices.Concat([]byte{0x4c, 0x8b, 0xd1, 0xb8}, n, []byte{0x0f, 0x05, 0xc3, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc})
	}
	return slices.Concat([]byte{0x8b, 0xff, 0x55, 0x8b, 0xec, 0x5d, 0xb8}, n, []byte{0xcd, gateVector, 0xc3, 0xcc, 0xcc})
}

// modulesAtStart are the modules that every process has, in the order of their lists.
func (p *process) modulesAtStart() {
	lists := map[string][]string{}
	for name, a := range p.apis {
		for _, m := range strings.Fields(a.modules()) {
			lists[m+".dll"] = append(lists[m+".dll"], name)
		}
	}
	lists["kernel32.dll"] = append(lists["kernel32.dll"], strings.Fields(exported)...)
	for _, name := range []string{"ntdll.dll", "kernel32.dll", "kernelbase.dll", "user32.dll", "advapi32.dll"} {
		names := lists[name]
		slices.Sort(names)
		p.addModule(name, names)
	}
	p.function(p.modules[0], returned)
	p.function(p.modules[0], handled)
	p.function(p.modules[0], handledAll)
}

// library returns a module by the name that a program has for it, made if it is new. It is
// nil where there are too many.
func (p *process) library(name string) *module {
	name = strings.ToLower(strings.TrimRight(name, " "))
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	if name == "" {
		return nil
	}
	if !strings.Contains(name, ".") {
		name += ".dll"
	}
	for _, m := range p.modules {
		if m.name == name {
			return m
		}
	}
	if len(p.modules) >= maxModules {
		return nil
	}
	return p.addModule(name, nil)
}

// addModule makes a module that exports functions. Their names are sorted.
func (p *process) addModule(name string, exports []string) *module {
	base := p.m.Free(0x75000000, 0x7ff00000, moduleSize)
	if base == 0 || !p.m.Map(base, moduleSize, memory.Read|memory.Write|memory.Exec) {
		return nil
	}
	m := &module{name: name, base: base, size: moduleSize, functions: map[string]uint64{}, gatesAt: base + moduleSize - moduleGates, gatesEnd: base + moduleSize}
	p.modules = append(p.modules, m)
	h := make([]byte, 0x200)
	copy(h, "MZ\x90\x00")
	le.PutUint32(h[0x3c:], 0x80)
	copy(h[0x80:], "PE\x00\x00")
	fixed, machine, optional := 96, uint16(0x14c), uint16(0x10b)
	if p.word == 8 {
		fixed, machine, optional = 112, 0x8664, 0x20b
	}
	le.PutUint16(h[0x84:], machine)
	le.PutUint16(h[0x86:], 1)
	le.PutUint16(h[0x94:], uint16(fixed)+128)
	le.PutUint16(h[0x96:], 0x2102)
	o := h[0x98:]
	le.PutUint16(o, optional)
	le.PutUint32(o[4:], moduleSize-0x1000)
	le.PutUint32(o[20:], 0x1000)
	if p.word == 8 {
		le.PutUint64(o[24:], base)
	} else {
		le.PutUint32(o[28:], uint32(base))
	}
	le.PutUint32(o[32:], 0x1000)
	le.PutUint32(o[36:], 0x200)
	le.PutUint32(o[56:], moduleSize)
	le.PutUint32(o[60:], 0x400)
	le.PutUint32(o[fixed-4:], 16)
	t := p.exportTable(m, exports)
	le.PutUint32(o[fixed:], 0x1000)
	le.PutUint32(o[fixed+4:], uint32(len(t)))
	s := h[0x98+fixed+128:]
	copy(s, ".text")
	le.PutUint32(s[8:], moduleSize-0x1000)
	le.PutUint32(s[12:], 0x1000)
	le.PutUint32(s[16:], moduleSize-0x1000)
	le.PutUint32(s[20:], 0x1000)
	le.PutUint32(s[36:], 0x60000020)
	p.m.Write(base, h)
	p.m.Write(base+0x1000, t)
	return m
}

// exportTable makes the table of exports, which is at 0x1000.
func (p *process) exportTable(m *module, exports []string) []byte {
	const at = 0x1000
	n := len(exports)
	t := make([]byte, 40+10*n)
	text := func(s string) uint32 {
		t = append(append(t, s...), 0)
		return uint32(at + len(t) - len(s) - 1)
	}
	for i, name := range exports {
		le.PutUint32(t[40+4*i:], uint32(p.function(m, name)-m.base))
		v := text(name)
		le.PutUint32(t[40+4*n+4*i:], v)
		le.PutUint16(t[40+8*n+2*i:], uint16(i))
	}
	v := text(m.name)
	for i, v := range []uint32{v, 1, uint32(n), uint32(n), at + 40, uint32(at + 40 + 4*n), uint32(at + 40 + 8*n)} {
		le.PutUint32(t[12+4*i:], v)
	}
	return t
}

func ordinal(n uint16) string { return "#" + strconv.Itoa(int(n)) }

// function returns the address of a function of a module, whatever its name: that it
// is not known is said when it is called. It is 0 where there are too many.
func (p *process) function(m *module, name string) uint64 {
	if a := m.functions[name]; a != 0 {
		return a
	}
	if m.gatesAt >= m.gatesEnd || name == "" {
		return 0
	}
	a, known := p.apis[name]
	number := uint32(len(p.gates))
	p.gates = append(p.gates, gate{m.name, name, a, known})
	at := m.gatesAt
	m.gatesAt += gateSize
	p.m.Write(at, p.stub(number, name[0] == 0 && name != unhandled))
	m.functions[name] = at
	return at
}

// moduleAt is the module that an address is the base of.
func (p *process) moduleAt(base uint64) *module {
	for _, m := range p.modules {
		if m.base == base {
			return m
		}
	}
	return nil
}

// procedure is what GetProcAddress says: 0 for what is not there. name is an address, or an
// ordinal.
func (p *process) procedure(base, name uint64) uint64 {
	m := p.moduleAt(base)
	if m == nil {
		return 0
	}
	if name < 1<<16 {
		return p.function(m, ordinal(uint16(name)))
	}
	return p.function(m, p.text(name))
}
