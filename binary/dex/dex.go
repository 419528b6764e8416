// Package dex reads DEX files, the programs of Android: the header, and the tables
// of strings, types, prototypes, fields, methods and classes.
//
// YARA 4 and YARA-X show different things of them, and read damaged tables
// differently. File has the tables as they stand, Members what YARA makes of the
// classes; Items is what YARA-X makes of everything.
//
// Sources: Android Open Source Project, "Dalvik executable format"; libyara/modules/dex
// of YARA 4.5; lib/src/modules/dex of YARA-X 1.19.
package dex

import (
	"encoding/binary"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
)

// Bounds. Indexes of methods and fields have 16 bits in the instructions, so that
// real files have at most 65,536 of each.
const (
	maxTable  = 1 << 20 // entries that are read of a table as a whole
	maxString = 1 << 20 // bytes of a string
	maxIndex  = 0x80000 // YARA follows no index above it
)

// NoIndex is the index of nothing.
const NoIndex = 0xffffffff

// Table is a table as the header declares it.
type Table struct{ Size, Offset uint32 }

// File is a DEX file.
type File struct {
	Magic      string // 8 bytes
	Version    int    // 35 to 41
	Checksum   uint32
	Signature  [20]byte
	FileSize   uint32
	HeaderSize uint32
	Endian     uint32
	Link       Table
	MapOffset  uint32
	Strings    Table
	Types      Table
	Protos     Table
	Fields     Table
	Methods    Table
	Classes    Table
	Data       Table
	Container  Table // Size of the container and Offset of the header, from version 41 on

	p       *bound.Probe
	members *Members
	items   *Items
}

// Parse reads the header, nil if src is not a DEX file. work is asked for every
// read; nil is a bound of its own.
func Parse(src showcause.Source, work func(steps int64) bool) *File {
	f := &File{p: bound.NewProbe(src, work)}
	h := f.p.Bytes(0, 112)
	if h == nil || string(h[:4]) != "dex\n" || h[4] != '0' || h[7] != 0 {
		return nil
	}
	f.Version = int(h[5]-'0')*10 + int(h[6]-'0')
	if h[5] < '0' || h[6] < '0' || h[5] > '9' || h[6] > '9' || f.Version < 35 || f.Version > 41 {
		return nil
	}
	f.Magic, f.Checksum, f.Signature = string(h[:8]), binary.LittleEndian.Uint32(h[8:]), [20]byte(h[12:])
	n := h[32:]
	for _, field := range []*uint32{
		&f.FileSize, &f.HeaderSize, &f.Endian, &f.Link.Size, &f.Link.Offset, &f.MapOffset, &f.Strings.Size, &f.Strings.Offset,
		&f.Types.Size, &f.Types.Offset, &f.Protos.Size, &f.Protos.Offset, &f.Fields.Size, &f.Fields.Offset,
		&f.Methods.Size, &f.Methods.Offset, &f.Classes.Size, &f.Classes.Offset, &f.Data.Size, &f.Data.Offset,
	} {
		*field = binary.LittleEndian.Uint32(n)
		n = n[4:]
	}
	if c := f.words(112, 2); f.Version >= 41 && c != nil {
		f.Container = Table{c[0], c[1]}
	}
	return f
}

// Short says that something was left out, because the work was stopped, a bound of
// this package was reached, or the source could not be read.
func (f *File) Short() bool { return f.p.Short() || f.p.Err() != nil }

// words reads n numbers of 32 bits, nil if they are not all there.
func (f *File) words(off int64, n int) []uint32 {
	b := f.p.Bytes(off, 4*int64(n))
	if b == nil {
		return nil
	}
	out := make([]uint32, n)
	for i := range out {
		out[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	return out
}

// uleb reads a number in base 128, of at most 5 bytes, and says how many it has; 0
// if it is cut off.
func (f *File) uleb(off int64) (v uint32, n int64) {
	b := f.p.Bytes(off, min(5, f.p.Size()-off))
	for i, c := range b {
		v |= uint32(c&0x7f) << (7 * i)
		if c < 0x80 || i == 4 {
			return v, int64(i) + 1
		}
	}
	return 0, 0
}

// Complete is the number of the tables that YARA reads, of strings, types,
// prototypes, fields and methods in this order: it stops at the first that does not
// lie in the file.
func (f *File) Complete() int {
	for i, t := range []struct {
		Table
		entry int64
	}{{f.Strings, 4}, {f.Types, 4}, {f.Protos, 12}, {f.Fields, 8}, {f.Methods, 8}} {
		if !f.p.Has(int64(t.Offset), int64(t.Size)*t.entry) {
			return i
		}
	}
	return 5
}

// Entry reads entry i of a table whose entries have n numbers of 32 bits.
func (f *File) Entry(t Table, i int64, n int) []uint32 {
	if i < 0 || i >= int64(t.Size) {
		return nil
	}
	return f.words(int64(t.Offset)+4*int64(n)*i, n)
}

// StringID is a string as YARA reads it: the bytes after the first byte at Offset,
// as many as its length in UTF-16 says.
type StringID struct {
	Offset, Size uint32
	Value        string
}

// String reads string i of the table, false where YARA shows nothing.
func (f *File) String(i int64) (s StringID, ok bool) {
	e := f.Entry(f.Strings, i, 1)
	if e == nil || f.Complete() < 1 {
		return s, false
	}
	at := int64(e[0])
	size, n := f.uleb(at)
	if n == 0 || !f.p.Has(at, 4) || !f.p.Has(at+1, int64(size)) {
		return s, false
	}
	s = StringID{Offset: e[0], Size: size}
	if size > maxString {
		f.p.Cut()
		return s, false
	}
	s.Value = string(f.p.Bytes(at+1, int64(size)))
	return s, true
}

// at reads string i as YARA follows an index to it.
func (f *File) at(i int64) (string, bool) {
	if i > maxIndex {
		return "", false
	}
	s, ok := f.String(i)
	return s.Value, ok
}

// typeName is the descriptor of type i.
func (f *File) typeName(i int64) (string, bool) {
	e := f.Entry(f.Types, i, 1)
	if e == nil || i > maxIndex {
		return "", false
	}
	return f.at(int64(e[0]))
}

// MapItem is an entry of the map: what is where.
type MapItem struct {
	Type, Unused uint16
	Size, Offset uint32
}

// MapSize is the number of entries that the map says it has, false if there is no
// map.
func (f *File) MapSize() (uint32, bool) {
	n := f.words(int64(f.MapOffset), 1)
	if n == nil || f.MapOffset == 0 {
		return 0, false
	}
	return n[0], true
}

// MapLen is the number of entries that are there: all or none.
func (f *File) MapLen() int64 {
	n, _ := f.MapSize()
	if !f.p.Has(int64(f.MapOffset)+4, int64(n)*12) {
		return 0
	}
	return int64(n)
}

// MapItem reads entry i of the map.
func (f *File) MapItem(i int64) (m MapItem, ok bool) {
	if i < 0 || i >= f.MapLen() {
		return m, false
	}
	e := f.words(int64(f.MapOffset)+4+12*i, 3)
	if e == nil {
		return m, false
	}
	return MapItem{uint16(e[0]), uint16(e[0] >> 16), e[1], e[2]}, true
}
