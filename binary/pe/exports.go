package pe

import "math"

const (
	maxExports4 = 8192
	maxExportsX = 16384
)

// Exports is the export directory.
type Exports struct {
	DLL       string // the name that the file gives itself
	Named     bool   // whether it does
	Timestamp uint32
	Functions []Export
}

// Export is an exported function.
type Export struct {
	Name      string
	Named     bool
	Ordinal   uint32
	RVA       uint32
	Offset    int64 // in the file, where Placed
	Placed    bool
	Forward   string // the function of another DLL that it stands for, where Forwarded
	Forwarded bool
}

// exportDirectory is the directory as it stands (IMAGE_EXPORT_DIRECTORY).
type exportDirectory struct {
	name, base, functions, names, functionsAt, namesAt, ordinalsAt uint32
}

// Exports are the exported functions, nil if there is no export directory.
func (f *File) Exports() *Exports {
	if !f.exported {
		f.exported = true
		f.exports = f.readExports()
	}
	return f.exports
}

func (f *File) readExports() *Exports {
	off, n, ok := f.directory(DirExport)
	if !ok || n < 40 {
		return nil
	}
	b := f.bytes(off, 40)
	if b == nil {
		return nil
	}
	d := exportDirectory{
		le.Uint32(b[12:]), le.Uint32(b[16:]), le.Uint32(b[20:]), le.Uint32(b[24:]),
		le.Uint32(b[28:]), le.Uint32(b[32:]), le.Uint32(b[36:]),
	}
	e := &Exports{Timestamp: le.Uint32(b[4:])}
	if f.o.Reading == YARA4 {
		f.exports4(e, d, off)
	} else {
		f.exportsX(e, d)
	}
	return e
}

// tableAt is a table of n entries of width bytes at an address: its offset, and
// whether all of it is in the file.
func (f *File) tableAt(rva uint32, n, width int64) (int64, bool) {
	off, ok := f.Offset(uint64(rva))
	return off, ok && off <= f.size && n*width <= f.size-off
}

// exports4 reads the functions as YARA 4 does: nothing if one table is not whole.
func (f *File) exports4(e *Exports, d exportDirectory, start int64) {
	dir, _ := f.Directory(DirExport)
	n := int64(min(d.functions, maxExports4))
	if off, ok := f.Offset(uint64(d.name)); ok && off > 0 {
		e.DLL, _ = f.cstring(off, maxString)
		e.Named = true
		if n*4 > f.size-off {
			return
		}
	}
	var names int64
	if d.names > 0 {
		off, ok := f.tableAt(d.namesAt, int64(d.names), 4)
		if !ok {
			return
		}
		names = off
	}
	ordinals, ok1 := f.tableAt(d.ordinalsAt, n, 2)
	functions, ok2 := f.tableAt(d.functionsAt, n, 4)
	if !ok1 || !ok2 {
		return
	}
	index := f.nameIndex(ordinals, min(int64(d.names), n))
	for i := range n {
		rva, ok := f.u32(functions + i*4)
		if !ok || !f.step(1) {
			return
		}
		x := Export{Ordinal: d.base + uint32(i), RVA: rva}
		off, ok := f.Offset(uint64(rva))
		if ok && off > start && off < start+int64(dir.Size) {
			x.Forward, _ = f.cstring(off, maxName4)
			x.Forwarded = true
		} else {
			x.Offset, x.Placed = off, ok
		}
		if j, ok := index[uint16(i)]; ok && d.names > 0 {
			at, _ := f.u32(names + j*4)
			if off, ok := f.Offset(uint64(at)); ok && off > 0 {
				x.Name, _ = f.cstring(off, maxName4)
				x.Named = true
			}
		}
		e.Functions = append(e.Functions, x)
	}
}

// nameIndex says of each function which name it has, the first of several.
func (f *File) nameIndex(ordinals, n int64) map[uint16]int64 {
	index := map[uint16]int64{}
	for j := range n {
		b := f.bytes(ordinals+j*2, 2)
		if b == nil || !f.step(1) {
			break
		}
		if _, ok := index[le.Uint16(b)]; !ok {
			index[le.Uint16(b)] = j
		}
	}
	return index
}

// exportsX reads the functions as YARA-X does: what is there of each table.
func (f *File) exportsX(e *Exports, d exportDirectory) {
	dir, _ := f.Directory(DirExport)
	e.DLL, e.Named = f.libraryX(d.name)
	n, names := int64(min(d.functions, maxExportsX)), int64(min(d.names, maxExportsX))
	namesAt, whole := f.tableAt(d.namesAt, names, 4)
	var index map[uint16]int64
	if ordinals, ok := f.Offset(uint64(d.ordinalsAt)); ok && whole {
		index = f.nameIndex(ordinals, names)
	}
	functions, ok := f.Offset(uint64(d.functionsAt))
	if !ok {
		return
	}
	for i := range n {
		rva, ok := f.u32(functions + i*4)
		if !ok || !f.step(1) {
			return
		}
		if uint64(d.base)+uint64(i) > math.MaxUint32 {
			continue
		}
		x := Export{Ordinal: d.base + uint32(i), RVA: rva}
		if rva >= dir.Address && uint64(rva) < min(uint64(dir.Address)+uint64(dir.Size), math.MaxUint32) {
			x.Forward, x.Forwarded = f.textAt(rva)
		} else {
			x.Offset, x.Placed = f.Offset(uint64(rva))
		}
		if j, ok := index[uint16(i)]; ok {
			if at, ok := f.u32(namesAt + j*4); ok {
				x.Name, x.Named = f.textAt(at)
			}
		}
		e.Functions = append(e.Functions, x)
	}
}
