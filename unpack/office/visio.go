package office

import (
	"bytes"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/bound"
	"github.com/showcause/showcause/unpack"
)

const (
	visioMark    = "Visio (TM) Drawing\r\n\x00"
	visioVersion = 0x1a // where the version stands, one byte
	visioTrailer = 0x24 // and the pointer from which all others are reached
	visioLists   = 5    // kind of a stream that has pointers
	visioMost    = 64 << 20
	visioObjects = 1 << 16
	visioDepth   = 32
)

// Visio reads the drawing of a document of Visio 5 to 2010, the stream "VisioDocument": each stream in it that a pointer leads
// to, unpacked where it is packed, "visio.stream".
//
//	at 0x24 a pointer to the trailer; from version 6 on, u32 kind, u32, u32 place, u32 length, u16 format (2: packed; the upper four bits: 5 has
//	pointers); in version 5 u16 kind, u16 format, u32, u32 place, u32 length
//	pointers in a stream: u32 where, less 4 if it is not packed; there u32 n, u32 count, u32, the pointers, n of u32
//
// Source: what libvisio reads; the format is not published.
func Visio() unpack.Format {
	return unpack.Format{Name: "visio", Match: func(p *unpack.Probe) bool { return p.Called("VisioDocument") }, Walk: visioWalk}
}

// drawing is one that is read.
type drawing struct {
	src    showcause.Source
	out    *unpack.Out
	old    bool // version 5: pointers have another form
	seen   map[visioPointer]bool
	broken bool
}

// visioPointer leads to a stream.
type visioPointer struct {
	at, n  int64
	packed bool
	lists  bool
}

func visioWalk(src showcause.Source, out *unpack.Out) {
	head := bound.Head(src, visioTrailer+18)
	if len(head) < visioTrailer+18 || !bytes.HasPrefix(head, []byte(visioMark)) || head[visioVersion] < 5 || !out.Work(64) {
		out.Gap(packedOffice, 0, src.Size())
		return
	}
	d := &drawing{src: src, out: out, old: head[visioVersion] < 6, seen: map[visioPointer]bool{}}
	p, _ := d.pointer(head[visioTrailer:])
	p.lists = true
	if !d.follow(p, 0) {
		return
	}
	if d.broken || len(d.seen) < 2 {
		out.Gap(showcause.Corrupt, 0, -1)
	}
}

// pointer reads one, and returns the bytes behind it.
func (d *drawing) pointer(b []byte) (p visioPointer, rest []byte) {
	var format uint16
	if d.old {
		format, rest = le.Uint16(b[2:]), b[16:]
	} else {
		format, rest = le.Uint16(b[16:]), b[18:]
	}
	return visioPointer{at: int64(le.Uint32(b[8:])), n: int64(le.Uint32(b[12:])), packed: format&2 != 0, lists: format&0xff>>4 == visioLists}, rest
}

// size is the length of a pointer.
func (d *drawing) size() int {
	if d.old {
		return 16
	}
	return 18
}

// follow gives what a pointer leads to, and what is reached from there. It tells whether to go on.
func (d *drawing) follow(p visioPointer, depth int) bool {
	switch {
	case p.n == 0 || d.seen[p]:
		return true
	case p.at >= d.src.Size():
		d.broken = true
		return true
	case len(d.seen) >= visioObjects:
		d.out.Gap(showcause.LimitObject, p.at, -1)
		return false
	}
	d.seen[p] = true
	if p.n > d.src.Size()-p.at {
		p.n, d.broken = d.src.Size()-p.at, true
	}
	if !p.packed && !p.lists {
		return d.out.Section(d.src, "visio.stream", "", p.at, p.n)
	}
	if p.n > visioMost/8 {
		d.out.Gap(showcause.LimitSize, p.at, p.n)
		return true
	}
	if !d.out.Work(p.n) {
		return false
	}
	b, err := bound.ReadAt(d.src, p.at, p.n, visioMost)
	d.broken = d.broken || err != nil
	if !p.packed {
		if !d.out.Section(d.src, "visio.stream", "", p.at, p.n) {
			return false
		}
	} else {
		b = visioUnpack(b)
		d.out.Cover(p.at, p.n)
		if !d.out.Child(unpack.Child{Op: "visio.stream", Source: showcause.Bytes(b), Size: int64(len(b))}) {
			return false
		}
	}
	if !p.lists {
		return true
	}
	if depth >= visioDepth {
		d.out.Gap(showcause.LimitDepth, p.at, -1)
		return true
	}
	for _, next := range d.list(b, p.packed) {
		if !d.out.Work(16) || !d.follow(next, depth+1) {
			return false
		}
	}
	return true
}

// list is the pointers in a stream.
func (d *drawing) list(b []byte, packed bool) []visioPointer {
	shift := 0
	if packed {
		shift = 4
	}
	if d.old {
		return d.oldList(b, shift)
	}
	if len(b) < shift+4 {
		d.broken = true
		return nil
	}
	at := int64(le.Uint32(b[shift:])) + int64(shift) - 4
	if at < 0 || at+12 > int64(len(b)) {
		d.broken = true
		return nil
	}
	out, whole := d.pointers(b[at+12:], int64(le.Uint32(b[at+4:])))
	d.broken = d.broken || !whole
	return out
}

// oldList is the pointers in a stream of version 5, which stand in another place for each kind of it: those are taken that
// lead to where something is.
func (d *drawing) oldList(b []byte, shift int) (out []visioPointer) {
	for _, at := range []int{0x82, 0x42, 0x36, 0x2e, 0x1e, 0x12, 0xa} {
		if at += shift; at+2 > len(b) {
			continue
		}
		if n := int64(int16(le.Uint16(b[at:]))); n > 0 {
			list, whole := d.pointers(b[at+2:], n)
			for _, p := range list {
				whole = whole && p.at+p.n <= d.src.Size() && (p.n == 0 || p.at >= visioTrailer)
			}
			if whole {
				out = append(out, list...)
			}
		}
	}
	return out
}

// pointers reads n pointers, fewer where there are no more.
func (d *drawing) pointers(b []byte, n int64) (out []visioPointer, whole bool) {
	for ; n > 0; n-- {
		if len(b) < d.size() || len(out) >= visioObjects {
			return out, false
		}
		var p visioPointer
		p, b = d.pointer(b)
		out = append(out, p)
	}
	return out, true
}

// visioUnpack unpacks a stream: of each byte of flags, from the lowest on, 1 is a byte as it is, 0 a copy of 3 to 18 bytes
// from a window of 4,096, whose places begin 18 behind its start.
func visioUnpack(b []byte) []byte {
	const size, start = 4096, 18
	var window [size]byte
	out := make([]byte, 0, 3*len(b))
	put := func(c byte) {
		window[len(out)%size] = c
		out = append(out, c)
	}
	for len(b) > 1 {
		flags := b[0]
		b = b[1:]
		for bit := 0; bit < 8 && len(b) > 0; bit++ {
			if flags>>bit&1 != 0 {
				put(b[0])
				b = b[1:]
				continue
			}
			if len(b) < 2 {
				return out
			}
			from := (int(b[0]) | int(b[1]&0xf0)<<4) + start
			for n := int(b[1]&15) + 3; n > 0; n-- {
				put(window[from%size])
				from++
			}
			b = b[2:]
		}
	}
	return out
}
