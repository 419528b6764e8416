// Package macho reads Mach-O files, thin and fat: headers, load commands, symbols,
// imports and exports, the code signature with its entitlements and certificates.
//
// A damaged file has more than one reading. YARA 4 and YARA-X differ in where they
// stop; Options says whose reading is wanted. Most of what is here only YARA-X asks
// for.
//
// Sources: Apple, "OS X ABI Mach-O File Format Reference"; the headers loader.h,
// fat.h, nlist.h, fixup-chains.h and cs_blobs.h as documented by Apple's open
// sources; libyara/modules/macho of YARA 4.5; lib/src/modules/macho of YARA-X 1.19.
package macho

import (
	"encoding/binary"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
)

// Bounds of what is kept of one file, all its architectures together. Files that a
// loader takes come nowhere near.
const (
	maxItems    = 1 << 17  // segments, sections, libraries, symbols ...
	maxText     = 16 << 20 // bytes of their names
	maxArchs    = 4096
	maxCommands = 1 << 16 // of one architecture
	maxName     = 64 << 10
)

// Magic numbers, as the first four bytes read from the left.
const (
	magic32    = 0xfeedface
	cigam32    = 0xcefaedfe
	magic64    = 0xfeedfacf
	cigam64    = 0xcffaedfe
	fatMagic   = 0xcafebabe
	fatCigam   = 0xbebafeca
	fatMagic64 = 0xcafebabf
	fatCigam64 = 0xbfbafeca
)

// Options say how a file is read.
type Options struct {
	X    bool                   // as YARA-X reads it, not YARA 4
	Work func(steps int64) bool // asked for every read; nil: a bound of its own
}

// Arch is an entry of the table of a fat file.
type Arch struct {
	CPU, SubCPU, Align, Reserved uint32
	Offset, Size                 uint64 // bytes
}

// File is a Mach-O file.
type File struct {
	Fat      bool
	FatMagic uint32
	Declared uint32 // number of architectures that a fat file says it has
	Archs    []Arch
	// Images are the files within. There is one in a thin file. In a fat file
	// there is one for each of Archs, nil where it cannot be read.
	Images []*Image

	o     Options
	p     *bound.Probe
	items int
	text  int
}

// Parse reads the headers and load commands, nil if src is not a Mach-O file.
func Parse(src showcause.Source, o Options) *File {
	f := &File{o: o}
	f.p = bound.NewProbe(src, o.Work)
	magic, ok := f.p.Uint(binary.BigEndian, 0, 4)
	if !ok {
		return nil
	}
	switch magic {
	case fatMagic, fatCigam, fatMagic64, fatCigam64:
		f.Fat, f.FatMagic = true, uint32(magic)
		return f.fat(src)
	case magic32, cigam32, magic64, cigam64:
		if i := f.image(src); i != nil {
			f.Images = []*Image{i}
			return f
		}
	}
	return nil
}

// Short says that something was left out, because the work was stopped, a bound of
// this package was reached, or the source could not be read.
func (f *File) Short() bool { return f.p.Short() || f.p.Err() != nil }

// keep accounts for a thing that is kept, with the length of its text. Every image
// draws on the same account.
func (f *File) keep(text string) bool {
	if f.items == maxItems || f.text+len(text) > maxText {
		f.p.Cut()
		return false
	}
	f.items++
	f.text += len(text)
	return true
}

// fat reads the table of a fat file and the files in it. YARA takes the table for
// big-endian whatever the magic number says; YARA-X drops a file whose table is cut
// off.
func (f *File) fat(src showcause.Source) *File {
	var order binary.ByteOrder = binary.BigEndian
	wide := f.FatMagic != fatMagic
	if f.o.X {
		wide = f.FatMagic == fatMagic64 || f.FatMagic == fatCigam64
		if f.FatMagic == fatCigam || f.FatMagic == fatCigam64 {
			order = binary.LittleEndian
		}
	}
	n, ok := f.p.Uint(order, 4, 4)
	if !ok {
		return nil
	}
	f.Declared = uint32(n)
	size := int64(20)
	if wide {
		size = 32
	}
	if !f.p.Has(8, int64(n)*size) {
		if f.o.X {
			return nil
		}
		return f
	}
	for i := range int64(n) {
		b := f.p.Bytes(8+i*size, size)
		if b == nil {
			break
		}
		if len(f.Archs) == maxArchs {
			f.p.Cut()
			break
		}
		a := Arch{CPU: order.Uint32(b), SubCPU: order.Uint32(b[4:])}
		if wide {
			a.Offset, a.Size, a.Align, a.Reserved = order.Uint64(b[8:]), order.Uint64(b[16:]), order.Uint32(b[24:]), order.Uint32(b[28:])
		} else {
			a.Offset, a.Size, a.Align = uint64(order.Uint32(b[8:])), uint64(order.Uint32(b[12:])), order.Uint32(b[16:])
		}
		var image *Image
		if a.Offset < 1<<62 && a.Size < 1<<62 && f.p.Has(int64(a.Offset), int64(a.Size)) {
			image = f.image(bound.Section(src, int64(a.Offset), int64(a.Size)))
		}
		f.Archs, f.Images = append(f.Archs, a), append(f.Images, image)
	}
	return f
}

// Find is the index of the first architecture of a fat file with this processor
// and, unless any is set, this kind of it; -1 if there is none.
func (f *File) Find(cpu, sub int64, any bool) int {
	for i, a := range f.Archs {
		if int64(a.CPU) == cpu && (any || int64(a.SubCPU) == sub) {
			return i
		}
	}
	return -1
}
