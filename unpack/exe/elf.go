package exe

import (
	"encoding/binary"
	"slices"
)

// The bounds on ELF tables are ClamAV's.
const (
	elfSections = 256
	elfSegments = 128
)

// elf is where the parts of an ELF file stand (System V ABI, "Object Files").
type elf struct {
	wide               bool
	order              binary.ByteOrder
	entry, phoff       uint64
	shoff              uint64
	phnum, phentsize   int
	shnum, shentsize   int
	phEntry, shEntry   int // the sizes that entries of this class have
	programs, sections []byte
}

func (e *elf) word(b []byte, at32, at64 int) uint64 {
	if e.wide {
		return e.order.Uint64(b[at64:])
	}
	return uint64(e.order.Uint32(b[at32:]))
}

func readELF(f file) *elf {
	h := f.read(0, 52)
	if h == nil || string(h[:4]) != "\x7fELF" || h[4] != 1 && h[4] != 2 {
		return nil
	}
	e := &elf{wide: h[4] == 2, order: binary.BigEndian, phEntry: 32, shEntry: 40}
	if h[5] == 1 {
		e.order = binary.LittleEndian
	}
	tail := 40
	if e.wide {
		e.phEntry, e.shEntry, tail = 56, 64, 52
		if h = f.read(0, 64); h == nil {
			return nil
		}
	}
	e.entry, e.phoff, e.shoff = e.word(h, 24, 24), e.word(h, 28, 32), e.word(h, 32, 40)
	half := func(i int) int { return int(e.order.Uint16(h[tail+2*i:])) }
	e.phentsize, e.phnum, e.shentsize, e.shnum = half(1), half(2), half(3), half(4)
	return e
}

// table reads n entries at off, nil if the file does not have them all.
func (e *elf) table(f file, off uint64, n, size int) []byte {
	if off > 1<<62 {
		return nil
	}
	return f.read(int64(off), int64(n)*int64(size))
}

// parseELF reads the tables, nil where ClamAV gives up. Its offsets and sizes
// are 32 bits wide in files of either class.
func parseELF(f file) *Info {
	e := readELF(f)
	if e == nil || e.phnum > elfSegments {
		return nil
	}
	i := &Info{Kind: ELF, Bits: 32}
	if e.wide {
		i.Bits = 64
	}
	end := int64(0)
	if e.phnum > 0 && e.entry != 0 {
		if e.phentsize != e.phEntry {
			return nil
		}
		e.programs = e.table(f, e.phoff, e.phnum, e.phEntry)
		entry, ok := e.raw(e.entry)
		if !ok {
			return nil
		}
		i.Entry = int64(uint32(entry))
		end = e.segmentsEnd()
	}
	if e.shnum > elfSections || e.shentsize != e.shEntry {
		return nil
	}
	if e.shnum > 0 {
		if e.sections = e.table(f, e.shoff, e.shnum, e.shEntry); e.sections == nil {
			return nil
		}
		end = max(end, e.readSections(i), clampSum(e.shoff, uint64(len(e.sections))))
	}
	i.Overlay = -1
	if end > 0 {
		i.Overlay = f.overlay(end)
	}
	return i
}

// clampSum adds two lengths; what does not fit is as far as anything can be.
func clampSum(a, b uint64) int64 {
	if s := a + b; s >= a && s < 1<<62 {
		return int64(s)
	}
	return noOffset
}

// raw returns the file offset of an address in the first segment that has it.
func (e *elf) raw(v uint64) (uint64, bool) {
	for p := e.programs; len(p) >= e.phEntry; p = p[e.phEntry:] {
		off, addr, size := e.word(p, 4, 8), e.word(p, 8, 16), e.word(p, 20, 40)
		last := addr + size
		if !e.wide {
			last = uint64(uint32(last))
		}
		if addr <= v && last > v {
			return v - addr + off, true
		}
	}
	return 0, false
}

// segmentsEnd returns where the last loaded or named stretch ends in the file.
func (e *elf) segmentsEnd() int64 {
	end := clampSum(e.phoff, uint64(len(e.programs)))
	for p := e.programs; len(p) >= e.phEntry; p = p[e.phEntry:] {
		end = max(end, clampSum(e.word(p, 4, 8), e.word(p, 16, 32)))
	}
	return end
}

// readSections adds the sections and returns where the last ends in the file.
func (e *elf) readSections(i *Info) (end int64) {
	const noBits = 8
	i.Sections = slices.Grow(i.Sections, len(e.sections)/e.shEntry)
	for s := e.sections; len(s) >= e.shEntry; s = s[e.shEntry:] {
		kind, flags := e.order.Uint32(s[4:]), e.word(s, 8, 8)
		addr, off, size := e.word(s, 12, 16), e.word(s, 16, 24), e.word(s, 20, 32)
		i.Sections = append(i.Sections, Section{
			Offset: int64(uint32(off)), Size: int64(uint32(size)), Virtual: addr, VirtualSize: size,
			Exec: flags&4 != 0, Write: flags&1 != 0,
		})
		if kind != noBits && kind != 0 {
			end = max(end, clampSum(off, size))
		}
	}
	return end
}
