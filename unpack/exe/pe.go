package exe

import (
	"encoding/binary"
	"math"
)

var le = binary.LittleEndian

// peSections is the most sections that ClamAV reads, the bound of Windows XP.
// Newer systems run files with more.
const peSections = 96

// pe is a PE file as it is read (Microsoft, "PE Format").
type pe struct {
	Info
	f           file
	header      uint32 // size of the headers, rounded up to the section alignment
	lfanew      int64
	entryRVA    uint32
	dirs        [16]directory
	ndirs       uint32
	native, dll bool
}

type directory struct{ rva, size uint32 }

// down and up round to a multiple of a, in the 32 bits that ClamAV rounds in.
func down(v, a uint32) uint32 {
	if a == 0 {
		return v
	}
	return v / a * a
}

func up(v, a uint32) uint32 {
	if a == 0 {
		return v
	}
	n := v / a
	if v%a != 0 {
		n++
	}
	return n * a
}

// parsePE reads the headers, nil where ClamAV gives up.
func parsePE(f file) *pe { return readPE(f, true) }

// readPE reads the headers. Where it is not strict it reads on where ClamAV
// gives up and Windows may not: of too many sections the first, and those
// whose header is there, and with an entry point that is nowhere.
func readPE(f file, strict bool) *pe {
	b := f.read(0, 64)
	if b == nil || (string(b[:2]) != "MZ" && string(b[:2]) != "ZM") {
		return nil
	}
	p := &pe{f: f, lfanew: int64(le.Uint32(b[60:]))}
	p.Kind, p.Bits = PE, 32
	h := f.read(p.lfanew, 24)
	if p.lfanew == 0 || h == nil || string(h[:4]) != "PE\x00\x00" {
		return nil
	}
	n := int(le.Uint16(h[6:]))
	if strict && (n == 0 || n > peSections) {
		return nil
	}
	n = min(n, peSections)
	p.dll = le.Uint16(h[22:])&0x2000 != 0
	at, salign, falign := p.optional(p.lfanew+24, int64(le.Uint16(h[20:])))
	if at < 0 {
		return nil
	}
	table := f.upTo(at, int64(n)*40)
	if ok := p.sections(table, salign, falign) && len(table) == n*40; strict && !ok {
		return nil
	}
	ep, ok := p.raw(p.entryRVA)
	if strict && !ok {
		return nil
	}
	p.Entry = int64(ep)
	p.image(at + int64(len(table)))
	return p
}

// optional reads the optional header and returns where the section table
// starts, -1 where ClamAV gives up, and the two alignments.
func (p *pe) optional(at, size int64) (table int64, salign, falign uint32) {
	fixed := int64(96)
	h := p.f.read(at, fixed)
	if size < fixed || h == nil {
		return -1, 0, 0
	}
	if le.Uint16(h) == 0x20b {
		p.PE64, p.Bits, fixed = true, 64, 112
		if h = p.f.read(at, fixed); size < fixed || h == nil {
			return -1, 0, 0
		}
	}
	p.entryRVA = le.Uint32(h[16:])
	salign, falign = le.Uint32(h[32:]), le.Uint32(h[36:])
	p.native = le.Uint16(h[68:]) == 1
	p.ndirs = min(le.Uint32(h[fixed-4:]), 16)
	p.header = up(le.Uint32(h[60:]), salign)
	if size < fixed+8*int64(p.ndirs) {
		return -1, 0, 0
	}
	if p.ndirs > 0 {
		d := p.f.read(at+fixed, 8*int64(p.ndirs))
		if d == nil {
			return -1, 0, 0
		}
		for i := range p.ndirs {
			p.dirs[i] = directory{le.Uint32(d[8*i:]), le.Uint32(d[8*i+4:])}
		}
	}
	return at + size, salign, falign
}

// sections reads the section table. ClamAV rounds a section's start down and
// its length up to the file alignment, and falls back to an alignment of 512
// for all if one section does not stand at a multiple of the file's own; then
// it cuts what lies beyond the file. It tells whether ClamAV reads on; where it
// does not, the sections that it refuses have a name and nothing more.
func (p *pe) sections(table []byte, salign, falign uint32) bool {
	ok := true
	if falign != 0x200 {
		for t := table; len(t) >= 40; t = t[40:] {
			at := le.Uint32(t[20:])
			if falign != 0 && le.Uint32(t[16:]) != 0 && at%falign != 0 && at%0x200 == 0 {
				falign = 0x200
			}
		}
	}
	fsize := uint64(p.f.src.Size())
	for t := table; len(t) >= 40; t = t[40:] {
		vsize, va, size, at, flags := le.Uint32(t[8:]), le.Uint32(t[12:]), le.Uint32(t[16:]), le.Uint32(t[20:]), le.Uint32(t[36:])
		raw, rsz := down(at, falign), up(size, falign)
		vsz := up(vsize, salign)
		if rsz != 0 {
			if uint64(raw) >= fsize || uint64(at) >= fsize {
				rsz, size = 0, 0
			} else {
				if uint64(raw)+uint64(rsz) > fsize {
					rsz = uint32(fsize - uint64(raw))
				}
				if uint64(at)+uint64(size) > fsize {
					size = uint32(fsize - uint64(at))
				}
			}
		}
		if vsz == 0 && rsz != 0 {
			vsz = up(size, salign)
		}
		if va>>31 != 0 || vsize>>31 != 0 || rsz != 0 && at>>31 != 0 || size>>31 != 0 {
			p.Sections, ok = append(p.Sections, Section{Name: cstring(t[:8])}), false
			continue
		}
		p.Sections = append(p.Sections, Section{
			Name: cstring(t[:8]), Offset: int64(raw), Size: int64(rsz), Virtual: uint64(down(va, salign)), VirtualSize: uint64(vsz),
			Exec: flags&0x20000020 != 0, Write: flags&0x80000000 != 0,
		})
	}
	return ok
}

// raw returns the file offset of an address relative to the image: in the
// headers the address itself, else in the last section that has it.
func (p *pe) raw(rva uint32) (uint32, bool) {
	if rva < p.header {
		return rva, int64(rva) < p.f.src.Size()
	}
	for i := len(p.Sections) - 1; i >= 0; i-- {
		s := &p.Sections[i]
		if v := uint32(s.Virtual); s.Size != 0 && v <= rva && uint32(s.Size) > rva-v {
			return rva - v + uint32(s.Offset), true
		}
	}
	return 0, false
}

// image works out where the image ends in the file.
func (p *pe) image(tableEnd int64) {
	end := tableEnd
	for i := range p.Sections {
		if s := &p.Sections[i]; s.Size > 0 {
			end = max(end, s.Offset+s.Size)
		}
	}
	p.Overlay = p.f.overlay(end)
}

// section returns the first section with the given name.
func (p *pe) section(name string) *Section {
	for i := range p.Sections {
		if p.Sections[i].Name == name {
			return &p.Sections[i]
		}
	}
	return nil
}

// noOffset is a file offset that nothing has.
const noOffset = math.MaxInt64
