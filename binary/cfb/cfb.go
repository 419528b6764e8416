// Package cfb reads compound files (OLE2, structured storage): a file system in a
// file, of old Office documents, installers and mail.
//
// Source: Microsoft, [MS-CFB]. What is damaged is read as far as it goes: chains end
// at the first sector that is not there.
package cfb

import (
	"encoding/binary"
	"unicode/utf16"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
)

const (
	signature  = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
	headerSize = 512
	entrySize  = 128
	miniShift  = 6
	regular    = 0xfffffffa // sectors below it are numbers
	endOfChain = 0xfffffffe
	none       = 0xffffffff // a sector that is free; no entry

	maxTables  = 1 << 18 // sectors of the allocation table
	maxEntries = 1 << 16
	maxMini    = 1 << 20 // sectors of the stream of small streams
)

// Kinds of entries.
const (
	Unused  = 0
	Storage = 1
	Stream  = 2
	Root    = 5
)

// Entry is an entry of the directory.
type Entry struct {
	Name    string // UTF-8
	RawName string // UTF-16LE, without the zero at its end
	Kind    byte
	Class   [16]byte // CLSID of a storage
	State   uint32
	Created uint64 // FILETIME
	Changed uint64
	Size    uint64 // bytes of a stream

	left, right, child, start uint32
}

// File is a compound file.
type File struct {
	OK      bool    // it is one; if not, nothing else counts but Short
	Entries []Entry // in the order of the directory; unused ones keep their place

	p      *bound.Probe
	shift  int      // of sectors
	cutoff uint64   // streams below it are small
	tables []uint32 // sectors of the allocation table
	minis  []uint32 // sectors of the allocation table of small streams
	mini   []uint32 // sectors of the stream of small streams
	own    []uint32 // sectors of the directory and of what chains the tables
	bad    bool
}

// Open reads the directory; OK says whether src is a compound file. work is asked for
// every read; nil is a bound of its own.
func Open(src showcause.Source, work func(steps int64) bool) *File {
	f := &File{p: bound.NewProbe(src, work), shift: 9, cutoff: 4096}
	h := append([]byte(nil), f.p.Bytes(0, headerSize)...)
	if len(h) == 0 || string(h[:8]) != signature || h[28] != 0xfe || h[29] != 0xff {
		return f
	}
	u32 := func(at int) uint32 { return binary.LittleEndian.Uint32(h[at:]) }
	if binary.LittleEndian.Uint16(h[30:]) == 12 {
		f.shift = 12
	}
	if c := u32(56); c != 0 {
		f.cutoff = uint64(c)
	}
	dir := u32(48)
	f.tables = f.allocation(h, u32(68))
	if dir >= regular || len(f.tables) == 0 && u32(44) > 0 {
		return f
	}
	f.OK = true
	f.bad = f.bad || uint64(len(f.tables)) < uint64(u32(44)) || f.beyond()
	f.directory(dir)
	f.bad = !f.chain(u32(60), func(s uint32) bool {
		f.minis = append(f.minis, s)
		if len(f.minis) == maxTables {
			f.p.Cut()
		}
		return len(f.minis) < maxTables
	}) || f.bad
	for _, e := range f.Entries {
		if e.Kind == Root {
			f.chain(e.start, func(s uint32) bool {
				f.mini = append(f.mini, s)
				if len(f.mini) == maxMini {
					f.p.Cut()
				}
				return len(f.mini) < maxMini && uint64(len(f.mini))<<f.shift < e.Size
			})
			f.bad = f.bad || uint64(len(f.mini))<<f.shift < e.Size
			break
		}
	}
	return f
}

// Short says that something was left out, because the work was stopped, a bound of
// this package was reached, or the source could not be read.
func (f *File) Short() bool { return f.p.Short() || f.p.Err() != nil }

// SectorSize is the size of sectors and of the header, bytes.
func (f *File) SectorSize() int64 { return 1 << f.shift }

// at is the offset of a sector.
func (f *File) at(sector uint32) int64 { return (int64(sector) + 1) << f.shift }

// allocation lists the sectors of the allocation table: 109 in the header, the others
// in a chain of sectors of their own.
func (f *File) allocation(h []byte, next uint32) (list []uint32) {
	take := func(b []byte) {
		for ; len(b) >= 4; b = b[4:] {
			if s := binary.LittleEndian.Uint32(b); s < regular {
				list = append(list, s)
			}
		}
	}
	take(h[76:])
	for n := int64(0); next < regular; n++ {
		b := f.p.Bytes(f.at(next), f.SectorSize())
		if b == nil || n > f.p.Size()>>f.shift {
			f.bad = true
			break
		}
		f.own = append(f.own, next)
		if len(list) >= maxTables {
			f.p.Cut()
			break
		}
		take(b[:len(b)-4])
		next = binary.LittleEndian.Uint32(b[len(b)-4:])
	}
	return list
}

// entry reads an entry of a table that lies in sectors.
func (f *File) entry(sectors []uint32, i uint32) (uint32, bool) {
	per := uint32(1) << (f.shift - 2)
	if int64(i/per) >= int64(len(sectors)) {
		return 0, false
	}
	v, ok := f.p.Uint(binary.LittleEndian, f.at(sectors[i/per])+4*int64(i%per), 4)
	return uint32(v), ok
}

// chain visits the sectors of a chain. It ends where it turns back, at the latest when
// it has as many sectors again as it had before. It says whether it came to a mark of
// an end, and visit wanted to go on.
func (f *File) chain(s uint32, visit func(s uint32) bool) bool {
	mark := uint32(regular)
	for n := int64(0); s < regular && s != mark && n <= f.p.Size()>>f.shift; n++ {
		if n&(n-1) == 0 {
			mark = s
		}
		if !visit(s) {
			return false
		}
		next, ok := f.entry(f.tables, s)
		if !ok {
			return false
		}
		s = next
	}
	return s >= endOfChain
}

// directory reads the entries.
func (f *File) directory(first uint32) {
	seen := map[uint32]bool{}
	f.bad = !f.chain(first, func(s uint32) bool {
		if seen[s] {
			return false
		}
		seen[s] = true
		f.own = append(f.own, s)
		for at := int64(0); at < f.SectorSize(); at += entrySize {
			b := f.p.Bytes(f.at(s)+at, entrySize)
			if b == nil {
				return false
			}
			if len(f.Entries) == maxEntries {
				f.p.Cut()
				return false
			}
			f.Entries = append(f.Entries, f.read(b))
		}
		return true
	}) || f.bad
}

func (f *File) read(b []byte) (e Entry) {
	u32, u64 := binary.LittleEndian.Uint32, binary.LittleEndian.Uint64
	n := int(binary.LittleEndian.Uint16(b[64:]))
	if n < 2 || n > 64 {
		f.bad = f.bad || b[66] != Unused // it is one, and cannot be named
		return Entry{}
	}
	e = Entry{
		RawName: string(b[:(n-2)&^1]), Kind: b[66], left: u32(b[68:]), right: u32(b[72:]), child: u32(b[76:]),
		Class: [16]byte(b[80:]), State: u32(b[96:]), Created: u64(b[100:]), Changed: u64(b[108:]), start: u32(b[116:]), Size: u64(b[120:]),
	}
	if f.shift == 9 { // the upper half is not to be trusted
		e.Size &= 1<<32 - 1
	}
	var units []uint16
	for i := 0; i+1 < len(e.RawName); i += 2 {
		units = append(units, uint16(e.RawName[i])|uint16(e.RawName[i+1])<<8)
	}
	e.Name = string(utf16.Decode(units))
	return e
}

// Children are the indexes of the entries in a storage, in the order of the tree that
// they are in; each once.
func (f *File) Children(i int) (out []int) {
	seen := map[uint32]bool{}
	var todo []uint32
	next := uint32(regular)
	if i >= 0 && i < len(f.Entries) {
		next = f.Entries[i].child
	}
	for {
		for int64(next) < int64(len(f.Entries)) && !seen[next] {
			seen[next] = true
			todo = append(todo, next)
			next = f.Entries[next].left
		}
		if len(todo) == 0 || !f.p.Step(1) {
			return out
		}
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		out = append(out, int(at))
		next = f.Entries[at].right
	}
}

// Find is the index of the child of a storage with that name, -1 if there is none.
// Case does not count in ASCII.
func (f *File) Find(storage int, name string) int {
	for _, c := range f.Children(storage) {
		if same(f.Entries[c].Name, name) {
			return c
		}
	}
	return -1
}

func same(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	lower := func(c byte) byte {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		return c
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

// Visit gives the bytes of stream i in order, until visit returns false. It says
// whether that was all of them. The slices are valid until the next.
func (f *File) Visit(i int, visit func([]byte) bool) bool {
	if i < 0 || i >= len(f.Entries) || f.Entries[i].Kind != Stream {
		return false
	}
	e := &f.Entries[i]
	left := e.Size
	if left == 0 {
		return true
	}
	give := func(at, n int64) bool {
		n = min(n, int64(min(left, 1<<62)))
		b := f.p.Bytes(at, n)
		if b == nil {
			return false
		}
		left -= uint64(n)
		return visit(b) && left > 0
	}
	if e.Size >= f.cutoff {
		f.chain(e.start, func(s uint32) bool { return give(f.at(s), f.SectorSize()) })
		return left == 0
	}
	per := uint32(1) << (f.shift - miniShift)
	for s, n := e.start, uint64(0); s < regular && n <= f.cutoff>>miniShift; n++ {
		if int64(s/per) >= int64(len(f.mini)) || !give(f.at(f.mini[s/per])+int64(s%per)<<miniShift, 1<<miniShift) {
			break
		}
		next, ok := f.entry(f.minis, s)
		if !ok {
			break
		}
		s = next
	}
	return left == 0
}

// Read reads stream i if it has at most max bytes. It is false if there are more, or
// fewer than the directory says; what there is comes with it.
func (f *File) Read(i int, max int64) ([]byte, bool) {
	if i < 0 || i >= len(f.Entries) || f.Entries[i].Size > uint64(max) {
		return nil, false
	}
	var out []byte
	ok := f.Visit(i, func(b []byte) bool {
		out = append(out, b...)
		return true
	})
	return out, ok
}
