// Package windows runs PE files in an emulated process of Windows, far enough that
// a program that unpacks itself does so: the loader's work is done, the lists
// that programs walk are there, and so are the functions that unpackers call. What is
// not known of a call, an instruction or an exception ends the run. Nothing of the
// machine is reached.
//
//	load     image at its base, imports bound, callbacks of TLS, then the entry point
//	run      until instructions run that were written: what is in memory then is kept
//	         as a PE file, and it goes on, as one packer may lie over another
//	end      when the program itself is reached: it calls what no unpacker calls,
//	         it ends, or it has taken its steps
//
// Sources: Microsoft, "PE Format", the headers winternl.h and winnt.h, and the
// documentation of the functions.
package windows

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/binary/pe"
	"github.com/showcause/showcause/internal/emulate"
	"github.com/showcause/showcause/internal/emulate/memory"
)

var le = binary.LittleEndian

// Options bound a run. The zero value works.
type Options struct {
	Steps  int64 // instructions and what costs as much; default 100,000,000
	After  int64 // steps once written code was reached; default 20,000,000
	Memory int64 // bytes; default 96 MiB
	// Work is charged for steps, in pieces, and stops the run where it is false. May be nil.
	Work func(steps int64) bool
}

// End is why a run ended.
type End uint8

// The ends.
const (
	Unloaded End = iota // the file cannot be loaded
	Exited              // the program ended, or called what no unpacker calls
	Stuck               // an exception that nobody handles: also what is not emulated
	Spent               // the steps or the memory are used up
	Refused             // Options.Work was false
)

// Image is what was in memory.
type Image struct {
	Bytes []byte
	PE    bool // a PE file made of the image of the program; else memory that it asked for
}

// Result is what came of a run.
type Result struct {
	End    End
	Images []Image // in the order in which they came about, no two the same
	// Reached says that something was unpacked: code ran that was written, and it ran in
	// another section than that which wrote it, or the program's own code was reached.
	Reached bool
	// Wrote says that code ran that was written, wherever.
	Wrote bool
	Steps int64
	Last  string // what ended it, for people
}

const (
	maxImages   = 12
	maxDumped   = 128 << 20 // bytes of all images
	slice       = 1 << 20   // steps between two questions for Work
	maxImage    = 128 << 20
	fileBytes   = 256 << 20
	stackSize   = 1 << 20
	stackBase   = 0x00030000
	heapLow     = 0x00140000
	smallHeap   = 0x02000000
	maxUnwound  = 64 // exceptions whose handlers run, in each other
	callCost    = 50
	raiseCost   = 400
	maxCallback = 16
)

// process is the process that the program runs in.
type process struct {
	c    *emulate.CPU
	m    *memory.Memory
	o    Options
	f    *pe.File
	src  showcause.Source
	head []byte // its DOS header
	at   int64  // where the program reads its own file
	base uint64
	size uint64
	word uint8 // bytes of an address

	modules  []*module
	gates    []gate // what the stubs of functions stand for, by number
	named    map[string]uint32
	teb, peb uint64
	heapAt   uint64
	heapEnd  uint64
	blocks   map[uint64]uint64 // of the heap: sizes
	tls      []uint64
	tlsUsed  int
	filter   uint64   // SetUnhandledExceptionFilter
	vectored []uint64 // AddVectoredExceptionHandler
	handlers []handling
	asked    map[uint64]bool // stretches that the program asked for
	pending  []func()        // what runs when a callback returns

	sections []span // of the image
	out      *Result
	seen     map[[sha256.Size]byte]bool
	dumped   int
	apis     map[string]api
	kept     map[uint64]uint64 // the image as it was kept last: sums of its written pages
	keeps    int
	debug    [6]uint64 // the debug registers, as handlers of exceptions set them
	deadline int64
	done     bool
}

// span is a section of the image, in memory.
type span struct {
	start, end uint64
	flags      uint32
}

// Run loads and runs a PE file.
func Run(src showcause.Source, o Options) *Result {
	o.Steps, o.After, o.Memory = cmp.Or(o.Steps, 100_000_000), cmp.Or(o.After, 20_000_000), cmp.Or(o.Memory, 96<<20)
	p := &process{o: o, out: &Result{}, named: map[string]uint32{}, blocks: map[uint64]uint64{}, asked: map[uint64]bool{}, seen: map[[sha256.Size]byte]bool{}, apis: functions()}
	if !p.load(src) {
		return p.out
	}
	p.start()
	p.loop()
	p.keep(p.c.IP, true)
	p.out.Steps = p.c.Steps
	return p.out
}

// end ends the run.
func (p *process) end(e End, why string) {
	if !p.done {
		p.done, p.out.End, p.out.Last = true, e, why
	}
}

func (p *process) loop() {
	p.deadline = p.o.Steps
	charged := int64(0)
	for !p.done {
		t := p.c.Run(min(p.deadline, charged+slice))
		if t.Vector == emulate.Limit || p.c.Steps >= charged+slice {
			n := p.c.Steps - charged
			charged = p.c.Steps
			if p.o.Work != nil && !p.o.Work(n) {
				p.end(Refused, "work")
				return
			}
		}
		switch {
		case p.m.Full():
			p.end(Spent, "memory")
		case p.c.Steps >= p.deadline:
			p.end(Spent, "steps")
		case t.Vector == emulate.Limit, t.Vector == emulate.Asked:
		case t.Vector == emulate.Interrupt && t.Addr == gateVector && !p.c.Long(), t.Vector == emulate.Syscall && p.c.Long():
			p.call(uint32(p.c.R[emulate.RAX]))
		default:
			p.raise(t)
		}
	}
}

// fresh is asked when written code is to run.
func (p *process) fresh(addr uint64) bool {
	p.out.Wrote = true
	from, to := p.section(p.c.From), p.section(addr)
	if to < 0 || to == from {
		return false
	}
	if !p.out.Reached {
		p.out.Reached = true
		p.deadline = min(p.deadline, p.c.Steps+p.o.After)
	}
	p.keep(addr, false)
	return false
}

// section is the index of the section of an address, -1 for none: what is between
// sections is of the one before it.
func (p *process) section(addr uint64) int {
	for i, s := range p.sections {
		if addr >= s.start && addr < s.end {
			return i
		}
	}
	return -1
}

// word32 reads four bytes; what is not mapped is zero.
func (p *process) word32(addr uint64) uint32 {
	var b [4]byte
	p.m.Read(addr, b[:])
	return le.Uint32(b[:])
}

// pointer reads an address.
func (p *process) pointer(addr uint64) uint64 {
	var b [8]byte
	p.m.Read(addr, b[:p.word])
	return le.Uint64(b[:])
}

func (p *process) put(addr, v uint64) {
	var b [8]byte
	le.PutUint64(b[:], v)
	p.m.Write(addr, b[:p.word])
}

func (p *process) put32(addr uint64, v uint32) {
	p.m.Write(addr, le.AppendUint32(nil, v))
}

func (p *process) put16(addr uint64, v uint16) {
	p.m.Write(addr, le.AppendUint16(nil, v))
}

const maxText = 1024

// text reads a string that ends with a zero.
func (p *process) text(addr uint64) string {
	if addr == 0 {
		return ""
	}
	b := make([]byte, maxText)
	b = b[:p.m.Read(addr, b)]
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}

// wide reads a string of UTF-16 units that ends with a zero, the low bytes of them.
func (p *process) wide(addr uint64) string {
	b := make([]byte, 2*maxText)
	b = b[:p.m.Read(addr, b)&^1]
	var out []byte
	for i := 0; i < len(b) && (b[i] != 0 || b[i+1] != 0); i += 2 {
		out = append(out, b[i])
	}
	return string(out)
}

// utf16 makes of ASCII the bytes of UTF-16, with a zero behind.
func utf16(s string) []byte {
	b := make([]byte, 2*len(s)+2)
	for i := range len(s) {
		b[2*i] = s[i]
	}
	return b
}
