package picture

import (
	"encoding/binary"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack"
)

// TIFF reads a TIFF file, which Exif is as well (TIFF 6.0; BigTIFF; CIPA DC-008): XMP, "tiff.xmp"; IPTC, the colour profile,
// Photoshop's resources, comments and what makers note, "tiff.data"; small pictures in it, "tiff.image". It says of itself
// where each thing stands, and so has no end.
//
//	"II" or "MM", u16 42, u32 place of the first directory
//	a directory: u16 count, entries: u16 tag, u16 kind, u32 count, u32 value or its place; u32 place of the next one
func TIFF() unpack.Format {
	return format("tiff", func(b []byte) bool {
		if len(b) < 16 {
			return false
		}
		switch string(b[:4]) {
		case "II*\x00", "MM\x00*", "II+\x00", "MM\x00+":
			return true
		}
		return false
	}, tiffWalk)
}

// Tags of TIFF whose values are places of directories.
var tiffDirectories = map[uint16]bool{330: true, 34665: true, 34853: true, 40965: true}

// tiffData are tags whose values are data of their own.
var tiffData = map[uint16]string{
	700: "tiff.xmp", 33723: "tiff.data", 34377: "tiff.data", 34675: "tiff.data", 37500: "tiff.data", 37510: "tiff.data", 270: "tiff.data", 37724: "tiff.data",
	40091: "tiff.data", 40092: "tiff.data", 40093: "tiff.data", 40094: "tiff.data", 40095: "tiff.data",
}

const (
	tiffImage       = 513
	tiffImageLength = 514
	maxDirectories  = 1 << 16
)

// tiffWidths are the lengths of values by their kind.
var tiffWidths = [...]int64{0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8}

// tiff is a file by its order and width.
type tiff struct {
	*file
	order binary.ByteOrder
	big   bool
	dirs  []int64
	seen  map[int64]bool
	full  bool // there were more of them
	given map[unpack.Span]bool
}

func tiffWalk(f *file) {
	t := &tiff{file: f, order: le, seen: map[int64]bool{}, given: map[unpack.Span]bool{}}
	h := f.at(0, 16)
	if len(h) < 16 {
		return
	}
	if h[0] == 'M' {
		t.order = be
	}
	if t.big = t.order.Uint16(h[2:]) == 43; t.big {
		t.lead(t.place(h[8:]))
	} else {
		t.lead(t.place(h[4:]))
	}
	for i := 0; i < len(t.dirs); i++ {
		if !t.directory(t.dirs[i]) {
			return
		}
	}
	if t.full {
		f.out.Gap(showcause.LimitObject, 0, -1)
	}
}

// lead notes the place of a directory, each once.
func (t *tiff) lead(at int64) {
	if at <= 0 || at >= t.size || t.seen[at] {
		return
	}
	if len(t.dirs) >= maxDirectories {
		t.full = true
		return
	}
	t.seen[at] = true
	t.dirs = append(t.dirs, at)
}

// place is a number of 4 bytes, or of 8 in a big file; -1 if it is too large.
func (t *tiff) place(b []byte) int64 {
	if !t.big {
		return int64(t.order.Uint32(b))
	}
	if v := t.order.Uint64(b); v < 1<<62 {
		return int64(v)
	}
	return -1
}

// directory gives what a directory leads to.
func (t *tiff) directory(at int64) bool {
	head, entry, width := int64(2), int64(12), int64(4)
	if t.big {
		head, entry, width = 8, 20, 8
	}
	h := t.at(at, int(head))
	if at <= 0 || int64(len(h)) < head {
		return true
	}
	n := int64(t.order.Uint16(h))
	if t.big {
		n = min(max(t.place(h), 0), 1<<16)
	}
	image, length := int64(0), int64(0)
	for i := range n {
		e := t.at(at+head+i*entry, int(entry))
		if int64(len(e)) < entry {
			return true
		}
		if !t.out.Work(1) {
			return false
		}
		tag, kind, count := t.order.Uint16(e), t.order.Uint16(e[2:]), t.place(e[4:])
		if int(kind) >= len(tiffWidths) || count < 0 {
			continue
		}
		count = min(count, t.size) // what there is of it
		value := e[4+width:]
		v := t.place(value)
		size := count * tiffWidths[kind]
		op := tiffData[tag]
		switch {
		case tag == tiffImage:
			image = v
		case tag == tiffImageLength:
			length = v
		case tiffDirectories[tag] && size <= width:
			t.lead(v)
		case tiffDirectories[tag] && !t.given[unpack.Span{From: v, To: -count}]:
			t.given[unpack.Span{From: v, To: -count}] = true
			for k := range count {
				b := t.at(v+k*tiffWidths[kind], int(width))
				if int64(len(b)) < width {
					break
				}
				if !t.out.Work(8) {
					return false
				}
				t.lead(t.place(b))
			}
		case op != "" && size >= minText && !t.give(op, v, size):
			return false
		}
	}
	if image > 0 && length > 0 && !t.give("tiff.image", image, length) {
		return false
	}
	if b := t.at(at+head+n*entry, int(width)); int64(len(b)) == width {
		t.lead(t.place(b))
	}
	return true
}

// give gives a stretch once.
func (t *tiff) give(op string, off, n int64) bool {
	s := unpack.Span{From: off, To: off + n}
	if off <= 0 || off >= t.size || t.given[s] {
		return true
	}
	t.given[s] = true
	return t.section(op, off, n)
}
