package engine

import (
	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
)

// Headers fills in what the headers of a PE file say: all of them if full, or else
// only their size, which is all that ClamAV tells a program that no hook runs. What
// is not there stays as it is.
func (e *Exe) Headers(src showcause.Source, full bool) {
	const signature, file, entry = 4, 24, 40
	dos, _ := bound.ReadAt(src, 0, 64, 64)
	if len(dos) < 64 {
		return
	}
	at := int64(le.Uint32(dos[60:]))
	h, _ := bound.ReadAt(src, at, file, file)
	if len(h) < file || string(h[:signature]) != "PE\x00\x00" {
		return
	}
	size := int64(le.Uint16(h[20:]))
	opt, _ := bound.ReadAt(src, at+file, 240, 240)
	fixed := 96
	if len(opt) >= 2 && le.Uint16(opt) == 0x20b {
		fixed = 112
	}
	if len(opt) < fixed {
		return
	}
	e.HeaderSize = roundUp(le.Uint32(opt[60:]), le.Uint32(opt[32:]))
	table, _ := bound.ReadAt(src, at+file+size, int64(entry*len(e.Sections)), int64(entry*len(e.Sections)))
	for i := range e.Sections {
		if len(table) < (i+1)*entry {
			break
		}
		t, s := table[i*entry:], &e.Sections[i]
		s.StatedVirtual, s.StatedRVA, s.StatedSize, s.StatedRaw = le.Uint32(t[8:]), le.Uint32(t[12:]), le.Uint32(t[16:]), le.Uint32(t[20:])
		s.Flags = le.Uint32(t[36:])
	}
	if !full {
		return
	}
	e.NewHeader, e.File = uint32(at), h
	dirs := min(int(min(le.Uint32(opt[fixed-4:]), 16))*8, len(opt)-fixed)
	e.Directories = opt[fixed : fixed+dirs]
	if fixed == 96 {
		e.Optional32 = opt[:fixed]
	} else {
		e.Optional64 = opt[:fixed]
	}
}

func roundUp(v, a uint32) uint32 {
	if a == 0 || v%a == 0 {
		return v
	}
	return (v/a + 1) * a
}
